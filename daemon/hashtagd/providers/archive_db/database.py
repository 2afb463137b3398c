"""The archive database as a file: found, opened, read. Never written to, and nothing is laid beside it.

What can go wrong with the file is for a person to mend, and is never taken for "not in there".
Source: the tables of the metadata archive that LoRA Manager downloads, release of 2025-08-08.
"""

import json
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from hashtagd.core.place import Stamp
from hashtagd.core.troubles import AskOperator, Scope, TryLater
from hashtagd.providers.bodies import clean_text

Row = dict[str, Any]
Seen = TypeVar("Seen")

#: where it lies in the folder that the settings name
_NAMES: Final = ("civitai.sqlite", "civitai/civitai.sqlite")
_HEADER_BYTES: Final = 100
_MAGIC: Final = b"SQLite format 3\0"
#: bytes 18 and 19 of a file whose changes go to a write-ahead log first
_WAL: Final = b"\x02\x02"
_BUSY_S: Final = 2.0
#: the end of the year 9999; some file systems go on after that
_END_OF_TIME_S: Final = 253_402_300_799
_PRAGMAS: Final = (
    "pragma query_only = on",
    "pragma trusted_schema = off",
    "pragma cell_size_check = on",
    # a file that shrinks under a mapping kills the process
    "pragma mmap_size = 0",
    "pragma temp_store = memory",
    "pragma cache_size = -2048",
)
#: longer documents count as not said: no honest one comes near it
_DATA: Final = "case when length(data) <= 4000000 then data end as data"
_IN: Final = "in (select value from json_each(?))"
_FILE_COLUMNS: Final = f"id, model_id, version_id, type, sha256, {_DATA}"
_FILES: Final = f"select {_FILE_COLUMNS} from model_files where id {_IN} order by id"  # noqa: S608 - constants
_FILES_OF: Final = f"select {_FILE_COLUMNS} from model_files where version_id {_IN} order by id"  # noqa: S608
_VERSIONS: Final = (
    "select id, model_id, name, base_model, published_at, updated_at, "  # noqa: S608 - constants
    f"{_DATA} from model_versions where id {_IN}"
)
_MODELS: Final = f"select id, name, type, username, updated_at, {_DATA} from models where id {_IN}"  # noqa: S608
_ARCHIVED: Final = f"select file_id from archived_model_files where file_id {_IN}"  # noqa: S608
_HASHES: Final = "select id, sha256 from model_files where sha256 is not null"


