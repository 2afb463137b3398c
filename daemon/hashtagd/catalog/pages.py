"""Files as people see them: rows with their cards, found by filters, hashes or numbers."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    and_,
    case,
    false,
    func,
    null,
    or_,
    select,
    union,
)

from hashtagd.catalog.asked import IS_ASKED, Askers
from hashtagd.catalog.filters import BEST, BEST_ID, IS_IGNORED, Filters, conditions
from hashtagd.catalog.owned import places_of
from hashtagd.catalog.rows import ABOUT_FILE, Record, answers_by_hash, header_of, keys_of
from hashtagd.catalog.shown import CARD_COLUMNS, pins_of, rivals, shown
from hashtagd.catalog.states import STATE
from hashtagd.catalog.tables import event, file, publication, question
from hashtagd.core.card import Card
from hashtagd.core.header import Header
from hashtagd.core.place import Place
from hashtagd.core.work import HashKind


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRow:
    """One file with what is known of it."""

    file_id: int
    root: str
    relpath: str
    size_bytes: int
    #: 0 where the root's numbers mean nothing
    inode: int
    state: str
    first_seen_at: datetime
    published_at: datetime | None
    #: when something will be done for the file or its hash by itself
    next_check_at: datetime | None
    sha256: str | None
    tensors_sha256: str | None
    blake3: str | None
    crc32: str | None
    #: the answers joined, with what the owner locked; the provider's own document is left out
    card: Card | None
    #: when the one who told the card answered last; where only the file itself did: when anybody was asked
    checked_at: datetime | None
    trouble: Mapping[str, Any] | None
    #: what the file says of itself; None before it settled, and in lists where somebody else speaks of it
    header: Header | None = field(compare=False)
    #: cards of other answers about the file that name another model or version than the one shown
    rivals: tuple[Card, ...]
    #: names of the parts that the owner locked
    locked: tuple[str, ...]
    #: the owner wants to hear nothing of newer versions
    updates_ignored: bool
    #: root and path of the newer version that the card tells of; None: it is not in the library
    update_at: tuple[str, str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One line of a file's story."""

    at: datetime
    name: str
    detail: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """One thing that was written for a file."""

    writer: str
    root: str
    relpath: str
    #: None: it was about to be written when the process ended
    written_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What happened to a file and its hash, oldest first, and what was written for it."""

    events: tuple[Told, ...]
    sidecars: tuple[Sidecar, ...]


#: shorter beginnings would show half a library
_HASH: Final = re.compile("[0-9a-f]{8,64}")
_LARGEST: Final = 2**63 - 1

_FACTS = (
    *(column for column in file.c if column is not file.c.header),
    STATE.label("state"),
    IS_IGNORED.label("updates_ignored"),
)
#: headers are large, and a list needs only those of files that nothing else is known of
_LONELY_HEADER = case((BEST.c.id.is_(None), file.c.header), else_=null()).label("header")


def pick(connection: Connection, now: datetime, filters: Filters, askers: Askers) -> list[FileRow]:
    """List the files that pass the filters, by root and path."""
    page = _page(_LONELY_HEADER, askers).where(*conditions(filters)).limit(filters.limit)
    return _file_rows(connection, now, connection.execute(page).all())


def find(connection: Connection, now: datetime, wanted: Place | str | int, askers: Askers) -> list[FileRow]:
    """List the files at a place (a gone one too), or live ones by hash, short hash, model or version."""
    if isinstance(wanted, Place):
        which: ColumnElement[bool] = and_(file.c.root == wanted.root, file.c.relpath == wanted.relpath)
    elif isinstance(wanted, str):
        which = and_(_has_hash(wanted.lower()), file.c.gone_at.is_(None))
    elif wanted > _LARGEST:
        which = false()
    else:
        is_best = or_(BEST.c.version_id == wanted, BEST.c.model_id == wanted)
        which = and_(file.c.id.in_(_told_of(wanted)), is_best, file.c.gone_at.is_(None))
    return _file_rows(connection, now, connection.execute(_page(file.c.header, askers).where(which)).all())


def history(connection: Connection, row: FileRow) -> History:
    """Tell what happened to a file and its hashes, and what was written for it."""
    hashes = [value for value in (row.sha256, row.tensors_sha256) if value is not None]
    told = connection.execute(
        select(event.c.at, event.c.name, event.c.detail)
        .where(or_(event.c.file_id == row.file_id, event.c.hash.in_(hashes)))
        .order_by(event.c.id)
    )
    written = connection.execute(
        select(publication)
        .where(publication.c.file_id == row.file_id)
        .order_by(publication.c.root, publication.c.relpath, publication.c.writer)
    )
    return History(
        events=tuple(Told(at=it.at, name=it.name, detail=it.detail) for it in told),
        sidecars=tuple(
            Sidecar(writer=it.writer, root=it.root, relpath=it.relpath, written_at=it.written_at)
            for it in written
        ),
    )


def _page(header: ColumnElement[Any], askers: Askers) -> Select[Any]:
    asked_at = select(func.min(askers.at)).where(ABOUT_FILE, IS_ASKED, askers.are_asked).correlate(file)
    return (
        select(*_FACTS, asked_at.scalar_subquery().label("asked_at"), header)
        .select_from(file.outerjoin(BEST, BEST.c.id == BEST_ID))
        .order_by(file.c.root, file.c.relpath)
    )


def _told_of(number: int) -> CompoundSelect[Any]:
    """Select the files of which any answer names this model or version: an index leads to each."""
    is_named = or_(question.c.version_id == number, question.c.model_id == number)
    return union(
        *(
            select(file.c.id)
            .join(question, and_(question.c.hash_kind == kind.value, question.c.hash == column, is_named))
            .where(file.c.gone_at.is_(None))
            for kind, column in (
                (HashKind.SHA256, file.c.sha256),
                (HashKind.TENSORS, file.c.tensors_sha256),
                (HashKind.TENSORS, file.c.claimed_tensors_sha256),
            )
        )
    )


def _has_hash(text: str) -> ColumnElement[bool]:
    """Compare a whole SHA-256, or its beginning, such as the AutoV2 and AutoV3 that sites print."""
    if _HASH.fullmatch(text) is None:
        return false()
    upper = f"{text}g"  # the digits end at f: a range is found in the index, a pattern is not
    return or_(
        and_(file.c.sha256 >= text, file.c.sha256 < upper),
        and_(file.c.tensors_sha256 >= text, file.c.tensors_sha256 < upper),
    )


def _file_rows(connection: Connection, now: datetime, rows: Sequence[Record]) -> list[FileRow]:
    """Join each row with the answers about its bytes."""
    keys = {row.id: _keys(row) for row in rows}
    hashes = {value for some in keys.values() for _, value in some}
    columns = [column for column in CARD_COLUMNS if column is not question.c.raw]
    said = answers_by_hash(connection, hashes, [*columns, null().label("raw")])
    pins = pins_of(connection, (row.sha256 for row in rows))
    made = [
        _file_row(
            row, [it for key in keys[row.id] for it in said.get(key, ())], pins.get(row.sha256, {}), now
        )
        for row in rows
    ]
    return _with_updates(connection, made)


def _with_updates(connection: Connection, rows: Sequence[FileRow]) -> list[FileRow]:
    """Say of each newer version where it lies."""
    newer = {row.file_id: row.card.update.version_id for row in rows if row.card and row.card.update}
    held = places_of(connection, newer.values()) if newer else {}
    return [
        replace(row, update_at=held[newer[row.file_id]]) if newer.get(row.file_id) in held else row
        for row in rows
    ]


def _keys(row: Record) -> list[tuple[str, str]]:
    return keys_of(row.sha256, row.claimed_tensors_sha256 if row.sha256 is None else row.tensors_sha256)


def _file_row(row: Record, said: Sequence[Record], pins: dict[str, Any], now: datetime) -> FileRow:
    due = [at for at in (row.due_at, row.asked_at) if at is not None]
    seen = shown(said, pins, now, is_read=row.sha256 is not None)
    return FileRow(
        file_id=row.id,
        root=row.root,
        relpath=row.relpath,
        size_bytes=row.size_bytes,
        inode=row.inode,
        state=row.state,
        first_seen_at=row.first_seen_at,
        published_at=row.published_at,
        next_check_at=min(due, default=None),
        sha256=row.sha256,
        tensors_sha256=row.tensors_sha256,
        blake3=row.blake3,
        crc32=row.crc32,
        card=seen.card,
        checked_at=seen.checked_at,
        trouble=row.trouble,
        header=_header(row),
        rivals=rivals(said, seen.card),
        locked=tuple(sorted(pins)),
        updates_ignored=row.updates_ignored,
        update_at=None,
    )


def _header(row: Record) -> Header | None:
    try:
        return header_of(row)
    except TypeError:
        return None  # another machine wrote it
