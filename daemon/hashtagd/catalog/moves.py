"""Bytes known from elsewhere: a file that was moved, renamed or swapped is not read again."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, select, tuple_

from hashtagd.catalog.rows import Record, chunks, stamp_of, write_rows
from hashtagd.catalog.tables import file
from hashtagd.core.place import Place, Stamp

#: facts that go with the bytes
_CARRIED: Final = ("sha256", "tensors_sha256", "blake3", "crc32", "header")


class Known:
    """Hashed rows by their stamps.

    Args:
        stamps: those that will be asked for.
    """

    def __init__(self, connection: Connection, stamps: Iterable[Stamp]) -> None:
        self._by_stamp = _hashed_rows(connection, stamps)

    def source(self, stamp: Stamp, place: Place) -> Record | None:
        """Find a row that has the bytes now seen at a place: of the same root, or of the same name.

        A gone one is preferred: a move is likelier than a hard link.
        """
        rows = self._by_stamp.get(stamp, ())
        return next((row for row in rows if place.root == row.root or place.name == row.name), None)


def carried(source: Record) -> dict[str, Any]:
    """Give what is known of the bytes of a row."""
    return {name: getattr(source, name) for name in _CARRIED}


def hand_on_first_seen(connection: Connection, lost: Sequence[Record]) -> None:
    """Let a file that was met at its new place before it was missed at the old one keep its age."""
    hashed = [row for row in lost if row.sha256 is not None and row.inode != 0]
    found = _hashed_rows(connection, [stamp_of(row) for row in hashed])
    for row in hashed:
        changes = [
            (twin.id, {"first_seen_at": row.first_seen_at})
            for twin in found[stamp_of(row)]
            if twin.gone_at is None and twin.sha256 == row.sha256 and twin.first_seen_at > row.first_seen_at
        ]
        write_rows(connection, file, changes)


def _hashed_rows(connection: Connection, stamps: Iterable[Stamp]) -> dict[Stamp, list[Record]]:
    """Find hashed rows with these stamps, gone ones first; an inode of 0 proves nothing."""
    wanted: Collection[tuple[int, int]] = {
        (stamp.size_bytes, stamp.mtime_ns) for stamp in stamps if stamp.inode != 0
    }
    by_stamp: dict[Stamp, list[Record]] = {}
    for some in chunks(sorted(wanted)):
        found = connection.execute(
            select(file)
            .where(tuple_(file.c.size_bytes, file.c.mtime_ns).in_(some), file.c.sha256.is_not(None))
            .order_by(file.c.gone_at.is_(None), file.c.id)
        )
        for row in found:
            by_stamp.setdefault(stamp_of(row), []).append(row)
    return by_stamp
