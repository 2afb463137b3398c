"""What the catalog tells people: counts, lists, stories. Read only.

Every report fetches its rows and ends its transaction before anybody prints a byte: in SQLite an open reader
blocks the writers' commits.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, Final, Self

from sqlalchemy import ColumnElement, Connection, and_, case, func, select

from hashtagd.catalog import gates
from hashtagd.catalog.asked import HAS_A_FILE, Askers
from hashtagd.catalog.engine import Database
from hashtagd.catalog.filters import AVAILABILITY, BEST, BEST_ID, Filters, in_roots
from hashtagd.catalog.pages import FileRow, History, find, history, pick
from hashtagd.catalog.rows import HEADER_PROVIDER
from hashtagd.catalog.states import STATE, STATES
from hashtagd.catalog.tables import file, gate, question
from hashtagd.core.card import Confidence
from hashtagd.core.place import Place

#: how many files are read, and held in memory, at a time
_PAGE: Final = 500
#: how many troubled rows a report names; the rest are counted by state
_TROUBLES: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class RootCount:
    """How much of a root the catalog knows."""

    name: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """A trouble and where it is."""

    #: a root and path, `PROVIDER HASH`, or an origin
    where: str
    trouble: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionCount:
    """How many questions that are asked are due, wait for their time, or are of the background class."""

    due: int
    waiting: int
    background: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """How the library is known."""

    #: files by how sure their match is; those that nobody knows are not counted
    confidence: Mapping[str, int]
    #: the same files by whether their model can still be had
    availability: Mapping[str, int]
    #: when a site answered last, and when the next question is due; None: never
    last_check_at: datetime | None
    next_check_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What the catalog can say at the end of a run."""

    files: int
    #: files with a card that is not only the file's own word
    named: int
    unknown: int
    #: not finished: settling, hashing, asking
    waiting: int
    parked: int
    bytes: int


class Reports:
    """Questions for the command line, the page and the metrics."""

    def __init__(self, database: Database, askers: Askers | None = None) -> None:
        self._database = database
        self._askers = askers or Askers()

    def of(self, askers: Askers) -> Self:
        """Give reports that tell only of questions that these ask, and when they can."""
        return type(self)(self._database, askers)

    def states(self, root: str | None = None, *, roots: Collection[str] | None = None) -> dict[str, int]:
        """Count files by state, of all roots or of some; every state is there."""
        wanted = roots if root is None else [root]
        return self._database.read(lambda it, _now: _states(it, wanted))

    def roots(self) -> list[RootCount]:
        """Count live files by root, in order of names."""
        return self._database.read(lambda it, _now: _roots(it))

    def troubles(self, *, roots: Collection[str] | None = None) -> list[Reported]:
        """List what keeps files (of all roots, or of some), questions and gates waiting."""
        return self._database.read(lambda it, _now: _troubles(it, roots, self._askers))

    def gates(self) -> Sequence[gates.GateState]:
        """List every gate, by origin."""
        return self._database.read(gates.states)

    def questions(self) -> QuestionCount:
        """Count the questions that are asked: others are kept, and wait for nothing."""
        return self._database.read(lambda it, now: _questions(it, now, self._askers))

    def matches(self, *, roots: Collection[str] | None = None) -> Matches:
        """Count how sure the matches of live files are, and what of them can still be had."""
        return self._database.read(lambda it, _now: _matches(it, roots, self._askers))

    def summary(self) -> Summary:
        """Sum up all live files."""
        return self._database.read(lambda it, _now: _summary(it))

    def named(self, tail: str, *, roots: Collection[str] | None = None) -> list[FileRow]:
        """List live files that are called so: by the last parts of ROOT/PATH, with or without a suffix."""
        filters = Filters(tail=tail, roots=None if roots is None else tuple(roots))
        return [
            row
            for row in self._database.read(lambda it, now: pick(it, now, filters, self._askers))
            if _is_called(f"/{row.root}/{row.relpath}", f"/{tail}")
        ]

    def list_files(self, filters: Filters | None = None) -> list[FileRow]:
        """List files by root and path, all in memory: for lists that are known to be short."""
        return self._database.read(lambda it, now: pick(it, now, filters or Filters(), self._askers))

    def each_file(self, filters: Filters, page: int = _PAGE) -> Iterator[FileRow]:
        """Give files by root and path, a page at a time, each read in a transaction of its own.

        A library of 70,000 cards does not fit into memory at once. What changes between two pages may be
        seen on neither of them, as in any list of things that move.
        """
        left = filters.limit
        while left is None or left > 0:
            limit = page if left is None else min(page, left)
            rows = self.list_files(replace(filters, limit=limit))
            yield from rows
            if len(rows) < limit:
                return
            filters = replace(filters, after=(rows[-1].root, rows[-1].relpath))
            left = None if left is None else left - limit

    def show(self, wanted: Place | str | int) -> list[FileRow]:
        """List the files at a place, with a hash (whole, AutoV2 or AutoV3), or of a model or version."""
        return self._database.read(lambda it, now: find(it, now, wanted, self._askers))

    def file(self, file_id: int) -> FileRow | None:
        """Give one file by the catalog's own number."""
        found = self._database.read(lambda it, now: pick(it, now, Filters(file_id=file_id), self._askers))
        return found[0] if found else None

    def history(self, row: FileRow) -> History:
        """Tell what happened to a file and its hash, and what was written for it."""
        return self._database.read(lambda it, _now: history(it, row))


