"""Has anybody committed something? Asked every second or two, on a connection of its own, without a write."""

import threading
from typing import Any, Final, Protocol

from sqlalchemy import Engine

#: heard by everybody whose tables lie in the same schema; spelled as PostgreSQL limits names
CHANNEL: Final = "'hashtagd_' || md5(coalesce(current_schema(), ''))"


class Watcher(Protocol):
    """Gives numbers that differ after a commit; any thread may ask."""

    def token(self) -> int:
        """Give the number."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class DataVersion:
    """Asks SQLite: on a connection that never writes, its number changes with everybody's commits."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._connection: Any = None

    def token(self) -> int:
        """Give the number."""
        with self._lock:
            if self._connection is None:
                self._connection = _connect(self._engine)
            number: int = self._connection.execute("pragma data_version").fetchone()[0]
            return number

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            _close(self._connection)
            self._connection = None


class Listener:
    """Counts PostgreSQL's notifications: every writing transaction sends one with its commit."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._connection: Any = None
        self._heard = 0

    def token(self) -> int:
        """Give the number; it changes with every new connection too: nobody knows what was missed."""
        with self._lock:
            try:
                if self._connection is None:
                    self._listen()
                self._connection.execute("select 1")  # silence must not be mistaken for a link that was cut
                self._heard += sum(1 for _ in self._connection.notifies(timeout=0))
            except self._engine.dialect.loaded_dbapi.Error:
                _close(self._connection)
                self._connection = None
                raise
            return self._heard

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            _close(self._connection)
            self._connection = None

    def _listen(self) -> None:
        self._connection = _connect(self._engine)
        self._connection.autocommit = True
        (channel,) = self._connection.execute(f"select {CHANNEL}").fetchone()
        self._connection.execute(f'listen "{channel}"')
        self._heard += 1


def _connect(engine: Engine) -> Any:  # noqa: ANN401 - the driver's own connection
    """Take a connection out of the pool for good."""
    borrowed = engine.raw_connection()
    connection = borrowed.dbapi_connection
    borrowed.detach()
    return connection


def _close(connection: Any) -> None:  # noqa: ANN401 - the driver's own connection
    if connection is not None:
        connection.close()
