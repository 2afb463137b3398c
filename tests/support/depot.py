"""A host that only gives files out, on loopback: a mirror, or the storage that a site sends to.

It counts what it sends by what the kernel took, and lets the kernel take little ahead (`SO_SNDBUF`), so what
is counted and never arrived is at most one small buffer; what lies in the client's own buffer counts as sent.
"""

import re
import socket
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

#: what is asked of the kernel; it doubles this for its own bookkeeping
_SNDBUF_BYTES = 64 * 1024
SOCKET_BYTES = 2 * _SNDBUF_BYTES
_PIECE_BYTES = 32 * 1024


@dataclass
class Sending:
    """One answer with bytes of a file."""

    #: where in the file it began
    offset: int
    #: how much the kernel took
    sent_bytes: int = 0


class Depot:
    """Files by name, as a context manager; names that nobody put here are 404."""

    def __init__(self) -> None:
        self.files: dict[str, bytes | Path] = {}
        #: by the file's name, in order
        self.sendings: Mapping[str, list[Sending]] = defaultdict(list)
        #: of each connection; None: as fast as it goes
        self.bytes_per_s: float | None = None
        #: answers everything with 503
        self.away = False
        self.leaving = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.depot = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leaving.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def put(self, name: str, content: bytes | Path) -> str:
        """Give a file out; returns its address."""
        self.files[name] = content
        return f"{self.url}/{name}"

    @property
    def answers(self) -> int:
        """How many answers with bytes there were."""
        return sum(map(len, self.sendings.values()))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    depot: Depot

    def server_bind(self) -> None:
        # inherited by every connection
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SNDBUF_BYTES)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about clients that were killed."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10
    server: _Server

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        depot, name = self.server.depot, self.path.partition("?")[0].removeprefix("/")
        content = depot.files.get(name)
        if content is None or depot.away:
            self._answer(503 if depot.away else 404, {"Content-Length": "0"})
            return
        whole = content if isinstance(content, bytes) else content.read_bytes()
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        offset = int(match[1]) if match else 0
        headers = {"Content-Type": "application/octet-stream", "ETag": f'"{name}"'}
        if offset >= len(whole):
            self._answer(416, {"Content-Range": f"bytes */{len(whole)}", "Content-Length": "0"})
            return
        if match:
            headers["Content-Range"] = f"bytes {offset}-{len(whole) - 1}/{len(whole)}"
        sending = Sending(offset)
        depot.sendings[name].append(sending)
        self._answer(206 if match else 200, {**headers, "Content-Length": str(len(whole) - offset)})
        self._send(memoryview(whole)[offset:], sending)

    def _answer(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()

    def _send(self, rest: memoryview, sending: Sending) -> None:
        depot = self.server.depot
        try:
            while rest and not depot.leaving.is_set():
                count = self.connection.send(rest[:_PIECE_BYTES])
                sending.sent_bytes += count
                rest = rest[count:]
                if depot.bytes_per_s is not None:
                    depot.leaving.wait(count / depot.bytes_per_s)
        except OSError:
            self.close_connection = True
