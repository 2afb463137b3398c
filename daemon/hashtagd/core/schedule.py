"""Every waiting time of the product, one function each. Randomness comes in as `chance`, a float in [0, 1).

Jitter keeps machines that were started together apart. Except for scans it only ever lengthens a wait: a
promise like "at most so many requests in half an hour" must hold for the unluckiest draw.
"""

from typing import Final

_MINUTE_S: Final = 60.0
_HOUR_S: Final = 60 * _MINUTE_S
_DAY_S: Final = 24 * _HOUR_S

#: how long a claim is good for when nobody renews it
LEASE_S: Final = 60.0
#: how often running claims are renewed: two renewals may fail before a lease is lost
RENEW_S: Final = 20.0
#: how long a hashed file waits for its first answer before it is published with what its header says
FIRST_ANSWER_PATIENCE_S: Final = 60.0
#: how long a file that one provider does not know waits for the word of the next before it is published
NEXT_ANSWER_PATIENCE_S: Final = 2.0
#: how long a vanished file is remembered, so that a move is recognised when the file comes back
GONE_KEPT_S: Final = 30 * _DAY_S
#: how long what was written beside a vanished file stays, so that a move is noticed first; and how much later
#: it is looked at again while the file's bytes wait at another place to be published
SWEEP_AFTER_S: Final = 10.0
SWEEP_AGAIN_S: Final = 60.0
#: charged attempts after which digest and publish park a file
MAX_ATTEMPTS: Final = 8
#: longer than every wait below: a due time further away comes from a clock that was wrong and is pulled back
LONGEST_WAIT_S: Final = 32 * _DAY_S

#: a site that said nothing about a hash for so long is not waited for: the next one is asked
SILENCE_S: Final = 7 * _DAY_S
#: files from this size on take so long to read that they are asked about before, where they say what to ask
EARLY_FROM_BYTES: Final = 1 << 30

#: how long a program that answered is believed to be there still
PROGRAM_THERE_S: Final = 10 * _MINUTE_S
#: a program that has not met a file gets so long to find it before it is told once more; it is asked to
#: look around at most this often
PROGRAM_LOOKS_S: Final = 5.0
PROGRAM_LOOKS_AGAIN_S: Final = _MINUTE_S
#: a program that answered until now and is late once is busy: it is left alone for so long
PROGRAM_LATE_S: Final = 5.0
#: a program that was away when there was something to tell is asked this often whether it is there again
PROGRAM_BACK_S: Final = _HOUR_S

_GATE_FIRST_S: Final = 30.0
_PROGRAM_FIRST_S: Final = _MINUTE_S
_FILE_FIRST_S: Final = 5.0
_RETRY_CAP_S: Final = 15 * _MINUTE_S
_RETRY_JITTER: Final = 0.20

_MISS_AGAIN_S: Final = (1.5 * _HOUR_S, 6 * _HOUR_S, 1 * _DAY_S, 3 * _DAY_S, 7 * _DAY_S, 30 * _DAY_S)
_HIT_AGAIN_S: Final = 30 * _DAY_S
_AGAIN_JITTER: Final = 0.05

#: a round collects at least this long while more hashes are on their way
_COLLECT_S: Final = 2.0
#: and at most this long, so that names keep appearing during a first run of hours
_COLLECT_CAP_S: Final = 60.0
#: what the largest single question (`by-hash/ids`) can hold; waiting longer gains nothing
_ROUND_LIMIT: Final = 10_000


def gate_wait_s(failures: int, chance: float) -> float:
    """Say how long an origin is left alone after its n-th failure in a row: 30 s, 1, 2, 4, 8, then 15 min.

    Half an hour of outage then sees at most six probes, however many files wait behind the gate.
    """
    return _doubled(_GATE_FIRST_S, failures) * (1 + _RETRY_JITTER * chance)


def file_retry_wait_s(attempts: int, chance: float) -> float:
    """Say how long one file waits after its n-th failed attempt: 5 s, doubling up to 15 minutes."""
    return _doubled(_FILE_FIRST_S, attempts) * (1 + _RETRY_JITTER * chance)


def program_rest_s(misses: int) -> float:
    """Say how long a program beside us is left alone after it did not answer: 1 min, doubling up to 15."""
    return _doubled(_PROGRAM_FIRST_S, misses)


def miss_again_s(times_absent: int, chance: float) -> float:
    """Say when to repeat a question that was answered Absent for the n-th time in a row, this one counted.

    Fresh uploads are often indexed within hours, so the first repeats are close together.
    """
    index = min(max(times_absent, 1), len(_MISS_AGAIN_S)) - 1
    return _MISS_AGAIN_S[index] * (1 + _AGAIN_JITTER * chance)


def hit_again_s(chance: float) -> float:
    """Say when to ask again about a model that is known: monthly, for new versions and changed words."""
    return _HIT_AGAIN_S * (1 + _AGAIN_JITTER * chance)


def second_chance_again_s(chance: float) -> float:
    """Say when to ask again about the tensors of a file, known or not: each costs a request of its own."""
    return _HIT_AGAIN_S * (1 + _AGAIN_JITTER * chance)


def after_early_access_s(chance: float) -> float:
    """Say how long after the end of an early access to look: an hour or two, until the site has noticed."""
    return _HOUR_S * (1 + chance)


def pull_in_s(interval_s: float) -> float:
    """Say how much earlier than due a question may join a round: a tenth of its interval.

    Without it, jitter would scatter the re-asks of one library over days, each a request of its own.
    """
    return interval_s / 10


def scan_wait_s(interval_s: float, chance: float) -> float:
    """Say when to scan a root again: 3/4 to 5/4 of the interval, so that machines do not march in step."""
    return interval_s * (0.75 + 0.5 * chance)


def round_wait_s(
    *,
    waiting: int,
    oldest_wait_s: float,
    digesting: bool,
    since_last_round_s: float | None,
    rounds_in_a_row: int,
) -> float:
    """Say how long a round of questions should still collect; 0 means go now.

    One request can carry one hash or a hundred. A single new file must not wait for company, so the round
    goes at once when nothing is being hashed. While a library is being hashed, files arrive one by one for
    hours: the pauses between rounds double from 2 s to 60 s, so the first names appear quickly and the rest
    go out by the hundred.

    Args:
        waiting: how many questions are due for this provider; with 0 the wait is that of the longest pause.
        oldest_wait_s: how long the first of them has been due.
        digesting: whether more hashes are on their way.
        since_last_round_s: None when there was no round yet.
        rounds_in_a_row: rounds since hashing was last idle.
    """
    if waiting <= 0:
        return _COLLECT_CAP_S
    if not digesting or waiting >= _ROUND_LIMIT:
        return 0.0
    collect_s = _COLLECT_S - max(oldest_wait_s, 0.0)
    if since_last_round_s is None:
        return max(collect_s, 0.0)
    pause_s = min(_COLLECT_S * 2.0 ** min(max(rounds_in_a_row, 0), 10), _COLLECT_CAP_S)
    return max(collect_s, pause_s - max(since_last_round_s, 0.0), 0.0)


def _doubled(first_s: float, times: int) -> float:
    """Double from `first_s` with each time (the first is 1), never beyond a quarter of an hour."""
    exponent = min(max(times, 1) - 1, 20)  # bounded first: 2 ** 5,000 is no float
    return min(first_s * 2.0**exponent, _RETRY_CAP_S)
