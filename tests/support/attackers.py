"""Somebody who may write into the folders, and a victim outside of them who must never notice."""

import ctypes
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_MARK: Final = "user.victim"
_EXCHANGE: Final = 2
_HERE: Final = -100  # AT_FDCWD
_libc = ctypes.CDLL(None, use_errno=True)


def exchange(one: Path, other: Path) -> None:
    """Let two names change places in one step.

    Raises:
        OSError: one of them is not there, or the file system cannot.
    """
    if _libc.renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


@dataclass(frozen=True)
class Victim:
    """A folder that nobody gave to us, with files of every name that an attack may aim at."""

    folder: Path

    def file(self, name: str, content: bytes) -> Path:
        """Put a file there that would be noticed if it changed."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        path.write_bytes(content)
        path.chmod(0o640)
        with suppress(OSError):
            os.setxattr(path, _MARK, b"precious")
        os.utime(path, ns=(1_500_000_000 * 10**9,) * 2)
        return path

    def bare(self, name: str) -> Path:
        """Make an empty folder."""
        path = self.folder / "bare" / name.replace("/", " ")
        path.mkdir(parents=True)
        path.chmod(0o700)
        return path

    def state(self) -> dict[str, tuple[Any, ...]]:
        """Tell everything of everything: content, mode, owner, times, attributes."""
        return {
            str(path.relative_to(self.folder)): (
                stat.S_IFMT(found.st_mode),
                stat.S_IMODE(found.st_mode),
                (found.st_uid, found.st_gid, found.st_ino),
                found.st_mtime_ns,
                path.read_bytes() if path.is_file() else str(path.readlink()) if path.is_symlink() else None,
                {it: os.getxattr(path, it, follow_symlinks=False) for it in _attributes(path)},
            )
            for path in (self.folder, *sorted(self.folder.rglob("*")))
            for found in [path.lstat()]
        }


@contextmanager
def swapping(one: Path, other: Path) -> Iterator[None]:
    """Let two names change places all the time; in the end they are as they were if both are there."""
    ended = threading.Event()
    count = 0

    def swap() -> None:
        nonlocal count
        while not ended.is_set():
            with suppress(OSError):
                exchange(one, other)
                count += 1

    thread = threading.Thread(target=swap, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        if count % 2:
            with suppress(OSError):
                exchange(one, other)


def _attributes(path: Path) -> list[str]:
    try:
        return os.listxattr(path, follow_symlinks=False)
    except OSError:
        return []
