"""Walk a root, given what is known of it, and report only the differences.

One digest per folder says whether anything of ours changed there; known rows are read only where it differs.
No file is ever opened, memory does not grow with the number of files, an emptied root is not believed.
"""

import errno
import marshal
import os
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Protocol

from hashtagd.core.place import Place, Sighting, Stamp
from hashtagd.core.ports import Clock, Pause, Stopping
from hashtagd.core.troubles import Trouble
from hashtagd.watch.folders import Folder, Row, Walk
from hashtagd.watch.roots import RootFolder
from hashtagd.watch.troubles import emptied, trouble_of, unreadable_file, unreadable_folder

#: from so many known files on, finding none at all is taken for a disk that is away, not for a big clean-up
EMPTIED_FROM_FILES = 10
#: from so many files on, new inode numbers all over are taken for the file system's habit
UNTRUSTED_FROM_FILES = 10
#: how many unreadable folders a report names
TROUBLES_TOLD = 20
#: version 2 writes equal bytes for equal values on every Python
_MARSHAL_VERSION = 2


class KnownFiles(Protocol):
    """What the catalog remembers of a root."""

    def folder_digests(self, root: str) -> dict[str, bytes]:
        """Give the digest kept for each folder ("" is the root itself).

        Folders that hold living files but have no digest yet (an event told of them) are there with `b""`:
        else nobody would miss their files.
        """
        ...

    def files_in(self, root: str, folder: str) -> dict[str, Stamp]:
        """Give name and stamp of the living files directly in one folder."""
        ...

    def count_files(self, root: str) -> int:
        """Count the living files of the root."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderDifference:
    """One folder that is not as it was: note the sightings first, keep the digest after."""

    folder: str
    #: None: nothing of ours is in the folder any more
    digest: bytes | None
    #: may be empty: the rows were right, only the digest was not
    sightings: tuple[Sighting, ...]


@dataclass(slots=True, kw_only=True)
class ScanReport:
    """What a scan met; complete once the generator has ended."""

    #: model files seen
    files: int = 0
    folders: int = 0
    #: names that cannot be told to others (not UTF-8)
    unspeakable: int = 0
    #: what has a model's name and is no file: folders, FIFOs, sockets, devices, dangling or unfollowed links
    skipped: int = 0
    #: folders with files of ours that have no final names
    unfinished: frozenset[str] = frozenset()
    #: one for the root, or one for each folder that could not be read (the first few)
    troubles: list[Trouble] = field(default_factory=list)
    #: True: every inode number moved while sizes and times stayed; scan again with `trust_inodes=False`
    inodes_moved: bool = False


def scan(
    root: RootFolder,
    known: KnownFiles,
    clock: Clock,
    pause: Pause,
    *,
    below: str = "",
    trust_inodes: bool = True,
    believe_empty: bool = False,
) -> Generator[FolderDifference, None, ScanReport]:
    """Yield a difference for each folder that changed, then return the report.

    Args:
        root: what to walk.
        known: what is believed of it.
        clock: when things are seen.
        pause: asked before each folder.
        below: walk only this folder of the root (an event spoke of it); it may be gone.
        trust_inodes: False where inode numbers change with each mount; stamps then hold inode 0.
        believe_empty: True when the owner says that an emptied root is what he wanted.

    Raises:
        Stopping: the process was asked to stop; what was yielded stands.

    Repeats: after the differences are noted and their digests kept, a second scan yields nothing.
    """
    view = _View(below=below, trust_inodes=trust_inodes, believe_empty=believe_empty)
    return (yield from _Scan(root, known, clock, pause, view=view).run())


class _Scan:
    """One walk in progress."""

    def __init__(
        self, root: RootFolder, known: KnownFiles, clock: Clock, pause: Pause, *, view: "_View"
    ) -> None:
        self._root = root
        self._known = known
        self._clock = clock
        self._pause = pause
        self._view = view
        self._report = ScanReport()
        #: digests of folders not met yet; what is left in the end has vanished
        self._unmet: dict[str, bytes] = {}
        self._unreadable: list[str] = []
        #: True once any file kept its inode number: numbers on this file system mean something
        self._inodes_hold = not view.trust_inodes or view.below != ""
        #: folders where inode numbers moved, until it is clear what that means
        self._suspects: list[str] = []
        self._moved_files = 0

    def run(self) -> Generator[FolderDifference, None, ScanReport]:
        digests = self._known.folder_digests(self._root.name)
        self._unmet = {folder: digests[folder] for folder in digests if is_below(folder, self._view.below)}
        try:
            walk = Walk(self._root, self._view.below, self._note_unreadable)
        except OSError as error:
            self._report.troubles.append(trouble_of(self._root.name, error))
            return self._report
        with walk:
            for folder in walk:
                yield from self._meet(folder)
            yield from self._judge_suspects(walk)
            doubt = self._doubt(walk)
        self._report.unspeakable = walk.unspeakable
        self._report.skipped = walk.skipped
        self._report.unfinished = frozenset(walk.unfinished)
        if doubt is not None:
            self._report.troubles.insert(0, doubt)
        else:
            yield from self._vanished()
        return self._report

    def _meet(self, folder: Folder) -> Generator[FolderDifference, None, None]:
        if self._pause.stopping:
            raise Stopping
        self._report.folders += 1
        self._report.files += len(folder.rows)
        if not folder.rows and not folder.unlooked:
            return
        self._note_unlooked(folder)
        if not self._view.trust_inodes:
            folder = folder.without_inodes()
        # what could not be looked at is part of the digest: else nobody would miss it once it is really gone
        digest = digest_of(folder.rows + [(name, -1, 0, 0) for name in sorted(folder.unlooked)])
        if self._unmet.pop(folder.relpath, None) == digest:
            self._inodes_hold = True
            return
        rows = self._known.files_in(self._root.name, folder.relpath)
        changed = [row for row in folder.rows if not _is_known(row, rows.get(row[0]))]
        moved = sum(_only_inode_moved(row, rows.get(row[0])) for row in changed)
        self._inodes_hold = self._inodes_hold or len(changed) < len(folder.rows)
        if moved and not self._inodes_hold:
            self._suspects.append(folder.relpath)
            self._moved_files += moved
            return
        missing = sorted(rows.keys() - {row[0] for row in folder.rows} - folder.unlooked.keys())
        # what went stands before what came: a rename is a file that goes and comes
        sightings = (*self._gone(folder.relpath, missing), *self._sightings(folder, changed))
        yield FolderDifference(folder=folder.relpath, digest=digest, sightings=sightings)

    def _judge_suspects(self, walk: Walk) -> Generator[FolderDifference, None, None]:
        # A NAS was mounted again and every number is new: seventy thousand files would be read for nothing.
        # Three files were put back with their times kept: those are to be read.
        if not self._inodes_hold and self._moved_files >= UNTRUSTED_FROM_FILES:
            self._report.inodes_moved = True
            return
        self._inodes_hold = True
        for relpath in self._suspects:
            for folder in walk.revisit(relpath):
                self._report.folders -= 1
                self._report.files -= len(folder.rows)
                yield from self._meet(folder)

    def _sightings(self, folder: Folder, rows: list[Row]) -> Iterator[Sighting]:
        now = self._clock.now()
        for row in rows:
            found = folder.look(row[0])
            if found is None:
                continue  # it went while we looked: the digest will differ next time, too
            inode = found.st_ino if self._view.trust_inodes else 0
            stamp = Stamp(size_bytes=found.st_size, mtime_ns=found.st_mtime_ns, inode=inode)
            yield Sighting(
                place=self._place(folder.relpath, row[0]),
                stamp=stamp,
                seen_at=now,
                still_since=still_since(found, now),
            )

    def _gone(self, folder: str, names: Iterable[str]) -> Iterator[Sighting]:
        now = self._clock.now()
        for name in names:
            yield Sighting(place=self._place(folder, name), stamp=None, seen_at=now, still_since=now)

    def _vanished(self) -> Generator[FolderDifference, None, None]:
        for folder in self._unmet:
            if not any(is_below(folder, unreadable) for unreadable in self._unreadable):
                names = sorted(self._known.files_in(self._root.name, folder))
                yield FolderDifference(folder=folder, digest=None, sightings=tuple(self._gone(folder, names)))

    def _doubt(self, walk: Walk) -> Trouble | None:
        """Find a reason not to believe that what is missing was deleted."""
        if not walk.is_current():
            gone = FileNotFoundError(errno.ENOENT, "replaced while it was scanned")
            return trouble_of(self._root.name, gone)
        if self._view.below or self._view.believe_empty or self._report.files or self._unreadable:
            return None
        known = self._known.count_files(self._root.name)
        if known >= EMPTIED_FROM_FILES or (known and walk.is_bare()):
            return emptied(self._root.name, known)
        return None

    def _note_unreadable(self, folder: str, error: OSError) -> None:
        self._unreadable.append(folder)
        if len(self._report.troubles) < TROUBLES_TOLD:
            self._report.troubles.append(unreadable_folder(self._root.name, folder, error))

    def _note_unlooked(self, folder: Folder) -> None:
        """Tell of the first such name only: mostly the folder is the reason, and all share it."""
        for name, error in sorted(folder.unlooked.items())[:1]:
            if len(self._report.troubles) < TROUBLES_TOLD:
                self._report.troubles.append(unreadable_file(self._place(folder.relpath, name), error))

    def _place(self, folder: str, name: str) -> Place:
        return Place(root=self._root.name, relpath=f"{folder}/{name}" if folder else name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """How a scan looks at the root."""

    below: str
    trust_inodes: bool
    believe_empty: bool


def digest_of(rows: list[Row]) -> bytes:
    """Digest the sorted rows of one folder; equal digests mean that nothing of ours changed there."""
    return blake2b(marshal.dumps(rows, _MARSHAL_VERSION), digest_size=16).digest()


def still_since(found: os.stat_result, now: datetime) -> datetime:
    """Tell since when a file met by a scan rests: the later of mtime and ctime, but never in the future."""
    changed_s = max(found.st_mtime, found.st_ctime)
    return datetime.fromtimestamp(max(0.0, min(changed_s, now.timestamp())), UTC)


def is_below(folder: str, top: str) -> bool:
    """Tell whether a folder is `top` or lies below it; "" is the root."""
    return not top or folder == top or folder.startswith(top + "/")


def _is_known(row: Row, stamp: Stamp | None) -> bool:
    if stamp is None or (stamp.size_bytes, stamp.mtime_ns) != row[1:3]:
        return False
    return stamp.inode == row[3] or 0 in (stamp.inode, row[3])


def _only_inode_moved(row: Row, stamp: Stamp | None) -> bool:
    return stamp is not None and (stamp.size_bytes, stamp.mtime_ns) == row[1:3]
