"""A small server on loopback; each request has a thread, a deadline, and no say in anything."""

import io
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self
from urllib.parse import urlsplit

from hashtagd.core.ports import Clock
from hashtagd.web.door import SECURITY_HEADERS, own_hosts, refusal

#: a request that has not come by then does not come, however it trickles in
_HEAD_WITHIN_S: Final = 5.0
#: how long an answer may wait for its turn, and for who does not take it
_PATIENCE_S: Final = 10.0
#: so many answers are made at once; more requests wait
_MOST_AT_ONCE: Final = 8
#: further connections are closed at once: each has a thread, and the unit allows 128
MOST_CONNECTIONS: Final = 32
_NOT_FOUND: Final = 404
_BUSY: Final = 503


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One answer."""

    body: bytes
    content_type: str
    status: int = 200


#: path -> what is there
Routes = Mapping[str, Callable[[], Page]]


class LocalServer:
    """Answers until it is closed; made by `listen`.

    Args:
        host, port: where; 0 is any free port.
        routes: what is there.
        broke: told of every exception, whose text goes to nobody outside.
        clock: for deadlines.
    """

    def __init__(
        self, host: str, port: int, routes: Routes, broke: Callable[[Exception], None], clock: Clock
    ) -> None:
        server = self

        class Handler(_Handler):
            local = server

        self._routes = routes
        self._broke = broke
        self.clock = clock
        self._room = threading.BoundedSemaphore(_MOST_AT_ONCE)
        kind = _Server6 if ":" in host else _Server
        self._server = kind((host.strip("[]"), port), Handler)
        self.port: int = self._server.server_address[1]
        self.hosts = own_hosts(host, self.port)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.5,), name="web", daemon=True
        )

    def start(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def close(self) -> None:
        """End; answers that are under way are not waited for."""
        self._server.shutdown()
        self._server.server_close()

    def page(self, method: str, target: str, headers: Mapping[str, str]) -> Page:
        """Make the answer to a request."""
        status = refusal(method, headers, self.hosts)
        if status is not None:
            return _plain("no", status)
        make = self._routes.get(urlsplit(target).path)
        if make is None:
            return _plain("nothing is here", _NOT_FOUND)
        if not self._room.acquire(timeout=_PATIENCE_S):
            return _plain("too many at once", _BUSY)
        try:
            return make()
        except Exception as error:  # noqa: BLE001 - the border of a thread that is not a lane
            self._broke(error)
            return _plain("something went wrong; the log says what", 500)
        finally:
            self._room.release()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    #: a longer one keeps who comes in a crowd from having to try again
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, *args: Any) -> None:  # noqa: ANN401 - those of the base class
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the base class has it so
        """Begin a thread for a connection, if there is room for one."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # the system has no thread for us
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the base class has it so
        """Answer, then make room."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: who hangs up is no event."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(BaseHTTPRequestHandler):
    local: LocalServer
    protocol_version = "HTTP/1.1"
    server_version = "hashtagd"
    sys_version = ""

    def setup(self) -> None:
        """Read from the connection for so long and no longer."""
        super().setup()
        self.rfile = io.BufferedReader(_Incoming(self.connection, self.local.clock))

    def log_message(self, *_: Any) -> None:  # noqa: ANN401 - the base class has it so
        """Log nothing: an address in the log says nothing about models."""

    def _answer(self) -> None:
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            key = name.lower()
            headers[key] = f"{headers[key]},{value}" if key in headers else value
        page = self.local.page(self.command, self.path, headers)
        self.connection.settimeout(_PATIENCE_S)
        self.close_connection = True
        self.send_response(page.status)
        for name, value in SECURITY_HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(page.body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page.body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _answer  # noqa: N815 - the base class calls them so


class _Incoming(io.RawIOBase):
    """What comes over a connection until a moment, with every wait cut to what is left."""

    def __init__(self, connection: socket.socket, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._until_s = clock.monotonic_s() + _HEAD_WITHIN_S

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # what `BufferedReader` gives
        left_s = self._until_s - self._clock.monotonic_s()
        if left_s <= 0:
            raise TimeoutError
        self._connection.settimeout(left_s)
        return self._connection.recv_into(buffer)


def _plain(text: str, status: int) -> Page:
    return Page(body=f"{text}\n".encode(), content_type="text/plain; charset=utf-8", status=status)
