"""The calls on the way to the disk that can fail there, as values, so that tests can let them fail."""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

#: what a file system may answer to a call it does not offer; nothing is lost then
_UNSUPPORTED: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EPERM, errno.ENOTTY})


def _chmod(fd: int, mode: int) -> None:
    os.fchmod(fd, mode)


def _rename(old: str, new: str, folder_fd: int) -> None:
    os.rename(old, new, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """The real calls, unless told otherwise."""

    write: Callable[[int, memoryview], int] = os.write
    fsync: Callable[[int], None] = os.fsync
    chmod: Callable[[int, int], None] = _chmod
    #: old name, new name, and the open folder that both are in
    rename: Callable[[str, str, int], None] = _rename


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
