"""Appends what comes to the unfinished file, and has the disk keep up.

Left alone, the kernel collects gigabytes before it writes any, and the flush at the end of a file would wait
for all of them.
"""

from concurrent.futures import Future
from typing import Final

from hashtagd.stages.crew import Crew
from hashtagd.stages.part import Part

#: a flush begins after so much more was appended, if the one before it has ended
_FLUSH_BYTES: Final = 64 << 20


class Keeper:
    """Appends blocks. For one thread."""

    def __init__(self, part: Part, crew: Crew) -> None:
        self._part = part
        self._crew = crew
        self._flushed_bytes = part.length_bytes
        self._flush: Future[None] | None = None

    def take(self, block: memoryview, offset: int) -> None:
        """Append a block; one that lies before the end is there already.

        Raises:
            OSError: the disk refused it, or what came before it.
        """
        if offset < self._part.length_bytes:
            return
        self._part.append(block)
        if self._part.length_bytes - self._flushed_bytes < _FLUSH_BYTES:
            return
        if self._flush is None or self._flush.done():
            self.settle()
            self._flushed_bytes = self._part.length_bytes
            self._flush = self._crew.start(self._part.flush)

    def settle(self) -> None:
        """Wait for the flush that is under way.

        Raises:
            OSError: the disk lost some of what was written.
        """
        if self._flush is not None:
            self._flush.result()

    def close(self) -> None:
        """Wait for the flush that is under way, however it ends: it needs the open file."""
        if self._flush is not None:
            self._crew.wait([self._flush])
