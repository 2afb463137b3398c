"""What may be looked at: a share whose server is gone holds whoever enters it, through a link or directly."""

import os
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Final

from hashtagd.system.patience import silent_among
from hashtagd.watch.mounts import MOUNTINFO, Mount, mount_of, read_mounts

#: as the kernel has it; what leads on and on is an error that looking itself tells of
_MOST_LINKS: Final = 40
#: for so long what answered is taken to answer still
_FRESH_S: Final = 1.0


class Reach:
    """For one walk; whole folders are asked, not each of the links that lead into them.

    Args:
        top: the folder that is walked, which answers.
    """

    def __init__(self, top: Path) -> None:
        self._top = top
        #: folder -> what it really is; None: it does not answer
        self._real: dict[str, str | None] = {}

    def answers(self, relpath: str) -> bool:
        """Tell whether a look at what is at a path below the top, or a link there leads to, comes back."""
        path = os.path.join(self._top, relpath)  # noqa: PTH118 - a million links may pass through here
        for _ in range(_MOST_LINKS):
            around, name = os.path.split(path)
            folder = self._real_of(around)
            if folder is None:
                return False
            path = f"{folder}/{name}"
            if path in self._points and silent_among([Path(path)]):
                return False
            try:
                path = os.path.join(folder, os.readlink(path))  # noqa: PTH115, PTH118 - see above
            except OSError:
                return True  # no link, or nothing at all, in a folder that answers
        return True

    def enters(self, relpath: str, *, under_link: bool = False) -> bool:
        """Tell whether a folder that is no link may be listed: something may be mounted on it."""
        return not (self._has_mounts or under_link) or self.answers(relpath)

    def is_plain(self, relpath: str) -> bool:
        """Tell whether the way to a path leads through no link and onto no other file system."""
        path = self._real_top
        for name in relpath.split("/"):
            path = f"{path}/{name}"
            if path in self._points or os.path.islink(path):  # noqa: PTH114 - several times per file
                return False
        return True

    def _real_of(self, folder: str) -> str | None:
        if folder not in self._real:
            # first the whole file system, so that one that hangs is waited for once
            asked = (mount_of(folder, self._mounts).mount_point, folder)
            answers = not any(silent_among([Path(it)]) for it in asked)
            self._real[folder] = os.path.realpath(folder) if answers else None
        return self._real[folder]

    @cached_property
    def _real_top(self) -> str:
        return os.path.realpath(self._top)

    @cached_property
    def _has_mounts(self) -> bool:
        inside = self._real_top.rstrip("/") + "/"
        return any(point.startswith(inside) for point in self._points)

    @cached_property
    def _mounts(self) -> tuple[Mount, ...]:
        try:
            return read_mounts(MOUNTINFO)
        except OSError:
            return ()

    @cached_property
    def _points(self) -> frozenset[str]:
        return frozenset(mount.mount_point for mount in self._mounts)


class Ways:
    """For single places in many roots, again and again; any thread may ask."""

    def __init__(self) -> None:
        self._stood_s: dict[Path, float] = {}
        self._reaches: dict[Path, tuple[float, Reach]] = {}

    def stands(self, top: Path) -> bool:
        """Tell whether a look at a folder itself comes back."""
        if time.monotonic() - self._stood_s.get(top, float("-inf")) <= _FRESH_S:
            return True
        if silent_among([top]):
            return False
        self._stood_s[top] = time.monotonic()
        return True

    def answers(self, top: Path, relpath: str) -> bool:
        """Tell whether a look at a path below a folder comes back; the folder itself does."""
        now_s = time.monotonic()
        since_s, reach = self._reaches.get(top, (float("-inf"), None))
        if reach is None or now_s - since_s > _FRESH_S:
            reach = Reach(top)
            self._reaches[top] = now_s, reach
        if reach.is_plain(relpath) or reach.answers(relpath):
            return True
        # it is asked anew each time: that costs nothing while it does not answer
        self._reaches.pop(top, None)
        return False


def folders_below(real_path: str) -> Iterator[int]:
    """Yield the inode numbers of a folder and all real ones below it that may be listed, hidden ones too."""
    reach = Reach(Path(real_path))
    waiting = [""]
    while waiting:
        below = waiting.pop()
        path = os.path.join(real_path, below)  # noqa: PTH118 - a string is at hand, ten thousand times
        try:
            with os.scandir(path) as entries:
                names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
            yield os.stat(path).st_ino  # noqa: PTH116 - see above
        except OSError:
            continue
        waiting += [path for name in names if reach.enters(path := os.path.join(below, name))]  # noqa: PTH118


def first_silent(real_path: str) -> str | None:
    """Find what would hold a walk that looks at all names below a folder, hidden too, and enters no link.

    Returns: its path below the folder; None: all of it answers.
    """
    reach = Reach(Path(real_path))
    waiting = [""]
    while waiting:
        below = waiting.pop()
        try:
            with os.scandir(os.path.join(real_path, below)) as entries:  # noqa: PTH118 - see above
                for entry in entries:
                    relpath = os.path.join(below, entry.name)  # noqa: PTH118
                    if entry.is_dir(follow_symlinks=False):
                        if not reach.enters(relpath):
                            return relpath
                        waiting.append(relpath)
                    elif entry.is_symlink() and not reach.answers(relpath):
                        return relpath
        except OSError:
            continue
    return None
