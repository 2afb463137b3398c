"""What writers put on disk: intended before the rename, known after it, so that our bytes count as ours.

A record belongs to a place, and says which file it was written for and which bytes of a model it tells of:
the file may be gone, or be another one by now.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, delete, select, tuple_

from hashtagd.catalog.claims import held_rows
from hashtagd.catalog.rows import Record, chunks, insert_or_update
from hashtagd.catalog.tables import file, publication
from hashtagd.catalog.written import path_without_extension
from hashtagd.core.work import Claim, Publication

_Key = tuple[str, str, str]
_KEY: Final = (publication.c.root, publication.c.relpath, publication.c.writer)
#: what an intention says; what we know we wrote stays known: until the new bytes are there, the old ones are
_INTENDED: Final = ("file_id", "beside", "intended_sha256", "intended_for", "nsfw_level", "version_id")
_SETTLED: Final = (*_INTENDED, "written_sha256", "written_for")


def intend(
    connection: Connection, intentions: Sequence[tuple[Claim, Sequence[Publication]]]
) -> frozenset[int]:
    """Write down what is about to be put on disk; returns the ids of the files whose claim still holds."""
    held = held_rows(connection, file, {claim.file_id: claim.fence for claim, _ in intentions})
    rows = {
        _key(row): row
        for claim, publications in intentions
        if claim.file_id in held
        for row in (publication_row(claim, item) for item in publications)
    }
    ordered = [rows[key] for key in sorted(rows)]
    # what lies there may have been intended only so far: once it is seen there, it is known to be written
    for is_seen, changed in ((False, _INTENDED), (True, _SETTLED)):
        some = [row for row in ordered if (row["written_sha256"] is not None) is is_seen]
        insert_or_update(connection, publication, some, changed)
    return frozenset(held)


def settle_publications(
    connection: Connection,
    there: Mapping[int, Sequence[Mapping[str, Any]]],
    removed: Iterable[Publication] = (),
    together: Collection[int] = (),
) -> None:
    """Keep what lies on disk for each of these files, and forget what does not any more.

    Args:
        connection: of a writing transaction.
        there: by file, everything that is there.
        removed: what was removed, whatever file it was written for.
        together: files that were published in one batch: where one of them was about to write, what another
            found there before is no news.
    """
    known: dict[_Key, Record] = {}
    for ids in chunks(sorted(there)):
        known |= _read(connection, publication.c.file_id.in_(ids))
    reported = [row for some in there.values() for row in some]
    found = dict(known)
    for keys in chunks(sorted({_key(row) for row in reported} - known.keys())):
        found |= _read(connection, tuple_(*_KEY).in_(keys))
    rows = {_key(row): row for row in reported if not _is_overtaken(row, found.get(_key(row)), together)}
    gone = known.keys() | {(it.place.root, it.place.relpath, it.writer) for it in removed}
    for stale in chunks(sorted(gone - rows.keys())):
        connection.execute(delete(publication).where(tuple_(*_KEY).in_(stale)))
    news = [rows[key] for key in sorted(rows) if key not in known or _differs(known[key], rows[key])]
    insert_or_update(connection, publication, news, (*_SETTLED, "written_at"))


def publication_row(claim: Claim, item: Publication) -> dict[str, Any]:
    """Give the columns of a publication."""
    is_beside = item.place != claim.place
    return {
        "root": item.place.root,
        "relpath": item.place.relpath,
        "writer": item.writer,
        "file_id": claim.file_id,
        "beside": path_without_extension(claim.place) if is_beside else None,
        "intended_sha256": item.intended_sha256,
        "written_sha256": item.written_sha256,
        "intended_for": item.intended_for,
        "written_for": item.written_for,
        "nsfw_level": item.nsfw_level,
        "version_id": item.version_id,
    }


def _read(connection: Connection, which: ColumnElement[bool]) -> dict[_Key, Record]:
    found = connection.execute(select(publication).where(which))
    return {(row.root, row.relpath, row.writer): row for row in found}


def _is_overtaken(row: Mapping[str, Any], found: Record | None, together: Collection[int]) -> bool:
    if found is None or found.intended_sha256 is None or found.file_id == row["file_id"]:
        return False
    return found.file_id in together


def _key(row: Mapping[str, Any]) -> _Key:
    return row["root"], row["relpath"], row["writer"]


def _differs(known: Record, row: Mapping[str, Any]) -> bool:
    return any(getattr(known, name) != row[name] for name in _SETTLED)
