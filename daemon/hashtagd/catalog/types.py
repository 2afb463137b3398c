"""Column types that mean the same on SQLite and PostgreSQL."""

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import JSON, BigInteger, DateTime, Integer, String, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from hashtagd.catalog.storable import storable_json, storable_text

#: counts rows; SQLite gives numbers by itself only to a column that is spelled INTEGER
RowId = BigInteger().with_variant(Integer(), "sqlite")

_WORD: Final = 2**64
_LARGEST: Final = 2**63 - 1


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment: `timestamptz`, or text of fixed width that sorts by time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the form by engine."""
        return dialect.type_descriptor(String(27) if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:  # noqa: ANN401 - by engine
        """Turn a moment into what the engine keeps.

        Raises:
            ValueError: the moment has no zone.
        """
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a zone is not a moment")
        moment = value.astimezone(UTC)
        if dialect.name != "sqlite":
            return moment
        return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ANN401 - by engine
        """Turn what the engine kept into an aware moment in UTC."""
        if value is None:
            return None
        return datetime.fromisoformat(value) if dialect.name == "sqlite" else value.astimezone(UTC)


class WideInteger(TypeDecorator[int]):
    """A number of 64 bits whose range does not begin at -2**63.

    Inodes are unsigned, and times in nanoseconds leave the signed range in 2262 while file systems reach on.
    Both must come back as they were: a stamp is compared for equality. The upper part of the range is kept as
    negative numbers; what is out of range altogether is kept as the nearest number.

    Args:
        smallest: where the range begins; it ends 2**64 later.
    """

    impl = BigInteger
    cache_ok = True

    def __init__(self, smallest: int) -> None:
        super().__init__()
        self.smallest = smallest

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - the shape is given
        """Fold the number into the signed range."""
        if value is None:
            return None
        kept = min(max(value, self.smallest), self.smallest + _WORD - 1)
        return kept if kept <= _LARGEST else kept - _WORD

    def process_result_value(self, value: int | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - same
        """Unfold the number."""
        if value is None or value >= self.smallest:
            return value
        return value + _WORD


class CleanText(TypeDecorator[str]):
    """Text by strangers, made storable."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - same
        """Clean the text."""
        return None if value is None else storable_text(value)


class CleanJson(TypeDecorator[Any]):
    """JSON by strangers, made storable; None is SQL's NULL."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:  # noqa: ANN401, ARG002 - JSON is any of its types
        """Clean the value."""
        return storable_json(value)
