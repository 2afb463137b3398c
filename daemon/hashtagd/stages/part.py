"""The unfinished file beside its final name: `.NAME.hashtagd-part`, whole or not at all under that name.

Every call is relative to the folder held open; no link is followed, nothing that lies at the final name is
ever replaced. What was written stays when the process dies, so that the next one goes on there.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from hashtagd.core.place import Place
from hashtagd.stages.calls import Calls, if_supported

#: how the names of unfinished files end; the watcher takes them for hidden files
PART_SUFFIX: Final = ".hashtagd-part"
_LONGEST_NAME_BYTES: Final = 255
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
#: what file systems without hard links say
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})


class LeavesRootError(Exception):
    """A link on the way to the place leads out of the root."""


class BusyError(Exception):
    """Another process writes this very file."""


class Part:
    """An unfinished file held open. Use `open`."""

    def __init__(self, folder_fd: int, fd: int, names: tuple[str, str], calls: Calls) -> None:
        self._folder_fd = folder_fd
        self.fd = fd
        self._part, self._name = names
        self._calls = calls
        self.length_bytes = os.fstat(fd).st_size

    @classmethod
    @contextmanager
    def open(cls, path: Path, place: Place, calls: Calls) -> Iterator[Self]:
        """Open or make it; missing folders below the root are made.

        Args:
            path: absolute, of the final file.
            place: the same, within its root.
            calls: of the system.

        Raises:
            LeavesRootError: a link leads out of the root.
            BusyError: another process writes it.
            OSError: as the calls say.
        """
        folder_fd = _folder(path, place)
        try:
            part = part_name(place.name)
            fd = os.open(part, _OPEN, 0o600, dir_fd=folder_fd)
            try:
                _hold(fd)
                held = cls(folder_fd, fd, (part, place.name), calls)
                try:
                    yield held
                finally:
                    held.drop_if_empty()
            finally:
                os.close(fd)
        finally:
            os.close(folder_fd)

    def append(self, block: memoryview) -> None:
        """Write at the end."""
        rest = block
        os.lseek(self.fd, self.length_bytes, os.SEEK_SET)
        while rest:
            count = self._calls.write(self.fd, rest)
            self.length_bytes += count
            rest = rest[count:]

    def begin_anew(self) -> None:
        """Throw away what is there."""
        os.ftruncate(self.fd, 0)
        self.length_bytes = 0

    def free_bytes(self) -> int:
        """Tell how much a writer without privileges may still write here."""
        found = os.fstatvfs(self._folder_fd)
        return found.f_bavail * found.f_frsize

    def finish(self) -> os.stat_result | None:
        """Flush it and give it its final name; None, and nothing is changed, where something lies there.

        Raises:
            OSError: the disk refused; the unfinished file stays.
        """
        folder = os.fstat(self._folder_fd)
        # who may read the folder may read what is in it: under the service's umask nobody else could
        if_supported(lambda: self._calls.chmod(self.fd, (stat.S_IMODE(folder.st_mode) & 0o666) | 0o600))
        if_supported(lambda: self._calls.fsync(self.fd))
        if not self._take_name():
            return None
        if_supported(lambda: self._calls.fsync(self._folder_fd))
        return os.fstat(self.fd)

    def drop(self) -> None:
        """Remove it."""
        with suppress(FileNotFoundError):
            os.unlink(self._part, dir_fd=self._folder_fd)

    def drop_if_empty(self) -> None:
        """Remove it where nothing came, and it has not got its final name."""
        if self.length_bytes == 0 and os.fstat(self.fd).st_nlink:
            with suppress(OSError):
                self.drop()

    def _take_name(self) -> bool:
        here, there = self._folder_fd, self._folder_fd
        try:
            os.link(self._part, self._name, src_dir_fd=here, dst_dir_fd=there, follow_symlinks=False)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return self._rename()
        self.drop()
        return True

    def _rename(self) -> bool:
        try:
            os.stat(self._name, dir_fd=self._folder_fd, follow_symlinks=False)
        except FileNotFoundError:
            self._calls.rename(self._part, self._name, self._folder_fd)
            return True
        return False


def part_name(name: str) -> str:
    """Name the unfinished file of a model; a name that is too long is cut and told apart by its hash."""
    plain = f".{name}{PART_SUFFIX}"
    if len(plain.encode()) <= _LONGEST_NAME_BYTES:
        return plain
    mark = sha256(name.encode()).hexdigest()[:16]
    room = _LONGEST_NAME_BYTES - len(f"..{mark}{PART_SUFFIX}")
    return f".{name.encode()[:room].decode(errors='ignore')}.{mark}{PART_SUFFIX}"


def _folder(path: Path, place: Place) -> int:
    """Open the folder of a place below its root, made where it is missing; gives a descriptor."""
    depth = place.relpath.count("/")
    root = Path(os.path.realpath(path.parents[depth]))
    real = Path(os.path.realpath(path.parent))
    if not real.is_relative_to(root):
        raise LeavesRootError
    fd = os.open(root, _FOLDER)
    try:
        for name in real.relative_to(root).parts:
            fd = _step(fd, name)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _step(fd: int, name: str) -> int:
    """Go one folder down; the descriptor that led here is closed."""
    with suppress(FileExistsError):
        # as its neighbours are, for those who may look into them
        os.mkdir(name, stat.S_IMODE(os.fstat(fd).st_mode) | 0o700, dir_fd=fd)
    below = os.open(name, _FOLDER, dir_fd=fd)
    os.close(fd)
    return below


def _hold(fd: int) -> None:
    """Keep other processes away for as long as it is open; what is no regular file is nobody's part."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise OSError(errno.EEXIST, "what lies at the name of the unfinished file is no file")
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BusyError from None
    except OSError as error:
        if error.errno not in _NO_LINKS | {errno.ENOLCK}:
            raise
