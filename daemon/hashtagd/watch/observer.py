"""Watch the roots: arm, count, notice what the watcher does not tell, and hand out hints.

Whatever is lost here, the scan finds. So nothing in this file may wait, insist, or end the process.
"""

import errno
import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from hashtagd.core.ports import Clock
from hashtagd.core.troubles import Trouble
from hashtagd.system.patience import silent_among
from hashtagd.watch.hints import Handler, HintBox, Hints
from hashtagd.watch.posts import Mode, Post, targets_of, wanted_mode
from hashtagd.watch.reach import Reach, folders_below
from hashtagd.watch.roots import Roots
from hashtagd.watch.sight import look
from hashtagd.watch.watcher import (
    Watcher,
    dying_trouble,
    instance_limit_trouble,
    watch_limit_trouble,
)

__all__ = ["Hints", "Mode", "Observer", "look", "wanted_mode"]

#: folders that stay unwatched for this long were refused; for less, watchdog may still be on its way to them
SHORT_FOR_S = 3.0
#: after this time a root that ran into a limit is tried again
RETRY_S = 60.0
#: how soon the folder of a root is looked for again after it could not be watched
AWAY_RETRY_S = 5.0
#: how long an end waits for somebody who is looking at a disk
STOP_S = 1.0
#: so many deaths of the watcher ...
DEATHS_BORNE = 3
#: ... within this time, and the roots are polled
DEATHS_WITHIN_S = 600.0


