"""Reading and writing at an offset, past the page cache where there is a way."""

import errno
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Final

#: Linux 6.14 and later: drop what a read brought in, or a write left, as soon as it is done. Not in `os` yet.
UNCACHED: Final = 0x80
#: kernels before had it for writes, too, with faults
_UNCACHED_WRITES_FROM: Final = (6, 16)
#: what a file system may answer to a flag it does not know; nothing is lost then
_UNSUPPORTED: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EPERM})


def release_of(text: str) -> tuple[int, int]:
    """Read the first two numbers of a kernel's release; zeros where there are none."""
    match = re.match(r"([0-9]+)\.([0-9]+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


if sys.platform == "win32":
    import threading

    #: an offset is the file's own there: two readers would move it for each other
    _one_at_a_time: Final = threading.Lock()

    def read_at(fd: int, length_bytes: int, offset: int) -> bytes:
        """Read up to so many bytes."""
        with _one_at_a_time:
            os.lseek(fd, offset, os.SEEK_SET)
            return os.read(fd, length_bytes)

    def read_into(fd: int, buffers: Sequence[memoryview], offset: int, flags: int) -> int:
        """Fill buffers; `flags` other than 0 are refused with EINVAL."""
        if flags:
            raise OSError(errno.EINVAL, "there are no such flags here")
        done = 0
        for buffer in buffers:
            part = read_at(fd, len(buffer), offset + done)
            buffer[: len(part)] = part
            done += len(part)
        return done

    def write_at(fd: int, data: memoryview, offset: int) -> int:
        """Write as much as is taken; returns how many bytes."""
        with _one_at_a_time:
            os.lseek(fd, offset, os.SEEK_SET)
            return os.write(fd, data)

else:
    read_at = os.pread

    if sys.platform == "linux":
        read_into: Callable[[int, Sequence[memoryview], int, int], int] = os.preadv
        _WRITES_UNCACHED: Final = release_of(os.uname().release) >= _UNCACHED_WRITES_FROM
    else:

        def read_into(fd: int, buffers: Sequence[memoryview], offset: int, flags: int) -> int:
            """Fill buffers; `flags` other than 0 are refused with EINVAL."""
            if flags:
                raise OSError(errno.EINVAL, "there are no such flags here")
            return os.preadv(fd, buffers, offset)

        _WRITES_UNCACHED = False

    def write_at(fd: int, data: memoryview, offset: int) -> int:
        """Write as much as is taken, past the cache where that is possible; returns how many bytes."""
        if _WRITES_UNCACHED:
            try:
                return os.pwritev(fd, [data], offset, UNCACHED)
            except OSError as error:
                if error.errno not in _UNSUPPORTED:
                    raise
        return os.pwrite(fd, data, offset)
