"""An index of the archive's hashes, which it has not itself: one small file of ours, built once.

A cache, and only a hint: the row it leads to is looked at before anything is believed. What a power cut or
another program made of the file is noticed by its sums, and it is built again.
"""

import json
import secrets
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from hashtagd.core.digests import is_sha256
from hashtagd.core.place import Stamp
from hashtagd.core.ports import Stopping
from hashtagd.core.troubles import AskOperator, Scope
from hashtagd.providers.archive_db.database import ArchiveDatabase, stamp_of

#: grows when the tables below change
_VERSION: Final = 1
_HINTS: Final = (
    "create table hint (prefix integer not null, file_id integer not null, "
    "primary key (prefix, file_id)) without rowid"
)
_MARK: Final = (
    "create table mark (version integer not null, archive text not null, hints integer not null, "
    "total integer not null)"
)
#: 16 MiB, as it is negative: what building costs in memory, whatever the size of the archive
_CACHE: Final = "pragma cache_size = -16384"
_SUMS: Final = (
    "select count(*), coalesce(sum((prefix & 4294967295) + ((prefix >> 32) & 4294967295)"
    " + (file_id & 4294967295)), 0) from hint"
)
_LOOK: Final = "select prefix, file_id from hint where prefix in (select value from json_each(?))"
#: how often building looks whether it has to stop, in rows
_STOP_EVERY: Final = 4_096


class HashIndex:
    """The index of one archive database.

    Args:
        path: where the file lies; its folder is made when it is needed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        #: the index file and the database for which its sums were found right
        self._trusted: tuple[Stamp, Stamp] | None = None

    def is_current(self, archive: Stamp) -> bool:
        """Tell whether the file is an index of this database, and whole; its sums are looked at once."""
        try:
            own = stamp_of(self._path)
            if self._trusted != (own, archive):
                with closing(self._open()) as connection:
                    mark = connection.execute("select version, archive, hints, total from mark").fetchall()
                    sums = connection.execute(_SUMS).fetchone()
                if mark != [(_VERSION, _spelled(archive), *sums)]:
                    return False
                self._trusted = (own, archive)
        except (OSError, sqlite3.Error):
            return False
        return True

    def rows_of(self, hashes: Sequence[str]) -> Mapping[str, list[int]]:
        """Give, for each SHA-256, the numbers of the files that may have it.

        Raises:
            AskOperator: scope `provider`: the index cannot be read any more.
        """
        starts: defaultdict[int, list[str]] = defaultdict(list)
        for text in hashes:
            starts[_prefix(text)].append(text)
        try:
            with closing(self._open()) as connection:
                rows = connection.execute(_LOOK, [json.dumps(list(starts))]).fetchall()
        except sqlite3.Error as error:
            self._trusted = None
            raise _unusable() from error
        found: dict[str, list[int]] = {text: [] for text in hashes}
        for prefix, file_id in rows:
            for text in starts[prefix]:
                found[text].append(file_id)
        return found

    def build(self, database: ArchiveDatabase, stopping: Callable[[], bool]) -> int:
        """Build the index anew; returns how many files it leads to.

        Raises:
            AskOperator: scope `provider`: the database cannot be read, or the index cannot be written.
            Stopping: a stop was requested.
        """
        # named as what `run` sweeps from the state folder after a kill
        fresh = self._path.with_name(f".hashtagd-new-{secrets.token_hex(8)}")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                count = _write(fresh, _hints(database, stopping), database.stamp)
                fresh.replace(self._path)
            finally:
                fresh.unlink(missing_ok=True)
            self._trusted = (stamp_of(self._path), database.stamp)
        except (OSError, sqlite3.Error) as error:
            raise _unusable() from error
        return count

    def _open(self) -> sqlite3.Connection:
        # it is only ever replaced as a whole, so nobody has to be locked out
        return sqlite3.connect(f"{self._path.absolute().as_uri()}?immutable=1", uri=True)


def _write(path: Path, hints: Iterator[tuple[int, int]], archive: Stamp) -> int:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in ("pragma journal_mode = off", "pragma synchronous = off", _CACHE):
            connection.execute(pragma)
        connection.execute("begin")
        for table in (_HINTS, _MARK):
            connection.execute(table)
        connection.executemany("insert or ignore into hint values (?, ?)", hints)
        count, total = connection.execute(_SUMS).fetchone()
        mark = (_VERSION, _spelled(archive), count, total)
        connection.execute("insert into mark values (?, ?, ?, ?)", mark)
        connection.execute("commit")
    return int(count)


def _hints(database: ArchiveDatabase, stopping: Callable[[], bool]) -> Iterator[tuple[int, int]]:
    for row, (file_id, sha256) in enumerate(database.hashes()):
        if row % _STOP_EVERY == 0 and stopping():
            raise Stopping
        text = sha256.strip().lower() if isinstance(sha256, str) else ""
        if is_sha256(text) and isinstance(file_id, int):
            yield _prefix(text), file_id


def _prefix(sha256: str) -> int:
    """Give the first 64 bits as the signed number that SQLite keeps."""
    return int(sha256[:16], 16) - 2**63


def _spelled(stamp: Stamp) -> str:
    return f"{stamp.size_bytes} {stamp.mtime_ns} {stamp.inode}"


def _unusable() -> AskOperator:
    return AskOperator(
        "the index of the archive database cannot be written or read",
        does="hashtagd counts that as no answer, waits and tries again",
        you="make room on the disk of the state folder, and check owner and mode of the folder",
        scope=Scope.PROVIDER,
        kind="archive_index",
    )
