"""What tests of watching share: an in-memory catalog, and an observer whose hints can be waited for."""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from hashtagd.core.place import Place, Stamp
from hashtagd.watch.hints import Hints
from hashtagd.watch.observer import Observer
from hashtagd.watch.roots import RootFolder, Roots
from hashtagd.watch.scan import FolderDifference, ScanReport, scan
from support.clock import FakeClock

PATIENCE_S = 8.0
T = TypeVar("T")


class NoPause:
    """Nobody asks to stop."""

    stopping = False

    def wait(self, seconds: float) -> bool:  # noqa: ARG002 - the port's shape
        return False


class StopAfter:
    """Asks to stop after a number of looks."""

    def __init__(self, looks: int) -> None:
        self._left = looks

    @property
    def stopping(self) -> bool:
        self._left -= 1
        return self._left < 0

    def wait(self, seconds: float) -> bool:  # noqa: ARG002 - the port's shape
        return self.stopping


@dataclass
class Known:
    """A catalog of one root: keeps what scans report."""

    rows: dict[str, dict[str, Stamp]] = field(default_factory=dict)
    digests: dict[str, bytes] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)

    def folder_digests(self, root: str) -> dict[str, bytes]:  # noqa: ARG002 - one root only
        return {**{folder: b"" for folder, rows in self.rows.items() if rows}, **self.digests}

    def files_in(self, root: str, folder: str) -> dict[str, Stamp]:  # noqa: ARG002 - one root only
        self.reads.append(folder)
        return dict(self.rows.get(folder, {}))

    def count_files(self, root: str) -> int:  # noqa: ARG002 - one root only
        return sum(map(len, self.rows.values()))

    def note(self, difference: FolderDifference) -> None:
        rows = self.rows.setdefault(difference.folder, {})
        for seen in difference.sightings:
            assert seen.place.folder == difference.folder
            if seen.stamp is None:
                del rows[seen.place.name]
            else:
                rows[seen.place.name] = seen.stamp
        if difference.digest is None:
            self.digests.pop(difference.folder, None)
        else:
            self.digests[difference.folder] = difference.digest

    @property
    def relpaths(self) -> list[str]:
        return sorted(f"{folder}/{name}".lstrip("/") for folder, rows in self.rows.items() for name in rows)


@dataclass(frozen=True)
class Scanned:
    """What one scan said; `+x` came or changed, `-x` went."""

    words: list[str]
    report: ScanReport
    differences: list[FolderDifference]


def run_scan(
    root: RootFolder,
    known: Known,
    *,
    below: str = "",
    trust_inodes: bool = True,
    believe_empty: bool = False,
    clock: FakeClock | None = None,
    keep: bool = True,
) -> Scanned:
    """Scan to the end and keep the result as the catalog would."""
    walk = scan(
        root,
        known,
        clock or FakeClock(),
        NoPause(),
        below=below,
        trust_inodes=trust_inodes,
        believe_empty=believe_empty,
    )
    differences, report = exhaust(walk)
    if keep:
        for difference in differences:
            known.note(difference)
    words = [
        ("-" if seen.stamp is None else "+") + seen.place.relpath
        for difference in differences
        for seen in difference.sightings
    ]
    return Scanned(sorted(words), report, differences)


def exhaust(walk: Generator[T, None, ScanReport]) -> tuple[list[T], ScanReport]:
    """Take everything a generator yields, and what it returns."""
    items: list[T] = []
    while True:
        try:
            items.append(next(walk))
        except StopIteration as end:
            return items, end.value


class Watched:
    """A running observer and what it has hinted so far."""

    def __init__(self, *folders: RootFolder, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.roots = Roots(folders)
        self.roots.check()
        self._news = threading.Condition()
        self._count = 0
        self.observer = Observer(self.roots, self.clock, self._wake)
        self.places: set[Place] = set()
        self.folders: set[tuple[str, str]] = set()
        self.scan_roots: set[str] = set()

    def _wake(self) -> None:
        with self._news:
            self._count += 1
            self._news.notify_all()

    def drain(self) -> Hints:
        """Take the hints and remember them."""
        hints = self.observer.drain()
        self.places |= hints.places
        self.folders |= hints.folders
        self.scan_roots |= hints.scan_roots
        return hints

    def forget(self) -> None:
        """Start remembering afresh."""
        self.observer.drain()
        self.places.clear()
        self.folders.clear()
        self.scan_roots.clear()

    def until(self, holds: Callable[[], bool], *, tick: bool = False) -> None:
        """Wait for hints until something holds; fails the test when it does not in time.

        Args:
            holds: asked after each drain.
            tick: also run the observer's check, as the service does each second.
        """
        for _ in range(int(PATIENCE_S / 0.05)):
            with self._news:
                before = self._count
            if tick:
                self.clock.advance(1.0)
                self.roots.check()
                self.observer.check()
            self.drain()
            if holds():
                return
            with self._news:
                self._news.wait_for(lambda seen=before: self._count != seen, timeout=0.05)
        pytest.fail(f"in vain: {self.places} {self.folders} {self.scan_roots}")

    @property
    def relpaths(self) -> set[str]:
        return {place.relpath for place in self.places}

    def barrier(self, top: Path) -> None:
        """Wait until all events before now have arrived."""
        self._barriers = getattr(self, "_barriers", 0) + 1
        mark = top / f"barrier{self._barriers}.safetensors"
        mark.write_bytes(b"")
        self.until(lambda: mark.name in self.relpaths)
        mark.unlink()
        self.places = {place for place in self.places if place.name != mark.name}


@contextmanager
def watched(*folders: RootFolder, clock: FakeClock | None = None) -> Iterator[Watched]:
    """Run an observer for the roots; its threads end with the block."""
    here = Watched(*folders, clock=clock)
    here.observer.start()
    try:
        yield here
    finally:
        here.observer.stop()


def loras(path: Path, **settings: object) -> RootFolder:
    """Make a root called `loras` at a folder of its own."""
    path.mkdir(exist_ok=True)
    return RootFolder(name="loras", path=path, **settings)  # type: ignore[arg-type]  # tests pass what they name
