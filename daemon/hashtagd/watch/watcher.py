"""The edge to watchdog and inotify: watches, their limits, and whether the threads behind them still live.

Measured with watchdog 7.1: a queue that overflows is told to a logger only; a watch that cannot be added is
told to nobody; a thread that dies stays dead.
"""

import logging
import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import ObservedWatch

from hashtagd.core.troubles import AskOperator, Scope
from hashtagd.system.disks import device_number

#: opening, reading and attributes are left out: our own reading would wake us, and watchdog's own walk would
#: overflow the queue it reads from
EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileModifiedEvent,
    FileClosedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,
]
LIMITS = Path("/proc/sys/fs/inotify")

_LOSS_LOGGER = "watchdog.observers.inotify_c"
_WATCH = re.compile(r"^inotify wd:[0-9a-f]+ ino:([0-9a-f]+) sdev:([0-9a-f]+)", re.MULTILINE)
_MINOR_BITS = 20


class Watcher:
    """One inotify instance with its threads.

    Args:
        lost: called when the kernel's queue overflowed, from one of the threads.

    Raises:
        OSError: EMFILE, no instance (or descriptor) is left.
    """

    def __init__(self, lost: Callable[[], None]) -> None:
        # watchdog warns with its whole watch table when folders are made quickly; that is harmless. The
        # filter is the process's: the warning comes from a thread that no context manager of ours encloses.
        warnings.filterwarnings(
            "ignore", message="Callback with id", category=RuntimeWarning, module=r"watchdog\."
        )
        # only here: other systems cannot even import it, and never get here
        from watchdog.observers.inotify import InotifyObserver  # noqa: PLC0415

        self._observer = InotifyObserver()
        self._reader = self._observer._inotify_fd  # noqa: SLF001 - watchdog has no public way to ask its reader
        self._loss_handler = _LossHandler(lost)
        logging.getLogger(_LOSS_LOGGER).addHandler(self._loss_handler)
        self._observer.start()

    def watch(self, real_path: str, handler: FileSystemEventHandler) -> ObservedWatch:
        """Watch a folder and all real folders below it.

        Raises:
            OSError: the folder itself cannot be watched; below it watchdog says nothing.
        """
        return self._observer.schedule(handler, real_path, recursive=True, event_filter=EVENTS)

    def unwatch(self, watch: ObservedWatch) -> None:
        """Stop watching, for all roots that asked for this folder; a watch that ended already is no error."""
        with suppress(KeyError):
            self._observer.unschedule(watch)

    def lives(self) -> bool:
        """Tell whether the threads that read and hand out events still run."""
        return self._observer.is_alive() and self._reader.is_alive()

    def emits(self, watch: ObservedWatch) -> bool:
        """Tell whether the thread of one watch still runs."""
        return any(
            emitter.watch == watch and emitter.is_alive() for emitter in self._observer.emitters.copy()
        )

    def watched(self) -> set[tuple[int, int]]:
        """Give (device, inode) of every folder that the kernel really watches for us."""
        descriptor = self._reader._inotify_fd  # noqa: SLF001 - tells which watches were refused
        try:
            text = Path(f"/proc/self/fdinfo/{descriptor}").read_text()
        except OSError:
            return set()
        return {(_device(int(device, 16)), int(inode, 16)) for inode, device in _WATCH.findall(text)}

    def close(self) -> None:
        """End all threads."""
        logging.getLogger(_LOSS_LOGGER).removeHandler(self._loss_handler)
        self._observer.stop()
        self._observer.join()


class _LossHandler(logging.Handler):
    """Hears the one sign of lost events that there is."""

    def __init__(self, lost: Callable[[], None]) -> None:
        super().__init__(logging.WARNING)
        self._lost = lost

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of the loss."""
        if "overflow" in record.getMessage():
            self._lost()


def watch_limit_trouble(root: str, missing: int, ours: int) -> AskOperator:
    """Say that the kernel refuses more watches, and which number suffices.

    Args:
        root: its name.
        missing: how many folders are not watched.
        ours: how many are, with those of other roots.
    """
    limit = _read_limit("max_user_watches")
    # what others use of it is unknown: a quarter of room on top of all that is in use and all that is missing
    enough = 1 << ((max(limit, ours) + missing) * 5 // 4).bit_length()
    return AskOperator(
        f"root {root} has {missing} folders more than inotify may watch (limit {limit})",
        does="the root is polled instead; watching is tried again every minute",
        you=f"raise the limit: sysctl fs.inotify.max_user_watches={enough}",
        scope=Scope.ROOT,
        kind="watch_limit",
    )


def instance_limit_trouble(root: str) -> AskOperator:
    """Say that the kernel gives no inotify instance."""
    limit = _read_limit("max_user_instances")
    return AskOperator(
        f"root {root} is not watched: no inotify instance is left (limit {limit})",
        does="the root is polled instead; watching is tried again every minute",
        you=f"raise the limit: sysctl fs.inotify.max_user_instances={max(limit, 128) * 2}",
        scope=Scope.ROOT,
        kind="watch_instances",
    )


def dying_trouble(root: str) -> AskOperator:
    """Say that the watcher ended again and again."""
    return AskOperator(
        f"the watcher of root {root} ended three times in ten minutes",
        does="the root is polled instead until hashtagd is restarted",
        you="look for the traceback in the log and report it; watch: poll avoids it",
        scope=Scope.ROOT,
        kind="watcher_dies",
    )


def _read_limit(name: str) -> int:
    try:
        return int((LIMITS / name).read_text())
    except (OSError, ValueError):
        return 0


def _device(kernel_number: int) -> int:
    # the kernel prints its own packing of major and minor, `stat` gives another one
    return device_number(kernel_number >> _MINOR_BITS, kernel_number & ((1 << _MINOR_BITS) - 1))
