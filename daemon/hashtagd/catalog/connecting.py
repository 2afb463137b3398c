"""Opening the store that `catalog.url` names."""

import json
import os
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError

from hashtagd.catalog import postgres, sqlite
from hashtagd.catalog.engine import READS, Database
from hashtagd.core.ports import Clock
from hashtagd.core.troubles import AskOperator, Scope

#: how long SQLite waits for another program's commit
BUSY_S: Final = 10.0
MOUNTINFO: Final = Path("/proc/self/mountinfo")

#: strangers' text stays readable in the store; NaN never gets here
_dumps = partial(json.dumps, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def open_database(
    url: str,
    *,
    clock: Clock,
    database_clock: bool = True,
    busy_s: float = BUSY_S,
    sqlite_version: tuple[int, ...] = sqlite3.sqlite_version_info,
    mountinfo: Path = MOUNTINFO,
) -> Database:
    """Connect to the store; SQLite's file is made if there is none.

    Args:
        url: `sqlite:///PATH` or `postgresql://...`.
        clock: tells the time for SQLite.
        database_clock: False lets the clock count for PostgreSQL too.
        busy_s: how long SQLite waits for another program.
        sqlite_version: decides about the journal mode.
        mountinfo: where Linux lists the mounted file systems.

    Raises:
        AskOperator: scope `daemon`: the address or the file cannot be used.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise _bad_address(
            "is no database address"
        ) from None  # the cause quotes the address, and its password
    engine_name = parsed.get_backend_name()
    if engine_name == "postgresql":
        return Database(_postgres(parsed), clock=clock, database_clock=database_clock)
    if engine_name != "sqlite":
        raise _bad_address("names an unknown kind of database")
    if parsed.database in (None, "", ":memory:"):
        raise _bad_address("names no file")
    path = Path(str(parsed.database)).expanduser()
    file_system = sqlite.file_system_of(path.parent.resolve(), _read(mountinfo))
    opened = sqlite.prepare(
        path, file_system=file_system, network_allowed=parsed.query.get("network") == "yes"
    )
    orders = sqlite.pragmas(sqlite.journal_mode(sqlite_version, file_system), busy_s)
    return Database(_sqlite(path, orders), clock=clock, database_clock=False, path=(path, opened))


def is_there(url: str) -> bool:
    """Tell whether there is anything to open; of a server nobody knows before asking."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return True  # opening it says what is wrong
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return True
    return os.path.lexists(Path(parsed.database).expanduser())


def _sqlite(path: Path, orders: tuple[str, ...]) -> Engine:
    # `rw`: a new connection makes no empty file where the catalog was taken away
    as_it_is = {"mode": "rw", "uri": "true"}
    engine = create_engine(
        URL.create("sqlite", database=path.absolute().as_uri(), query=as_it_is),
        hide_parameters=True,
        json_serializer=_dumps,
        pool_size=4,
        max_overflow=-1,
    )

    def give_orders(connection: DBAPIConnection, _record: object) -> None:
        connection.isolation_level = None  # we say ourselves when a transaction begins
        try:
            for order in orders:
                connection.execute(order)
        except sqlite3.Error:
            connection.close()
            raise

    event.listen(engine, "connect", give_orders)
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    reads = connection.get_execution_options().get(READS, False)
    connection.exec_driver_sql("begin" if reads else "begin immediate")


def _postgres(url: URL) -> Engine:
    options: dict[str, Any] = {"connect_args": postgres.connect_args(url)}
    try:
        return create_engine(
            postgres.with_driver(url),
            hide_parameters=True,
            json_serializer=_dumps,
            pool_size=4,
            max_overflow=-1,
            pool_pre_ping=True,
            **options,
        )
    except ImportError as error:
        raise AskOperator(
            "the catalog is in PostgreSQL, but its driver is not installed",
            does="hashtagd does not start",
            you="install `hashtagd[postgres]`",
            scope=Scope.DAEMON,
            kind="catalog_driver_missing",
        ) from error


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""  # not Linux: nothing is known of the disk


def _bad_address(what: str) -> AskOperator:
    return AskOperator(
        f"`catalog.url` {what}",
        does="hashtagd does not start",
        you="write `sqlite:///PATH` or `postgresql://USER@HOST/DATABASE`",
        scope=Scope.DAEMON,
        kind="catalog_address",
    )
