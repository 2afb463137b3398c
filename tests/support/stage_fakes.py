"""What a stage meets in the service, scripted: a clock that stands still, a pause that takes no time."""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hashtagd.core.header import Header
from hashtagd.core.place import Place, Stamp
from hashtagd.core.troubles import Scope, Trouble, TryLater
from hashtagd.core.work import Claim, Stage
from hashtagd.watch.troubles import silent_place

#: when tests happen: long after any file they make with `at_rest`
NOW = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
ROOT = "loras"


@dataclass
class StillClock:
    """A clock that moves only when a test moves it."""

    moment: datetime = NOW
    elapsed_s: float = 1_000.0

    def now(self) -> datetime:
        return self.moment

    def monotonic_s(self) -> float:
        return self.elapsed_s

    def advance(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)
        self.elapsed_s += seconds


@dataclass
class ScriptedPause:
    """Waits by moving the clock; `during` is called inside each wait, as the world goes on then."""

    clock: StillClock | None = None
    stopping: bool = False
    during: Callable[[], None] = lambda: None
    waits_s: list[float] = field(default_factory=list)

    def wait(self, seconds: float) -> bool:
        self.waits_s.append(seconds)
        self.during()
        if self.clock is not None and not self.stopping:
            self.clock.advance(seconds)
        return self.stopping


@dataclass
class FolderLocator:
    """One root at one folder; raises `trouble` while it is set."""

    folder: Path
    trouble: Trouble | None = None

    def locate(self, place: Place) -> Path:
        if self.trouble is not None:
            raise self.trouble
        return self.folder / place.relpath


@contextmanager
def as_nobody() -> Iterator[None]:
    """Run the block without the rights of root; nothing changes for an ordinary user."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def no_more_files() -> Iterator[None]:
    """Run the block at the process's limit of open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def root_away() -> TryLater:
    """Make what a locator says of a root whose disk is not mounted."""
    return TryLater(
        "the disk is not mounted",
        does="hashtagd waits for it",
        you="mount it",
        scope=Scope.ROOT,
        kind="root_away",
    )


def place_silent() -> TryLater:
    """Make what a locator says of a file behind a link that does not answer."""
    return silent_place(Place(root="loras", relpath="x.safetensors"))


def stamp(path: Path, *, trusted: bool = True) -> Stamp:
    """Take the stamp of a file as the scan does; untrusted: with inode 0."""
    status = path.stat()
    return Stamp(
        size_bytes=status.st_size, mtime_ns=status.st_mtime_ns, inode=status.st_ino if trusted else 0
    )


def claim(
    path: Path,
    folder: Path,
    *,
    stage: Stage = Stage.DIGEST,
    file_id: int = 1,
    attempts: int = 1,
    header: Header | None = None,
    still_s: float = 3_600.0,
    known: Stamp | None = None,
    root: str = ROOT,
) -> Claim:
    """Make a claim for a file as it is now, resting for `still_s`; `known` overrides its stamp."""
    return Claim(
        file_id=file_id,
        fence=1,
        stage=stage,
        place=Place(root=root, relpath=path.relative_to(folder).as_posix()),
        stamp=known or stamp(path),
        attempts=attempts,
        still_since=NOW - timedelta(seconds=still_s),
        first_seen_at=NOW - timedelta(seconds=still_s),
        header=header,
    )


def at_rest(path: Path, seconds: float = 3_600.0) -> Path:
    """Set a file's times so long before `NOW`."""
    moment_s = NOW.timestamp() - seconds
    os.utime(path, (moment_s, moment_s))
    return path
