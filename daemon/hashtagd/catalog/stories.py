"""The event table: every outcome of a file or a hash, so that `show` can tell its story."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, select

from hashtagd.catalog.tables import event
from hashtagd.core.troubles import Trouble

_KEPT: Final = timedelta(days=180)
_KEPT_ROWS: Final = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One thing that happened to a file or to a hash."""

    #: past tense, snake case
    name: str
    file_id: int | None = None
    hash: str | None = None
    detail: Mapping[str, Any] | None = None


def with_trouble(trouble: Trouble | None) -> Mapping[str, Any] | None:
    """Give the detail that tells a trouble."""
    return None if trouble is None else {"trouble": trouble.to_json()}


def write_stories(connection: Connection, now: datetime, stories: Sequence[Story]) -> None:
    """Append to the event table."""
    if stories:
        connection.execute(
            insert(event),
            [
                {"at": now, "file_id": it.file_id, "hash": it.hash, "name": it.name, "detail": it.detail}
                for it in stories
            ],
        )


def old_stories(connection: Connection, now: datetime) -> int:
    """Find up to which id events may go; 0 when all are kept."""
    oldest, newest = connection.execute(select(func.min(event.c.id), func.max(event.c.id))).one()
    if newest is None:
        return 0
    too_old = connection.execute(select(func.max(event.c.id)).where(event.c.at < now - _KEPT)).scalar_one()
    last: int = max(newest - _KEPT_ROWS, too_old or 0)
    return last if oldest <= last else 0


def drop_stories(connection: Connection, last_id: int) -> int:
    """Delete events up to an id; returns how many."""
    return connection.execute(delete(event).where(event.c.id <= last_id)).rowcount
