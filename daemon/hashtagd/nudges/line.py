"""Short questions to one server beside us.

It speaks to one origin only: it knows no redirects, proxies, cookies or keys, and sends no `Origin` header,
because ComfyUI refuses foreign ones. Every exchange ends at a moment that the caller gives,
whatever trickles in.
"""

import io
import json
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from hashtagd import __version__
from hashtagd.core.ports import Clock
from hashtagd.nudges.news import Unreachable, Unusable

#: an answer that is longer is no answer to what we ask
MAX_BYTES: Final = 2 << 20
_GOOD = range(200, 300)
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A status and what came with it."""

    status: int
    body: bytes

    @property
    def good(self) -> bool:
        """Tell whether the server did what was asked."""
        return self.status in _GOOD

    def document(self) -> dict[str, Any]:
        """Read the body as a JSON object.

        Raises:
            Unusable: it is none, such as a page.
        """
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):
            raise Unusable("the answer is no JSON") from None
        if not isinstance(document, dict):
            raise Unusable("the answer is no JSON object")
        return document


class Line:
    """Asks one server.

    Args:
        url: scheme, host and port, perhaps a path before all routes.
        clock: for moments that `until_s` speaks of.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        parts = urlsplit(url)
        self._tls = parts.scheme == "https"
        self._address = (parts.hostname or "", parts.port or _PORTS[parts.scheme])
        self._prefix = parts.path.rstrip("/")
        self._clock = clock

    def until_s(self, seconds: float) -> float:
        """Give the moment (monotonic) that lies so far ahead."""
        return self._clock.monotonic_s() + seconds

    def get(self, path: str, query: Mapping[str, str] | None = None, *, until_s: float) -> Answer:
        """Get what stands at a path.

        Raises:
            Unreachable: nobody takes connections.
            Unusable: no answer in time, a broken or an overlong one.
        """
        return self._exchange("GET", f"{path}?{urlencode(query)}" if query else path, None, until_s)

    def send(self, method: str, path: str, document: Mapping[str, Any], *, until_s: float) -> Answer:
        """Send a JSON document; raises as `get`."""
        return self._exchange(method, path, json.dumps(document).encode(), until_s)

    def _exchange(self, method: str, path: str, body: bytes | None, until_s: float) -> Answer:
        def left_s() -> float:
            left = until_s - self._clock.monotonic_s()
            if left <= 0:
                raise TimeoutError
            return left

        connected = self._connect(left_s)
        with connected:
            connection = _Connection(*self._address)
            connection.use(connected, left_s)
            try:
                connection.request(method, self._prefix + path, body, _headers(body))
                with connection.getresponse() as response:
                    content = response.read(MAX_BYTES + 1)
            except TimeoutError:
                raise Unusable("no answer in time") from None
            except (OSError, HTTPException, ValueError) as error:
                raise Unusable(f"the answer breaks off ({type(error).__name__})") from None
        if len(content) > MAX_BYTES:
            raise Unusable(f"the answer is longer than {MAX_BYTES} bytes")
        return Answer(status=response.status, body=content)

    def _connect(self, left_s: Callable[[], float]) -> socket.socket:
        try:
            connected = socket.create_connection(self._address, timeout=left_s())
            if not self._tls:
                return connected
            with connected:  # wrapping takes its descriptor away
                return ssl.create_default_context().wrap_socket(connected, server_hostname=self._address[0])
        except (OSError, ValueError) as error:
            raise Unreachable(f"nobody takes connections there ({type(error).__name__})") from None


def _headers(body: bytes | None) -> dict[str, str]:
    kind = {} if body is None else {"Content-Type": "application/json"}
    return {
        "User-Agent": f"hashtagd/{__version__}",
        "Accept": "application/json",
        "Connection": "close",
        **kind,
    }


class _Connection(HTTPConnection):
    """One request over a socket that somebody else opens and closes."""

    def use(self, connected: socket.socket, left_s: Callable[[], float]) -> None:
        """Take the socket."""
        self.sock = _Timed(connected, left_s)


class _Timed:
    """What `http.client` calls of a socket, with every wait cut to what is left of the whole."""

    def __init__(self, connected: socket.socket, left_s: Callable[[], float]) -> None:
        self._socket = connected
        self._left_s = left_s

    def sendall(self, data: bytes) -> None:
        """Send all of it."""
        self._socket.settimeout(self._left_s())
        self._socket.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Read through a buffer."""
        return io.BufferedReader(_Incoming(self._socket, self._left_s))

    def close(self) -> None:
        """Leave the socket open: the answer is still to be read from it."""


class _Incoming(io.RawIOBase):
    def __init__(self, connected: socket.socket, left_s: Callable[[], float]) -> None:
        self._socket = connected
        self._left_s = left_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # what `BufferedReader` gives
        self._socket.settimeout(self._left_s())
        return self._socket.recv_into(buffer)
