"""Look at model files and open them for reading: safely, and with a meaning for every way that can fail.

Never writes, never maps a file into memory (one that is cut short while it is mapped kills the process), and
never opens what might block: a FIFO or a device under a model's name is no model.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os.path import splitext
from pathlib import Path
from typing import Final

from hashtagd.core.place import Place, Stamp
from hashtagd.core.ports import Locator
from hashtagd.core.troubles import AskOperator, Scope, Trouble, TryLater
from hashtagd.core.work import Claim, Defer, Forget, Outcome, Park, Release
from hashtagd.system.flags import NO_TERMINAL, NON_BLOCKING, PLAIN

#: formats whose header says how long the file must be and where its tensor part begins
HEADERED_EXTENSIONS: Final = frozenset({".safetensors", ".sft"})

#: nothing (that could be a model) is there
_GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
#: the owner or the sandbox forbids it
_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM})
#: this process, or the machine, has run out of something: no file is to blame
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
#: non-blocking matters only for what is no regular file, and for files under a lease of another program
_FLAGS: Final = os.O_RDONLY | NON_BLOCKING | PLAIN | NO_TERMINAL
_EXHAUSTED_WAIT_S: Final = 10.0
#: how long a file behind a link that does not answer is left alone
_SILENT_WAIT_S: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFile:
    """An open regular file and what `fstat` said of it then."""

    path: Path
    fd: int
    status: os.stat_result


def look(path: Path) -> os.stat_result:
    """Stat a file without opening it; symlinks are followed, as the scan followed them.

    Raises:
        FileNotFoundError: also when what is there is no regular file.
    """
    return _regular(os.stat(path))  # noqa: PTH116 - Path.stat is the same call with a detour


@contextmanager
def opened(path: Path) -> Iterator[OpenFile]:
    """Open a regular file for reading.

    Raises:
        FileNotFoundError: also when what is there is no regular file.
        OSError: as `open` says.
    """
    look(path)  # before opening: the mere opening of a device can set it to work
    fd = os.open(path, _FLAGS)
    try:
        # and again after it: the name may have changed hands in between
        yield OpenFile(path=path, fd=fd, status=_regular(os.fstat(fd)))
    finally:
        os.close(fd)


def is_headered(place: Place, extensions: frozenset[str]) -> bool:
    """Tell by its extension, in any case, whether a file has a header."""
    return splitext(place.name)[1].lower() in extensions  # noqa: PTH122 - a name, not a path on this machine


def stamp_of(status: os.stat_result, like: Stamp) -> Stamp:
    """Make the stamp of a look, comparable with a known one: inode 0 there means "cannot be trusted"."""
    return Stamp(
        size_bytes=status.st_size, mtime_ns=status.st_mtime_ns, inode=status.st_ino if like.inode else 0
    )


def outcome_of(error: OSError, claim: Claim, locator: Locator, *, wait_s: float) -> Outcome:
    """Say what a failed look, open or read means for the claim. The caller counts attempts."""
    if error.errno in _GONE:
        return _gone(claim, locator)
    if error.errno in _FORBIDDEN:
        return Park(trouble=_not_readable())
    if error.errno in _EXHAUSTED:
        return Release(trouble=_exhausted(error))
    return Defer(trouble=_read_error(error, wait_s), wait_s=wait_s)


def raise_if_exhausted(outcomes: Sequence[Outcome]) -> None:
    """Stop the lane for a moment when nothing but want of files or memory came out of a batch.

    Without it, rows that were released with their old due time would be claimed again at once, and again.

    Raises:
        TryLater: with scope `daemon`.
    """
    troubles = [outcome.trouble for outcome in outcomes if isinstance(outcome, Release)]
    exhausted = [trouble for trouble in troubles if trouble is not None and trouble.scope is Scope.DAEMON]
    if outcomes and len(exhausted) == len(outcomes):
        raise exhausted[0]


def _regular(status: os.stat_result) -> os.stat_result:
    if not stat.S_ISREG(status.st_mode):
        raise FileNotFoundError(errno.ENOENT, "no regular file")
    return status


def unplaced(trouble: Trouble) -> Release:
    """Say what it means for a claim that its path could not be told."""
    # from a root that is away nothing more is claimed; of one that is there, other files go first
    return Release(trouble=trouble, wait_s=_SILENT_WAIT_S if trouble.scope is Scope.FILE else 0.0)


def _gone(claim: Claim, locator: Locator) -> Outcome:
    """Tell a deleted file from a disk that went away between finding the root and looking into it."""
    try:
        locator.locate(claim.place)
    except Trouble as trouble:
        return unplaced(trouble)
    return Forget()


def _not_readable() -> AskOperator:
    return AskOperator(
        "the file may not be read",
        does="hashtagd leaves it alone until it changes",
        you="let the user hashtagd runs as read it, then `hashtagd retry FILE`",
        scope=Scope.FILE,
        kind="not_readable",
    )


def _exhausted(error: OSError) -> TryLater:
    return TryLater(
        f"the machine refuses to open one more file ({errno.errorcode.get(error.errno or 0, 'unknown')})",
        does=f"hashtagd goes on in {_EXHAUSTED_WAIT_S:.0f} s",
        you="raise `LimitNOFILE=` or `MemoryMax=` of the service if this stays",
        scope=Scope.DAEMON,
        kind="exhausted",
        after_s=_EXHAUSTED_WAIT_S,
    )


def _read_error(error: OSError, wait_s: float) -> TryLater:
    return TryLater(
        f"reading failed ({errno.errorcode.get(error.errno or 0, 'unknown')})",
        does=f"hashtagd tries again in {wait_s:.0f} s, rarer each time",
        you="if this stays, check the disk or the network share with `dmesg`",
        scope=Scope.FILE,
        kind="read_error",
        after_s=wait_s,
    )
