"""What the page cache holds of a file, and how to read without it."""

import ctypes
import errno
import os
import sys
from typing import Final

if sys.platform == "linux":
    import fcntl

    #: Linux 6.5 and later; one number on all architectures
    _SYS_CACHESTAT: Final = 451
    _libc: Final = ctypes.CDLL(None, use_errno=True)

    class _Range(ctypes.Structure):
        _fields_ = (("offset", ctypes.c_uint64), ("length", ctypes.c_uint64))

    class _CacheStat(ctypes.Structure):
        _fields_ = tuple(
            (name, ctypes.c_uint64) for name in ("cached", "dirty", "writeback", "evicted", "recent")
        )

    def cached_pages(fd: int, offset: int, length_bytes: int) -> int | None:
        """Count the pages of a range that are in the page cache; None where the kernel cannot say."""
        stat = _CacheStat()
        span = _Range(offset, length_bytes)
        if _libc.syscall(_SYS_CACHESTAT, fd, ctypes.byref(span), ctypes.byref(stat), 0) != 0:
            return None
        return int(stat.cached)

    def forget(fd: int, offset: int, length_bytes: int) -> None:
        """Drop clean pages of a range from the cache."""
        os.posix_fadvise(fd, offset, length_bytes, os.POSIX_FADV_DONTNEED)

    def expect_jumps(fd: int) -> None:
        """Let the kernel read nothing ahead."""
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)

    def go_direct(fd: int) -> int:
        """Let all reads bypass the cache; returns what `go_back` wants.

        Raises:
            OSError: EINVAL where the file system cannot.
        """
        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_DIRECT)
        return flags

    def go_back(fd: int, before: int) -> None:
        """Undo `go_direct`."""
        fcntl.fcntl(fd, fcntl.F_SETFL, before)

else:

    def cached_pages(fd: int, offset: int, length_bytes: int) -> int | None:
        """Say that nobody knows."""
        del fd, offset, length_bytes
        return None

    def forget(fd: int, offset: int, length_bytes: int) -> None:
        """Do nothing: the system decides alone."""
        del fd, offset, length_bytes

    def expect_jumps(fd: int) -> None:
        """Do nothing: the system decides alone."""
        del fd

    def go_direct(fd: int) -> int:
        """Say that there is no such way here."""
        raise OSError(errno.EINVAL, "there are no direct reads here", fd)

    def go_back(fd: int, before: int) -> None:
        """Do nothing."""
        del fd, before
