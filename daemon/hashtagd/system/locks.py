"""Locks on open files that end with the process, however it ends."""

import os
import sys
from typing import Final

if sys.platform == "win32":
    import msvcrt

    #: far behind any text in the file: what is locked there nobody else can read
    _BYTE: Final = 1 << 30

    def try_lock(fd: int, *, shared: bool = False) -> bool:
        """Take it, or return False where another process has it; there are only exclusive ones."""
        del shared
        os.lseek(fd, _BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

else:
    import fcntl

    def try_lock(fd: int, *, shared: bool = False) -> bool:
        """Take it, or return False where another process has one that excludes it.

        Raises:
            OSError: the file system has no locks.
        """
        try:
            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
