"""Looking at what lies in a folder that is held open: links are never followed, and nothing changes."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from hashtagd.system.disks import free_bytes
from hashtagd.system.flags import NO_FOLLOW, NO_TERMINAL, NON_BLOCKING, PLAIN

_READ_CHUNK_BYTES: Final = 1024 * 1024
#: reading a link's or a device's name must neither follow nor block
_READ_FLAGS: Final = os.O_RDONLY | NO_FOLLOW | NON_BLOCKING | PLAIN | NO_TERMINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """What lies at a name: enough to notice that it was replaced or edited."""

    inode: int
    size_bytes: int
    mtime_ns: int
    regular: bool

    def is_like(self, other: "Here | None") -> bool:
        """Tell whether it is the same under another name: some file systems number files by their names."""
        if other is None:
            return False
        mine = (self.size_bytes, self.mtime_ns, self.regular)
        return mine == (other.size_bytes, other.mtime_ns, other.regular)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A regular file that was read; `data` is None where it is larger than the limit."""

    here: Here
    data: bytes | None


class ReadableFolder:
    """A folder held open by descriptor, to look into."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def names(self) -> frozenset[str]:
        """List everything in it that is no folder."""
        with os.scandir(self._fd) as entries:
            return frozenset(entry.name for entry in entries if not entry.is_dir(follow_symlinks=False))

    def look(self, name: str) -> os.stat_result:
        """Stat what a name leads to, links followed.

        Raises:
            OSError: as `stat` says.
        """
        return os.stat(name, dir_fd=self._fd)

    def here(self, name: str) -> Here | None:
        """Tell what lies at a name itself, links not followed; None: nothing."""
        try:
            found = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return _here(found)

    def read(self, name: str, limit_bytes: int) -> Content | Here | None:
        """Read a regular file whole; a `Here` alone stands for what is no regular file, None for nothing.

        Raises:
            OSError: it is there and cannot be read.
        """
        found = self.here(name)
        if found is None or not found.regular:
            return found
        try:
            fd = os.open(name, _READ_FLAGS, dir_fd=self._fd)
        except FileNotFoundError:
            return None
        try:
            opened = _here(os.fstat(fd))
            data = _read_whole(fd, limit_bytes) if opened.regular else None
            return Content(here=opened, data=data) if opened.regular else opened
        finally:
            os.close(fd)

    @contextmanager
    def opened(self, name: str) -> Iterator[int]:
        """Open a file for reading, links not followed; yields a descriptor.

        Raises:
            OSError: as `open` says.
        """
        fd = os.open(name, _READ_FLAGS, dir_fd=self._fd)
        try:
            yield fd
        finally:
            os.close(fd)

    def holds(self, path: str) -> bool:
        """Tell whether an absolute path, however it is spelled, leads to something in this folder."""
        mine = os.fstat(self._fd)
        try:
            found = os.stat(os.path.dirname(path))  # noqa: PTH116, PTH120 - a text of somebody's, perhaps no path
            return os.path.lexists(path) and (mine.st_dev, mine.st_ino) == (found.st_dev, found.st_ino)
        except (OSError, ValueError):
            return False

    def free_bytes(self) -> int:
        """Tell how much a writer without privileges may still write here."""
        return free_bytes(self._fd)


def _here(found: os.stat_result) -> Here:
    return Here(
        inode=found.st_ino,
        size_bytes=found.st_size,
        mtime_ns=found.st_mtime_ns,
        regular=stat.S_ISREG(found.st_mode),
    )


def _read_whole(fd: int, limit_bytes: int) -> bytes | None:
    parts: list[bytes] = []
    left = limit_bytes + 1
    while left > 0:
        part = os.read(fd, min(left, _READ_CHUNK_BYTES))
        if not part:
            return b"".join(parts)
        parts.append(part)
        left -= len(part)
    return None
