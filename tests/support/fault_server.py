"""A server of raw sockets on loopback that answers wrongly on purpose, and keeps every request it read."""

import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

#: what is done with one request: bytes are sent and the connection is closed
Answer = bytes | Callable[["Line"], None]

_GIVE_UP_S = 5.0


class Line:
    """One connection, as an answer sees it."""

    def __init__(
        self, connection: socket.socket, leaving: threading.Event, request: bytes = b"", origin: str = ""
    ) -> None:
        self._connection = connection
        self._leaving = leaving
        #: head and body of what is to be answered
        self.request = request
        #: of the server
        self.origin = origin

    def send(self, data: bytes) -> bool:
        """Send; returns False when the client is gone."""
        try:
            self._connection.sendall(data)
        except OSError:
            return False
        return True

    def drip(self, data: bytes, every_s: float) -> None:
        """Send byte by byte, until the client or the server leaves."""
        for index in range(len(data)):
            if not self.send(data[index : index + 1]) or self._leaving.wait(every_s):
                return

    def hang(self) -> None:
        """Say nothing, until the server leaves or everybody has given up."""
        self._leaving.wait(_GIVE_UP_S)

    def reset(self) -> None:
        """Break the connection off hard."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


class FaultServer:
    """Serves one answer per request, the last one for ever; each connection carries one request."""

    def __init__(self, *answers: Answer, tls: ssl.SSLContext | None = None) -> None:
        self._answers = list(answers)
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.host = "localhost" if tls else "127.0.0.1"
        self.url = f"{'https' if tls else 'http'}://{self.host}:{self.port}"
        #: heads and bodies as they came
        self.requests: list[bytes] = []
        self._leaving = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving.set()
        # accept() is woken by a last visitor: closing the socket under it does not do that everywhere
        socket.create_connection(("127.0.0.1", self.port), timeout=_GIVE_UP_S).close()
        for thread in tuple(self._threads):
            thread.join(_GIVE_UP_S)
        self._listener.close()

    def _spawn(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._leaving.is_set():
                connection.close()
                return
            self._spawn(lambda connection=connection: self._serve(connection))  # type: ignore[misc]

    def _serve(self, plain: socket.socket) -> None:
        plain.settimeout(_GIVE_UP_S)
        connection = plain
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(plain, server_side=True)
            request = _read_request(connection)
            if not request:
                return
            self.requests.append(request)
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            line = Line(connection, self._leaving, request, self.url)
            if isinstance(answer, bytes):
                line.send(answer)
            else:
                answer(line)
        except OSError:  # the client went away, which many tests want
            return
        finally:
            connection.close()
            plain.close()


def _read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            return b""
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    wanted = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            wanted = int(value)
    while len(body) < wanted:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def reply(
    body: bytes = b"[]",
    *,
    status: str = "200 OK",
    kind: str = "application/json",
    headers: Sequence[str] = (),
    length: int | None = -1,
) -> bytes:
    """Write an answer; `length` None leaves Content-Length out, another number lies about it."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", "Connection: close", *headers]
    if length is not None:
        lines.append(f"Content-Length: {len(body) if length < 0 else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
