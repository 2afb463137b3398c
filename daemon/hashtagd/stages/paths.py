"""The way to a place that may not be there yet: folder by folder, from the root, no link followed."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hashtagd.core.place import Place
from hashtagd.system.disks import set_mode
from hashtagd.system.flags import FOLDER, NO_FOLLOW, PLAIN

_FOLDER: Final = os.O_RDONLY | FOLDER | NO_FOLLOW | PLAIN


class LeavesRootError(Exception):
    """A link on the way to the place leads out of the root."""


@contextmanager
def folder_at(path: Path, place: Place) -> Iterator[int]:
    """Hold the folder of a file open, made where it is missing; gives a descriptor.

    Links within the root are followed as they were a moment ago; one that is put in the way meanwhile is not.

    Args:
        path: absolute, of the file.
        place: the same, within its root, which is never made.

    Raises:
        LeavesRootError: a link leads out of the root.
        OSError: as the calls say.
    """
    depth = place.relpath.count("/")
    root = Path(os.path.realpath(path.parents[depth]))
    real = Path(os.path.realpath(path.parent))
    if not real.is_relative_to(root):
        raise LeavesRootError
    fd = os.open(root, _FOLDER)
    try:
        for name in real.relative_to(root).parts:
            below = _step(fd, name)
            os.close(fd)
            fd = below
        yield fd
    finally:
        os.close(fd)


def _step(fd: int, name: str) -> int:
    """Open the folder of this name, made where it is missing."""
    try:
        os.mkdir(name, 0o700, dir_fd=fd)
    except FileExistsError:
        return os.open(name, _FOLDER, dir_fd=fd)
    below = os.open(name, _FOLDER, dir_fd=fd)
    try:
        # as the folder around it is, for those who may look into that; the umask would close it to others
        set_mode(below, stat.S_IMODE(os.fstat(fd).st_mode) | 0o700)
    except OSError:  # some file systems know no modes
        return below
    return below
