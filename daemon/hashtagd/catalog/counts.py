"""What `status` counts, over all files and questions.

A library of 70,000 files has its cards in hundreds of megabytes. All of this is read from the rows of `file`
and from one narrow index of `question` (`question_told`), and each of them once.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Subquery,
    and_,
    case,
    cast,
    func,
    or_,
    select,
)

from hashtagd.catalog.asked import HAS_A_FILE, Askers
from hashtagd.catalog.filters import in_roots
from hashtagd.catalog.rows import HEADER_PROVIDER, TENSORS_ASKED
from hashtagd.catalog.states import OWN_STATE, STATE, STATES, state_of
from hashtagd.catalog.tables import file, question
from hashtagd.core.card import Availability, Confidence
from hashtagd.core.joining import GONE, SITE
from hashtagd.core.work import HashKind

#: an answer in one number: its strength, its id, that an archive has it, and its availability
_RANK: Final = 2**54
_ID: Final = 2**6
_KEPT: Final = 2**5


@dataclass(frozen=True, slots=True, kw_only=True)
class RootCount:
    """How much of a root the catalog knows."""

    name: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """What there is, and how it is known."""

    #: live files by root, in order of names; always of all roots
    roots: Sequence[RootCount]
    #: files by state; every state is there
    states: Mapping[str, int]
    #: live files by how sure their match is; those that nobody knows are not counted
    confidence: Mapping[str, int]
    #: the same files by whether their model can still be had
    availability: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionCount:
    """How many questions that are asked are due, wait for their time, or are of the background class."""

    due: int
    waiting: int
    background: int
    #: when a site answered last; None: never
    last_at: datetime | None
    #: when the next question is due; None: never
    next_at: datetime | None


def count_states(connection: Connection, roots: Collection[str] | None) -> dict[str, int]:
    """Count files by state; every state is there."""
    counted = select(STATE.label("state"), func.count()).select_from(file).group_by(STATE)
    counted = counted.where(*in_roots(roots))
    return dict.fromkeys(STATES, 0) | {row[0]: row[1] for row in connection.execute(counted)}


def count_roots(connection: Connection) -> list[RootCount]:
    """Count live files by root, in order of names."""
    rows = connection.execute(
        select(file.c.root, func.count(), func.sum(file.c.size_bytes))
        .where(file.c.gone_at.is_(None))
        .group_by(file.c.root)
        .order_by(file.c.root)
    )
    return [RootCount(name=name, files=files, bytes=int(size)) for name, files, size in rows]


def take_census(connection: Connection, roots: Collection[str] | None) -> Census:
    """Count files and how they are known in one walk; all but the sums by root of these roots alone."""
    told = _told()
    alike = [it for it in told.c if it.name != "size_bytes"]
    rows = connection.execute(
        select(*alike, func.count().label("files"), func.sum(told.c.size_bytes).label("bytes"))
        .group_by(*alike)
        .order_by(told.c.root)
    )
    files, sizes = Counter[str](), Counter[str]()
    states = Counter[str](dict.fromkeys(STATES, 0))
    confidence, availability = Counter[str](), Counter[str]()
    for row in rows:
        state = state_of(row.own, named=row.named == 1, asked=row.asked == 1, answered=row.answered == 1)
        if state != "gone":
            files[row.root] += row.files
            sizes[row.root] += int(row.bytes)
        if roots is not None and row.root not in roots:
            continue
        states[state] += row.files
        if state != "gone" and row.hashed and row.strength is not None:
            confidence[list(Confidence)[row.strength]] += row.files
            availability[_availability(row.told, denied=row.denied == 1)] += row.files
    return Census(
        roots=[RootCount(name=name, files=count, bytes=sizes[name]) for name, count in files.items()],
        states=dict(states),
        confidence={it.value: confidence[it] for it in Confidence},
        availability=dict(sorted(availability.items())),
    )


def _told() -> Subquery:
    """Give a row for each file: what its own says, and what the questions about it do."""
    whole, tensors = question.alias("whole"), question.alias("tensors")
    either = (whole, tensors)
    joined = file.outerjoin(
        whole, and_(whole.c.hash_kind == HashKind.SHA256.value, whole.c.hash == file.c.sha256)
    ).outerjoin(tensors, and_(tensors.c.hash_kind == HashKind.TENSORS.value, tensors.c.hash == TENSORS_ASKED))
    is_named = [and_(it.c.strength.is_not(None), it.c.provider != HEADER_PROVIDER) for it in either]
    by_file = (
        select(
            file.c.root,
            file.c.size_bytes,
            OWN_STATE.label("own"),
            case((file.c.sha256.is_(None), 0), else_=1).label("hashed"),
            _any(*is_named).label("named"),
            _any(*(it.c.id.is_not(None) for it in either)).label("asked"),
            _any(*(it.c.verdict.is_not(None) for it in either)).label("answered"),
            _any(and_(whole.c.provider == SITE, whole.c.verdict == "absent")).label("denied"),
            *(func.min(_in_one_number(it)).label(it.name) for it in either),
        )
        .select_from(joined)
        .group_by(file.c.id)
        .subquery()
    )
    of_whole, of_tensors = by_file.c.whole, by_file.c.tensors
    best = case((of_tensors.is_(None), of_whole), (of_whole < of_tensors, of_whole), else_=of_tensors)
    rest = [it for it in by_file.c if it.name not in ("whole", "tensors")]
    return select(*rest, (best // _RANK).label("strength"), (best % _ID).label("told")).subquery()


def _any(*which: ColumnElement[bool]) -> ColumnElement[int]:
    return func.max(case((or_(*which), 1), else_=0))


def _in_one_number(answer: FromClause) -> ColumnElement[int]:
    """Put an answer into one number, of which the smallest is the strongest; null where it is no card."""
    words = {it.value: number for number, it in enumerate(Availability)}
    had = case(words, value=answer.c.availability, else_=words[Availability.UNKNOWN.value])
    is_kept = and_(
        answer.c.provider != SITE,
        answer.c.model_id.is_not(None),
        answer.c.confidence == Confidence.EXACT.value,
    )
    rank = cast(answer.c.strength, BigInteger) * _RANK
    return rank + answer.c.id * _ID + had + case((is_kept, _KEPT), else_=0)


def _availability(told: int, *, denied: bool) -> str:
    """Read it back; what only an archive has, while its site denies it, is deleted (`core.joining`)."""
    had = list(Availability)[told % _KEPT]
    is_deleted = told >= _KEPT and denied and had not in GONE
    return (Availability.DELETED if is_deleted else had).value


def count_questions(connection: Connection, now: datetime, askers: Askers) -> QuestionCount:
    """Count the questions that are asked, and find when the next is due."""
    first = question.c.background.is_(False)
    due, waiting, background, next_at = connection.execute(
        select(
            _count(and_(first, question.c.due_at <= now)),
            _count(and_(first, question.c.due_at > now)),
            _count(question.c.background),
            func.min(askers.at),
        ).where(HAS_A_FILE, askers.are_asked)
    ).one()
    answered = select(func.max(question.c.answered_at)).where(question.c.provider != HEADER_PROVIDER)
    return QuestionCount(
        due=due,
        waiting=waiting,
        background=background,
        last_at=connection.execute(answered).scalar_one(),
        next_at=next_at,
    )


def _count(which: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((which, 1), else_=0)), 0)
