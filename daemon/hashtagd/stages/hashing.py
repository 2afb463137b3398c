"""Turn the bytes of one open file into all its hashes, in one read.

Two shapes: a plain loop for small files, of which several run side by side; and for large ones a reader that
is a block or two ahead of the hashing, with every further hash on a thread of its own over the same blocks.
hashlib and reads release the interpreter's lock, so two cores are used. Threads and buffers are kept.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from queue import SimpleQueue
from typing import Final

from hashtagd.core.digests import Digests
from hashtagd.core.ports import Stopping
from hashtagd.stages.crew import Crew
from hashtagd.stages.reading import (
    LARGE_FILE_WAYS,
    SMALL_FILE_WAYS,
    Buffers,
    MakeWay,
    Preadv,
    QuietReader,
)
from hashtagd.stages.sums import Sum, Sums, Update
from hashtagd.system.positions import read_into

#: one being read, one being hashed, one for the slower of two hashes
_LARGE_FILE_BLOCKS: Final = 3
_SMALL_FILE_BLOCK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One file to hash."""

    fd: int
    #: exactly so many bytes are hashed
    size_bytes: int
    #: where the tensor part begins; None: no hash of it
    tensors_offset: int | None
    #: told the bytes done after each block; may block, to pause the work
    progress: Callable[[int], None]
    stopping: Callable[[], bool]


class SmallFileHasher:
    """A plain loop over one reused block. Not for two threads at once.

    Args:
        preadv, ways: how to read, for tests with a disk of their own.
    """

    def __init__(
        self,
        *,
        crc32: bool = False,
        blake3: Callable[[], Sum] | None = None,
        ways: tuple[MakeWay, ...] = SMALL_FILE_WAYS,
        preadv: Preadv = read_into,
        block_bytes: int = _SMALL_FILE_BLOCK_BYTES,
    ) -> None:
        self._crc32 = crc32
        self._blake3 = blake3
        self._ways = ways
        self._preadv = preadv
        self._buffers = Buffers(1, block_bytes)

    def hash(self, order: Order) -> Digests:
        """Read the file once; returns all its hashes.

        Raises:
            Stopping: a stop was requested.
            ShortRead: the file ended before its size.
            OSError: the disk refused.
        """
        sums = Sums(tensors_offset=order.tensors_offset, crc32=self._crc32, blake3=self._blake3)
        updates = sums.updates()
        reader = QuietReader(order.fd, order.size_bytes, self._ways, self._preadv)
        (block,) = self._buffers.views()
        offset = 0
        try:
            while offset < order.size_bytes:
                if order.stopping():
                    raise Stopping
                count = reader.fill(block, offset)
                for update in updates:
                    update(block[:count], offset)
                offset += count
                order.progress(offset)
        finally:
            reader.close()
            block.release()
        return sums.digests()

    def release_buffers(self) -> None:
        """Give the memory back until the next file."""
        self._buffers.release()


#: bytes and their offset, or None: no more are coming
_Parcel = tuple[memoryview, int] | None


class LargeFileHasher:
    """A reader ahead of one thread per hash. Not for two threads at once."""

    def __init__(
        self,
        *,
        crc32: bool = False,
        blake3: Callable[[], Sum] | None = None,
        ways: tuple[MakeWay, ...] = LARGE_FILE_WAYS,
        preadv: Preadv = read_into,
        block_bytes: int | None = None,
    ) -> None:
        self._crc32 = crc32
        self._blake3 = blake3
        self._ways = ways
        self._preadv = preadv
        self._buffers = Buffers(_LARGE_FILE_BLOCKS) if block_bytes is None else Buffers(3, block_bytes)
        self._crew = Crew("hashing")

    def hash(self, order: Order) -> Digests:
        """Read the file once; returns all its hashes.

        Raises:
            Stopping: a stop was requested.
            ShortRead: the file ended before its size.
            OSError: the disk refused.
        """
        sums = Sums(tensors_offset=order.tensors_offset, crc32=self._crc32, blake3=self._blake3)
        reader = QuietReader(order.fd, order.size_bytes, self._ways, self._preadv)
        blocks = list(self._buffers.views())
        try:
            _Run(order, reader, blocks, sums).work(self._crew)
        finally:
            reader.close()
            for block in blocks:
                block.release()
        return sums.digests()

    def release_buffers(self) -> None:
        """Give the memory back until the next file."""
        self._buffers.release()

    def close(self) -> None:
        """End the threads."""
        self._crew.close()


class _Word(Enum):
    """What a hash says after each block."""

    DONE = auto()
    GAVE_UP = auto()


class _Run:
    """One large file on its way through the threads."""

    def __init__(self, order: Order, reader: QuietReader, blocks: list[memoryview], sums: Sums) -> None:
        self._order = order
        self._reader = reader
        self._blocks = blocks
        self._main, *self._others = sums.updates()
        lanes = 1 + len(self._others)
        #: filled blocks, one queue per hash
        self._full: list[SimpleQueue[_Parcel]] = [SimpleQueue() for _ in range(lanes)]
        #: one word per block from each hash, in order
        self._done: list[SimpleQueue[_Word]] = [SimpleQueue() for _ in range(lanes)]

    def work(self, crew: Crew) -> None:
        """Read and hash until the end, or until the first part that fails; every part has ended then."""
        parts = [crew.start(self._read)]
        for lane, update in enumerate(self._others, start=1):
            parts.append(crew.start(partial(self._hash, lane, update)))
        try:
            self._hash(0, self._main)
        finally:
            crew.wait(parts)
        for part in parts:
            part.result()

    def _read(self) -> None:
        """Fill blocks in turn; a block is filled again when every hash has finished with it."""
        try:
            for number, offset in enumerate(range(0, self._order.size_bytes, len(self._blocks[0]))):
                if self._order.stopping():
                    raise Stopping
                if number >= len(self._blocks) and not self._all_are_done():
                    return
                block = self._blocks[number % len(self._blocks)]
                count = self._reader.fill(block, offset)
                for full in self._full:
                    full.put((block[:count], offset))
        finally:
            for full in self._full:
                full.put(None)

    def _all_are_done(self) -> bool:
        """Wait until every hash has finished its next block; False when one has given up."""
        return all(done.get() is _Word.DONE for done in self._done)

    def _hash(self, lane: int, update: Update) -> None:
        progress = self._order.progress if lane == 0 else _ignore
        well = False
        try:
            while (parcel := self._full[lane].get()) is not None:
                data, offset = parcel
                update(data, offset)
                done_bytes = offset + len(data)
                data.release()
                progress(done_bytes)
                self._done[lane].put(_Word.DONE)
            well = True
        finally:
            if not well:
                self._done[lane].put(_Word.GAVE_UP)


def _ignore(_: int) -> None:
    """Tell nobody."""
