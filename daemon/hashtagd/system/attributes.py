"""Extended attributes of open files; ENOTSUP where Python has none for the system."""

import errno
import os
import sys
from typing import Final

if sys.platform == "linux":
    #: what reading an attribute says where there is none
    ABSENT: Final = frozenset({errno.ENODATA, errno.ENOTSUP})

    def get(fd: int, key: str) -> bytes:
        """Read one.

        Raises:
            OSError: one of `ABSENT`, and as `getxattr` says.
        """
        return os.getxattr(fd, key)

    def put(fd: int, key: str, value: bytes, *, new: bool) -> None:
        """Set one that must not be there yet, or must.

        Raises:
            OSError: EEXIST, ENODATA; and as `setxattr` says.
        """
        os.setxattr(fd, key, value, os.XATTR_CREATE if new else os.XATTR_REPLACE)

    def remove(fd: int, key: str) -> None:
        """Remove one.

        Raises:
            OSError: one of `ABSENT`, and as `removexattr` says.
        """
        os.removexattr(fd, key)

else:
    ABSENT = frozenset({errno.ENOTSUP})

    def get(fd: int, key: str) -> bytes:
        """Say that there are none."""
        raise OSError(errno.ENOTSUP, f"no attributes here: {key}", fd)

    def put(fd: int, key: str, value: bytes, *, new: bool) -> None:
        """Say that there are none."""
        del value, new
        get(fd, key)

    def remove(fd: int, key: str) -> None:
        """Say that there are none."""
        get(fd, key)
