"""The only code that writes beside model files: whole files or nothing, never through a link.

A file is prepared under a temporary name (`.hashtagd-` and a random rest) in the very folder, flushed to the
disk, and then renamed; every call is relative to the folder held open, so that a folder swapped for a link
leads nowhere. What only POSIX offers stays in this module.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hashtagd.stages.calls import Calls, if_supported

#: how temporary names begin; the watcher knows it too
TEMPORARY_PREFIX: Final = ".hashtagd-"
#: begins like them and is none: the file by which machines know a root; the watcher knows it too
_ROOT_MARKER: Final = ".hashtagd-root"
_READ_CHUNK_BYTES: Final = 1024 * 1024
#: reading a link's or a device's name must neither follow nor block
_READ_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_CREATE_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """What lies at a name: enough to notice that it was replaced or edited."""

    inode: int
    size_bytes: int
    mtime_ns: int
    regular: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A regular file that was read; `data` is None where it is larger than the limit."""

    here: Here
    data: bytes | None


class Folder:
    """A folder held open by descriptor."""

    def __init__(self, fd: int, *, token: Callable[[], str], calls: Calls) -> None:
        self._fd = fd
        self._token = token
        self._calls = calls
        #: temporary names that were neither committed nor discarded
        self._open_ends: set[str] = set()

    @classmethod
    @contextmanager
    def open(cls, path: Path, *, token: Callable[[], str], calls: Calls | None = None) -> Iterator["Folder"]:
        """Open a folder by a path without links; what was prepared and not committed is dropped at the end.

        Raises:
            OSError: as `open` says; the last component is a link.
        """
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        folder = cls(fd, token=token, calls=calls or Calls())
        try:
            yield folder
        finally:
            folder.drop_open_ends()
            os.close(fd)

    def drop_open_ends(self) -> None:
        """Remove every temporary file of this object that was not committed."""
        for name in sorted(self._open_ends):
            with suppress(OSError):
                self.remove(name)

    def is_at(self, path: Path) -> bool:
        """Tell whether this folder is (still) the one that a path without links names."""
        mine = os.fstat(self._fd)
        try:
            named = os.lstat(path)
        except OSError:
            return False
        return (mine.st_dev, mine.st_ino) == (named.st_dev, named.st_ino)

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

    def free_bytes(self) -> int:
        """Tell how much a writer without privileges may still write here."""
        found = os.fstatvfs(self._fd)
        return found.f_bavail * found.f_frsize

    def try_out(self) -> None:
        """Find out, before work is spent on content, whether a file can be created here.

        Raises:
            OSError: no.
        """
        name, fd = self._create()
        os.close(fd)
        self.remove(name)

    def prepare(self, name: str, content: bytes, *, mode: int, instead_of: Here | None) -> "Prepared":
        """Write the content under a temporary name and flush it to the disk.

        Args:
            name: the final name.
            content: the whole content.
            mode: permission bits of the file.
            instead_of: what lies at the final name now; it is replaced only while it still lies there.

        Raises:
            OSError: nothing is left behind. After an I/O error the temporary file is dropped and the content
                written anew, once: a second flush of the same file may claim a success that is none.
        """
        try:
            temporary = self._written(content, mode)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            temporary = self._written(content, mode)
        return Prepared(folder=self, temporary=temporary, name=name, instead_of=instead_of)

    def rename(self, old: str, new: str) -> None:
        """Put a file of this folder under another name, whatever lies there."""
        self._calls.rename(old, new, self._fd)
        self._open_ends.discard(old)

    def remove(self, name: str) -> None:
        """Remove a name; one that is gone already is no error."""
        self._open_ends.discard(name)
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._fd)

    def flush(self) -> None:
        """Flush the folder's names to the disk, where the file system offers that."""
        if_supported(lambda: self._calls.fsync(self._fd))

    def _create(self) -> tuple[str, int]:
        name = TEMPORARY_PREFIX + self._token()
        fd = os.open(name, _CREATE_FLAGS, 0o600, dir_fd=self._fd)
        self._open_ends.add(name)
        return name, fd

    def _written(self, content: bytes, mode: int) -> str:
        name, fd = self._create()
        try:
            try:
                self._fill(fd, content, mode)
            finally:
                os.close(fd)
        except BaseException:
            with suppress(OSError):
                self.remove(name)
            raise
        return name

    def _fill(self, fd: int, content: bytes, mode: int) -> None:
        rest = memoryview(content)
        while rest:  # a write may take less than it was given
            rest = rest[self._calls.write(fd, rest) :]
        # the mode comes from the model file: under the service's umask nobody else could read a sidecar
        if_supported(lambda: self._calls.chmod(fd, mode))
        if_supported(lambda: self._calls.fsync(fd))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A whole file on the disk under a temporary name: `commit` or `discard` it."""

    folder: Folder
    temporary: str
    name: str
    instead_of: Here | None

    def commit(self) -> bool:
        """Rename it to its final name; returns False, and drops it, when something else came to lie there.

        The new name survives a power cut only after `Folder.flush`; one flush serves many names.

        Raises:
            OSError: the rename failed; the temporary file is dropped.
        """
        if self.folder.here(self.name) != self.instead_of:
            self.discard()
            return False
        try:
            self.folder.rename(self.temporary, self.name)
        except OSError:
            self.discard()
            raise
        return True

    def discard(self) -> None:
        """Drop it; a second call, or one after `commit`, does nothing."""
        with suppress(OSError):
            self.folder.remove(self.temporary)


def sidecar_mode(model_mode: int) -> int:
    """Give a sidecar the model's readers, never its execute bits, and its owner the right to write."""
    return (stat.S_IMODE(model_mode) & 0o666) | 0o600


def sweep_temporary(folder: Folder, names: frozenset[str], *, older_than_s: float) -> int:
    """Remove temporary files that a killed process left; returns how many.

    Args:
        folder: the folder.
        names: what lies in it.
        older_than_s: Unix time; younger ones may belong to a process at work.
    """
    removed = 0
    for name in sorted(names):
        is_temporary = name.startswith(TEMPORARY_PREFIX) and name != _ROOT_MARKER
        found = folder.here(name) if is_temporary else None
        if found is not None and found.mtime_ns < older_than_s * 1e9:
            with suppress(OSError):
                folder.remove(name)
                removed += 1
    return removed


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