class Observer:
    """Turns file-system events into hints, for all roots at once.

    Args:
        roots: what to watch.
        clock: for retries.
        on_hint: called from a watcher's thread when there is something to drain; quick, and never raises.
    """

    def __init__(self, roots: Roots, clock: Clock, on_hint: Callable[[], None]) -> None:
        self._clock = clock
        self._box = HintBox(on_hint)
        self._lock = threading.RLock()
        self._watcher: Watcher | None = None
        self._posts = {name: Post(folder=folder, mode="off") for name, folder in roots.folders.items()}
        self._deaths_s: deque[float] = deque(maxlen=DEATHS_BORNE)
        self._overflows = 0
        self._is_running = self._is_over = False

    @property
    def overflows(self) -> int:
        """How often the kernel lost events since the start."""
        return self._overflows

    def start(self) -> None:
        """Arm every root; a root that cannot be watched is polled, none is an error.

        One whose disk does not answer is away, and nobody but `rearm` touches it again.
        """
        silent = silent_among(post.folder.path for post in self._posts.values())
        with self._lock:
            self._is_running = not self._is_over
            for post in self._posts.values():
                if post.folder.path in silent:
                    post.mode = "away"
                    continue
                post.mode = wanted_mode(post.folder)
                self._arm(post)
            self._end_late()

    def stop(self) -> None:
        """End all threads, for good; hints not drained are dropped. What hangs on a disk ends after that."""
        self._is_running, self._is_over = False, True
        if self._lock.acquire(timeout=STOP_S):
            self._dismiss_watcher()
            self._lock.release()

    def modes(self) -> dict[str, Mode]:
        """Tell how each root is watched just now."""
        return {name: post.shown_mode for name, post in self._posts.items()}

    def troubles(self) -> dict[str, Trouble]:
        """Tell why roots are polled that should be watched."""
        return {name: post.trouble for name, post in self._posts.items() if post.trouble is not None}

    @property
    def has_hints(self) -> bool:
        """Tell whether there is something to drain."""
        return not self._box.is_empty

    def drain(self) -> Hints:
        """Take the hints out; those of one place are one. May hang where a disk hangs, as `check` may."""
        for name, relpath in self._box.take_maybe_links():
            if _leads_to_folder(self._posts[name].folder.path, relpath):
                self._posts[name].must_rearm = True
                self._box.ask_scan(name)
        return self._box.drain()

    def rearm(self, root: str) -> None:
        """Watch a root again that came back or was replaced; nothing happens if it is well watched."""
        post = self._posts[root]
        # another root may be being armed on a disk that hangs: scans do without watches until it is over
        if not self._lock.acquire(timeout=STOP_S):
            post.must_rearm, post.retry_at_s = True, self._clock.monotonic_s()
            return
        try:
            post.mode = wanted_mode(post.folder)
            if self._is_running and not self._is_well_watched(post):
                self._arm(post)
                self._box.ask_scan(root)
            self._end_late()
        finally:
            self._lock.release()

    def check(self) -> None:
        """Look after dead threads, refused watches and roots to try again. Call every few seconds."""
        # a scout may be arming a disk that hangs: then this turn is skipped, not waited for
        if not self._lock.acquire(blocking=False):
            return
        try:
            if self._is_running:
                self._bury_dead_watcher()
                grown = self._box.take_grown()
                for name, post in self._posts.items():
                    post.must_count = post.must_count or name in grown
                    self._check_post(post)
            self._end_late()
        finally:
            self._lock.release()

    def _check_post(self, post: Post) -> None:
        if post.mode in ("away", "poll") and self._clock.monotonic_s() >= post.retry_at_s:
            # a folder deleted and made anew may get the very inode it had: nobody else would notice; and one
            # that came back while `rearm` could not look may lie on another file system now
            post.mode, post.retry_at_s = wanted_mode(post.folder), float("inf")
            self._arm(post)
            if post.watches:
                self._box.ask_scan(post.folder.name)
        if post.mode != "events":
            return
        if post.watches and (post.must_rearm or not self._all_emit(post)):
            self._arm(post)
            self._box.ask_scan(post.folder.name)
        elif not post.watches and self._clock.monotonic_s() >= post.retry_at_s:
            self._arm(post)
        if post.watches and post.must_count:
            self._count(post)

    def _arm(self, post: Post) -> None:
        self._disarm(post)
        post.must_rearm = False
        if post.mode != "events" or self._is_over:
            return
        try:
            if self._watcher is None:
                self._watcher = Watcher(self._note_loss)
            for target in targets_of(post.folder):
                post.watches.append(self._watcher.watch(target.real_path, Handler(self._box, target)))
        except OSError as error:
            self._disarm(post)
            self._note_refusal(post, error)
            return
        except Trouble as trouble:
            post.trouble, post.retry_at_s = trouble, self._clock.monotonic_s() + RETRY_S
            return
        post.must_count, post.short_since_s = True, None

    def _note_refusal(self, post: Post, error: OSError) -> None:
        name = post.folder.name
        if error.errno == errno.ENOSPC:
            post.trouble = watch_limit_trouble(name, *self._shortage(post))
        elif error.errno in (errno.EMFILE, errno.ENFILE):
            post.trouble = instance_limit_trouble(name)
        else:
            # the root's own check says why
            post.mode, post.retry_at_s = "away", self._clock.monotonic_s() + AWAY_RETRY_S
            return
        post.retry_at_s = self._clock.monotonic_s() + RETRY_S

    def _count(self, post: Post) -> None:
        missing, ours = self._shortage(post)
        if not missing:
            if post.trouble is not None:
                self._box.ask_scan(post.folder.name)
            post.trouble, post.must_count, post.short_since_s = None, False, None
        elif post.short_since_s is None:
            post.short_since_s = self._clock.monotonic_s()
        elif self._clock.monotonic_s() - post.short_since_s >= SHORT_FOR_S:
            self._disarm(post)
            post.trouble = watch_limit_trouble(post.folder.name, missing, ours)
            post.retry_at_s = self._clock.monotonic_s() + RETRY_S

    def _shortage(self, post: Post) -> tuple[int, int]:
        """Count the folders of a root that are not watched, and all that are."""
        watched = self._watcher.watched() if self._watcher is not None else set()
        inodes = {inode for _, inode in watched}
        paths = [watch.path for watch in post.watches] or [os.fspath(post.folder.path)]
        missing = {inode for path in paths for inode in folders_below(path)} - inodes
        return len(missing), len(watched)

    def _is_well_watched(self, post: Post) -> bool:
        if post.mode != "events":
            return not post.watches
        if self._watcher is None or not post.watches or not self._all_emit(post):
            return False
        try:
            found = post.folder.path.stat()
        except OSError:
            return False
        # after an unmount the kernel drops its watches, though thread and inode look as before
        return (found.st_dev, found.st_ino) in self._watcher.watched()

    def _all_emit(self, post: Post) -> bool:
        return self._watcher is not None and all(map(self._watcher.emits, post.watches))

    def _disarm(self, post: Post) -> None:
        for watch in post.watches:
            if self._watcher is not None:
                self._watcher.unwatch(watch)
        post.watches.clear()

    def _bury_dead_watcher(self) -> None:
        if self._watcher is None or self._watcher.lives():
            return
        self._dismiss_watcher()
        now_s = self._clock.monotonic_s()
        self._deaths_s.append(now_s)
        gives_up = len(self._deaths_s) == DEATHS_BORNE and now_s - self._deaths_s[0] <= DEATHS_WITHIN_S
        for name, post in self._posts.items():
            if post.mode != "events":
                continue
            if gives_up:
                post.mode, post.trouble, post.retry_at_s = "poll", dying_trouble(name), float("inf")
            else:
                self._arm(post)
            self._box.ask_scan(name)

    def _end_late(self) -> None:
        """Let go of what was armed on a disk that hung when it was all over: nobody waited for that."""
        if self._is_over:
            self._dismiss_watcher()

    def _dismiss_watcher(self) -> None:
        for post in self._posts.values():
            post.watches.clear()
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None

    def _note_loss(self) -> None:
        self._overflows += 1
        self._box.ask_scan(*(name for name, post in self._posts.items() if post.watches))


def _leads_to_folder(top: Path, relpath: str) -> bool:
    path = top / relpath
    try:
        return path.is_symlink() and Reach(top).answers(relpath) and path.is_dir()
    except OSError:
        return False  # a target whose name is too long, a disk that fails: the scan tells of it
