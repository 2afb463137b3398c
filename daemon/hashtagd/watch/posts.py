"""Where each root is watched from: how that is meant to be, how it is, and which folders it takes."""

import errno
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
from hashtagd.watch.roots import RootFolder

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
        OSError: ETIMEDOUT, a link leads to what does not answer: watchdog's own walk would never end there.
    """
    targets = [Target(root=folder, real_path=os.path.realpath(folder.path))]
    if not folder.follow_symlinks:
        return targets
    silent: list[OSError] = []

    def note(_folder: str, error: OSError) -> None:
        if error.errno == errno.ETIMEDOUT:
            silent.append(error.with_traceback(None))

    with Walk(folder, "", note, with_files=False) as walk:
        deque(walk, maxlen=0)
    if silent:
        raise silent[0]
    links = sorted(walk.links.items())[:LINKS_WATCHED]
    return targets + [Target(root=folder, real_path=real, relpath=relpath) for relpath, real in links]
