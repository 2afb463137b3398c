"""Tolerant readers of single values: what has the right form is used, anything else counts as not said."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

_INT64_MAX = 2**63 - 1
_MOST_DIGITS = 18
_NAME_CHARS = 1_000


def mapping(value: object) -> Mapping[str, Any]:
    """Give an object, or an empty one."""
    return value if isinstance(value, Mapping) else {}


def mappings(value: object) -> Iterator[Mapping[str, Any]]:
    """Give the objects of a list."""
    for item in value if isinstance(value, list) else ():
        if isinstance(item, Mapping):
            yield item


def whole(value: object) -> int | None:
    """Give a number of 0 or more that fits into 64 bits, also where it came as text or as 12.0."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        digits = value.strip()
        return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS else None
    if isinstance(value, float):
        value = int(value) if value.is_integer() and abs(value) <= _INT64_MAX else None
    return value if isinstance(value, int) and 0 <= value <= _INT64_MAX else None


def identity(value: object) -> int | None:
    """Give an id: a number above 0."""
    return whole(value) or None


def words(value: object) -> str | None:
    """Give a text of one line and of bearable length; None for anything empty."""
    if not isinstance(value, str):
        return None
    return value.strip()[:_NAME_CHARS].rstrip() or None


def prose(value: object) -> str | None:
    """Give a longer text as it is; None for anything empty."""
    return value if isinstance(value, str) and value.strip() else None


def flag(value: object) -> bool | None:
    """Give a yes or no; None for anything else."""
    return value if isinstance(value, bool) else None


def listed(value: object) -> tuple[str, ...]:
    """Give a list of words, in order, each once; also where its elements are objects with a `name`."""
    items = value if isinstance(value, list) else [value]
    found = (words(mapping(item).get("name") if isinstance(item, Mapping) else item) for item in items)
    return tuple(dict.fromkeys(item for item in found if item))


def moment(value: object) -> datetime | None:
    """Read a time, with or without a zone (then UTC)."""
    if not isinstance(value, str):
        return None
    try:
        read = datetime.fromisoformat(value.strip())
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
