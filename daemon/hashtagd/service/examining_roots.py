"""Looks at roots as the daemon would use them: may it read, may it write, do changes reach it?"""

import errno
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from watchdog.events import FileSystemEvent, FileSystemEventHandler

from hashtagd.core.troubles import Trouble
from hashtagd.service.finding import Finding, fail, ok, warn
from hashtagd.system.flags import NO_FOLLOW, PLAIN
from hashtagd.system.patience import PATIENCE_S, in_time, silent_among
from hashtagd.system.watching import TELLS_OF_CHANGES
from hashtagd.watch.mounts import Mount, mount_of, read_mounts
from hashtagd.watch.posts import targets_of
from hashtagd.watch.reach import folders_below
from hashtagd.watch.roots import RootFolder
from hashtagd.watch.watcher import LIMITS, Watcher

#: an event that has not come by then does not come
_EVENT_WITHIN_S: Final = 3.0
#: more folders are not counted: the limit is known to be too small long before
_MOST_FOLDERS: Final = 2_000_000
#: temporary names of ours, which the daemon passes over
_PROBE: Final = ".hashtagd-doctor-"


def examine_root(root: RootFolder, *, writes: bool) -> Iterator[Finding]:
    """Look at one root.

    Args:
        root: as the settings have it.
        writes: something is to be written beside its models.
    """
    found: list[Finding] = []
    answers = root.path not in silent_among([root.path])
    if answers and in_time(
        lambda: found.extend(_looked_at(root, writes=writes)), 2 * PATIENCE_S + _EVENT_WITHIN_S
    ):
        yield from found
    else:
        yield fail(
            f"root {root.name}",
            f"{root.path} does not answer",
            "see whether its disk or server is there; the other roots are worked on meanwhile",
        )


def _looked_at(root: RootFolder, *, writes: bool) -> Iterator[Finding]:
    name = f"root {root.name}"
    if (missing := _missing(name, root.path)) is not None:
        yield missing
        return
    yield ok(name, f"{root.path} is there, and can be listed")
    mount = _mount(root.path)
    writable = _try_writing(root.path)
    yield from _of_writing(name, writable, writes=writes)
    yield from _of_events(name, root, mount, writable=writable is None)


def reservations(path: Path) -> Iterator[str]:
    """Say of a folder that is to become a root, in words, what the daemon cannot do there."""
    if (missing := _missing("", path)) is not None:
        yield missing.found
        return
    if (refused := _try_writing(path)) is not None:
        yield (
            f"nothing can be written there ({errno.errorcode.get(refused.errno or 0, 'error')}): its models "
            "are named in `hashtagd list` and `show`; the writer `json-tree` would write cards elsewhere"
        )
    if not (mount := _mount(path)).tells_all:
        yield f"{mount.fs_type} does not tell of all changes, so it is polled"


def examine_limits(roots: list[RootFolder]) -> Finding:
    """Compare the folders of all roots with what the kernel lets one user watch."""
    check = "watch limit"
    count = 0
    for root in roots:
        for _ in folders_below(os.path.realpath(root.path)):
            count += 1
            if count >= _MOST_FOLDERS:
                break
    limit = _limit("max_user_watches")
    if limit is None:
        return warn(
            check, "this system has no inotify: roots are scanned", "set `scan_interval_s` as you like it"
        )
    # other programs use some of it, too
    enough = 1 << (max(count, 1) * 2 - 1).bit_length()
    if count > limit:
        return fail(
            check,
            f"the roots have {count} folders, and inotify may watch {limit}: some are only scanned",
            f"`sysctl fs.inotify.max_user_watches={max(enough, 8192)}`; in /etc/sysctl.d it stays so",
        )
    if count * 4 > limit * 3:
        return warn(
            check,
            f"the roots have {count} folders, and inotify may watch {limit} for all programs together",
            f"`sysctl fs.inotify.max_user_watches={enough}` leaves room",
        )
    return ok(check, f"{count} folders of {limit} that may be watched")


