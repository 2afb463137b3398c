"""What shows that nobody wrote to a file."""

import os
from pathlib import Path


def untouched(path: Path) -> tuple[int, ...]:
    """Give all that the system keeps of a name but when it was last read, which looking at it changes."""
    found = os.lstat(path)
    owner = (found.st_mode, found.st_uid, found.st_gid)
    return (found.st_ino, found.st_nlink, *owner, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
