"""SQLite: which file may be used, in which journal mode, and what every connection is told.

Never overwrites a file it did not make: an empty or foreign file is a question for a person.
"""

import os
import re
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hashtagd.catalog.failures import damaged
from hashtagd.core.troubles import AskOperator, Scope

#: "htgd": tells our files from others'
APPLICATION_ID: Final = 0x68746764
#: from here on several connections may share a write-ahead log without risk to the file
WAL_IS_SAFE: Final = (3, 51, 3)

#: how mountinfo writes spaces and the like
_OCTAL: Final = re.compile(r"\\([0-7]{3})")
_HEADER_BYTES: Final = 100
_MAGIC: Final = b"SQLite format 3\0"
_LOCAL: Final = frozenset(
    {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "jfs", "tmpfs", "overlay"}
)
#: locks of these cannot be relied on
_NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "fuse.sshfs", "fuse.rclone", "fuse.s3fs"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileIdentity:
    """Tells whether a path still leads to the file that was opened."""

    device: int
    inode: int


def prepare(path: Path, *, file_system: str | None, network_allowed: bool) -> FileIdentity:
    """Make sure that the path leads to a catalog of ours; a missing one is made.

    Raises:
        AskOperator: scope `daemon`: empty, foreign or unreadable file, or a disk with unreliable locks.
    """
    if file_system in _NETWORK and not network_allowed:
        raise AskOperator(
            f"the catalog would lie on a network disk ({file_system})",
            does="hashtagd does not start: without reliable locks the catalog would be damaged",
            you="put `catalog.url` on a local disk, use PostgreSQL, or append `?network=yes` at your risk",
            scope=Scope.DAEMON,
            kind="catalog_on_network",
        )
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.path.lexists(path):
            _create(path)
        _check(path)
        return identity(path)
    except (OSError, sqlite3.Error) as error:
        raise AskOperator(
            f"the catalog cannot be opened ({type(error).__name__})",
            does="hashtagd does not start",
            you="check `catalog.url`, and owner and mode of its folder",
            scope=Scope.DAEMON,
            kind="catalog_unreachable",
        ) from error


def identity(path: Path) -> FileIdentity:
    """Look up who lies at the path now.

    Raises:
        OSError: nobody.
    """
    status = path.stat()
    return FileIdentity(device=status.st_dev, inode=status.st_ino)


def journal_mode(version: tuple[int, ...], file_system: str | None) -> str:
    """Choose `wal` where it is safe, else `truncate`. Source: SQLite's notes on the WAL-reset defect."""
    return "wal" if version >= WAL_IS_SAFE and file_system in _LOCAL else "truncate"


def pragmas(mode: str, busy_s: float) -> tuple[str, ...]:
    """List what every connection is told."""
    return (
        f"pragma busy_timeout = {int(busy_s * 1000)}",
        "pragma foreign_keys = on",
        # KiB, as it is negative: 2 MiB, the default, for each connection are much for a daemon at rest
        "pragma cache_size = -512",
        "pragma trusted_schema = off",
        f"pragma journal_mode = {mode}",
        "pragma synchronous = full",
    )


def file_system_of(path: Path, mountinfo: str) -> str | None:
    """Find the type of the file system that a path lies on, by the text of `/proc/self/mountinfo`."""
    best, found = -1, None
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if not separator or len(fields) < 5:  # noqa: PLR2004 - the fifth field is the mount point
            continue
        mount = _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4])
        if path.is_relative_to(mount) and len(mount) >= best:
            best, found = len(mount), after.split(" ")[0]
    return found


def _create(path: Path, link: Callable[[Path, Path], None] = os.link) -> None:
    """Make an empty catalog under another name first: a kill leaves no empty file at the path itself."""
    fresh = path.with_name(f".hashtagd-new-{secrets.token_hex(8)}")
    try:
        with closing(sqlite3.connect(fresh, isolation_level=None)) as connection:
            connection.execute("pragma synchronous = full")
            connection.execute(f"pragma application_id = {APPLICATION_ID}")
            connection.execute("vacuum")  # writes the first page
        try:
            link(fresh, path)
        except FileExistsError:
            return  # somebody else was faster; theirs counts
        except OSError:
            fresh.rename(path)  # a file system without hard links
    finally:
        fresh.unlink(missing_ok=True)


def _check(path: Path) -> None:
    with path.open("rb") as handle:
        head = handle.read(_HEADER_BYTES)
    if not head:
        raise damaged("the catalog is an empty file")
    if len(head) < _HEADER_BYTES or not head.startswith(_MAGIC):
        raise damaged("the catalog is no SQLite file")
    if int.from_bytes(head[68:72], "big") != APPLICATION_ID:
        raise damaged("the catalog is a SQLite file of another program")
