"""Randomness of the process: owner ids and the jitter of waits."""

import secrets

_RANDOM = secrets.SystemRandom()


def chance() -> float:
    """Give a random number in [0, 1)."""
    return _RANDOM.random()


def owner_id() -> str:
    """Make a random id for this process's leases: says nothing of the user or the machine."""
    return secrets.token_hex(8)
