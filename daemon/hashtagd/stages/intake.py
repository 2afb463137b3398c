"""Takes the bytes of one file in: to the disk and through the hashes, in one pass.

The bytes are received into a few blocks of memory that are used again and again. What a former process left
is read once before more is added. What came is on the disk, as far as the kernel goes, a few blocks later.
"""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Self

from hashtagd.core.digests import Digests
from hashtagd.core.ports import Stopping
from hashtagd.stages.conveyor import Conveyor
from hashtagd.stages.crew import Crew
from hashtagd.stages.keeping import Keeper
from hashtagd.stages.part import Part
from hashtagd.stages.reading import LARGE_FILE_WAYS, Buffers, QuietReader, ShortRead
from hashtagd.stages.streamed import StreamedSums
from hashtagd.stages.sums import Sum
from hashtagd.system.positions import read_at

BLOCK_BYTES: Final = 1 << 20
#: a kill loses no more of what came than these; fewer would make whoever receives wait for the disk
_BLOCKS: Final = 6


class Intake:
    """One unfinished file and its hashes. Use `open`.

    Args:
        part: what is there of the file.
        stopping: looked at between blocks of what was there.
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
        self._blocks = list(Buffers(_BLOCKS, BLOCK_BYTES).views())
        #: None: what is there was not hashed
        self._belt: Conveyor | None = None
        self._sums: StreamedSums
        self._keeper: Keeper
        #: the bytes up to here were handed over
        self._given_bytes = part.length_bytes
        self._block: memoryview | None = None
        self._filled_bytes = 0

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
        """Take a part in for the time of a block; however it ends, what came is on the disk then."""
        intake = cls(part, crew, headered=headered, blake3=blake3, stopping=stopping)
        try:
            yield intake
        finally:
            intake.close()

    @property
    def length_bytes(self) -> int:
        """How much of the file is here."""
        return self._given_bytes + self._filled_bytes

    def begin_at(self, offset: int) -> None:
        """Get ready for the bytes from an offset on, which is the length, or 0: then all of it is dropped.

        Raises:
            Stopping: a stop was requested while what is there was read.
            OSError: the disk refused.
        """
        if offset != self.length_bytes:
            self.begin_anew()
        self._catch_up()

    def begin_anew(self) -> None:
        """Drop what is there."""
        self._end()
        self._part.cut_to(0)
        self._given_bytes = 0

    def cut_to(self, length_bytes: int) -> None:
        """Drop what is there beyond a length, and get ready for the bytes from there on.

        Raises:
            Stopping, OSError: as from `begin_at`.
        """
        self._end()
        self._part.cut_to(length_bytes)
        self._given_bytes = length_bytes
        self._catch_up()

    def equal_bytes(self, data: memoryview, offset: int) -> int:
        """Tell how many bytes, from the first on, are those that are on the disk at an offset.

        Raises:
            OSError: the disk refused.
        """
        here = read_at(self._part.fd, len(data), offset)
        if here == data:
            return len(data)
        return next(
            (at for at, (one, two) in enumerate(zip(here, data, strict=False)) if one != two), len(here)
        )

    def put(self, data: memoryview) -> None:
        """Take bytes in that stand elsewhere."""
        while data:
            room = self.room()
            count = min(len(room), len(data))
            room[:count] = data[:count]
            self.took(count)
            data = data[count:]

    def room(self) -> memoryview:
        """Give memory for the next bytes; waits while the disk or the hashes lag behind.

        Raises:
            OSError: the disk refused what came before.
        """
        if self._block is None:
            self._block = self._running().free()
        return self._block[self._filled_bytes :]

    def took(self, count: int) -> None:
        """Note that so many bytes stand in the room now."""
        self._filled_bytes += count
        if self._filled_bytes == BLOCK_BYTES:
            self._hand_over()

    def sha256(self) -> str:
        """Give the SHA-256 of all that is here.

        Raises:
            Stopping, OSError: as from `begin_at`.
        """
        self._settle()
        return self._sums.sha256()

    def digests(self) -> Digests:
        """Give the hashes of all that is here.

        Raises:
            Stopping, OSError: as from `begin_at`.
        """
        self._settle()
        return self._sums.digests(self._given_bytes)

    def close(self) -> None:
        """Write what came, as far as the disk takes it."""
        self._end()
        for block in self._blocks:
            block.release()

    def _settle(self) -> None:
        self._catch_up()
        self._hand_over()
        self._running().settle()
        self._keeper.settle()

    def _hand_over(self) -> None:
        block, self._block = self._block, None
        if block is None:
            return
        count, self._filled_bytes = self._filled_bytes, 0
        if count:
            self._running().give(block, count, self._given_bytes)
            self._given_bytes += count
        else:
            self._running().keep(block)

    def _end(self) -> None:
        """Let the threads end; the hashes are lost."""
        if self._belt is not None:
            if not self._belt.is_broken:
                self._hand_over()
            self._belt.close()
            self._keeper.close()
        self._belt, self._block, self._filled_bytes = None, None, 0

    def _running(self) -> Conveyor:
        if self._belt is None:
            self._sums = StreamedSums(headered=self._headered, blake3=self._blake3)
            self._keeper = Keeper(self._part, self._crew)
            takers = [self._keeper.take, *self._sums.updates()]
            self._belt = Conveyor(self._crew, takers, self._blocks)
        return self._belt

    def _catch_up(self) -> None:
        """Let the hashes have what is there and did not come by us."""
        if self._belt is not None:
            return
        try:
            self._read_all(self._running())
        except BaseException:
            self._end()
            raise

    def _read_all(self, belt: Conveyor) -> None:
        reader = QuietReader(self._part.fd, self._given_bytes, LARGE_FILE_WAYS)
        try:
            for offset in range(0, self._given_bytes, BLOCK_BYTES):
                if self._stopping():
                    raise Stopping
                block = belt.free()
                belt.give(block, reader.fill(block, offset), offset)
        except ShortRead:
            raise OSError(errno.EIO, "the unfinished file is shorter than it was") from None
        finally:
            reader.close()