def _is_called(path: str, tail: str) -> bool:
    return path.endswith(tail) or path[: len(path) - len(PurePosixPath(path).suffix)].endswith(tail)


def _states(connection: Connection, roots: Collection[str] | None) -> dict[str, int]:
    counted = select(STATE.label("state"), func.count()).select_from(file).group_by(STATE)
    counted = counted.where(*in_roots(roots))
    return dict.fromkeys(STATES, 0) | {row[0]: row[1] for row in connection.execute(counted)}


def _roots(connection: Connection) -> list[RootCount]:
    rows = connection.execute(
        select(file.c.root, func.count(), func.sum(file.c.size_bytes))
        .where(file.c.gone_at.is_(None))
        .group_by(file.c.root)
        .order_by(file.c.root)
    )
    return [RootCount(name=name, files=files, bytes=int(size)) for name, files, size in rows]


def _troubles(connection: Connection, roots: Collection[str] | None, askers: Askers) -> list[Reported]:
    files = connection.execute(
        select(file.c.root, file.c.relpath, file.c.trouble)
        .where(file.c.trouble.is_not(None), file.c.gone_at.is_(None), *in_roots(roots))
        .order_by(file.c.root, file.c.relpath)
        .limit(_TROUBLES)
    )
    found = [Reported(where=f"{row.root}/{row.relpath}", trouble=row.trouble) for row in files]
    asked = connection.execute(
        select(question.c.provider, question.c.hash, question.c.trouble)
        .where(question.c.trouble.is_not(None), HAS_A_FILE, askers.are_asked)
        .order_by(question.c.provider, question.c.hash)
        .limit(_TROUBLES)
    )
    found += [Reported(where=f"{row.provider} {row.hash}", trouble=row.trouble) for row in asked]
    closed = connection.execute(
        select(gate.c.origin, gate.c.trouble).where(gate.c.trouble.is_not(None)).order_by(gate.c.origin)
    )
    return found + [Reported(where=row.origin, trouble=row.trouble) for row in closed]


def _questions(connection: Connection, now: datetime, askers: Askers) -> QuestionCount:
    first = question.c.background.is_(False)
    due, waiting, background = connection.execute(
        select(
            _count(and_(first, question.c.due_at <= now)),
            _count(and_(first, question.c.due_at > now)),
            _count(question.c.background),
        ).where(HAS_A_FILE, askers.are_asked)
    ).one()
    return QuestionCount(due=due, waiting=waiting, background=background)


def _matches(connection: Connection, roots: Collection[str] | None, askers: Askers) -> Matches:
    rows = connection.execute(
        select(BEST.c.confidence, AVAILABILITY, func.count())
        .select_from(file.join(BEST, BEST.c.id == BEST_ID))
        .where(file.c.gone_at.is_(None), file.c.sha256.is_not(None), *in_roots(roots))
        .group_by(BEST.c.confidence, AVAILABILITY)
    )
    confidence, availability = Counter[str](), Counter[str]()
    for sure, had, count in rows:
        confidence[sure] += count
        availability[had] += count
    is_asked = and_(HAS_A_FILE, askers.are_asked)
    last, following = connection.execute(
        select(
            func.max(case((question.c.provider != HEADER_PROVIDER, question.c.answered_at))),
            func.min(case((is_asked, askers.at))),
        )
    ).one()
    return Matches(
        confidence={it.value: confidence[it.value] for it in Confidence},
        availability=dict(sorted(availability.items())),
        last_check_at=last,
        next_check_at=following,
    )


def _count(which: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((which, 1), else_=0)), 0)


def _summary(connection: Connection) -> Summary:
    counts = _states(connection, None)
    size = connection.execute(
        select(func.sum(file.c.size_bytes)).where(file.c.gone_at.is_(None))
    ).scalar_one()
    return Summary(
        files=sum(counts.values()) - counts["gone"],
        named=counts["published"],
        unknown=counts["unknown"],
        waiting=counts["waiting"] + counts["hashing"] + counts["asking"],
        parked=counts["parked"],
        bytes=int(size or 0),
    )
