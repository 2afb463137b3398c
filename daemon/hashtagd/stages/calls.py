"""The calls on the way to the disk that can fail there, as values, so that tests can let them fail."""

import ctypes
import errno
import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

#: what a file system may answer to a call it does not offer; nothing is lost then
_UNSUPPORTED: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EPERM, errno.ENOTTY})
#: of `renameat2`: fail where something has the new name
_NOREPLACE: Final = 1


def _chmod(fd: int, mode: int) -> None:
    os.fchmod(fd, mode)


def _rename(old: str, new: str, folder_fd: int) -> None:
    os.rename(old, new, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)


def _link(fd: int, new: str, folder_fd: int) -> None:
    os.link(f"/proc/self/fd/{fd}", new, dst_dir_fd=folder_fd, follow_symlinks=True)


def _rename_new(old: str, new: str, folder_fd: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        _rename_if_absent(old, new, folder_fd)
        return
    names = (os.fsencode(old), os.fsencode(new))
    if libc.renameat2(folder_fd, names[0], folder_fd, names[1], _NOREPLACE) == 0:
        return
    code = ctypes.get_errno()
    if code not in _UNSUPPORTED:
        raise OSError(code, os.strerror(code), new)
    _rename_if_absent(old, new, folder_fd)


def _rename_if_absent(old: str, new: str, folder_fd: int) -> None:
    """Look and rename, with a moment in between: a few file systems offer nothing better."""
    try:
        os.stat(new, dir_fd=folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        _rename(old, new, folder_fd)
    else:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new)


def _lock(fd: int) -> None:
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """The real calls, unless told otherwise."""

    write: Callable[[int, memoryview], int] = os.write
    fsync: Callable[[int], None] = os.fsync
    chmod: Callable[[int, int], None] = _chmod
    #: old name, new name, and the open folder that both are in
    rename: Callable[[str, str, int], None] = _rename
    #: the same, and FileExistsError where something has the new name
    rename_new: Callable[[str, str, int], None] = _rename_new
    #: gives an open file that has a name already a further one in an open folder, if nothing has that
    link: Callable[[int, str, int], None] = _link
    #: keeps other processes away from an open file as long as it is open; BlockingIOError where one has it
    lock: Callable[[int], None] = _lock


def if_supported(call: Callable[[], None]) -> None:
    """Make a call that some file systems do not offer, and go on without it there.

    Raises:
        OSError: it is offered, and failed.
    """
    try:
        call()
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
