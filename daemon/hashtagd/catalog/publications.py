"""What writers put on disk: intended before the rename, known after it, so that our bytes count as ours."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, delete, select, tuple_

from hashtagd.catalog.claims import held_rows
from hashtagd.catalog.rows import Record, chunks, insert_or_update
from hashtagd.catalog.tables import file, publication
from hashtagd.core.work import Claim, Publication

_Key = tuple[str, str, str]
_KEY: Final = (publication.c.root, publication.c.relpath, publication.c.writer)


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
    # what we know we wrote stays known: until the new bytes are there, the old ones are
    ordered = [rows[key] for key in sorted(rows)]
    insert_or_update(connection, publication, ordered, ("file_id", "intended_sha256"))
    return frozenset(held)


def settle_publications(connection: Connection, published: Mapping[int, Sequence[Mapping[str, Any]]]) -> None:
    """Keep what lies on disk for each of these files, and forget what does not any more."""
    known: dict[_Key, Record] = {}
    for ids in chunks(sorted(published)):
        found = connection.execute(select(publication).where(publication.c.file_id.in_(ids)))
        known |= {(row.root, row.relpath, row.writer): row for row in found}
    there = {_key(row): row for rows in published.values() for row in rows}
    for stale in chunks(sorted(known.keys() - there.keys())):
        connection.execute(delete(publication).where(tuple_(*_KEY).in_(stale)))
    news = [there[key] for key in sorted(there) if key not in known or _differs(known[key], there[key])]
    changed = ("file_id", "intended_sha256", "written_sha256", "written_at")
    insert_or_update(connection, publication, news, changed)


def publication_row(claim: Claim, item: Publication) -> dict[str, Any]:
    """Give the columns of a publication."""
    return {
        "root": item.place.root,
        "relpath": item.place.relpath,
        "writer": item.writer,
        "file_id": claim.file_id,
        "intended_sha256": item.intended_sha256,
        "written_sha256": item.written_sha256,
    }


def _key(row: Mapping[str, Any]) -> _Key:
    return row["root"], row["relpath"], row["writer"]


def _differs(known: Record, row: Mapping[str, Any]) -> bool:
    return any(getattr(known, name) != row[name] for name in ("file_id", "intended_sha256", "written_sha256"))
