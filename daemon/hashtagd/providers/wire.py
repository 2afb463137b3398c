"""One HTTP exchange at a time, with limits that hold: every read of a connection looks at one deadline.

httpx by itself only bounds single reads, so a server that drips a byte now and then holds it for ever; its
transport is therefore our own, over httpcore's pool and a network backend that knows the deadline and checks
addresses. No client of httpx stands in between: it reads every `Location`, even where redirects are off, and
fails in ways of its own when a stranger wrote nonsense there. Here are no retries, no redirects, no proxy of
the environment and no cookies.
"""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import urlsplit

import certifi
import httpcore
import httpx

from hashtagd.core.ports import Clock
from hashtagd.providers.deadline import Timer

#: all that an exchange, and reading its body, may raise besides what `check` raises
TRANSPORT_ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)
_USUAL_PORTS: Final = {"https": 443, "http": 80}
#: gives the addresses of a host; raises OSError when there are none
Resolve = Callable[[str, int], Sequence[str]]
#: raises when a connection to this host and port, found at these addresses, must not be made
Check = Callable[[str, int, Sequence[str]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long and how much one exchange may be."""

    connect_s: float = 10.0
    read_s: float = 30.0
    #: from the first byte sent to the last byte read
    total_s: float = 90.0
    #: for bodies that may take hours: how long they may take after the head, which has `total_s` for itself
    body_s: float | None = None
    #: after decoding
    body_bytes: int = 16 * 1024 * 1024
    #: what one read from the connection asks for at least; the library's own 64 KiB make large files slow
    step_bytes: int = 0


class Wire:
    """A pool of connections.

    Args:
        check: asked before each new connection, with all addresses of the host.
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
    ) -> None:
        self.limits = limits or Limits()
        self._timer = Timer(clock)
        trust = _Trust(ssl_context)
        allowed = None if proxy else check
        backend = _Backend(self._timer, trust, resolve or addresses_of, allowed, self.limits.step_bytes)
        common: dict[str, Any] = {
            # trusts nobody: the real one is put in its place when the first secure connection is made
            "ssl_context": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            "max_connections": 8,
            "max_keepalive_connections": 4,
            "keepalive_expiry": 30.0,
            "network_backend": backend,
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
                if limits.body_s is not None:
                    self._timer.restart(limits.body_s)
                yield response


def usual_authorities() -> ssl.SSLContext:
    """Trust what the machine trusts, or what browsers trust where it trusts nobody; no TLS below 1.2."""
    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"]:
        context.load_verify_locations(certifi.where())
    return context


def addresses_of(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver.

    Raises:
        OSError: it does not know the name, or cannot say.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


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


class _Trust:
    """Makes the context for secure connections when the first needs it: reading authorities takes a while."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._lock = threading.Lock()

    def context(self) -> ssl.SSLContext:
        with self._lock:
            if self._context is None:
                self._context = usual_authorities()
            return self._context


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, timer: Timer, trust: _Trust, step_bytes: int) -> None:
        self._inner = inner
        self._timer = timer
        self._trust = trust
        self._step_bytes = step_bytes

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        step_bytes = max(max_bytes, self._step_bytes)
        return self._inner.read(step_bytes, self._timer.clip(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._timer.clip(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,  # noqa: ARG002 - a stand-in, see `Wire`
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left_s = self._timer.clip(timeout, httpcore.ConnectTimeout)
        inner = self._inner.start_tls(self._trust.context(), server_hostname, left_s)
        return _Stream(inner, self._timer, self._trust, self._step_bytes)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - the base class has it so
        return self._inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(
        self, timer: Timer, trust: _Trust, resolve: Resolve, check: Check | None, step_bytes: int
    ) -> None:
        self._timer = timer
        self._trust = trust
        self._resolve = resolve
        self._check = check
        self._step_bytes = step_bytes
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self._addresses(host, port)
        if self._check is not None:
            self._check(host, port, addresses)
        trouble: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in addresses:
            left_s = self._timer.clip(timeout, httpcore.ConnectTimeout)
            try:
                # the checked address itself: a name asked twice may answer differently the second time
                inner = self._inner.connect_tcp(address, port, left_s, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                trouble = error
            else:
                return _Stream(inner, self._timer, self._trust, self._step_bytes)
        raise trouble or httpcore.ConnectError("the name has no address")

    def _addresses(self, host: str, port: int) -> Sequence[str]:
        try:
            return self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("the name could not be resolved") from error
