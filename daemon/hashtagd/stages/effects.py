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

from hashtagd.stages.calls import Calls, if_supported, supports
from hashtagd.stages.descent import open_below
from hashtagd.stages.looks import Here, ReadableFolder
from hashtagd.system.disks import keep_owner
from hashtagd.system.flags import NO_FOLLOW, PLAIN

#: how temporary names begin; the watcher knows it too
TEMPORARY_PREFIX: Final = ".hashtagd-"
#: begins like them and is none: the file by which machines know a root; the watcher knows it too
_ROOT_MARKER: Final = ".hashtagd-root"
#: neither is the unfinished download of a model whose name begins so
_PART_SUFFIX: Final = ".hashtagd-part"
_CREATE_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_FOLLOW | PLAIN


class Folder(ReadableFolder):
    """A folder held open by descriptor, to write in."""

    def __init__(self, fd: int, *, token: Callable[[], str], calls: Calls) -> None:
        super().__init__(fd)
        self._token = token
        self._calls = calls
        #: temporary names that were neither committed nor discarded
        self._open_ends: set[str] = set()

    @classmethod
    @contextmanager
    def open(
        cls, path: Path, *, token: Callable[[], str], calls: Calls | None = None, below: Path | None = None
    ) -> Iterator["Folder"]:
        """Open a folder by a path without links; what was prepared and not committed is dropped at the end.

        Args:
            path: where it is.
            token: a fresh text for each temporary name.
            calls: the calls of the system that may fail.
            below: the folder above it that is trusted: no component after that may be a link. None: only the
                last one may not.

        Raises:
            OSError: as `open` says; such a component is a link.
        """
        top = path if below is None else below
        with cls.held(open_below(top, path.relative_to(top).parts), token=token, calls=calls) as folder:
            yield folder

    @classmethod
    @contextmanager
    def held(cls, fd: int, *, token: Callable[[], str], calls: Calls | None = None) -> Iterator["Folder"]:
        """Take over the descriptor of a folder that was opened for reading, as `open` does."""
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
            mode: permission bits where nothing lies yet; what is replaced keeps its own, and its owner.
            instead_of: what lies at the final name now; it is replaced only while it still lies there.

        Raises:
            OSError: nothing is left behind. After an I/O error the temporary file is dropped and the content
                written anew, once: a second flush of the same file may claim a success that is none.
        """
        former = self._former(name, instead_of)
        try:
            temporary = self._written(content, mode, former)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            temporary = self._written(content, mode, former)
        return Prepared(folder=self, temporary=temporary, name=name, instead_of=instead_of)

    def put(self, temporary: str, name: str, *, instead_of: Here | None) -> bool:
        """Give a prepared file its final name; returns False where something else came to lie there.

        What somebody puts there at this very moment stays, where the file system offers such calls.

        Raises:
            OSError: it could not be renamed.
        """
        if self.here(name) != instead_of:
            return False
        if instead_of is not None:
            return self._put_over(temporary, name, instead_of)
        try:
            if not supports(lambda: self._calls.rename_new(temporary, name, self._fd)):
                self._calls.rename(temporary, name, self._fd)
        except FileExistsError:
            return False
        self._open_ends.discard(temporary)
        return True

    def remove_if(self, name: str, seen: Here) -> bool:
        """Remove what was seen; returns False, and leaves it, where something else lies there by now.

        Raises:
            OSError: it could not be removed.
        """
        if self.here(name) != seen:
            return False
        aside = TEMPORARY_PREFIX + self._token()
        try:
            if not supports(lambda: self._calls.rename_new(name, aside, self._fd)):
                self.remove(name)
                return True
        except FileNotFoundError:
            return False
        if seen.is_like(self.here(aside)):
            self.remove(aside)
            return True
        # somebody came between the look and the removal: theirs goes back, unless there is newer already
        with suppress(FileExistsError):
            self._calls.rename_new(aside, name, self._fd)
        self.remove(aside)
        return False

    def remove(self, name: str) -> None:
        """Remove a name; one that is gone already is no error."""
        self._open_ends.discard(name)
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._fd)

    def flush(self) -> None:
        """Flush the folder's names to the disk, where the file system offers that."""
        if_supported(lambda: self._calls.fsync(self._fd))

    def _put_over(self, temporary: str, name: str, instead_of: Here) -> bool:
        mine = self.here(temporary)
        try:
            if not supports(lambda: self._calls.exchange(temporary, name, self._fd)):
                self._calls.rename(temporary, name, self._fd)
                self._open_ends.discard(temporary)
                return True
        except FileNotFoundError:  # somebody took it away
            return False
        if instead_of.is_like(self.here(temporary)):
            self.remove(temporary)
            return True
        # somebody came between the look and this: theirs goes back, unless there is newer already
        self._calls.exchange(temporary, name, self._fd)
        if mine != self.here(temporary):
            self._calls.exchange(temporary, name, self._fd)
        return False

    def _create(self) -> tuple[str, int]:
        name = TEMPORARY_PREFIX + self._token()
        fd = os.open(name, _CREATE_FLAGS, 0o600, dir_fd=self._fd)
        self._open_ends.add(name)
        return name, fd

    def _former(self, name: str, instead_of: Here | None) -> os.stat_result | None:
        """Give the rights of the file that is to be replaced; None where there is none, or a link to one."""
        if instead_of is None or not instead_of.regular:
            return None
        with suppress(FileNotFoundError):
            found = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
            # a further name of a file somewhere else says nothing about who may read here
            return found if found.st_nlink == 1 and stat.S_ISREG(found.st_mode) else None
        return None

    def _written(self, content: bytes, mode: int, former: os.stat_result | None) -> str:
        name, fd = self._create()
        try:
            try:
                self._fill(fd, content, mode, former)
            finally:
                os.close(fd)
        except BaseException:
            with suppress(OSError):
                self.remove(name)
            raise
        return name

    def _fill(self, fd: int, content: bytes, mode: int, former: os.stat_result | None) -> None:
        rest = memoryview(content)
        while rest:  # a write may take less than it was given
            rest = rest[self._calls.write(fd, rest) :]
        # the mode comes from the model file: under the service's umask nobody else could read a sidecar
        if former is not None:
            rights = stat.S_IMODE(former.st_mode) & 0o777
            # under another owner the rights of its own would shut the former one out
            mode = rights if keep_owner(fd, former) else rights | mode
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
        try:
            done = self.folder.put(self.temporary, self.name, instead_of=self.instead_of)
        except OSError:
            self.discard()
            raise
        if not done:
            self.discard()
        return done

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
        is_temporary = (
            name.startswith(TEMPORARY_PREFIX) and name != _ROOT_MARKER and not name.endswith(_PART_SUFFIX)
        )
        found = folder.here(name) if is_temporary else None
        if found is not None and found.mtime_ns < older_than_s * 1e9:
            with suppress(OSError):
                folder.remove(name)
                removed += 1
    return removed
