"""Give a file its final name only if nothing has that name: in one step, so that nobody can come between."""

import errno
import os
from collections.abc import Callable
from typing import Final

from hashtagd.system.names import rename_new

#: what a file system, or an old kernel, answers that does not know the flag; a sandbox says EPERM
_UNSUPPORTED: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM})


def rename_no_replace(
    old: str, new: str, folder_fd: int, rename: Callable[[str, str, int], None] = rename_new
) -> None:
    """Rename within an open folder.

    Where the file system cannot rename so (NFS), the file gets its second name and then loses the first.

    Raises:
        FileExistsError: something has the new name; it stays as it was.
        OSError: as `rename` says, or the file system offers neither way.
    """
    try:
        rename(old, new, folder_fd)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        os.link(old, new, src_dir_fd=folder_fd, dst_dir_fd=folder_fd, follow_symlinks=False)
        os.unlink(old, dir_fd=folder_fd)
