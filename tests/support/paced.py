"""A clock that goes by what comes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from hashtagd.core.card import DownloadUrl
from hashtagd.core.ports import Downloader, Incoming
from hashtagd.core.transfer import Begun
from support.surroundings import World


class Paced:
    """The clock of a stage, and its downloader: the real one, whose bytes all came at one speed."""

    def __init__(self, world: World, bytes_per_s: int) -> None:
        self._world = world
        self._bytes_per_s = bytes_per_s
        self.came_bytes = 0
        self._real: Downloader

    def now(self) -> datetime:
        return self._world.clock.now()

    def monotonic_s(self) -> float:
        return self.came_bytes / self._bytes_per_s

    def around(self, real: Downloader) -> "Paced":
        """Stand between a stage and its downloader."""
        self._real = real
        return self

    @contextmanager
    def open(self, source: DownloadUrl, *, offset: int, begun: Begun | None) -> Iterator[Incoming]:
        with self._real.open(source, offset=offset, begun=begun) as incoming:
            yield _Counted(
                incoming,
                self,
                offset=incoming.offset,
                total_bytes=incoming.total_bytes,
                etag=incoming.etag,
            )


@dataclass
class _Counted:
    real: Incoming
    paced: Paced
    offset: int
    total_bytes: int | None
    etag: str | None

    def read_into(self, buffer: memoryview) -> int:
        count = self.real.read_into(buffer)
        self.paced.came_bytes += count
        return count
