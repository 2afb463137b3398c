"""Fetches previews from where strangers point: guarded, bounded, one gate per host, no key and no cookie."""

import itertools
from collections.abc import Collection, Iterator, Sequence
from typing import BinaryIO, Final
from urllib.parse import urljoin

import httpx
from httpcore import UnsupportedProtocol

from hashtagd.core.retry_after import retry_after_s
from hashtagd.core.troubles import GiveUp, Scope, Trouble
from hashtagd.providers import verdicts
from hashtagd.providers.bodies import header_values
from hashtagd.providers.entrance import enter, origin_of
from hashtagd.providers.guard import check_addresses, check_location, check_url, refused
from hashtagd.providers.http import USER_AGENT
from hashtagd.providers.media import DECIDING_BYTES, STILL_TYPES, is_page, looks_whole, media_type
from hashtagd.providers.surroundings import Surroundings
from hashtagd.providers.wire import TRANSPORT_ERRORS, Check, Limits, Resolve, Wire

_TRIES: Final = 2
_HOPS: Final = 5
_GOOD: Final = 200
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_TOO_MANY: Final = 429
#: these speak of the host, not of the picture
_HOST_TROUBLES: Final = (408, 425, 451, 499)
_REFUSALS: Final = (401, 403)
_SERVER: Final = 500
_TAIL_BYTES: Final = 64
_HEADERS: Final = {"User-Agent": USER_AGENT, "Accept": "image/*", "Accept-Encoding": "identity"}


class _Broken(Exception):  # noqa: N818 - carries a trouble
    """The connection or the body broke; a second try on a new connection may help."""

    def __init__(self, origin: str, trouble: Trouble, *, again: bool) -> None:
        super().__init__(trouble.kind)
        self.origin = origin
        self.trouble = trouble
        self.again = again


