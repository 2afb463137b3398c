"""Transactions on the store: whose clock counts, who waits for whom, errors turned into troubles.

Every writing transaction begins as a writing one: SQLite refuses at once to turn a read into a write,
whatever its time-out.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from hashtagd.catalog import failures
from hashtagd.catalog.sqlite import FileIdentity, identity
from hashtagd.catalog.watching import CHANNEL, DataVersion, Listener, Watcher
from hashtagd.core.ports import Clock

T = TypeVar("T")

#: execution option of transactions that only read
READS: Final = "hashtagd_reads"
#: how often a transaction that lost against another machine's is begun
_RUNS: Final = 4
_TIME: Final = "select clock_timestamp()"
_TIME_AND_NEWS: Final = f"select clock_timestamp(), pg_notify({CHANNEL}, '')"


class Database:
    """Runs transactions on SQLite or PostgreSQL; may be used by several threads at once.

    Args:
        engine: made by `catalog.connecting`.
        clock: tells the time of transactions, unless `database_clock`.
        database_clock: the server's clock counts, because machines share the catalog.
        path: SQLite's file, and who it was when it was opened; None for PostgreSQL.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        clock: Clock,
        database_clock: bool,
        path: tuple[Path, FileIdentity] | None = None,
    ) -> None:
        self.engine = engine
        self._clock = clock
        #: the server's clock counts, not ours
        self.has_own_clock = database_clock
        self._path = path
        #: how far the clock that counts is ahead of this process's own
        self._ahead = timedelta(0)
        # SQLite has one writer, and its own way of waiting is naps: inside one process a lock is fairer
        self._turn: AbstractContextManager[object] = nullcontext() if path is None else threading.Lock()
        self._asked = 0
        self._asked_lock = threading.Lock()
        self._watcher: Watcher = Listener(engine) if path is None else DataVersion(engine)

    @property
    def is_asked(self) -> bool:
        """Tell whether somebody waits for the database right now."""
        return self._asked > 0

    def read(self, body: Callable[[Connection, datetime], T]) -> T:
        """Run a short reading transaction; the body fetches all it needs before it returns.

        Raises:
            TryLater: scope `daemon`: the database is away, or held by another program.
            AskOperator: scope `daemon`: the disk is full, read-only or broken, or the file is damaged.
        """
        return self._attempt(lambda: self._transact(body, reads=True))

    def write(self, body: Callable[[Connection, datetime], T]) -> T:
        """Run a writing transaction; raises as `read`. A body that lost against another machine runs anew."""
        with self._turn:
            return self._attempt(lambda: self._transact(body, reads=False))

    def local(self, moment: datetime) -> datetime:
        """Say when a moment of the store is by this process's own clock: lanes sleep by that one."""
        try:
            return moment - self._ahead
        except OverflowError:  # the end of all time, which only a wrong clock can have written
            return moment

    def change_token(self) -> int:
        """Give a number that differs after anybody, in any process, has committed something.

        Raises:
            TryLater: kind `catalog_replaced` when the file at the path is not the one that was opened.
        """
        with self._asking():  # a disk that hangs lets nobody look at the path either
            self.check_path()
            return self._attempt(self._watcher.token)

    def check_path(self) -> None:
        """Raise TryLater (`catalog_replaced`) when commits would go into a file that nobody finds again."""
        if self._path is None:
            return
        path, opened = self._path
        try:
            kept = identity(path) == opened and path.stat().st_size > 0
        except OSError:
            kept = False
        if not kept:
            raise failures.replaced()

    def rest(self) -> None:
        """Close the connections that nobody uses now, and forget compiled statements: megabytes of them.

        Both are made anew when needed, within milliseconds.
        """
        with self._asking():
            self.engine.clear_compiled_cache()
            self.engine.dispose()

    def close(self) -> None:
        """Close every connection."""
        self._watcher.close()
        self.engine.dispose()

    def _transact(self, body: Callable[[Connection, datetime], T], *, reads: bool) -> T:
        with self.engine.connect() as plain:
            connection = plain.execution_options(**{READS: reads})
            with connection.begin():
                return body(connection, self._begin(connection, reads=reads))

    def _begin(self, connection: Connection, *, reads: bool) -> datetime:
        """Ask the server's time, and let it tell the others when this commits: one round trip for both."""
        if self._path is not None or (reads and not self.has_own_clock):
            return self._clock.now()
        row = connection.execute(text(_TIME if reads else _TIME_AND_NEWS)).one()
        if not self.has_own_clock:
            return self._clock.now()
        now: datetime = row[0].astimezone(UTC)
        self._ahead = now - self._clock.now()  # each time anew: either clock may be set
        return now

    @contextmanager
    def _asking(self) -> Iterator[None]:
        with self._asked_lock:
            self._asked += 1
        try:
            yield
        finally:
            with self._asked_lock:
                self._asked -= 1

    def _attempt(self, run: Callable[[], T]) -> T:
        with self._asking():
            return self._attempt_some_times(run)

    def _attempt_some_times(self, run: Callable[[], T]) -> T:
        left = _RUNS
        while True:
            left -= 1
            try:
                return run()
            except (DBAPIError, self.engine.dialect.loaded_dbapi.Error) as error:
                if left > 0 and failures.sqlstate(error) in failures.RETRIED_IN_PLACE:
                    continue
                self.check_path()  # in a file that was put there meanwhile nothing is as it was left
                trouble = failures.trouble_of(error)
                if trouble is None:
                    raise
                raise trouble from error
