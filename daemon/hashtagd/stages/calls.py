"""The calls on the way to the disk that can fail there, as values, so that tests can let them fail."""

import ctypes
import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

#: what a file system may answer to a call it does not offer; nothing is lost then
_UNSUPPORTED: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EPERM, errno.ENOTTY})
#: flags of renameat2, from linux/fs.h
_NO_REPLACE: Final = 1
_EXCHANGE: Final = 2
_libc: Final = ctypes.CDLL(None, use_errno=True)


def _chmod(fd: int, mode: int) -> None:
    os.fchmod(fd, mode)


def _rename(old: str, new: str, folder_fd: int) -> None:
    os.rename(old, new, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)


def _rename_new(old: str, new: str, folder_fd: int) -> None:
    _rename_as(old, new, folder_fd, _NO_REPLACE)


def _exchange(old: str, new: str, folder_fd: int) -> None:
    _rename_as(old, new, folder_fd, _EXCHANGE)


def _rename_as(old: str, new: str, folder_fd: int, flag: int) -> None:
    call = getattr(_libc, "renameat2", None)
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if call(folder_fd, os.fsencode(old), folder_fd, os.fsencode(new), flag) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """The real calls, unless told otherwise."""

    write: Callable[[int, memoryview], int] = os.write
    fsync: Callable[[int], None] = os.fsync
    chmod: Callable[[int, int], None] = _chmod
    #: old name, new name, and the open folder that both are in
    rename: Callable[[str, str, int], None] = _rename
    #: the same, but never over something; not every file system offers it
    rename_new: Callable[[str, str, int], None] = _rename_new
    #: lets two names change places in one step; not every file system offers it
    exchange: Callable[[str, str, int], None] = _exchange


def if_supported(call: Callable[[], None]) -> None:
    """Make a call that some file systems do not offer, and go on without it there.

    Raises:
        OSError: it is offered, and failed.
    """
    supports(call)


def supports(call: Callable[[], None]) -> bool:
    """Make a call that some file systems do not offer; returns False where this one does not.

    Raises:
        OSError: it is offered, and failed.
    """
    try:
        call()
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        return False
    return True
