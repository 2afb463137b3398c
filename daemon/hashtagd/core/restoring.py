"""What it takes to make the files of a list exist again: decided before anything is touched.

A file that lies at a target is never replaced, whatever it is.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from hashtagd.core.manifest import Entry
from hashtagd.core.place import Place, Stamp


class Verdict(StrEnum):
    """What is to be done for one entry."""

    #: the very bytes lie at their place, or anywhere if the list names none
    THERE = "there"
    #: the bytes lie elsewhere in a root, or will once another entry is fetched: link or copy them
    ELSEWHERE = "elsewhere"
    #: something else lies at the place
    OCCUPIED = "occupied"
    FETCH = "fetch"
    #: nothing can be done
    UNUSABLE = "unusable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lying:
    """A file that the catalog knows, as it was seen last."""

    place: Place
    stamp: Stamp
    #: None: not read yet
    sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupant:
    """What lies at a target now."""

    #: None: it is no regular file, or could not be read
    sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One file that shall exist."""

    entry: Entry
    #: None: it has no place here
    target: Place | None
    #: why nothing can be done, in words that follow the entry's name; None: something can
    why_not: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is to be done for one file."""

    entry: Entry
    target: Place | None
    verdict: Verdict
    #: where the bytes lie, those first that can be linked
    sources: tuple[Place, ...] = ()
    #: the bytes are not there before another entry is fetched
    waits: bool = False
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The disk of a root. Roots on one disk share it."""

    #: the same for roots between which links are possible
    disk: object
    free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """A disk that does not hold what is missing."""

    roots: tuple[str, ...]
    needed_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All steps, in the order of the list; entries that say the same as one before are left out."""

    steps: tuple[Step, ...]
    repeats: int
    shortages: tuple[Shortage, ...]

    def counts(self) -> dict[Verdict, int]:
        """Count the steps; every verdict is there."""
        counted = Counter(step.verdict for step in self.steps)
        return {verdict: counted[verdict] for verdict in Verdict}

    @property
    def bytes_to_fetch(self) -> int:
        """The known sizes of what is to be fetched."""
        return sum(step.entry.size_bytes or 0 for step in self.steps if step.verdict is Verdict.FETCH)

    @property
    def unknown_sizes(self) -> int:
        """How many files are to be fetched whose size nobody knows."""
        return sum(step.verdict is Verdict.FETCH and step.entry.size_bytes is None for step in self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What is known of the disks.

    Args:
        lying: files of the roots by SHA-256.
        occupants: what lies at the targets; none where nothing does.
        spaces: the disk of each root that can be used now.
        keep_free_bytes: so much of each disk stays free.
    """

    lying: Mapping[str, Sequence[Lying]] = field(default_factory=dict)
    occupants: Mapping[Place, Occupant] = field(default_factory=dict)
    spaces: Mapping[str, Space] = field(default_factory=dict)
    keep_free_bytes: int = 0


def plan_restore(wishes: Iterable[Wish], ground: Ground) -> Plan:
    """Decide about every file."""
    planner = _Planner(ground)
    steps = tuple(step for wish in wishes if (step := planner.step(wish)) is not None)
    return Plan(steps=steps, repeats=planner.repeats, shortages=_shortages(steps, ground))


class _Planner:
    """Remembers which places and bytes the entries before have asked for."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._wanted: dict[Place, Entry] = {}
        self._fetched: dict[str, Place] = {}
        self.repeats = 0

    def step(self, wish: Wish) -> Step | None:
        entry, target = wish.entry, wish.target
        if entry.path is None and (lying := self._sources(entry.sha256, None)):
            return Step(entry=entry, target=lying[0], verdict=Verdict.THERE)
        if wish.why_not is not None or target is None:
            return _unusable(wish, wish.why_not or "has no place here")
        before = self._wanted.setdefault(target, entry)
        if before is not entry:
            if _is_same(before, entry):
                self.repeats += 1
                return None
            return _unusable(wish, "wants the place of another entry")
        return self._free(entry, target)

    def _free(self, entry: Entry, target: Place) -> Step:
        def step(verdict: Verdict, sources: tuple[Place, ...] = (), *, waits: bool = False) -> Step:
            return Step(entry=entry, target=target, verdict=verdict, sources=sources, waits=waits)

        occupant = self._ground.occupants.get(target)
        if occupant is not None:
            is_right = entry.sha256 is not None and occupant.sha256 == entry.sha256
            return step(Verdict.THERE if is_right else Verdict.OCCUPIED)
        if entry.sha256 is None:
            return step(Verdict.FETCH)
        sources = self._sources(entry.sha256, target)
        if sources:
            return step(Verdict.ELSEWHERE, sources)
        first = self._fetched.setdefault(entry.sha256, target)
        return step(Verdict.FETCH) if first == target else step(Verdict.ELSEWHERE, (first,), waits=True)

    def _sources(self, sha256: str | None, target: Place | None) -> tuple[Place, ...]:
        spaces = self._ground.spaces
        found = [it.place for it in self._ground.lying.get(sha256 or "", ()) if it.place.root in spaces]
        return tuple(sorted(found, key=lambda it: (not _share_disk(spaces, it, target), it)))


def _shortages(steps: Sequence[Step], ground: Ground) -> tuple[Shortage, ...]:
    needs = Counter[str]()
    for step in steps:
        if step.target is not None and _takes_room(step, ground.spaces):
            needs[step.target.root] += step.entry.size_bytes or 0
    by_disk: dict[object, list[str]] = {}
    for root in sorted(needs):
        if root in ground.spaces:
            by_disk.setdefault(ground.spaces[root].disk, []).append(root)
    found = []
    for roots in by_disk.values():
        needed_bytes = sum(needs[root] for root in roots)
        free_bytes = max(0, min(ground.spaces[root].free_bytes for root in roots) - ground.keep_free_bytes)
        if needed_bytes > free_bytes:
            found.append(Shortage(roots=tuple(roots), needed_bytes=needed_bytes, free_bytes=free_bytes))
    return tuple(found)


def _takes_room(step: Step, spaces: Mapping[str, Space]) -> bool:
    if step.verdict is Verdict.FETCH:
        return True
    target = step.target
    if step.verdict is not Verdict.ELSEWHERE or target is None:
        return False
    return not any(_share_disk(spaces, source, target) for source in step.sources)


def _share_disk(spaces: Mapping[str, Space], one: Place, two: Place | None) -> bool:
    if two is None:
        return False
    if one.root == two.root:
        return True
    first, second = spaces.get(one.root), spaces.get(two.root)
    return first is not None and second is not None and first.disk == second.disk


def _is_same(one: Entry, two: Entry) -> bool:
    """Tell whether two entries of one place mean the same bytes."""
    if one.sha256 is not None or two.sha256 is not None:
        return one.sha256 == two.sha256
    return (one.version_id, one.file_id) == (two.version_id, two.file_id) and one.version_id is not None


def _unusable(wish: Wish, why: str) -> Step:
    return Step(entry=wish.entry, target=wish.target, verdict=Verdict.UNUSABLE, why=why)