class ArchiveDatabase:
    """One open database; every question is read to its end at once, so that no lock outlives it.

    Every method raises AskOperator with scope `provider` when the file cannot be read.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, stamp: Stamp) -> None:
        self._connection = connection
        self._path = path
        #: how the file looked before it was opened
        self.stamp = stamp

    @property
    def made_at(self) -> datetime:
        """When the file was last written, which is the latest that its answers can be from."""
        return datetime.fromtimestamp(min(max(0, self.stamp.mtime_ns // 10**9), _END_OF_TIME_S), UTC)

    def files(self, file_ids: Sequence[int]) -> list[Row]:
        """Give the files with these numbers."""
        return self._rows(_FILES, file_ids)

    def files_of(self, version_ids: Sequence[int]) -> list[Row]:
        """Give all files of these versions, in the order of their numbers."""
        return self._rows(_FILES_OF, version_ids)

    def versions(self, version_ids: Sequence[int]) -> dict[int, Row]:
        """Give versions by number."""
        return {row["id"]: row for row in self._rows(_VERSIONS, version_ids)}

    def models(self, model_ids: Sequence[int]) -> dict[int, Row]:
        """Give models by number."""
        return {row["id"]: row for row in self._rows(_MODELS, model_ids)}

    def archived(self, file_ids: Sequence[int]) -> frozenset[int]:
        """Tell which of these files the database lists as archived."""
        return frozenset(row["file_id"] for row in self._rows(_ARCHIVED, file_ids))

    def hashes(self) -> Iterator[tuple[object, object]]:
        """Stream the number and the hash of every file that has one, however many there are."""
        with _guarded():
            yield from self._connection.execute(_HASHES)

    def check_columns(self) -> None:
        """Ask everything that is ever asked once, about nothing."""
        for ask in (self.files, self.files_of, self.versions, self.models, self.archived):
            ask([])

    def check_unchanged(self) -> None:
        """Raise TryLater when what was read may be a mixture of an older and a newer file."""
        if _reachable(lambda: stamp_of(self._path)) != self.stamp:
            raise TryLater(
                "the archive database changed while it was read",
                does="hashtagd drops what it read and looks it up again",
                you="nothing, if it is being updated just now",
                scope=Scope.PROVIDER,
                kind="archive_changed",
            )

    def _rows(self, question: str, numbers: Sequence[int]) -> list[Row]:
        with _guarded():
            cursor = self._connection.execute(question, [json.dumps(numbers)])
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, map(_storable, row), strict=True)) for row in cursor.fetchall()]


@contextmanager
def opened(place: Path) -> Iterator[ArchiveDatabase]:
    """Open the database at a path or in a folder, for reading only.

    Raises:
        AskOperator: scope `provider`: missing, unreadable, held by another program, or something else.
    """
    path = _found(place)
    stamp = _reachable(lambda: stamp_of(path))
    if stamp is None:  # it has just gone
        raise _missing()
    uri = f"{path.absolute().as_uri()}?{'immutable=1' if _is_logged(path) else 'mode=ro'}"
    with _guarded():
        # the generator that reads may be closed by another thread than the one that began it
        connection = sqlite3.connect(
            uri, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
    with closing(connection):
        connection.text_factory = _decoded
        database = ArchiveDatabase(connection, path, stamp)
        with _guarded():
            for pragma in _PRAGMAS:
                connection.execute(pragma)
            database.check_columns()
        yield database


def stamp_of(path: Path) -> Stamp:
    """Look at a file.

    Raises:
        OSError: it is not there, or may not be looked at.
    """
    status = path.stat()
    return Stamp(size_bytes=status.st_size, mtime_ns=status.st_mtime_ns, inode=status.st_ino)


def _unusable(kind: str, what: str, you: str) -> AskOperator:
    """Say what is wrong with the archive, and who mends it."""
    return AskOperator(
        what,
        does="hashtagd counts that as no answer, waits and tries again",
        you=f"{you}, or take `archive-db` out of `providers`",
        scope=Scope.PROVIDER,
        kind=kind,
    )


def _found(place: Path) -> Path:
    for path in (place, *(place / name for name in _NAMES)):
        status = _reachable(path.stat)
        if status is not None and stat.S_ISREG(status.st_mode):
            return path
    raise _missing()


def _missing() -> AskOperator:
    return _unusable(
        "archive_missing", "there is no archive database", "check `path` of `archive-db` in `providers`"
    )


def _is_logged(path: Path) -> bool:
    """Tell whether the file needs a write-ahead log beside it unless it is declared immutable."""
    head = _reachable(lambda: _head(path)) or b""
    if not head.startswith(_MAGIC):
        raise _unusable("archive_foreign", "the archive database is no SQLite file", "download it again")
    logged = head[18:20] == _WAL
    log = path.with_name(f"{path.name}-wal")
    unmerged_bytes = _reachable(lambda: log.stat().st_size) or 0
    if logged and unmerged_bytes > 0:
        # only those who may write beside the file can read what the log holds
        raise _unusable(
            "archive_locked",
            "another program has not finished writing the archive database",
            "close the program that has it open",
        )
    return logged


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEADER_BYTES)


def _reachable(look: Callable[[], Seen]) -> Seen | None:
    """Look at the disk; None where nothing is there."""
    try:
        return look()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unusable(
            "archive_unreadable",
            f"the archive database cannot be read ({os.strerror(error.errno or 0)})",
            "check its owner, mode and disk",
        ) from error


@contextmanager
def _guarded() -> Iterator[None]:
    """Turn what SQLite says into a trouble; its words may hold a path and are not passed on."""
    try:
        yield
    except sqlite3.Error as error:
        raise _trouble_of(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF) from error


def _trouble_of(code: int) -> AskOperator:
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL):
        return _unusable(
            "archive_locked",
            "another program holds the archive database",
            "close the program that has it open for writing",
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return _unusable("archive_damaged", "the archive database is damaged", "download it again")
    if code == sqlite3.SQLITE_ERROR:
        return _unusable(
            "archive_foreign",
            "the archive database has not the tables of LoRA Manager's",
            "name the right file in `path`",
        )
    return _unusable(
        "archive_unreadable",
        f"the archive database cannot be read (SQLite code {code})",
        "check its owner, mode and disk, and that no -journal of a killed program lies beside it",
    )


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _storable(value: object) -> object:
    return clean_text(value) if isinstance(value, str) else value
