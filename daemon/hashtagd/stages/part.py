"""The unfinished file beside its final name: `.NAME.hashtagd-part`, whole or not at all under that name.

Every call is relative to the folder held open; no link is followed, nothing that lies at the final name is
ever replaced, and no byte is written into a file that has another name as well. What was written stays when
the process dies, so that the next one goes on there.
"""

import errno
import os
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from hashtagd.core.place import Place
from hashtagd.stages.calls import Calls, if_supported, rename_if_absent, supports
from hashtagd.stages.descent import closing_fd, open_below
from hashtagd.stages.paths import LeavesRootError, folder_at
from hashtagd.system.disks import free_bytes
from hashtagd.system.flags import NO_FOLLOW, NO_TERMINAL, NON_BLOCKING, PLAIN

__all__ = [
    "PART_SUFFIX",
    "BusyError",
    "LeavesRootError",
    "Part",
    "PartTakenError",
    "part_name",
    "sweep_parts",
]

#: how the names of unfinished files end; the watcher takes them for hidden files
PART_SUFFIX: Final = ".hashtagd-part"
_LONGEST_NAME_BYTES: Final = 255
_OPEN: Final = os.O_RDWR | os.O_CREAT | NO_FOLLOW | PLAIN | NON_BLOCKING | NO_TERMINAL
#: what file systems without hard links say, and where there is no /proc
_NO_LINKS: Final = frozenset(
    {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL, errno.ENOENT}
)
_NO_LOCKS: Final = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENOLCK})
#: how often a name may change hands while it is opened
_TRIES: Final = 3


class BusyError(Exception):
    """Another process writes this very file."""


class PartTakenError(Exception):
    """Something that is no file lies at the name of the unfinished file."""


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
        """Open or make it; missing folders below the root are made. One in which nothing is at the end goes.

        Args:
            path: absolute, of the final file.
            place: the same, within its root.
            calls: of the system.

        Raises:
            LeavesRootError: a link leads out of the root.
            PartTakenError: something else lies there.
            BusyError: another process writes it.
            OSError: as the calls say.
        """
        names = (part_name(place.name), place.name)
        with folder_at(path, place) as folder_fd:
            fd = _opened(folder_fd, names[0], calls)
            try:
                part = cls(folder_fd, fd, names, calls)
                try:
                    yield part
                finally:
                    part.drop_if_empty()
            finally:
                os.close(fd)

    def append(self, block: memoryview) -> None:
        """Write at the end."""
        rest = block
        while rest:
            count = self._calls.write_at(self.fd, rest, self.length_bytes)
            self.length_bytes += count
            rest = rest[count:]

    def cut_to(self, length_bytes: int) -> None:
        """Throw away what is there beyond a length."""
        os.ftruncate(self.fd, length_bytes)
        self.length_bytes = length_bytes

    def free_bytes(self) -> int:
        """Tell how much a writer without privileges may still write here."""
        return free_bytes(self._folder_fd)

    def flush(self) -> None:
        """Wait until what was written is on the disk.

        Raises:
            OSError: some of it is not. The file is dropped: a second flush might say that all is well.
        """
        try:
            if_supported(lambda: self._calls.fsync(self.fd))
        except OSError:
            self.drop()
            raise

    def finish(self) -> os.stat_result | None:
        """Flush it and give it its final name; None, and nothing is changed, where something lies there.

        Raises:
            OSError: the disk refused.
        """
        folder = os.fstat(self._folder_fd)
        # who may read the folder may read what is in it: under the service's umask nobody else could
        if_supported(lambda: self._calls.chmod(self.fd, (stat.S_IMODE(folder.st_mode) & 0o666) | 0o600))
        self.flush()
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
        if os.fstat(self.fd).st_size == 0 and is_at(self.fd, self._folder_fd, self._part):
            with suppress(OSError):
                self.drop()

    def _take_name(self) -> bool:
        try:
            # the very file that was verified, whatever lies at its name by now
            self._calls.link(self.fd, self._name, self._folder_fd)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return self._rename()
        self.drop()
        return True

    def _rename(self) -> bool:
        """Rename it, on file systems that know no second name of a file."""
        if not is_at(self.fd, self._folder_fd, self._part):
            raise OSError(errno.ESTALE, "the unfinished file was replaced")
        try:
            names = (self._part, self._name, self._folder_fd)
            if not supports(lambda: self._calls.rename_new(*names)):
                rename_if_absent(*names)
        except FileExistsError:
            return False
        return True


