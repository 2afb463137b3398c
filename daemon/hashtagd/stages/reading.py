"""Read a file once from start to end and leave the page cache as it was.

What other programs have in the cache stays there, and nothing is added: a model that ComfyUI has just loaded
is exactly what careless hashing throws out. Three ways, tried in this order, because no single one works on
every kernel and file system. Never maps a file into memory, and never drops pages that it did not bring in.
"""

import errno
import mmap
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

from hashtagd.system.cache import cached_pages, forget, go_back, go_direct
from hashtagd.system.positions import UNCACHED, read_into

#: what one read asks for; also how often a stop request is looked at
BLOCK_BYTES: Final = 8 << 20
#: direct reads want offsets, lengths and addresses that are multiples of this
_ALIGN_BYTES: Final = 4096
#: EPERM is what a sandbox says of a call it does not know
_UNSUPPORTED: Final = frozenset({errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.EPERM})

#: `read_into`, or a test's own
Preadv = Callable[[int, Sequence[memoryview], int, int], int]


class ShortRead(Exception):  # noqa: N818 - a finding, not an error
    """The file gave fewer bytes than it had when it was opened."""


class Way(Protocol):
    """One way to read."""

    def read(self, buffer: memoryview, wanted_bytes: int, offset: int) -> int:
        """Read up to `wanted_bytes` to the start of the buffer; returns how many came, 0 at the end."""
        ...

    def close(self) -> None:
        """Undo what was set on the descriptor."""
        ...


class UncachedWay:
    """The kernel drops what this read brought in, and only that."""

    def __init__(self, fd: int, size_bytes: int, preadv: Preadv) -> None:
        del size_bytes
        self._fd = fd
        self._preadv = preadv

    def read(self, buffer: memoryview, wanted_bytes: int, offset: int) -> int:
        """Read with the flag; EOPNOTSUPP where kernel or file system do not know it (tmpfs, before 6.14)."""
        return self._preadv(self._fd, [buffer[:wanted_bytes]], offset, UNCACHED)

    def close(self) -> None:
        """Nothing was set."""


class DirectWay:
    """Past the page cache, straight from the disk."""

    def __init__(self, fd: int, size_bytes: int, preadv: Preadv) -> None:
        del size_bytes
        self._fd = fd
        self._preadv = preadv
        self._before = go_direct(fd)

    def read(self, buffer: memoryview, wanted_bytes: int, offset: int) -> int:
        """Read whole blocks of the disk: the tail is asked for in full, the end of the file stops it."""
        rounded = -(-wanted_bytes // _ALIGN_BYTES) * _ALIGN_BYTES
        return min(self._preadv(self._fd, [buffer[:rounded]], offset, 0), wanted_bytes)

    def close(self) -> None:
        """Let the descriptor read through the cache again."""
        go_back(self._fd, self._before)


class SparingWay:
    """Through the cache; drops a block afterwards only if nothing of it was there before the first read."""

    def __init__(self, fd: int, size_bytes: int, preadv: Preadv) -> None:
        self._fd = fd
        self._preadv = preadv
        # asked for the whole file at once: the kernel reads ahead, so later its pages would look like others'
        blocks = range(0, size_bytes, BLOCK_BYTES)
        self._absent = frozenset(offset for offset in blocks if cached_pages(fd, offset, BLOCK_BYTES) == 0)

    def read(self, buffer: memoryview, wanted_bytes: int, offset: int) -> int:
        """Read, then drop the block it belongs to if that block is ours alone."""
        count = self._preadv(self._fd, [buffer[:wanted_bytes]], offset, 0)
        block = offset - offset % BLOCK_BYTES
        if block in self._absent:
            forget(self._fd, block, offset + count - block)
        return count

    def close(self) -> None:
        """Nothing was set."""


MakeWay = Callable[[int, int, Preadv], Way]
#: for files that are read block by block with a block of lead
LARGE_FILE_WAYS: Final[tuple[MakeWay, ...]] = (UncachedWay, DirectWay, SparingWay)
#: for small files, where a direct read would wait for the disk with nothing else to do
SMALL_FILE_WAYS: Final[tuple[MakeWay, ...]] = (UncachedWay, SparingWay)


class QuietReader:
    """Reads an open file by the first way that works for it.

    Args:
        fd: stays open, and its flags are as before after `close`.
        size_bytes: never more than this is read, however the file grows.
        ways: in order of preference; the last is used even if it fails.
        preadv: `read_into`, unless a test has its own disk.
    """

    def __init__(self, fd: int, size_bytes: int, ways: Sequence[MakeWay], preadv: Preadv = read_into) -> None:
        self._fd = fd
        self._size_bytes = size_bytes
        self._preadv = preadv
        self._left = iter(ways)
        self._way = self._next_way()

    def fill(self, buffer: memoryview, offset: int) -> int:
        """Read the block at `offset`: as much as fits, or what is left of the file.

        The buffer must begin at a page and hold whole pages.

        Raises:
            ShortRead: the file ended before its size.
            OSError: the disk refused.
        """
        wanted = min(len(buffer), self._size_bytes - offset)
        have = 0
        while have < wanted:
            count = self._read(buffer[have:], wanted - have, offset + have)
            if count == 0:
                raise ShortRead
            have += count
        return wanted

    def close(self) -> None:
        """Leave the descriptor as it was."""
        self._way.close()

    def _read(self, buffer: memoryview, wanted_bytes: int, offset: int) -> int:
        while True:
            try:
                return self._way.read(buffer, wanted_bytes, offset)
            except OSError as error:
                if error.errno not in _UNSUPPORTED:
                    raise
                self._way.close()
                self._way = self._next_way(error)

    def _next_way(self, refusal: OSError | None = None) -> Way:
        for make in self._left:
            try:
                return make(self._fd, self._size_bytes, self._preadv)
            except OSError as error:
                if error.errno not in _UNSUPPORTED:
                    raise
                refusal = error
        raise refusal or ValueError("no way to read was given")


class Buffers:
    """A set of page-aligned blocks of anonymous memory, kept between files and given back when idle.

    Anonymous, so no file can be cut short under it; and a mapping of its own, so that it returns to the
    system at once, where an ordinary allocation might stay in the heap for ever.
    """

    def __init__(self, count: int, block_bytes: int = BLOCK_BYTES) -> None:
        self._count = count
        self._block_bytes = block_bytes
        self._maps: list[mmap.mmap] = []

    def views(self) -> Iterator[memoryview]:
        """Give the blocks, made at the first use."""
        while len(self._maps) < self._count:
            self._maps.append(mmap.mmap(-1, self._block_bytes))
        return (memoryview(block) for block in self._maps)

    def release(self) -> None:
        """Give the memory back, a block still in use as soon as it is not; the next use makes new ones."""
        self._maps = []
