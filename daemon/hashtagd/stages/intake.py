"""Takes the bytes of one file in: to the disk and through the hashes, in one pass.

What a former process left is read once before more is added. What came is on the disk, as far as the kernel
goes, at most a block later.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Self

from hashtagd.core.digests import Digests
from hashtagd.core.header import LENGTH_BYTES
from hashtagd.core.ports import Stopping
from hashtagd.stages.absorbing import Absorber
from hashtagd.stages.crew import Crew
from hashtagd.stages.part import Part
from hashtagd.stages.sums import Sum

#: pieces are gathered to so much: a kill loses no more of what came
BLOCK_BYTES: Final = 1 << 20


class Intake:
    """One unfinished file and its hashes. Use `open`.

    Args:
        part: what is there of the file.
        stopping: looked at between blocks.
    """

    def __init__(
        self,
        part: Part,
        crew: Crew,
        *,
        headered: bool,
        blake3: Callable[[], Sum] | None,
        stopping: Callable[[], bool],
    ) -> None:
        self._part = part
        self._crew = crew
        self._headered = headered
        self._blake3 = blake3
        self._stopping = stopping
        self._sums: Absorber | None = None
        self._hashed_bytes = 0
        self._pieces: list[bytes] = []
        self._gathered_bytes = 0

    @classmethod
    @contextmanager
    def open(
        cls,
        part: Part,
        crew: Crew,
        *,
        headered: bool,
        blake3: Callable[[], Sum] | None,
        stopping: Callable[[], bool],
    ) -> Iterator[Self]:
        """Take a part in for the time of a block; at its end what was gathered is on the disk."""
        intake = cls(part, crew, headered=headered, blake3=blake3, stopping=stopping)
        try:
            yield intake
            intake.flush()
        finally:
            intake.forget()

    @property
    def length_bytes(self) -> int:
        """How much of the file is here."""
        return self._part.length_bytes + self._gathered_bytes

    def begin_at(self, offset: int) -> None:
        """Get ready for the bytes from an offset on, which is the length, or 0: then all of it is dropped.

        Raises:
            Stopping: a stop was requested while what is there was read.
        """
        self.flush()
        if offset != self._part.length_bytes:
            self.begin_anew()
        self._catch_up()

    def begin_anew(self) -> None:
        """Drop what is there."""
        self.forget()
        self._part.begin_anew()

    def take(self, piece: bytes) -> None:
        """Take the next bytes."""
        self._pieces.append(piece)
        self._gathered_bytes += len(piece)
        if self._gathered_bytes >= BLOCK_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered.

        Raises:
            Stopping: a stop was requested; it is written all the same.
        """
        if not self._gathered_bytes:
            return
        block = memoryview(self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces))
        self._pieces, self._gathered_bytes = [], 0
        offset = self._part.length_bytes
        self._part.append(block)
        self._hash(block, offset)
        if self._stopping():
            raise Stopping

    def digests(self) -> Digests:
        """Give the hashes of all that is here.

        Raises:
            Stopping: a stop was requested meanwhile.
        """
        self.flush()
        self._catch_up()
        if self._sums is None:  # of a file of a few bytes nothing was given yet
            head = memoryview(os.pread(self._part.fd, LENGTH_BYTES, 0))
            self._sums = self._absorber(head)
            self._sums.give(head, 0)
        sums, self._sums = self._sums, None
        self._hashed_bytes = 0
        return sums.digests()

    def forget(self) -> None:
        """Drop the hashes, and what was gathered and not written."""
        self._pieces, self._gathered_bytes = [], 0
        self._hashed_bytes = 0
        if self._sums is not None:
            sums, self._sums = self._sums, None
            sums.close()

    def _catch_up(self) -> None:
        """Read what is there and was not hashed by us; too little to tell a format is left for later."""
        while self._hashed_bytes < self._part.length_bytes >= LENGTH_BYTES:
            if self._stopping():
                raise Stopping
            data = os.pread(self._part.fd, BLOCK_BYTES, self._hashed_bytes)
            if not data:
                raise OSError(errno.EIO, "the unfinished file is shorter than it was")
            self._hash(memoryview(data), self._hashed_bytes)

    def _hash(self, block: memoryview, offset: int) -> None:
        if offset != self._hashed_bytes or (self._sums is None and len(block) < LENGTH_BYTES):
            return  # read later, by `_catch_up`
        if self._sums is None:
            self._sums = self._absorber(block)
        self._sums.give(block, offset)
        self._hashed_bytes += len(block)

    def _absorber(self, head: memoryview) -> Absorber:
        return Absorber(self._crew, head, headered=self._headered, blake3=self._blake3)
