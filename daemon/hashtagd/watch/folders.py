"""Walk the folders of a root by descriptors: list, stat, never open a file, never run in circles.

Real folders are walked where they lie. A linked folder is walked once, under the first link in the order of
names, and never below itself.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from operator import itemgetter
from types import TracebackType
from typing import Self

from hashtagd.core.place import Stamp
from hashtagd.system.flags import FOLDER, NO_FOLLOW, NON_BLOCKING
from hashtagd.watch.filters import PART_SUFFIX, UNFINISHED_PREFIX, Kind, Names
from hashtagd.watch.reach import Reach
from hashtagd.watch.roots import MARKER_NAME, RootFolder

#: name, size, mtime_ns, inode
Row = tuple[str, int, int, int]

_LIST = os.O_RDONLY | FOLDER | NON_BLOCKING
_BY_NAME = itemgetter(0)
#: the kind of file stands in the upper bits of `st_mode`; shifted it is a small number, which costs no memory
_TYPE_SHIFT = 12
#: what following a link ends with when nothing can be at its end
_NOWHERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
#: vanished, or became something else, between being listed and being looked at
_GONE = (FileNotFoundError, NotADirectoryError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """The model files directly in one folder. Its descriptor is open only until the walk goes on."""

    relpath: str
    rows: list[Row]
    fd: int
    #: names like a model's that are there and could not be looked at: neither known nor missing
    unlooked: Mapping[str, OSError] = field(default_factory=dict)

    def look(self, name: str) -> os.stat_result | None:
        """Stat one file again, with its ctime; None when it is gone."""
        with suppress(OSError):
            return os.stat(name, dir_fd=self.fd)
        return None

    def without_inodes(self) -> "Folder":
        """Forget the inode numbers, for file systems where they mean nothing."""
        return replace(self, rows=[(name, size, mtime_ns, 0) for name, size, mtime_ns, _ in self.rows])


@dataclass(frozen=True, slots=True)
class _Step:
    """A folder still to be entered."""

    relpath: str
    #: the last component is a symbolic link
    is_link: bool = False
    #: some component is
    under_link: bool = False


class Walk:
    """One walk below a root.

    Args:
        root: its rules and path.
        below: start in this folder instead of the root; no component of it may be a link.
        unreadable: told of each folder that could not be listed, and why.
        with_files: False lists folders only, without a `stat` per file.

    Raises:
        OSError: the root itself cannot be opened.
    """

    def __init__(
        self,
        root: RootFolder,
        below: str,
        unreadable: Callable[[str, OSError], None],
        *,
        with_files: bool = True,
    ) -> None:
        self._root = root
        self._names: Names = root.names
        self._unreadable = unreadable
        self._endings = root.names.endings if with_files else ()
        self._steps = [_Step(below)] if root.names.enters(below) else []
        #: (device, inode) of folders entered through links
        self._entered: set[tuple[int, int]] = set()
        #: folders that are links, and what they lead to
        self.links: dict[str, str] = {}
        #: folders that hold files which never got their final names: of a process at work, or of a killed one
        self.unfinished: set[str] = set()
        self.skipped = 0
        self.unspeakable = 0
        self._reach = Reach(root.path)
        self._root_fd = os.open(root.path, _LIST)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._root_fd)

    def __iter__(self) -> Iterator[Folder]:
        """Enter folder after folder, parents first, siblings by name."""
        while self._steps:
            step = self._steps.pop()
            with suppress(*_GONE):
                yield from self._enter(step)

    def revisit(self, relpath: str) -> Iterator[Folder]:
        """List one folder of this walk again, without those below it."""
        self._steps = [_Step(relpath, is_link=relpath in self.links)]
        self._entered.clear()
        with suppress(*_GONE):
            yield from self._enter(self._steps.pop())
        self._steps = []

    def is_current(self) -> bool:
        """Tell whether the root's path still leads to the folder that was opened."""
        try:
            now = self._root.path.stat()
        except OSError:
            return False
        return os.path.samestat(now, os.fstat(self._root_fd))

    def is_bare(self) -> bool:
        """Tell whether the root holds nothing at all, not even a hidden name."""
        os.lseek(self._root_fd, 0, os.SEEK_SET)
        return not os.listdir(self._root_fd)  # noqa: PTH208 - a descriptor is no path

    def _enter(self, step: _Step) -> Iterator[Folder]:
        try:
            fd = self._open(step)
        except _GONE:
            raise
        except OSError as error:
            self._unreadable(step.relpath, error)
            return
        try:
            if step.under_link and not self._is_first_visit(step, fd):
                self.skipped += 1
                return
            if step.is_link:
                self.links[step.relpath] = os.path.realpath(self._root.path / step.relpath)
            try:
                folder = self._list(fd, step)
            except OSError as error:
                self._unreadable(step.relpath, error)
                return
            yield folder
        finally:
            os.close(fd)

    def _open(self, step: _Step) -> int:
        if not step.relpath:
            return os.dup(self._root_fd)
        flags = _LIST if step.is_link else _LIST | NO_FOLLOW
        return os.open(step.relpath, flags, dir_fd=self._root_fd)

    def _is_first_visit(self, step: _Step, fd: int) -> bool:
        key = _key(os.fstat(fd))
        if key in self._entered or key in self._ancestors(step.relpath):
            return False
        self._entered.add(key)
        return True

    def _ancestors(self, relpath: str) -> Iterator[tuple[int, int]]:
        yield _key(os.fstat(self._root_fd))
        parts = relpath.split("/")
        for depth in range(1, len(parts)):
            yield _key(os.stat("/".join(parts[:depth]), dir_fd=self._root_fd))

    def _list(self, fd: int, step: _Step) -> Folder:
        """List one folder: this is the inner loop, a million files pass through it."""
        rows: list[Row] = []
        unlooked: dict[str, OSError] = {}
        children: list[_Step] = []
        endings, regular = self._endings, stat.S_IFREG >> _TYPE_SHIFT
        # without globs, an ordinary name with our ending is ours: most names need no second thought
        all_plain = not self._names.exclude
        os.lseek(fd, 0, os.SEEK_SET)
        with os.scandir(fd) as entries:
            for entry in entries:
                name = entry.name
                if (name.endswith(endings) or name.lower().endswith(endings)) and (
                    (all_plain and name.isascii() and name[0] not in ".~")
                    or self._is_ours(name, step.relpath)
                ):
                    try:
                        found = entry.stat(follow_symlinks=False)
                        if found.st_mode >> _TYPE_SHIFT == regular:
                            rows.append((name, found.st_size, found.st_mtime_ns, found.st_ino))
                            continue
                        row = self._unusual(entry, found, step)
                    except _GONE:
                        continue
                    except OSError as error:
                        # a traceback would hold this frame, and all that is listed in it
                        unlooked[name] = error.with_traceback(None)
                        continue
                    if row is not None:
                        rows.append(row)
                        continue
                child = self._child(entry, step)
                if child is not None:
                    children.append(child)
        children.sort(key=lambda child: child.relpath, reverse=True)
        self._steps += children
        rows.sort(key=_BY_NAME)
        return Folder(relpath=step.relpath, rows=rows, fd=fd, unlooked=unlooked)

    def _is_ours(self, name: str, folder: str) -> bool:
        kind = self._names.kind_of_name(name, f"{folder}/{name}" if folder else name)
        self.unspeakable += kind is Kind.UNSPEAKABLE
        return kind is Kind.OURS

    def _unusual(self, entry: os.DirEntry[str], found: os.stat_result, step: _Step) -> Row | None:
        # a link to a file is a place of its own; folders, FIFOs, sockets, devices are no files by any name
        if stat.S_ISLNK(found.st_mode) and self._root.follow_symlinks:
            target = self._target_of(entry, _below(step, entry.name))
            if target is not None and stat.S_ISREG(target.st_mode):
                return (entry.name, target.st_size, target.st_mtime_ns, target.st_ino)
        self.skipped += 1
        return None

    def _child(self, entry: os.DirEntry[str], step: _Step) -> _Step | None:
        is_link = False
        relpath = _below(step, entry.name)
        try:
            if not entry.is_dir(follow_symlinks=False):
                if _is_unfinished(entry.name):
                    self.unfinished.add(step.relpath)
                if not (self._root.follow_symlinks and entry.is_symlink()):
                    return None
                target = self._target_of(entry, relpath)
                if target is None or not stat.S_ISDIR(target.st_mode):
                    return None
                is_link = True
            elif not self._reach.enters(relpath, under_link=step.under_link):
                raise _silent()
        except OSError as error:
            if self._names.enters_child(relpath):
                self._unreadable(relpath, error)
            return None
        if not self._names.enters_child(relpath):
            return None
        return _Step(relpath, is_link, step.under_link or is_link)

    def _target_of(self, entry: os.DirEntry[str], relpath: str) -> os.stat_result | None:
        """Stat what a link leads to; None when it leads nowhere. Raises where something may be at its end."""
        if not self._reach.answers(relpath):
            raise _silent()
        try:
            return entry.stat()
        except OSError as error:
            if error.errno in _NOWHERE:
                return None
            raise


def _silent() -> OSError:
    return OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))


def _below(step: _Step, name: str) -> str:
    return f"{step.relpath}/{name}" if step.relpath else name


def _is_unfinished(name: str) -> bool:
    return name.endswith(PART_SUFFIX) or (name.startswith(UNFINISHED_PREFIX) and name != MARKER_NAME)


def stamp_of(row: Row) -> Stamp:
    """Make the stamp of a row."""
    return Stamp(size_bytes=row[1], mtime_ns=row[2], inode=row[3])


def _key(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
