"""The product's own hashing, put to work on files of a folder without a daemon around it."""

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from hashtagd.core.chain import Chain
from hashtagd.core.header import Header
from hashtagd.core.place import Place, Stamp
from hashtagd.core.work import Advance, Claim, Digested, Stage
from hashtagd.stages.digest import DigestOptions, DigestStage
from hashtagd.stages.hashing import LargeFileHasher, Order, SmallFileHasher


class _Wall:
    """The machine's clock."""

    def now(self) -> datetime:
        """Give the time of day."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Give a steady clock."""
        return time.monotonic()


class _Never:
    """A pause in which nobody asks to stop, and young files are taken as they are."""

    stopping = False

    def wait(self, seconds: float) -> bool:
        """Do not wait: the files are old enough, or the figure is wrong and shows it."""
        raise AssertionError(f"asked to wait {seconds} s")


class _Folder:
    """One root at one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def locate(self, place: Place) -> Path:
        """Give the path."""
        return self._folder / place.relpath


def make_stage(folder: Path, workers: int) -> DigestStage:
    """Make the stage as the daemon has it, for files of one folder."""
    return DigestStage(
        locator=_Folder(folder),
        clock=_Wall(),
        pause=_Never(),
        chain=Chain(()),
        options=DigestOptions(workers=workers),
        chance=lambda: 0.0,
    )


def claim_of(path: Path, number: int, header: Header | None = None) -> Claim:
    """Make the claim to hash a file; its header tells where the tensors begin."""
    status = path.stat()
    moment = datetime.fromtimestamp(status.st_mtime, UTC)
    return Claim(
        file_id=number,
        fence=1,
        stage=Stage.DIGEST,
        place=Place(root="bench", relpath=path.name),
        stamp=Stamp(size_bytes=status.st_size, mtime_ns=status.st_mtime_ns, inode=status.st_ino),
        attempts=1,
        still_since=moment,
        first_seen_at=moment,
        header=header,
    )


def digests_of(stage: DigestStage, claims: Sequence[Claim]) -> list[str]:
    """Hash the files; gives their SHA-256.

    Raises:
        TypeError: one was not hashed.
    """
    found = []
    for outcome in stage.run(claims):
        if not (isinstance(outcome, Advance) and isinstance(outcome.facts, Digested)):
            raise TypeError(f"not hashed: {outcome}")
        found.append(outcome.facts.digests.sha256)
    return found


def hash_with(
    hasher: LargeFileHasher | SmallFileHasher, path: Path, tensors_offset: int | None = None
) -> str:
    """Hash one file; gives its SHA-256."""
    fd = os.open(path, os.O_RDONLY)
    try:
        order = Order(
            fd=fd,
            size_bytes=path.stat().st_size,
            tensors_offset=tensors_offset,
            progress=lambda _: None,
            stopping=lambda: False,
        )
        return hasher.hash(order).sha256
    finally:
        os.close(fd)
