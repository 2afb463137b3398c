"""One thing that `hashtagd doctor` looked at."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How good it is."""

    OK = "ok"
    #: it works, but something is missing
    WARN = "warn"
    #: it does not work
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found, and what to do about it."""

    #: a short name that programs may rely on, for example `root loras: writable`
    check: str
    level: Level
    found: str
    #: None: nothing has to be done
    you: str | None = None


def ok(check: str, found: str) -> Finding:
    """Say that something is fine."""
    return Finding(check=check, level=Level.OK, found=found)


def warn(check: str, found: str, you: str) -> Finding:
    """Say that something works with a reservation."""
    return Finding(check=check, level=Level.WARN, found=found, you=you)


def fail(check: str, found: str, you: str) -> Finding:
    """Say that something does not work."""
    return Finding(check=check, level=Level.FAIL, found=found, you=you)
