"""Make the files of a list exist again: look, plan, ask for addresses, link, and fetch what is missing."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain
from typing import Protocol

from hashtagd.core.manifest import Entry
from hashtagd.core.place import Place
from hashtagd.core.restoring import Plan, Step, Verdict, plan_restore
from hashtagd.core.troubles import Trouble, TryLater
from hashtagd.service.disks import Disks
from hashtagd.service.resolving import Told
from hashtagd.service.targets import Targets
from hashtagd.stages.linking import Linker

#: asks sites about entries
Ask = Callable[[Iterable[Entry]], Iterator[Told]]


class Ending(StrEnum):
    """What became of one file."""

    THERE = "there"
    LINKED = "linked"
    CLONED = "cloned"
    COPIED = "copied"
    FETCHED = "fetched"
    #: it can be fetched
    MISSING = "missing"
    #: it lies elsewhere in a root, and was not linked yet
    ELSEWHERE = "elsewhere"
    #: nobody gives it out
    GONE = "gone"
    #: a site could not be asked
    LATER = "later"
    #: its site wants a key
    NEEDS_KEY = "needs_key"
    OCCUPIED = "occupied"
    UNUSABLE = "unusable"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One file, and what became of it."""

    step: Step
    ending: Ending
    why: str | None = None
    #: where it can be fetched, for those that are missing
    told: Told | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A file that is to be fetched."""

    step: Step
    told: Told
    #: among all that are
    position: int = 0


class Fetch(Protocol):
    """Transfers files to their places. What it is given comes while sites are still being asked."""

    def __call__(self, missing: Iterable[Missing]) -> Iterator[Result]:
        """Fetch, verify and place; one result for each."""
        ...


def fetch_nothing(missing: Iterable[Missing]) -> Iterator[Result]:
    """Tell of each file where it can be fetched, and fetch none."""
    for it in missing:
        yield Result(step=it.step, ending=Ending.MISSING, told=it.told)


class Restoring:
    """One restore.

    Args:
        disks: what lies where.
        targets: where entries go.
        ask: asks the sites.
        linker: makes files out of what lies elsewhere; None: nothing is made.
        keep_free_bytes: so much of each disk stays free.
        made: told of each file that was made, and out of which.
        smallest_first: fetches in the order of the sizes that the list states; else in its own.
    """

    def __init__(
        self,
        *,
        disks: Disks,
        targets: Targets,
        ask: Ask,
        linker: Linker | None,
        keep_free_bytes: int,
        made: Callable[[Place, Place], None] = lambda _source, _twin: None,
        smallest_first: bool = False,
    ) -> None:
        self._disks = disks
        self._targets = targets
        self._ask = ask
        self._linker = linker
        self._keep_free_bytes = keep_free_bytes
        self._made = made
        self._smallest_first = smallest_first
        #: by the entry with everything filled in
        self._told: dict[Entry, Told] = {}

    def plan(self, entries: Sequence[Entry]) -> Plan:
        """Decide about every entry; asks sites only about those that do not say themselves what they are.

        Raises:
            Trouble: scope `daemon`: the catalog cannot be used.
        """
        self._disks.find(entries)
        unclear = dict.fromkeys(entry for entry in entries if self._is_unclear(entry))
        answers = {told.listed: told for told in self._ask(unclear)} if unclear else {}
        known = [answers.get(entry, Told(listed=entry, entry=entry)) for entry in entries]
        self._told = {told.entry: told for told in answers.values()}
        self._disks.find(told.entry for told in answers.values())
        wishes = [self._disks.reachable(self._targets.wish(told)) for told in known]
        return plan_restore(wishes, self._disks.ground(wishes, self._keep_free_bytes))

    def carry_out(self, plan: Plan, fetch: Fetch) -> Iterator[Result]:
        """Do what was planned, and tell of each file; without a linker nothing is linked or copied.

        Raises:
            Stopping: a stop was requested.
        """
        missing: list[Step] = []
        waiting: list[Step] = []
        for step in plan.steps:
            if step.verdict is Verdict.FETCH:
                missing.append(step)
            elif step.waits:
                waiting.append(step)
            elif step.verdict is Verdict.ELSEWHERE:
                result = self._linked(step)
                if result is None:
                    missing.append(replace(step, verdict=Verdict.FETCH, sources=()))
                else:
                    yield result
            else:
                yield self._decided(step)
        if self._smallest_first:
            missing.sort(key=_size_of)
        fetched: set[Place | None] = set()
        for result in self._fetched(missing, fetch):
            if result.ending is Ending.FETCHED:
                fetched.add(result.step.target)
            yield result
        for step in waiting:
            yield self._after_fetch(step, fetched)

    def _decided(self, step: Step) -> Result:
        told = self._told.get(step.entry)
        if told is not None and told.trouble is not None and step.verdict is not Verdict.THERE:
            return _hopeless(step, told)  # who could say more was not heard
        return Result(step=step, ending=Ending(step.verdict.value), why=step.why)

    def _is_unclear(self, entry: Entry) -> bool:
        if entry.sha256 is None:
            return entry.version_id is not None
        return entry.path is None and not self._disks.has(entry.sha256)

    def _fetched(self, steps: Sequence[Step], fetch: Fetch) -> Iterator[Result]:
        hopeless: list[Result] = []
        yield from fetch(self._missing(steps, hopeless))
        yield from hopeless

    def _missing(self, steps: Sequence[Step], hopeless: list[Result]) -> Iterator[Missing]:
        """Give what has an address, as soon as it is known; the rest is told of at the end."""
        by_entry = {step.entry: step for step in steps}
        positions = {entry: number for number, entry in enumerate(by_entry)}
        known = ((by_entry[entry], self._told[entry]) for entry in by_entry if entry in self._told)
        unasked = [entry for entry in by_entry if entry not in self._told]
        asked = ((by_entry[told.listed], told) for told in self._ask(unasked))
        for step, told in chain(known, asked):
            filled = replace(step, entry=told.entry)
            if told.urls:
                yield Missing(step=filled, told=told, position=positions[step.entry])
            else:
                hopeless.append(_hopeless(filled, told))

    def _after_fetch(self, step: Step, fetched: set[Place | None]) -> Result:
        if self._linker is None:
            return Result(
                step=step, ending=Ending.ELSEWHERE, why="the same bytes are fetched for another place"
            )
        if not fetched.isdisjoint(step.sources):
            result = self._linked(step)
            if result is not None:
                return result
        return Result(
            step=step, ending=Ending.MISSING, why="the same bytes at another place were not fetched"
        )

    def _linked(self, step: Step) -> Result | None:
        """Make a file out of one that lies elsewhere; None: none of them holds these bytes any more."""
        if self._linker is None:
            return Result(step=step, ending=Ending.ELSEWHERE)
        failed: Trouble | None = None
        for source in step.sources:
            try:
                how = self._linker.make(self._disks.order(step, source))
            except Trouble as trouble:
                failed = trouble
                if trouble.kind != "source_changed":
                    break
            else:
                if step.target is not None:
                    self._made(source, step.target)
                return Result(step=step, ending=Ending(how.value))
        if failed is None or failed.kind == "source_changed":
            return None
        ending = Ending.OCCUPIED if failed.kind == "occupied" else Ending.FAILED
        return Result(step=step, ending=ending, why=failed.what)


def _size_of(step: Step) -> float:
    return float("inf") if step.entry.size_bytes is None else step.entry.size_bytes


def _hopeless(step: Step, told: Told) -> Result:
    """Tell why a file without an address cannot be fetched."""
    if told.trouble is not None:
        ending = Ending.LATER if isinstance(told.trouble, TryLater) else Ending.FAILED
        return Result(step=step, ending=ending, why=told.trouble.what, told=told)
    return Result(step=step, ending=Ending.GONE, why=told.why_not or _whose(told), told=told)


def _whose(told: Told) -> str:
    return "its site shows another file by now" if told.cards else "no site knows it"
