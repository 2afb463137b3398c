"""Opening, making and removing folders below a trusted one, step by step: no link on the way is followed.

A path is looked at again in every call, and whoever may write in one of its folders can let it lead elsewhere
in between; a folder that is held open cannot be swapped.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from hashtagd.system.disks import set_mode
from hashtagd.system.flags import FOLDER, NO_FOLLOW, PLAIN, THROUGH

_FLAGS: Final = FOLDER | NO_FOLLOW | PLAIN


def open_below(top: Path, parts: Sequence[str]) -> int:
    """Open the folder that lies these names below another one; returns a descriptor.

    Args:
        top: a path without links.
        parts: names of folders; none: `top` itself.

    Raises:
        OSError: as `open` says; ELOOP: one of them is a link.
    """
    if not parts:
        return _step(top, None, os.O_RDONLY)
    with _through(top, parts[:-1]) as parent:
        return _step(parts[-1], parent, os.O_RDONLY)


@contextmanager
def closing_fd(fd: int) -> Iterator[int]:
    """Close a descriptor after a block."""
    try:
        yield fd
    finally:
        os.close(fd)


def make_below(top: Path, parts: Sequence[str], *, mode: int, made: Callable[[int], None]) -> int:
    """Open such a folder, and make what is missing, `top` included; what that lies in has to be there.

    Args:
        top: a path without links.
        parts: as `open_below`.
        mode: permission bits of the folders that are made, whatever the umask.
        made: told a descriptor of each folder in which one was made.

    Raises:
        OSError: as `open_below`.
    """
    names = (top.name, *parts)
    fd = _step(top.parent, None, THROUGH)
    for name in names:
        try:
            inner = _step_into(name, fd, mode, made)
        finally:
            os.close(fd)
        fd = inner
    try:
        return _step(".", fd, os.O_RDONLY)
    finally:
        os.close(fd)


def remove_empty_below(top: Path, parts: Sequence[str]) -> int:
    """Remove the folders on that way that hold nothing any more, the innermost first; never `top`.

    One that still holds something, or cannot be removed, stays, and so do those around it. Returns how many
    are gone.
    """
    for depth in range(len(parts), 0, -1):
        try:
            with _through(top, parts[: depth - 1]) as parent:
                os.rmdir(parts[depth - 1], dir_fd=parent)
        except OSError:
            return len(parts) - depth
    return len(parts)


@contextmanager
def _through(top: Path, parts: Sequence[str]) -> Iterator[int]:
    fd = _step(top, None, THROUGH)
    try:
        for part in parts:
            inner = _step(part, fd, THROUGH)
            os.close(fd)
            fd = inner
        yield fd
    finally:
        os.close(fd)


def _step(name: str | Path, folder_fd: int | None, access: int) -> int:
    try:
        return os.open(name, _FLAGS | access, dir_fd=folder_fd)
    except NotADirectoryError:
        if stat.S_ISLNK(os.stat(name, dir_fd=folder_fd, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, "a link leads away") from None
        raise


def _step_into(name: str, folder_fd: int, mode: int, made: Callable[[int], None]) -> int:
    with suppress(FileNotFoundError):
        return _step(name, folder_fd, THROUGH)
    try:
        os.mkdir(name, dir_fd=folder_fd)
    except FileExistsError:  # somebody was faster
        return _step(name, folder_fd, THROUGH)
    # under the service's umask nobody else could look into it
    _with(_step(name, folder_fd, os.O_RDONLY), lambda fd: set_mode(fd, mode))
    _with(_step(".", folder_fd, os.O_RDONLY), made)
    return _step(name, folder_fd, THROUGH)


def _with(fd: int, change: Callable[[int], None]) -> None:
    try:
        change(fd)
    finally:
        os.close(fd)
