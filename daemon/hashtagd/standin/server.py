"""The stand-in's socket: a threading HTTP/1.1 server on loopback with a log and scripted faults."""

import itertools
import json
import socket
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from hashtagd.standin.faults import Fault, Script
from hashtagd.standin.library import Library, Listing
from hashtagd.standin.routes import Asked, Reply, Routes

_HTML = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>Checking</body></html>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One line of the log."""

    #: 1 for the first request this server saw
    number: int
    route: str
    method: str
    path: str
    query: Mapping[str, str]
    #: names in lower case
    headers: Mapping[str, str]
    #: the elements of a JSON array in the body; () for any other body
    items: tuple[str, ...]
    #: what was answered; 0 where the connection was closed without a word
    status: int


class Standin:
    """Civitai on 127.0.0.1, as a context manager. Nothing outside this machine can reach it."""

    def __init__(self, *, port: int = 0) -> None:
        self._server = _Server(("127.0.0.1", port), _Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.library = Library(self.url)
        self.routes = Routes(self.library, self.url)
        self.script = Script()
        self._log: list[Request] = []
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._server.standin = self
        # a short poll: leaving the context must not cost half a second in every test
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), name="standin", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join()

    def add(
        self,
        *,
        sha256: str,
        model_id: int | None = None,
        version_id: int | None = None,
        **facts: Any,  # noqa: ANN401 - fields of a listing
    ) -> Listing:
        """Publish a file; ids not given are made up. `facts` are fields of `Listing`.

        Raises:
            TypeError: `facts` names a field that a listing has not.
        """
        number = next(self._numbers)
        listing = Listing(
            sha256=sha256.lower(),
            model_id=model_id or 100_000 + number,
            version_id=version_id or 200_000 + number,
            file_id=facts.pop("file_id", 300_000 + number),
            **facts,
        )
        self.library.add(listing)
        return listing

    def delete(self, listing: Listing) -> None:
        """Forget a file, as the site does with deleted, unpublished and private models: 404 everywhere."""
        self.library.remove(listing.sha256)

    @property
    def requests(self) -> tuple[Request, ...]:
        """What was asked so far, in order."""
        with self._lock:
            return tuple(self._log)

    @property
    def counts(self) -> Counter[str]:
        """How many requests each route saw."""
        return Counter(request.route for request in self.requests)

    def forget_requests(self) -> None:
        """Start the log anew."""
        with self._lock:
            self._log.clear()

    def fail_next(
        self,
        times: int | None = 1,
        *,
        status: int = 503,
        headers: Mapping[str, str] | None = None,
        html: bool = False,
        body: bytes = b'{"error":"made to fail"}',
        route: str | None = None,
    ) -> None:
        """Answer the next requests of the route (None: of any) with this instead.

        `times` None means until `clear_faults`.
        """
        kind = "text/html; charset=utf-8" if html else "application/json; charset=utf-8"
        fault = Fault(status=status, headers=headers or {}, body=_HTML if html else body, content_type=kind)
        self.script.add(fault, route=route, times=times)

    def spoil_next(self, times: int | None = 1, *, fault: Fault, route: str | None = None) -> None:
        """Let a fault of any kind (cut, hung up, late) befall the next requests."""
        self.script.add(fault, route=route, times=times)

    def clear_faults(self) -> None:
        """Behave again."""
        self.script.clear()

    def serve(self, asked: Asked) -> tuple[Reply, Fault | None]:
        """Decide about one request and write it into the log."""
        route = self.routes.name_of(asked.path)
        fault = self.script.take(route)
        if fault is not None and fault.answers_instead:
            reply = Reply(
                status=fault.status, body=fault.body, content_type=fault.content_type, headers=fault.headers
            )
        else:
            reply = self.routes.answer(asked)
        self._note(asked, route, 0 if fault is not None and fault.hang_up else reply.status)
        return reply, fault

    def _note(self, asked: Asked, route: str, status: int) -> None:
        with self._lock:
            self._log.append(
                Request(
                    number=len(self._log) + 1,
                    route=route,
                    method=asked.method,
                    path=asked.path,
                    query=asked.query,
                    headers=asked.headers,
                    items=_items(asked.body),
                    status=status,
                )
            )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    standin: Standin

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._open: set[socket.socket] = set()
        self._leaving = threading.Event()
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Bind without asking the resolver for our own name: without a network that takes seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        host, port = self.socket.getsockname()
        self.server_address = (host, port)
        self.server_name, self.server_port = host, port

    def get_request(self) -> tuple[socket.socket, Any]:
        """Remember the connection, so that leaving can end it."""
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - as the base class has it
        """Forget the connection."""
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about clients that went away: tests do that on purpose."""

    def pause(self, seconds: float) -> None:
        """Wait, unless the server is leaving."""
        self._leaving.wait(seconds)

    def hang_up(self) -> None:
        """End all kept-alive connections."""
        self._leaving.set()
        for connection in tuple(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # it is gone already, which is what we want
                continue


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    #: headers and body leave in one packet
    wbufsize = -1
    timeout = 60
    server: _Server

    def do_GET(self) -> None:
        """Answer a GET."""
        self._answer()

    def do_POST(self) -> None:
        """Answer a POST."""
        self._answer()

    def do_HEAD(self) -> None:
        """Answer a HEAD."""
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing on stderr."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked.parse(self.command, self.path, headers, body)
        reply, fault = self.server.standin.serve(asked)
        if fault is not None and fault.delay_s:
            self.server.pause(fault.delay_s)
        if fault is not None and fault.hang_up:
            self.close_connection = True
            return
        self._send(reply, cut=fault is not None and fault.cut)

    def _send(self, reply: Reply, *, cut: bool) -> None:
        self.send_response_only(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body[: len(reply.body) // 2] if cut else reply.body)
        self.wfile.flush()
        if cut:
            self.close_connection = True


def _items(body: bytes) -> tuple[str, ...]:
    if not body.startswith(b"["):
        return ()
    try:
        items = json.loads(body)
    except ValueError:
        return ()
    return tuple(str(item) for item in items) if isinstance(items, list) else ()
