"""Roots: named folders, where this machine keeps them, and whether they are still the ones they were.

A root that is away is never an empty root: nothing is forgotten, and nothing is written into the bare folder
that a file system was mounted on.
"""

import os
import stat
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

from hashtagd.core.place import Place
from hashtagd.core.troubles import Trouble, trouble_from_json
from hashtagd.watch.filters import Names
from hashtagd.watch.mounts import MOUNTINFO, Mount, mount_of, read_mounts
from hashtagd.watch.reach import Ways
from hashtagd.watch.troubles import (
    foreign_marker,
    mount_away,
    no_folder,
    silent,
    silent_place,
    swapped,
    trouble_of,
    unknown_root,
)

#: how many former identities of a root are remembered
_KNOWN_IDENTITIES = 8
#: the name of the file by which machines that share a catalog know that they mean the same folder
MARKER_NAME = ".hashtagd-root"
_MARKER_MAX_BYTES = 256

WatchMode = Literal["auto", "events", "poll", "off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RootFolder:
    """One root as this machine is told to treat it."""

    name: str
    #: absolute, spelled as in the settings, never resolved: other programs compare text
    path: Path
    follow_symlinks: bool = True
    extensions: tuple[str, ...] = (".safetensors", ".sft")
    exclude: tuple[str, ...] = ()
    watch: WatchMode = "auto"
    quiet_s: float = 10.0
    scan_interval_s: float = 900.0
    #: what the marker file must hold; None: any folder will do (a catalog that is not shared)
    marker: str | None = None
    names: Names = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", Names(extensions=self.extensions, exclude=self.exclude))


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a folder is, apart from its name."""

    device: int
    inode: int
    mount: Mount


class Change(StrEnum):
    """What became of a root since the last check."""

    #: it cannot be used for now
    AWAY = "away"
    #: it can be used (again)
    BACK = "back"
    #: another folder has its path now
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True, kw_only=True)
class RootChange:
    """One root that is not what it was at the last check."""

    root: str
    change: Change


class _Standing:
    """What is remembered of one root."""

    def __init__(self) -> None:
        #: of each root its own: to look at a disk that hangs must not hold up the look at another
        self.lock = threading.Lock()
        self.identity: Identity | None = None
        self.former: tuple[Identity, ...] = ()
        self.trouble: Trouble | None = None
        #: what was seen on the way to a place, until a check tells of it
        self.untold: Change | None = None


class Roots:
    """The roots of this machine: looks whether they are there and says where places lie.

    Args:
        roots: their names are unique.
        mountinfo: where the kernel lists what is mounted.
    """

    def __init__(self, roots: Iterable[RootFolder], mountinfo: Path = MOUNTINFO) -> None:
        self._roots = {root.name: root for root in roots}
        self._mountinfo = mountinfo
        self._standing = {name: _Standing() for name in self._roots}
        self._ways = Ways()

    @property
    def folders(self) -> Mapping[str, RootFolder]:
        """All roots by name, also those that are away."""
        return self._roots

    def trouble(self, name: str) -> Trouble | None:
        """Tell why a root cannot be used; None: it can, as far as the last check knows."""
        return self._standing[name].trouble

    def identity(self, name: str) -> Identity | None:
        """Give what the root was when it was last seen; None before it was ever seen."""
        return self._standing[name].identity

    def check(self, names: Iterable[str] | None = None) -> tuple[RootChange, ...]:
        """Look at roots and tell which changed; hangs where the `stat` of a dead mount hangs.

        Returns: only differences; the first check reports each root as back or away.
        Repeats: a second call without a change in between returns nothing.
        """
        found = []
        for name in self._roots if names is None else names:
            standing = self._standing[name]
            with standing.lock:
                seen, standing.untold = standing.untold, None
                change = self._check_one(self._roots[name], standing) or seen
            if change is not None:
                found.append(RootChange(root=name, change=change))
        return tuple(found)

    def locate(self, place: Place) -> Path:
        """Give the absolute path, spelled as in the settings.

        Looks at the root each time: between two checks a file system can go, and nothing may be written then.
        Hangs nowhere, unlike a check; a disk that does not answer is waited for once, for some seconds.

        Raises:
            Trouble: scope `root`, when the root is away, silent, unknown, or another folder than at the last
                check; scope `file`, when a link or a mount on the way to the file does not answer.
        """
        root = self._roots.get(place.root)
        if root is None:
            raise unknown_root(place.root)
        if not self._ways.stands(root.path):
            raise silent(root.name)
        standing = self._standing[root.name]
        if standing.identity is None:
            with standing.lock:
                # only checks tell: whoever watches roots must not miss one that a lane was the first to see
                standing.untold = self._check_one(root, standing) or standing.untold
        if standing.trouble is not None:
            # a fresh copy: an exception raised twice keeps both tracebacks, and this may happen for weeks
            raise trouble_from_json(standing.trouble.to_json())
        try:
            now = root.path.stat()
        except OSError as error:
            raise trouble_of(root.name, error) from error
        if standing.identity is None or not _is_same(standing.identity, now):
            raise swapped(root.name)
        if not self._ways.answers(root.path, place.relpath):
            raise silent_place(place)
        return root.path / place.relpath

    def _check_one(self, root: RootFolder, standing: _Standing) -> Change | None:
        try:
            found = root.path.stat()
        except OSError as error:
            return _set_aside(standing, trouble_of(root.name, error))
        if standing.trouble is None and standing.identity is not None and _is_same(standing.identity, found):
            return None
        if not stat.S_ISDIR(found.st_mode):
            return _set_aside(standing, no_folder(root.name))
        marker_trouble = _marker_trouble(root)
        if marker_trouble is not None:
            return _set_aside(standing, marker_trouble)
        identity = self._identify(root, found)
        if _is_bare_mount_point(identity, standing):
            return _set_aside(standing, mount_away(root.name))
        return _accept(standing, identity)

    def _identify(self, root: RootFolder, found: os.stat_result) -> Identity:
        mount = mount_of(os.path.realpath(root.path), read_mounts(self._mountinfo))
        return Identity(device=found.st_dev, inode=found.st_ino, mount=mount)


def read_marker(folder: Path) -> str | None:
    """Read the marker of a root; None where there is none.

    Raises:
        OSError: it is there but cannot be read.
    """
    try:
        with (folder / MARKER_NAME).open("rb") as file:
            return file.read(_MARKER_MAX_BYTES).decode(errors="replace").strip()
    except FileNotFoundError:
        return None


def _is_same(identity: Identity, found: os.stat_result) -> bool:
    return (identity.device, identity.inode) == (found.st_dev, found.st_ino)


def _is_bare_mount_point(identity: Identity, standing: _Standing) -> bool:
    # The root lay on a file system of its own. If its path now leads to the one around it, the disk is away
    # and this is the bare folder under it - unless we knew this folder before something was mounted on it.
    last = standing.identity
    known = ((former.device, former.inode) for former in standing.former)
    return (
        last is not None
        and last.mount.lies_below(identity.mount)
        and (identity.device, identity.inode) not in known
    )


def _accept(standing: _Standing, identity: Identity) -> Change:
    was_away = standing.trouble is not None or standing.identity is None
    standing.trouble = None
    if standing.identity is not None and standing.identity != identity:
        standing.former = (standing.identity, *standing.former)[:_KNOWN_IDENTITIES]
    standing.identity = identity
    return Change.BACK if was_away else Change.REPLACED


def _set_aside(standing: _Standing, trouble: Trouble) -> Change | None:
    was_there = standing.trouble is None
    standing.trouble = trouble
    return Change.AWAY if was_there else None


def _marker_trouble(root: RootFolder) -> Trouble | None:
    if root.marker is None:
        return None
    try:
        found = read_marker(root.path)
    except OSError as error:
        return trouble_of(root.name, error)
    if found == root.marker:
        return None
    return foreign_marker(root.name, MARKER_NAME, is_missing=found is None)
