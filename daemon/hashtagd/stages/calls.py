"""The calls on the way to the disk that can fail there, as values, so that tests can let them fail."""

import ctypes
import errno
import fcntl
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

#: what a file system may answer to a call it does not offer; nothing is lost then
_UNSUPPORTED: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EPERM, errno.ENOTTY})
#: write through the cache, and drop what was written as soon as it is on the disk. Not in `os` yet.
_RWF_DONTCACHE: Final = 0x80
#: the kernels before had it, too, with faults
_UNCACHED_WRITES_FROM: Final = (6, 16)
#: flags of renameat2, from linux/fs.h
_NO_REPLACE: Final = 1
_EXCHANGE: Final = 2
_libc: Final = ctypes.CDLL(None, use_errno=True)


def release_of(text: str) -> tuple[int, int]:
    """Read the first two numbers of a kernel's release; zeros where there are none."""
    match = re.match(r"([0-9]+)\.([0-9]+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


_WRITES_UNCACHED: Final = release_of(os.uname().release) >= _UNCACHED_WRITES_FROM


def _write_at(fd: int, data: memoryview, offset: int) -> int:
    if _WRITES_UNCACHED:
        try:
            return os.pwritev(fd, [data], offset, _RWF_DONTCACHE)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
    return os.pwrite(fd, data, offset)


def _chmod(fd: int, mode: int) -> None:
    os.fchmod(fd, mode)


def _rename(old: str, new: str, folder_fd: int) -> None:
    os.rename(old, new, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)


def _link(fd: int, new: str, folder_fd: int) -> None:
    os.link(f"/proc/self/fd/{fd}", new, dst_dir_fd=folder_fd, follow_symlinks=True)


def rename_if_absent(old: str, new: str, folder_fd: int) -> None:
    """Look and rename, with a moment in between: a few file systems offer nothing better."""
    try:
        os.stat(new, dir_fd=folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        _rename(old, new, folder_fd)
    else:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new)


def _lock(fd: int) -> None:
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


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
        raise OSError(code, os.strerror(code), new)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """The real calls, unless told otherwise."""

    write: Callable[[int, memoryview], int] = os.write
    #: the same at an offset, for files so large that they would push everything else out of the cache
    write_at: Callable[[int, memoryview, int], int] = _write_at
    fsync: Callable[[int], None] = os.fsync
    chmod: Callable[[int, int], None] = _chmod
    #: old name, new name, and the open folder that both are in
    rename: Callable[[str, str, int], None] = _rename
    #: the same, but never over something; not every file system offers it
    rename_new: Callable[[str, str, int], None] = _rename_new
    #: lets two names change places in one step; not every file system offers it
    exchange: Callable[[str, str, int], None] = _exchange
    #: gives an open file that has a name already a further one in an open folder, if nothing has that
    link: Callable[[int, str, int], None] = _link
    #: keeps other processes away from an open file as long as it is open; BlockingIOError where one has it
    lock: Callable[[int], None] = _lock


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
