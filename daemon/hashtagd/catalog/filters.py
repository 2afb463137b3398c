"""Which files to list: what people ask for, as conditions on rows."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, case, func, literal, or_, select, tuple_

from hashtagd.catalog.owned import is_held
from hashtagd.catalog.rows import ABOUT_FILE
from hashtagd.catalog.states import IS_NAMED, STATE
from hashtagd.catalog.tables import file, ignored_update, pin, question
from hashtagd.core.card import Availability, Confidence
from hashtagd.core.digests import SHA256_OF_NOTHING
from hashtagd.core.joining import GONE, SITE
from hashtagd.core.work import HashKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which files to list; everything that is given must hold."""

    #: only files of these roots; None: of all
    roots: tuple[str, ...] | None = None
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
    #: only files whose bytes, or whose tensors under another header, lie at more than one place
    duplicates: bool = False
    #: only files whose model has a newer version that is not in the library, and not ignored
    updates: bool = False
    #: only files that two answers call different models, until the owner decides
    review: bool = False
    #: path or card hold all of them, whatever the case
    words: tuple[str, ...] = ()
    #: ROOT/PATH may end with it, with or without a suffix; the caller looks closer
    tail: str | None = None
    file_id: int | None = None
    #: only what stands behind this (root, path) in the list
    after: tuple[str, str] | None = None
    limit: int | None = None


#: the strongest answer about a file; of equals the one that was asked for first
BEST = question.alias("best")
BEST_ID = (
    select(question.c.id)
    .where(ABOUT_FILE, question.c.strength.is_not(None))
    .order_by(question.c.strength, question.c.id)
    .limit(1)
    .correlate(file)
    .scalar_subquery()
)
_denial = question.alias("denial")
_IS_DENIED = (
    select(_denial.c.id)
    .where(
        _denial.c.hash_kind == HashKind.SHA256.value,
        _denial.c.hash == file.c.sha256,
        _denial.c.provider == SITE,
        _denial.c.verdict == "absent",
    )
    .correlate(file)
    .exists()
)
#: an archive alone knows it, and its site denies it, as `core.joining` judges
_IS_ONLY_KEPT = and_(
    BEST.c.provider != SITE,
    BEST.c.model_id.is_not(None),
    BEST.c.confidence == Confidence.EXACT.value,
    BEST.c.availability.not_in(sorted(GONE)),
    _IS_DENIED,
)
#: whether the model of the shown card can be had
AVAILABILITY = case((_IS_ONLY_KEPT, Availability.DELETED.value), else_=BEST.c.availability)
#: the owner wants to hear nothing of newer versions of its model
IS_IGNORED = select(ignored_update.c.model_id).where(ignored_update.c.model_id == BEST.c.model_id).exists()

#: the parts of a card that `search` looks at
_SEARCHED = ("model_name", "version_name", "trained_words", "tags")

_twin = file.alias("twin")


def conditions(filters: Filters) -> list[ColumnElement[bool]]:
    """Say in SQL which rows of `file`, joined with `BEST`, pass."""
    wanted: list[ColumnElement[bool]] = []
    if filters.file_id is not None:
        return [file.c.id == filters.file_id]
    if filters.state != "gone":
        wanted.append(file.c.gone_at.is_(None))
    if filters.state is not None:
        wanted.append(STATE.in_([filters.state]))
    wanted += in_roots(filters.roots)
    if filters.root is not None:
        wanted.append(file.c.root == filters.root)
    if filters.tail is not None:
        wanted.append(_ends_with(filters.tail))
    if filters.trouble:
        wanted.append(file.c.trouble.is_not(None))
    if filters.after is not None:
        wanted.append(tuple_(file.c.root, file.c.relpath) > tuple_(*map(literal, filters.after)))
    return wanted + _about_cards(filters)


def in_roots(roots: Collection[str] | None) -> list[ColumnElement[bool]]:
    """Say that a file is of one of these roots; None says nothing."""
    return [] if roots is None else [file.c.root.in_(sorted(roots))]


def _ends_with(tail: str) -> ColumnElement[bool]:
    """Say that ROOT/PATH may end with it; engines differ in case, and a dot may stand in a folder's name."""
    whole = literal("/") + file.c.root + "/" + file.c.relpath
    return or_(whole.endswith(f"/{tail}", autoescape=True), whole.contains(f"/{tail}.", autoescape=True))


def _about_cards(filters: Filters) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if filters.kind is not None:
        wanted.append(func.lower(BEST.c.kind) == filters.kind.lower())
    if filters.base is not None:
        locked = _pinned(pin.c.field == "base_model")
        same = _pinned(pin.c.field == "base_model", pin.c.folded == filters.base.casefold())
        wanted.append(or_(same, and_(~locked, func.lower(BEST.c.base_model) == filters.base.lower())))
    if filters.unmatched:
        wanted.append(and_(file.c.sha256.is_not(None), ~IS_NAMED))
    if filters.duplicates:
        wanted.append(_is_twin(filters.roots))
    if filters.updates:
        wanted.append(_is_outdated())
    if filters.review:
        wanted.append(_is_contradictory())
    for word in filters.words:
        folded = word.casefold()
        wanted.append(
            or_(
                file.c.folded.contains(folded, autoescape=True),
                BEST.c.folded.contains(folded, autoescape=True),
                _pinned(pin.c.field.in_(_SEARCHED), pin.c.folded.contains(folded, autoescape=True)),
            )
        )
    return wanted


def _pinned(*which: ColumnElement[bool]) -> ColumnElement[bool]:
    """Say that the owner locked such a part of the file."""
    return select(pin.c.field).where(pin.c.sha256 == file.c.sha256, *which).correlate(file).exists()


def _is_twin(roots: Collection[str] | None) -> ColumnElement[bool]:
    """Say that the bytes, or the tensors, lie at another place too; no tensors have no such twin."""
    there = [] if roots is None else [_twin.c.root.in_(sorted(roots))]
    same = [
        select(_twin.c.id).where(column == own, _twin.c.id != file.c.id, _twin.c.gone_at.is_(None), *there)
        for column, own in (
            (_twin.c.sha256, file.c.sha256),
            (_twin.c.tensors_sha256, func.nullif(file.c.tensors_sha256, SHA256_OF_NOTHING)),
        )
    ]
    return or_(*(twins.correlate(file).exists() for twins in same))


def _is_outdated() -> ColumnElement[bool]:
    """Say that there is a newer version, which no file of the library is."""
    is_told = and_(BEST.c.update_version_id.is_not(None), ~_IS_ONLY_KEPT)
    return and_(is_told, ~is_held(BEST.c.update_version_id), ~IS_IGNORED)


def _is_contradictory() -> ColumnElement[bool]:
    """Say that an answer names another model, or version, than the one shown, and the owner is silent."""
    differs = or_(question.c.model_id != BEST.c.model_id, question.c.version_id != BEST.c.version_id)
    differing = select(question.c.id).where(ABOUT_FILE, differs, BEST.c.strength > Confidence.OWNER.rank)
    return differing.correlate(file, BEST).exists()