class PreviewFetcher:
    """The `Fetcher` of `core.ports`.

    Args:
        surroundings: its key is not used.
        allowed_origins: may be plain http, on any port, on any address: a mirror in the LAN, a test server.
        limits: of one exchange; how many bytes is the caller's to say.
        resolve: gives the addresses of a host.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        *,
        allowed_origins: Collection[str] = (),
        limits: Limits | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        self._outside = surroundings
        self._allowed = frozenset(origin_of(origin) for origin in allowed_origins)
        self._guarded = _wire(surroundings, limits, resolve, _check)
        self._trusted = _wire(surroundings, limits, resolve, None)

    def close(self) -> None:
        """Close all connections."""
        self._guarded.close()
        self._trusted.close()

    def fetch(self, url: str, into: BinaryIO, max_bytes: int) -> str:
        """Fetch into the open file and return the media type judged by the first bytes.

        Raises:
            Trouble: TryLater with scope `provider` when the host's gate is closed or was closed by this;
                GiveUp with scope `file` when this address will never give a picture.
            Stopping: a stop was requested.
        """
        start = into.tell()
        for tries in range(1, _TRIES + 1):
            into.seek(start)
            into.truncate()
            try:
                return self._follow(url, into, max_bytes)
            except _Broken as broken:
                if not broken.again or tries == _TRIES:
                    raise self._shut(broken.origin, broken.trouble) from None
        raise AssertionError("the last try returns or raises")

    def _follow(self, url: str, into: BinaryIO, max_bytes: int) -> str:
        outside = self._outside
        for _ in range(_HOPS + 1):
            asked = check_url(url, self._allowed)
            origin = origin_of(asked)
            admitted = enter(origin, gatekeeper=outside.gatekeeper, clock=outside.clock, pause=outside.pause)
            wire = self._trusted if origin in self._allowed else self._guarded
            try:
                with wire.exchange("GET", asked, _HEADERS) as response:
                    if response.status_code not in _REDIRECTS:
                        return self._receive(_Body(origin, response), into, max_bytes)
                    url = _next(asked, header_values(response, b"location"))
            except UnsupportedProtocol:
                raise refused("it is malformed") from None
            except TRANSPORT_ERRORS as error:
                trouble = verdicts.from_transport(origin, error, outside.clock.now())
                again = not admitted.probe and trouble.kind != "untrusted"
                raise _Broken(origin, trouble, again=again) from None
            outside.gatekeeper.succeeded(origin)
        raise refused(f"it redirects more than {_HOPS} times")

    def _receive(self, body: "_Body", into: BinaryIO, max_bytes: int) -> str:
        self._check_status(body)
        self._outside.gatekeeper.succeeded(body.origin)
        if body.encoded:
            raise no_picture("it came in a coding nobody asked for")
        if (body.declared_bytes or 0) > max_bytes:
            raise no_picture(f"it is larger than {max_bytes} bytes")
        chunks = iter(body.response.iter_raw())
        prefix = _prefix(chunks)
        kind = media_type(prefix)
        if kind is None and is_page(prefix):
            raise self._shut(body.origin, verdicts.not_json(body.origin, body.response.status_code))
        if kind not in STILL_TYPES or kind is None:
            raise no_picture(f"it is {kind or 'nothing we know'}, no still picture")
        tail = _copy(prefix, chunks, into, max_bytes)
        if not body.bounded and not looks_whole(kind, tail):
            # the end of the connection is the end of the body only if somebody says so
            raise _Broken(body.origin, verdicts.unreachable(body.origin, "a picture ends early"), again=False)
        return kind

    def _check_status(self, body: "_Body") -> None:
        status = body.response.status_code
        if status == _GOOD:
            return
        wait_s = retry_after_s(header_values(body.response, b"retry-after"), self._outside.clock.now())
        if status == _TOO_MANY:
            raise self._shut(body.origin, verdicts.rate_limited(body.origin, wait_s), wait_s)
        if status >= _SERVER or status in _HOST_TROUBLES:
            trouble = verdicts.unreachable(body.origin, f"status {status}", after_s=wait_s)
            raise self._shut(body.origin, trouble, wait_s)
        if status in _REFUSALS and body.html:
            raise self._shut(body.origin, verdicts.not_json(body.origin, status))
        self._outside.gatekeeper.succeeded(body.origin)
        raise no_picture(f"its host answered with status {status}")

    def _shut(self, origin: str, trouble: Trouble, wait_s: float | None = None) -> Trouble:
        self._outside.gatekeeper.close(origin, trouble, wait_s)
        return trouble


class _Body:
    """An answer and what its head says of its body."""

    def __init__(self, origin: str, response: httpx.Response) -> None:
        self.origin = origin
        self.response = response
        lengths = header_values(response, b"content-length")
        self.declared_bytes = int(lengths[0]) if lengths and lengths[0].isdecimal() else None
        self.bounded = self.declared_bytes is not None or bool(header_values(response, b"transfer-encoding"))
        codings = [value.strip().lower() for value in header_values(response, b"content-encoding")]
        self.encoded = codings not in ([], ["identity"])
        self.html = any("html" in value.lower() for value in header_values(response, b"content-type"))


def no_picture(why: str) -> GiveUp:
    """Name an address that will never give a picture."""
    return GiveUp(
        f"a preview could not be used: {why}",
        does="hashtagd tries the next picture of the model, if there is one",
        you="put a picture of your own beside the model if you want one",
        scope=Scope.FILE,
        kind="no_picture",
    )


def _wire(
    surroundings: Surroundings, limits: Limits | None, resolve: Resolve | None, check: Check | None
) -> Wire:
    return Wire(
        clock=surroundings.clock,
        limits=limits,
        proxy=surroundings.proxy,
        ssl_context=surroundings.ssl_context,
        check=check,
        resolve=resolve,
    )


def _check(host: str, _port: int, addresses: Sequence[str]) -> None:
    check_addresses(host, addresses)


def _next(url: str, locations: Sequence[str]) -> str:
    if len(locations) != 1:
        raise refused("it redirects to nowhere, or to several places")
    check_location(locations[0])
    try:
        return urljoin(url, locations[0])
    except ValueError:
        raise refused("it redirects to something malformed") from None


def _prefix(chunks: Iterator[bytes]) -> bytes:
    prefix = b""
    while len(prefix) < DECIDING_BYTES:
        chunk = next(chunks, None)
        if chunk is None:
            break
        prefix += chunk
    return prefix


def _copy(prefix: bytes, chunks: Iterator[bytes], into: BinaryIO, max_bytes: int) -> bytes:
    """Write a body; returns its last bytes."""
    total_bytes, tail = 0, b""
    for chunk in itertools.chain((prefix,), chunks):
        total_bytes += len(chunk)
        if total_bytes > max_bytes:
            raise no_picture(f"it is larger than {max_bytes} bytes")
        into.write(chunk)
        tail = (tail + chunk)[-_TAIL_BYTES:]
    return tail