def part_name(name: str) -> str:
    """Name the unfinished file of a model; a name that is too long is cut and told apart by its hash."""
    plain = f".{name}{PART_SUFFIX}"
    if len(os.fsencode(plain)) <= _LONGEST_NAME_BYTES:
        return plain
    mark = sha256(os.fsencode(name)).hexdigest()[:16]
    room = _LONGEST_NAME_BYTES - len(f"..{mark}{PART_SUFFIX}")
    return f".{os.fsencode(name)[:room].decode(errors='ignore')}.{mark}{PART_SUFFIX}"


def drop_left_over(path: Path, place: Place) -> None:
    """Remove the unfinished file of one that is there whole, unless somebody writes it."""
    with suppress(OSError, LeavesRootError), folder_at(path, place) as folder_fd:
        _remove_idle(folder_fd, part_name(place.name))


def sweep_parts(folder: Path, top: Path, *, kept: Callable[[], Collection[str]], older_than_s: float) -> int:
    """Remove unfinished files that nobody goes on with; returns how many.

    Args:
        folder: where; a path without links.
        top: the folder above it that is trusted.
        kept: gives the names of those that are waited for; asked only where there is something to remove.
        older_than_s: Unix time; what was written to since then stays.
    """
    with suppress(OSError), closing_fd(open_below(top, folder.relative_to(top).parts)) as folder_fd:
        with os.scandir(folder_fd) as entries:
            names = [entry.name for entry in entries if _is_part(entry.name)]
        old = [name for name in sorted(names) if _is_old(folder_fd, name, older_than_s)]
        left = set(old) - set(kept()) if old else set()
        return sum(_remove_idle(folder_fd, name) for name in sorted(left))
    return 0


def _is_part(name: str) -> bool:
    return name.startswith(".") and name.endswith(PART_SUFFIX)


def _is_old(folder_fd: int, name: str, older_than_s: float) -> bool:
    with suppress(FileNotFoundError):
        found = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
        return stat.S_ISREG(found.st_mode) and found.st_mtime < older_than_s
    return False


def _remove_idle(folder_fd: int, name: str) -> bool:
    """Remove an unfinished file, unless somebody writes it; returns whether it went."""
    with suppress(OSError, PartTakenError, BusyError):
        os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
        # held until it has gone: whoever opened it meanwhile finds that it is no longer at its name
        with closing_fd(_opened(folder_fd, name, Calls())):
            os.unlink(name, dir_fd=folder_fd)
            return True
    return False


def is_at(fd: int, folder_fd: int, name: str) -> bool:
    """Tell whether an open file is (still) the one that a name in a folder means."""
    mine = os.fstat(fd)
    try:
        named = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    same = (mine.st_dev, mine.st_ino) == (named.st_dev, named.st_ino)
    # on some network shares every look gives another number
    return same or _when(mine) == _when(named)


def _when(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _opened(folder_fd: int, name: str, calls: Calls) -> int:
    """Open the unfinished file, or make it, and keep other processes away for as long as it is open."""
    for _ in range(_TRIES):
        fd = _open(folder_fd, name)
        try:
            _lock(fd, calls)
            # who held it before may have given it its final name: then it is a model, and no part of one
            if is_at(fd, folder_fd, name):
                if os.fstat(fd).st_nlink <= 1:
                    return fd
                # it is somebody's file under another name, which is not written to
                os.unlink(name, dir_fd=folder_fd)
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
    raise BusyError


def _open(folder_fd: int, name: str) -> int:
    try:
        fd = os.open(name, _OPEN, 0o600, dir_fd=folder_fd)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise PartTakenError from None
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise PartTakenError
    return fd


def _lock(fd: int, calls: Calls) -> None:
    try:
        calls.lock(fd)
    except BlockingIOError:
        raise BusyError from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
