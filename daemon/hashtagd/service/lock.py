"""One daemon per state folder, and proof of which lease owners on this machine are alive.

Both are locks of the kernel on open files: they end with the process, however it ends, and no file has to be
judged stale by its age. A lock file is never deleted while somebody might be about to lock it.
"""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from hashtagd.core.troubles import AskOperator, Scope
from hashtagd.system.flags import NO_FOLLOW, PLAIN
from hashtagd.system.locks import try_lock
from hashtagd.system.positions import read_at, write_at

LOCK_NAME: Final = "daemon.lock"
_OWNER_FILE: Final = re.compile(r"owner-([A-Za-z0-9_.-]+)\.lock")
_FOLDER_MODE: Final = 0o700
#: the group may look who is there, as it may read the catalog
_FILE_MODE: Final = 0o640
_PATIENCE_S: Final = 0.2
_TRIES: Final = 20


class DaemonLock:
    """The right to be the daemon of a state folder; ends with `release`, or with the process.

    Args:
        folder: the state folder; made if it is missing.
        owner: the random id this process leases with.
        pid: of this process, for the message that a second daemon gives.
    """

    def __init__(self, folder: Path, *, owner: str, pid: int) -> None:
        self._path = folder / LOCK_NAME
        self._text = f"{pid} {owner}\n"
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock. Repeats: taking it twice is the same as once.

        Raises:
            AskOperator: scope `daemon`, kind `already_running`, with the pid of the other one; kind
                `state_folder_unusable` when the folder cannot be made or written to.
        """
        if self._fd is not None:
            return
        try:
            self._path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | PLAIN | NO_FOLLOW, _FILE_MODE)
        except OSError as error:
            raise _unusable(error) from error
        if not _lock_patiently(fd):
            other = _pid_in(fd)
            os.close(fd)
            raise _already_running(other)
        os.ftruncate(fd, 0)
        write_at(fd, memoryview(self._text.encode()), 0)
        self._fd = fd

    def release(self) -> None:
        """Let the next one in. The file stays: without it two daemons could lock two files of one name."""
        if self._fd is not None:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def running_pid(folder: Path) -> int | None:
    """Give the pid of the daemon that holds the folder; None when nobody does. Takes nothing, writes nothing.

    Returns None also when the lock may not be looked at, and 0 when a daemon runs but has not yet written
    its pid.
    """
    try:
        fd = os.open(folder / LOCK_NAME, os.O_RDONLY | PLAIN)
    except OSError:
        return None
    with _closing(fd):
        return None if try_lock(fd, shared=True) else _pid_in(fd) or 0


class OwnerFile:
    """Proof that a lease owner is alive: a locked file of its own in the state folder.

    Args:
        folder: the state folder; made if it is missing.
        owner: letters, digits, `_`, `-` and `.` only.
    """

    def __init__(self, folder: Path, owner: str) -> None:
        self.owner = owner
        self._path = _owner_path(folder, owner)
        self._fd: int | None = None

    def acquire(self) -> None:
        """Make and lock the file. Repeats: doing it twice is the same as once."""
        if self._fd is not None:
            return
        self._path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        # locked under another name first: a file not yet locked would look like a dead owner
        hidden = self._path.with_name(f".{self._path.name}")
        fd = os.open(hidden, os.O_RDWR | os.O_CREAT | PLAIN | NO_FOLLOW, _FILE_MODE)
        try_lock(fd)
        hidden.replace(self._path)
        self._fd = fd

    def release(self) -> None:
        """Remove the file: this owner holds no lease any more."""
        if self._fd is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def dead_owners(folder: Path) -> list[str]:
    """Name the owners whose process ended without `release`, sorted; each is listed until `forget_owner`."""
    found = []
    with suppress(FileNotFoundError):
        for path in sorted(folder.iterdir()):
            match = _OWNER_FILE.fullmatch(path.name)
            if match is not None and _is_dead(path):
                found.append(match[1])
    return found


def forget_owner(folder: Path, owner: str) -> None:
    """Remove the file of a dead owner, once its leases are released. Repeats: nothing more happens."""
    _owner_path(folder, owner).unlink(missing_ok=True)


def _owner_path(folder: Path, owner: str) -> Path:
    name = f"owner-{owner}.lock"
    if _OWNER_FILE.fullmatch(name) is None:
        raise ValueError(f"not an owner id: {owner!r}")
    return folder / name


def _is_dead(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | PLAIN | NO_FOLLOW)
    except FileNotFoundError:  # released between the listing and now
        return False
    with _closing(fd):
        # shared, so that two programs which look at one time do not take each other for the owner
        return try_lock(fd, shared=True)


def _lock_patiently(fd: int) -> bool:
    """Lock in spite of a `status` that holds the lock for a moment to see whether anybody has it."""
    tick = threading.Event()
    return any(try_lock(fd) or tick.wait(_PATIENCE_S / _TRIES) for _ in range(_TRIES))


def _pid_in(fd: int) -> int | None:
    words = read_at(fd, 100, 0).split()
    return int(words[0]) if words and words[0].isdigit() else None


@contextmanager
def _closing(fd: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(fd)


def _already_running(pid: int | None) -> AskOperator:
    return AskOperator(
        f"already running, pid {pid}" if pid is not None else "already running",
        does="this second daemon stops; the first one goes on",
        you="use `hashtagd status`, or stop the first one; another catalog needs another HASHTAGD_STATE_DIR",
        scope=Scope.DAEMON,
        kind="already_running",
    )


def _unusable(error: OSError) -> AskOperator:
    return AskOperator(
        f"the state folder cannot be used ({error.strerror or type(error).__name__})",
        does="hashtagd does not start",
        you="set HASHTAGD_STATE_DIR (or `catalog.url`) to a folder that this user may write to",
        scope=Scope.DAEMON,
        kind="state_folder_unusable",
    )
