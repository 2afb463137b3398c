"""Names in a folder that is held open: renaming without replacing, changing places, further names, clones."""

import ctypes
import errno
import os
import sys
from typing import Final

#: whether a folder can be held open and its names be used from there; what changes a models folder needs it
HOLDS_FOLDERS: bool = os.open in os.supports_dir_fd

if sys.platform == "linux":
    import fcntl

    #: flags of renameat2, from linux/fs.h
    _NO_REPLACE: Final = 1
    _EXCHANGE: Final = 2
    #: share the bytes of another file on the same file system, until one of them is changed
    _FICLONE: Final = 0x40049409
    _libc: Final = ctypes.CDLL(None, use_errno=True)

    def _rename_as(old: str, new: str, folder_fd: int, flag: int) -> None:
        call = getattr(_libc, "renameat2", None)
        if call is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        if call(folder_fd, os.fsencode(old), folder_fd, os.fsencode(new), flag) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), new)

    def rename_new(old: str, new: str, folder_fd: int) -> None:
        """Rename, but never over something.

        Raises:
            FileExistsError: something has the new name.
            OSError: ENOSYS, EINVAL, EPERM: kernel, file system or sandbox do not offer it.
        """
        _rename_as(old, new, folder_fd, _NO_REPLACE)

    def exchange(old: str, new: str, folder_fd: int) -> None:
        """Let two names change places in one step.

        Raises:
            OSError: as `rename_new`.
        """
        _rename_as(old, new, folder_fd, _EXCHANGE)

    def clone(source_fd: int, target_fd: int) -> None:
        """Let one file share the bytes of another.

        Raises:
            OSError: the file system cannot, or the files lie on two of them.
        """
        fcntl.ioctl(target_fd, _FICLONE, source_fd)

else:

    def rename_new(old: str, new: str, folder_fd: int) -> None:
        """Say that this system has no such call."""
        del old, folder_fd
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), new)

    def exchange(old: str, new: str, folder_fd: int) -> None:
        """Say that this system has no such call."""
        rename_new(old, new, folder_fd)

    def clone(source_fd: int, target_fd: int) -> None:
        """Say that this system has no such call."""
        del source_fd
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP), target_fd)


def link_open(fd: int, new: str, folder_fd: int) -> None:
    """Give the very file that is open, and has a name already, another one, if nothing has that.

    Raises:
        FileExistsError: something has it.
        OSError: as `link` says; ENOENT where there is no `/proc`.
    """
    os.link(f"/proc/self/fd/{fd}", new, dst_dir_fd=folder_fd, follow_symlinks=True)
