"""One HTTP exchange at a time, with limits that hold: every read of a connection looks at one deadline.

httpx by itself only bounds single reads, so a server that drips a byte now and then holds it for ever; its
transport is therefore our own, over httpcore's pool and a network backend that knows the deadline and checks
addresses. No client of httpx stands in between: it reads every `Location`, even where redirects are off, and
fails in ways of its own when a stranger wrote nonsense there. Here are no retries, no redirects, no proxy of
the environment and no cookies.
"""

import contextlib
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import urlsplit

import httpcore
import httpx

from hashtagd.core.ports import Clock
from hashtagd.providers.connections import Backend, Check, Manners, Resolve, Trust, addresses_of
from hashtagd.providers.deadline import Timer

__all__ = ["TRANSPORT_ERRORS", "Check", "Limits", "Resolve", "Wire"]

#: all that an exchange, and reading its body, may raise besides what `check` raises
TRANSPORT_ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)
_USUAL_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long and how much one exchange may be."""

    connect_s: float = 10.0
    read_s: float = 30.0
    #: from the first byte sent to the last byte read
    total_s: float = 90.0
    #: for bodies that may take hours: the whole time from `Wire.take_time` on
    body_s: float = 7 * 86_400.0
    #: after decoding
    body_bytes: int = 16 * 1024 * 1024
    connections: int = 8


class Wire:
    """A pool of connections.

    Args:
        check: asked before each new connection, with all addresses of the host.
        stopping: ends waits for bytes with `Stopping`.
        resolve: asked once for each new connection; the connection goes to what it said.
        proxy: address of an HTTP proxy; it resolves names itself, so `check` is not asked then.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        limits: Limits | None = None,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        check: Check | None = None,
        resolve: Resolve | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.limits = limits or Limits()
        self._timer = Timer(clock)
        manners = Manners(
            timer=self._timer,
            trust=Trust(ssl_context),
            resolve=resolve or addresses_of,
            check=None if proxy else check,
            stopping=stopping,
        )
        common: dict[str, Any] = {
            # trusts nobody: the real one is put in its place when the first secure connection is made
            "ssl_context": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            "max_connections": self.limits.connections,
            "max_keepalive_connections": 4,
            "keepalive_expiry": 30.0,
            "network_backend": Backend(manners),
        }
        pool = httpcore.HTTPProxy(proxy_url=proxy, **common) if proxy else httpcore.ConnectionPool(**common)
        self._transport = _Transport(pool)

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    @contextlib.contextmanager
    def exchange(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None = None
    ) -> Iterator[httpx.Response]:
        """Send a request and give the answer with its body unread.

        Raises:
            TRANSPORT_ERRORS, and whatever `check` raises.
            Stopping: a stop is wanted.
        """
        limits = self.limits
        waits = httpx.Timeout(limits.read_s, connect=limits.connect_s)
        with self._timer.running(limits.total_s):
            request = httpx.Request(
                method,
                _address(url),
                headers=dict(headers),
                content=content,
                extensions={"timeout": waits.as_dict()},
            )
            with contextlib.closing(self._transport.handle_request(request)) as response:
                yield response

    def take_time(self) -> None:
        """Let the exchange that this thread is in go on for `body_s` from now on."""
        self._timer.restart(self.limits.body_s)


def _address(url: str) -> httpx.URL:
    """Read an address as httpx does; one that the guard would have read differently goes nowhere."""
    try:
        address = httpx.URL(url)
        checked = urlsplit(url)
        same = (address.scheme, address.host, address.port) == (
            checked.scheme.lower(),
            (checked.hostname or "").lower(),
            checked.port if checked.port != _USUAL_PORTS.get(checked.scheme.lower()) else None,
        )
    except (httpx.InvalidURL, ValueError):
        same = False
    if not same:
        raise httpcore.UnsupportedProtocol("the address is not well-formed")
    return address


@contextlib.contextmanager
def _in_our_words() -> Iterator[None]:
    """Turn what the libraries below let through, such as a name that TLS cannot be asked for."""
    try:
        yield
    except ValueError as error:
        raise httpcore.RemoteProtocolError("the answer could not be read") from error


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: Iterable[bytes], close: Callable[[], None]) -> None:
        self._stream = stream
        self._close = close

    def __iter__(self) -> Iterator[bytes]:
        with _in_our_words():
            yield from self._stream

    def close(self) -> None:
        self._close()


class _Transport(httpx.BaseTransport):
    """Hands requests of httpx to a pool of httpcore with a network backend of our own."""

    def __init__(self, pool: httpcore.ConnectionPool) -> None:
        self._pool = pool

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        with _in_our_words():
            response = self._pool.handle_request(
                httpcore.Request(
                    request.method,
                    httpcore.URL(
                        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                    ),
                    headers=request.headers.raw,
                    content=cast("httpx.SyncByteStream", request.stream),
                    extensions=request.extensions,
                )
            )
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Body(cast("Iterable[bytes]", response.stream), response.close),
            extensions=response.extensions,
        )

    def close(self) -> None:
        self._pool.close()
