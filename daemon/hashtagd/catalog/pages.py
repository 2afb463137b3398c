"""Files as people see them: rows with their cards, found by filters, words, hashes or numbers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, false, func, or_, select

from hashtagd.catalog.rows import ABOUT_FILE, Record, card_of
from hashtagd.catalog.states import IS_NAMED, STATE
from hashtagd.catalog.tables import event, file, publication, question
from hashtagd.core.card import Card
from hashtagd.core.place import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which files to list; everything that is given must hold."""

    root: str | None = None
    #: one of `states.STATES`; gone files are listed only by that word
    state: str | None = None
    #: the card's kind and base model, whatever the case
    kind: str | None = None
    base: str | None = None
    #: only files that a trouble keeps waiting
    trouble: bool = False
    #: only files whose hash is known and that nobody but the file itself can name
    unmatched: bool = False
    #: only files whose bytes lie at more than one place
    duplicates: bool = False
    #: path or card hold all of them, whatever the case
    words: tuple[str, ...] = ()
    file_id: int | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRow:
    """One file with what is known of it."""

    file_id: int
    root: str
    relpath: str
    size_bytes: int
    state: str
    first_seen_at: datetime
    published_at: datetime | None
    #: when something will be done for the file or its hash by itself
    next_check_at: datetime | None
    sha256: str | None
    tensors_sha256: str | None
    blake3: str | None
    crc32: str | None
    #: the strongest; the provider's own document is left out
    card: Card | None
    #: when the provider of the card answered last
    checked_at: datetime | None
    trouble: Mapping[str, Any] | None


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

_best = question.alias("best")
_twin = file.alias("twin")
_BEST_ID = (
    select(question.c.id)
    .where(ABOUT_FILE, question.c.strength.is_not(None))
    .order_by(question.c.strength, question.c.id)
    .limit(1)
    .correlate(file)
    .scalar_subquery()
)
_ASKED_AT = select(func.min(question.c.due_at)).where(ABOUT_FILE).correlate(file).scalar_subquery()
_PAGE = (
    select(
        file,
        STATE.label("state"),
        _ASKED_AT.label("asked_at"),
        _best.c.card,
        _best.c.answered_at.label("checked_at"),
    )
    .select_from(file.outerjoin(_best, _best.c.id == _BEST_ID))
    .order_by(file.c.root, file.c.relpath)
)


def pick(connection: Connection, filters: Filters) -> list[FileRow]:
    """List the files that pass the filters, by root and path."""
    page = _PAGE.where(*_conditions(filters)).limit(filters.limit)
    return [_file_row(row) for row in connection.execute(page)]


def find(connection: Connection, wanted: Place | str | int) -> list[FileRow]:
    """List the files at a place (a gone one too), or live ones by hash, short hash, model or version."""
    if isinstance(wanted, Place):
        which: ColumnElement[bool] = and_(file.c.root == wanted.root, file.c.relpath == wanted.relpath)
    elif isinstance(wanted, str):
        which = and_(_has_hash(wanted.lower()), file.c.gone_at.is_(None))
    elif wanted > _LARGEST:
        which = false()
    else:
        which = and_(or_(_best.c.version_id == wanted, _best.c.model_id == wanted), file.c.gone_at.is_(None))
    return [_file_row(row) for row in connection.execute(_PAGE.where(which))]


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


def _has_hash(text: str) -> ColumnElement[bool]:
    """Compare a whole SHA-256, or its beginning, such as the AutoV2 and AutoV3 that sites print."""
    if _HASH.fullmatch(text) is None:
        return false()
    upper = f"{text}g"  # the digits end at f: a range is found in the index, a pattern is not
    return or_(
        and_(file.c.sha256 >= text, file.c.sha256 < upper),
        and_(file.c.tensors_sha256 >= text, file.c.tensors_sha256 < upper),
    )


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if filters.file_id is not None:
        return [file.c.id == filters.file_id]
    if filters.state != "gone":
        wanted.append(file.c.gone_at.is_(None))
    if filters.state is not None:
        wanted.append(STATE.in_([filters.state]))
    if filters.root is not None:
        wanted.append(file.c.root == filters.root)
    if filters.trouble:
        wanted.append(file.c.trouble.is_not(None))
    return wanted + _about_cards(filters)


def _about_cards(filters: Filters) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if filters.kind is not None:
        wanted.append(func.lower(_best.c.kind) == filters.kind.lower())
    if filters.base is not None:
        wanted.append(func.lower(_best.c.base_model) == filters.base.lower())
    if filters.unmatched:
        wanted.append(and_(file.c.sha256.is_not(None), ~IS_NAMED))
    if filters.duplicates:
        twins = select(_twin.c.id).where(
            _twin.c.sha256 == file.c.sha256, _twin.c.id != file.c.id, _twin.c.gone_at.is_(None)
        )
        wanted.append(twins.correlate(file).exists())
    for word in filters.words:
        folded = word.casefold()
        wanted.append(
            or_(
                file.c.folded.contains(folded, autoescape=True),
                _best.c.folded.contains(folded, autoescape=True),
            )
        )
    return wanted


def _file_row(row: Record) -> FileRow:
    due = [at for at in (row.due_at, row.asked_at) if at is not None]
    return FileRow(
        file_id=row.id,
        root=row.root,
        relpath=row.relpath,
        size_bytes=row.size_bytes,
        state=row.state,
        first_seen_at=row.first_seen_at,
        published_at=row.published_at,
        next_check_at=min(due, default=None),
        sha256=row.sha256,
        tensors_sha256=row.tensors_sha256,
        blake3=row.blake3,
        crc32=row.crc32,
        card=card_of(row.card, None),
        checked_at=row.checked_at,
        trouble=row.trouble,
    )