def _missing(name: str, path: Path) -> Finding | None:
    try:
        with os.scandir(path) as entries:
            next(iter(entries), None)
    except FileNotFoundError:
        return warn(name, f"{path} is not there", "mount its disk, or take it out of `roots`")
    except NotADirectoryError:
        return fail(name, f"{path} is no folder", "name its folder under `roots`")
    except OSError as error:
        return fail(
            name,
            f"{path} may not be listed ({errno.errorcode.get(error.errno or 0, 'error')})",
            "let the user hashtagd runs as read and enter it",
        )
    return None


def _mount(path: Path) -> Mount:
    try:
        return mount_of(os.path.realpath(path), read_mounts())
    except OSError:
        return Mount(mount_point="/", fs_type="unknown")


def _try_writing(folder: Path) -> OSError | None:
    probe = folder / (_PROBE + secrets.token_hex(8))
    try:
        fd = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_FOLLOW | PLAIN, 0o600)
    except OSError as error:
        return error
    os.close(fd)
    with suppress(OSError):
        probe.unlink()
    return None


def _of_writing(name: str, refused: OSError | None, *, writes: bool) -> Iterator[Finding]:
    check = f"{name}: writing"
    if refused is None:
        yield ok(
            check,
            "sidecars can be written" if writes else "it could be written to; `writers: []` keeps it tidy",
        )
    elif not writes:
        yield ok(check, "it is read-only, and nothing is to be written there")
    else:
        yield warn(
            check,
            f"nothing can be written beside its models ({errno.errorcode.get(refused.errno or 0, 'error')})",
            "let the user hashtagd runs as write there (for a service: `ReadWritePaths=`), set `writers: []` "
            "for this root, or let `json-tree` write elsewhere",
        )


def _of_events(name: str, root: RootFolder, mount: Mount, *, writable: bool) -> Iterator[Finding]:
    check = f"{name}: events"
    if not TELLS_OF_CHANGES:
        yield ok(check, "this system tells of no changes, so the root is polled")
    elif root.watch in ("poll", "off"):
        yield ok(check, f"`watch: {root.watch}` is set, so none are needed (file system {mount.fs_type})")
    elif root.watch == "auto" and not mount.tells_all:
        yield ok(check, f"{mount.fs_type} does not tell of all changes, so the root is polled")
    elif not mount.tells_all:
        yield warn(
            check,
            f"{mount.fs_type} tells of changes made through this very mount, and of no others",
            "set `watch: auto` or `watch: poll` for this root; others' changes wait for the scan until then",
        )
    elif (trouble := _silent_below(root)) is not None:
        yield warn(check, f"{trouble.what}: {trouble.does}", trouble.you)
    elif not writable:
        yield ok(check, f"not tried, because nothing can be written there (file system {mount.fs_type})")
    elif _event_comes(root.path):
        yield ok(check, f"a change is told at once (file system {mount.fs_type})")
    else:
        yield warn(
            check,
            f"a change was not told within {_EVENT_WITHIN_S:.0f} s (file system {mount.fs_type})",
            "set `watch: poll` for this root; until then new models are found by the scan",
        )


def _silent_below(root: RootFolder) -> Trouble | None:
    try:
        targets_of(root)
    except Trouble as trouble:
        return trouble
    except OSError:
        return None  # other checks tell of it
    return None


def _event_comes(folder: Path) -> bool:
    """Make a file, and wait for the kernel to tell of it."""
    told = threading.Event()

    class Handler(FileSystemEventHandler):
        def on_any_event(self, event: FileSystemEvent) -> None:
            if _PROBE in os.fsdecode(event.src_path):
                told.set()

    try:
        watcher = Watcher(lambda: None)
    except OSError:
        return False
    try:
        watcher.watch(os.path.realpath(folder), Handler())
        _try_writing(folder)
        return told.wait(_EVENT_WITHIN_S)
    except OSError:
        return False
    finally:
        watcher.close()


def _limit(name: str) -> int | None:
    try:
        return int((LIMITS / name).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
