"""The calls on the way to the disk that can fail there, as values, so that tests can let them fail."""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hashtagd.system.disks import set_mode
from hashtagd.system.locks import try_lock
from hashtagd.system.names import exchange, link_open, rename_new
from hashtagd.system.positions import write_at

#: what a file system may answer to a call it does not offer; nothing is lost then
_UNSUPPORTED: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EPERM, errno.ENOTTY})


def _rename(old: str, new: str, folder_fd: int) -> None:
    os.rename(old, new, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)


def rename_if_absent(old: str, new: str, folder_fd: int) -> None:
    """Look and rename, with a moment in between: a few file systems offer nothing better."""
    try:
        os.stat(new, dir_fd=folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        _rename(old, new, folder_fd)
    else:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new)


def _lock(fd: int) -> None:
    if not try_lock(fd):
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """The real calls, unless told otherwise."""

    write: Callable[[int, memoryview], int] = os.write
    #: the same at an offset, for files so large that they would push everything else out of the cache
    write_at: Callable[[int, memoryview, int], int] = write_at
    fsync: Callable[[int], None] = os.fsync
    chmod: Callable[[int, int], None] = set_mode
    #: old name, new name, and the open folder that both are in
    rename: Callable[[str, str, int], None] = _rename
    #: the same, but never over something; not every file system offers it
    rename_new: Callable[[str, str, int], None] = rename_new
    #: lets two names change places in one step; not every file system offers it
    exchange: Callable[[str, str, int], None] = exchange
    #: gives an open file that has a name already a further one in an open folder, if nothing has that
    link: Callable[[int, str, int], None] = link_open
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
