"""Where each root is watched from: how that is meant to be, how it is, and which folders it takes."""

import os
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from watchdog.observers.api import ObservedWatch

from hashtagd.core.troubles import Trouble
from hashtagd.system.watching import TELLS_OF_CHANGES
from hashtagd.watch.folders import Walk
from hashtagd.watch.hints import Target
from hashtagd.watch.mounts import MOUNTINFO, mount_of, read_mounts
from hashtagd.watch.reach import first_silent
from hashtagd.watch.roots import RootFolder
from hashtagd.watch.troubles import silent_below

#: linked folders of one root that are watched; changes in further ones are found by the scan
LINKS_WATCHED = 64

Mode = Literal["events", "poll", "off", "away"]


@dataclass(slots=True, kw_only=True)
class Post:
    """Where one root is watched from."""

    folder: RootFolder
    mode: Mode
    watches: list[ObservedWatch] = field(default_factory=list)
    trouble: Trouble | None = None
    #: folders came or went since the watches were last counted
    must_count: bool = False
    #: since when the count is short: it may have met folders just made; if it stays so, it is the limit
    short_since_s: float | None = None
    must_rearm: bool = False
    retry_at_s: float = float("inf")

    @property
    def shown_mode(self) -> Mode:
        """Tell how the root is watched just now."""
        return "poll" if self.mode == "events" and self.trouble is not None else self.mode


def wanted_mode(folder: RootFolder) -> Mode:
    """Decide how a root is to be watched, by its setting and its file system."""
    if not TELLS_OF_CHANGES and folder.watch != "off":
        return "poll"
    if folder.watch != "auto":
        return folder.watch
    try:
        mount = mount_of(os.path.realpath(folder.path), read_mounts(MOUNTINFO))
    except OSError:
        return "events"
    return "events" if mount.tells_all else "poll"


def targets_of(folder: RootFolder) -> list[Target]:
    """List what to watch for a root: itself, and the folders that links in it lead to.

    Watchdog would follow links in circles until names get too long, so each is watched by itself.

    Raises:
        Trouble: something in one of them does not answer, and watchdog's own walk leaves out nothing.
        OSError: the root cannot be opened.
    """
    targets = [Target(root=folder, real_path=os.path.realpath(folder.path))]
    if folder.follow_symlinks:
        with Walk(folder, "", lambda _folder, _error: None, with_files=False) as walk:
            deque(walk, maxlen=0)
        links = sorted(walk.links.items())[:LINKS_WATCHED]
        targets += [Target(root=folder, real_path=real, relpath=relpath) for relpath, real in links]
    for target in targets:
        if (silent := first_silent(target.real_path)) is not None:
            raise silent_below(folder.name, os.path.join(target.relpath, silent))  # noqa: PTH118
    return targets
