"""Where a file is and how it looked: the words every other room speaks in.

A place never holds an absolute path: the catalog is shared by machines that mount one root differently.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What `stat` says of the bytes; equal stamps mean "unchanged, as far as `stat` can tell".

    ctime is left out on purpose: our own extended attributes change it.
    """

    size_bytes: int
    mtime_ns: int
    #: 0 where the root's inode numbers cannot be trusted (SMB, some FUSE file systems)
    inode: int


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """A root's name and a POSIX path relative to it.

    Raises:
        ValueError: the relative path is empty, absolute, leaves the root, or holds a NUL.
    """

    root: str
    relpath: str

    def __post_init__(self) -> None:
        parts = self.relpath.split("/")
        if "\0" in self.relpath or any(part in ("", ".", "..") for part in parts):
            raise ValueError(f"not a path inside a root: {self.relpath!r}")

    @property
    def name(self) -> str:
        """The last component, with its extension."""
        return self.relpath.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """The relative folder, "" for the root itself."""
        return self.relpath.rpartition("/")[0]

    @property
    def stem(self) -> str:
        """The name without its last extension: what sidecars are named after."""
        return PurePosixPath(self.name).stem

    def sibling(self, name: str) -> "Place":
        """Name another file in the same folder."""
        return Place(root=self.root, relpath=f"{self.folder}/{name}" if self.folder else name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What one look at a place found."""

    place: Place
    #: None: nothing is there (any more)
    stamp: Stamp | None
    seen_at: datetime
    #: since when the bytes are believed to rest: the later of mtime and ctime for a file met by a scan
    #: (so that an old library does not wait), the moment of the look for a change seen happening
    still_since: datetime
