"""Which versions the library holds: what a newer one is not told of any more."""

from collections.abc import Collection
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, exists, or_, select

from hashtagd.catalog.rows import chunks
from hashtagd.catalog.tables import file, question
from hashtagd.core.card import Confidence
from hashtagd.core.work import HashKind

_holder = file.alias("holder")
_told = question.alias("told")
#: one way for each kind of hash: an `or` between them would read every file for every row
_WAYS: Final = (
    (HashKind.SHA256, _holder.c.sha256),
    (HashKind.TENSORS, _holder.c.tensors_sha256),
)


def is_held(version_id: ColumnElement[int | None]) -> ColumnElement[bool]:
    """Say in SQL that some file of the library is this version."""
    return or_(
        *(
            exists(
                select(_told.c.id)
                .where(
                    _told.c.version_id == version_id,
                    *_is_sure(kind),
                    exists(
                        select(_holder.c.id)
                        .where(hashed == _told.c.hash, _holder.c.gone_at.is_(None))
                        .correlate(_told)
                    ),
                )
                .correlate_except(_told)
            )
            for kind, hashed in _WAYS
        )
    )


def places_of(connection: Connection, version_ids: Collection[int]) -> dict[int, tuple[str, str]]:
    """Find root and path of one file for each of these versions, the first; others are not in the result."""
    found: dict[int, tuple[str, str]] = {}
    for some in chunks(sorted(set(version_ids))):
        for kind, hashed in _WAYS:
            rows = connection.execute(
                select(_told.c.version_id, _holder.c.root, _holder.c.relpath)
                .join(_holder, and_(hashed == _told.c.hash, _holder.c.gone_at.is_(None)))
                .where(_told.c.version_id.in_(some), *_is_sure(kind))
            )
            for row in rows:
                place = (row.root, row.relpath)
                found[row.version_id] = min(found.get(row.version_id, place), place)
    return found


def _is_sure(kind: HashKind) -> tuple[ColumnElement[bool], ...]:
    """Say that an answer compared a hash, or is the owner's: what a header claims is not what one has."""
    return (_told.c.hash_kind == kind.value, _told.c.strength < Confidence.CLAIMED.rank)
