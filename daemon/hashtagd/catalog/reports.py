"""What the catalog tells people: counts, lists, stories. Read only.

Every report fetches its rows and ends its transaction before anybody prints a byte: in SQLite an open reader
blocks the writers' commits.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, Final, Self

from sqlalchemy import Connection, func, select

from hashtagd.catalog import gates
from hashtagd.catalog.asked import HAS_A_FILE, Askers
from hashtagd.catalog.counts import (
    Census,
    QuestionCount,
    RootCount,
    count_questions,
    count_roots,
    count_states,
    take_census,
)
from hashtagd.catalog.engine import Database
from hashtagd.catalog.filters import Filters, in_roots
from hashtagd.catalog.pages import FileRow, History, find, history, pick
from hashtagd.catalog.tables import file, gate, question
from hashtagd.core.place import Place

#: how many files are read, and held in memory, at a time
_PAGE: Final = 500
#: how many troubled rows a report names; the rest are counted by state
_TROUBLES: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """A trouble and where it is."""

    #: a root and path, `PROVIDER HASH`, or an origin
    where: str
    trouble: dict[str, Any]


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
        return self._database.read(lambda it, _now: count_states(it, wanted))

    def roots(self) -> list[RootCount]:
        """Count live files by root, in order of names."""
        return self._database.read(lambda it, _now: count_roots(it))

    def census(self, *, roots: Collection[str] | None = None) -> Census:
        """Count files by root, and by state and match those of all roots or of some."""
        return self._database.read(lambda it, _now: take_census(it, roots))

    def troubles(self, *, roots: Collection[str] | None = None) -> list[Reported]:
        """List what keeps files (of all roots, or of some), questions and gates waiting."""
        return self._database.read(lambda it, _now: _troubles(it, roots, self._askers))

    def gates(self) -> Sequence[gates.GateState]:
        """List every gate, by origin."""
        return self._database.read(gates.states)

    def questions(self) -> QuestionCount:
        """Count the questions that are asked: others are kept, and wait for nothing."""
        return self._database.read(lambda it, now: count_questions(it, now, self._askers))

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


def _summary(connection: Connection) -> Summary:
    counts = count_states(connection, None)
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
