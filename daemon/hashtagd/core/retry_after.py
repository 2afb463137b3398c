"""What a server's `Retry-After` asks for, as seconds; junk counts as absent.

Source: RFC 9110, 10.2.3 and 5.6.7: decimal seconds, or an HTTP date in one of three forms.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

#: nobody is asked to wait less, so that 0 and dates that have just passed do not become a busy loop
_SHORTEST_S: Final = 1.0
#: nobody is obeyed for longer: a mistake on the other side must not silence us for years
_LONGEST_S: Final = 86_400.0
#: more digits than this are above the longest wait; `int` refuses more than 4,300 of them
_MOST_DIGITS: Final = 9
#: the longest of the three date forms has 33 characters
_LONGEST_DATE: Final = 64


def retry_after_s(values: Sequence[str], now: datetime) -> float | None:
    """Read all `Retry-After` values of one answer.

    Returns the largest valid wait, kept within 1 s and 24 h; None when there is none or only junk.
    """
    waits = [wait_s for value in values if (wait_s := _read(value.strip(), now)) is not None]
    return min(max(*waits, _SHORTEST_S), _LONGEST_S) if waits else None


def _read(value: str, now: datetime) -> float | None:
    # isdigit alone would accept full-width digits, and float() would accept "inf" and "1e9"
    if value.isascii() and value.isdigit():
        digits = value.lstrip("0")
        return _LONGEST_S if len(digits) > _MOST_DIGITS else float(digits or "0")
    if not value.isascii() or len(value) > _LONGEST_DATE:
        return None
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:  # the asctime form carries no zone; HTTP means UTC
        moment = moment.replace(tzinfo=UTC)
    return (moment - now).total_seconds()
