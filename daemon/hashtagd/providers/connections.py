"""Connections as httpcore wants them, with what it does not offer.

Every wait looks at one deadline and at the wish to stop, every host is judged before it is connected to, and
large bodies can be read into memory that somebody else owns.
"""

import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, TypeVar

import certifi
import httpcore

from hashtagd.core.ports import Stopping
from hashtagd.providers.deadline import Timer

ReadT = TypeVar("ReadT")

#: gives the addresses of a host; raises OSError when there are none
Resolve = Callable[[str, int], Sequence[str]]
#: raises when a connection to this host and port, found at these addresses, must not be made
Check = Callable[[str, int, Sequence[str]], None]
#: how often a wait for bytes looks whether a stop is wanted
_LOOK_S: Final = 1.0


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


class Trust:
    """Makes the context for secure connections when the first needs it: reading authorities takes a while."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._lock = threading.Lock()

    def context(self) -> ssl.SSLContext:
        """Give it."""
        with self._lock:
            if self._context is None:
                self._context = usual_authorities()
            return self._context


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """What all connections of a wire share."""

    timer: Timer
    trust: Trust
    resolve: Resolve = addresses_of
    #: None: connect to whatever was found
    check: Check | None = None
    #: looked at while bytes are waited for
    stopping: Callable[[], bool] = lambda: False


class Stream(httpcore.NetworkStream):
    """One connection.

    Args:
        layers: of TLS; in the second one there is no socket any more that could be read from.
    """

    def __init__(self, inner: httpcore.NetworkStream, manners: Manners, *, layers: int = 0) -> None:
        self._inner = inner
        self._manners = manners
        self._layers = layers
        self._socket: socket.socket | None = inner.get_extra_info("socket") if layers <= 1 else None

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read as the library does."""
        return self._patiently(timeout, lambda step_s: self._inner.read(max_bytes, step_s))

    def read_into(self, buffer: memoryview, timeout: float | None = None) -> int:
        """Read into memory of the caller; returns how many bytes, 0 where the other side has closed.

        Through the library a byte is copied four times before anybody sees it.

        Raises:
            httpcore.ReadTimeout, httpcore.ReadError: as from `read`.
            Stopping: a stop is wanted.
        """
        return self._patiently(timeout, lambda step_s: self._filled(buffer, step_s))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of it."""
        self._inner.write(buffer, self._manners.timer.clip(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        """Hang up."""
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,  # noqa: ARG002 - a stand-in, see `Wire`
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> Self:
        """Go on encrypted, with the real trust."""
        left_s = self._manners.timer.clip(timeout, httpcore.ConnectTimeout)
        inner = self._inner.start_tls(self._manners.trust.context(), server_hostname, left_s)
        return type(self)(inner, self._manners, layers=self._layers + 1)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - the base class has it so
        """Give what the connection knows of itself."""
        return self._inner.get_extra_info(info)

    def _patiently(self, timeout: float | None, read: Callable[[float], ReadT]) -> ReadT:
        """Wait in short steps, each of which looks at the deadline and at the wish to stop."""
        waited_s = 0.0
        while True:
            if self._manners.stopping():
                raise Stopping
            rest_s = None if timeout is None else timeout - waited_s
            left_s = self._manners.timer.clip(rest_s, httpcore.ReadTimeout)
            step_s = _LOOK_S if left_s is None else min(left_s, _LOOK_S)
            try:
                return read(step_s)
            except httpcore.ReadTimeout:
                waited_s += step_s
                if timeout is not None and waited_s >= timeout:
                    raise

    def _filled(self, buffer: memoryview, timeout_s: float) -> int:
        connection = self._socket
        if connection is None:
            data = self._inner.read(len(buffer), timeout_s)
            buffer[: len(data)] = data
            return len(data)
        try:
            if connection.gettimeout() != timeout_s:  # to set it is a call of the system
                connection.settimeout(timeout_s)
            return connection.recv_into(buffer)
        except TimeoutError as error:
            raise httpcore.ReadTimeout("nothing came in time") from error
        except OSError as error:
            raise httpcore.ReadError("the connection broke") from error


class Backend(httpcore.NetworkBackend):
    """Makes connections."""

    def __init__(self, manners: Manners) -> None:
        self._manners = manners
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> Stream:
        """Connect to the first address of a host that takes it, after all of them were judged."""
        addresses = self._addresses(host, port)
        if self._manners.check is not None:
            self._manners.check(host, port, addresses)
        trouble: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in addresses:
            left_s = self._manners.timer.clip(timeout, httpcore.ConnectTimeout)
            try:
                # the checked address itself: a name asked twice may answer differently the second time
                inner = self._inner.connect_tcp(address, port, left_s, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                trouble = error
            else:
                return Stream(inner, self._manners)
        raise trouble or httpcore.ConnectError("the name has no address")

    def _addresses(self, host: str, port: int) -> Sequence[str]:
        try:
            return self._manners.resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("the name could not be resolved") from error
