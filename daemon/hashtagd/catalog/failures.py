"""Errors of the database libraries, turned into troubles that say who acts next.

Never quotes what the libraries say: it may hold a connection string.
"""

import sqlite3
from typing import Final

from sqlalchemy.exc import DBAPIError

from hashtagd.core.troubles import AskOperator, Scope, Trouble, TryLater

#: PostgreSQL: serialization failure, deadlock, statement cancelled, lock not available
RETRIED_IN_PLACE: Final = frozenset({"40001", "40P01", "57014", "55P03"})

#: PostgreSQL classes that time heals: connection, conflicts, resources, locks, operator intervention, system
_AWAY_CLASSES: Final = frozenset({"08", "40", "53", "55", "57", "58"})
_READ_ONLY: Final = "25006"
#: a user, a database, a right or a table that is not there
_REFUSED_CLASSES: Final = frozenset({"28", "3D", "42"})

_DISK: Final = {
    sqlite3.SQLITE_FULL: (
        "catalog_full",
        "the catalog's disk is full",
        "make room on the disk of the state folder",
    ),
    sqlite3.SQLITE_READONLY: (
        "catalog_readonly",
        "the catalog cannot be written",
        "check owner, mode and mount of the state folder (in a unit: `StateDirectory=`, `ReadWritePaths=`)",
    ),
    sqlite3.SQLITE_IOERR: (
        "catalog_io",
        "the catalog's disk gives errors",
        "look at the kernel's log for the disk of the state folder",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "catalog_unreachable",
        "the catalog cannot be opened",
        "check `catalog.url`: the folder must exist and be writable for this user",
    ),
}


def sqlstate(error: Exception) -> str | None:
    """Give PostgreSQL's five letters; None for SQLite and for lost connections."""
    return getattr(_origin(error), "sqlstate", None)


def trouble_of(error: Exception) -> Trouble | None:
    """Say who acts next; None when the error is a bug of ours."""
    origin = _origin(error)
    if isinstance(origin, sqlite3.Error):
        return _of_sqlite(getattr(origin, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF)
    state = sqlstate(error)
    if state is None:
        return _away("the connection failed") if type(origin).__name__ in _LOST else None
    if state[:2] in _AWAY_CLASSES or state == _READ_ONLY:
        return _away(f"SQLSTATE {state}")
    if state[:2] in _REFUSED_CLASSES:
        return AskOperator(
            f"the catalog's database refused a command (SQLSTATE {state})",
            does="hashtagd does nothing without its catalog",
            you="check user, database and rights behind `catalog.url`; the database must be hashtagd's own",
            scope=Scope.DAEMON,
            kind="catalog_refused",
        )
    return None


def damaged(what: str) -> AskOperator:
    """Say that the file cannot be trusted; it is never overwritten."""
    return AskOperator(
        what,
        does="hashtagd leaves the file as it is and does not use it",
        you="move the file (and its -wal or -journal) aside or put a copy in its place; without one the next "
        "start makes a new catalog by reading every model once",
        scope=Scope.DAEMON,
        kind="catalog_damaged",
    )


def replaced() -> TryLater:
    """Say that what is written now would be lost: the file at the path is not the one that was opened."""
    return TryLater(
        "the catalog's file was deleted or replaced while it was open",
        does="the daemon ends and is started again with the file that is there now",
        you="stop hashtagd before the catalog is moved, deleted or restored",
        scope=Scope.DAEMON,
        kind="catalog_replaced",
    )


#: psycopg's names for a server that is away; it gives no SQLSTATE then
_LOST: Final = frozenset({"OperationalError", "InterfaceError", "ConnectionTimeout"})


def unreadable() -> AskOperator:
    """Say that another machine filled a row with nonsense."""
    return AskOperator(
        "the catalog holds a row that hashtagd did not write like this",
        does="hashtagd leaves the row alone",
        you="find out who else writes into the catalog",
        scope=Scope.FILE,
        kind="row_unreadable",
    )


def _origin(error: Exception) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error


def _away(why: str) -> TryLater:
    return TryLater(
        f"the catalog's database does not answer ({why})",
        does="hashtagd waits and connects again; nothing is lost",
        you="check that the server behind `catalog.url` runs and can be reached",
        scope=Scope.DAEMON,
        kind="catalog_away",
    )


def _of_sqlite(code: int) -> Trouble | None:
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return TryLater(
            "another program holds the catalog",
            does="hashtagd tries again; nothing is lost",
            you="close the program that has the catalog open for writing",
            scope=Scope.DAEMON,
            kind="catalog_busy",
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return damaged("the catalog is damaged")
    if code not in _DISK:
        return None
    kind, what, you = _DISK[code]
    return AskOperator(
        what,
        does="hashtagd writes nothing and tries again; what was there is kept",
        you=you,
        scope=Scope.DAEMON,
        kind=kind,
    )
