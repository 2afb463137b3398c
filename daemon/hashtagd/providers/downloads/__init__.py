"""Fetches model files: from the site that knows the model, and from mirrors that strangers keep.

The key is shown to the site's own origin alone, only after it was asked for, and never along a redirect.
Every hop is judged before it is connected to. No cookies, no proxy of the environment, no coding but the
plain bytes. A signed address lives as long as the answer that it was asked for.
"""

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import httpx
from httpcore import ReadError, RemoteProtocolError, UnsupportedProtocol, WriteError

from hashtagd.core.card import DownloadUrl
from hashtagd.core.ports import Admitted, Closed, Incoming
from hashtagd.core.transfer import CIVITAI, Begun
from hashtagd.core.troubles import Scope, Trouble
from hashtagd.providers import verdicts
from hashtagd.providers.bodies import SpoiledBody, header_values, read_body
from hashtagd.providers.civitai.addresses import Addresses
from hashtagd.providers.civitai.download_answers import (
    Bytes,
    DownloadAnswer,
    Elsewhere,
    judge_download,
)
from hashtagd.providers.downloads.answers import judge_mirror, no_file
from hashtagd.providers.downloads.body import Body, asked_range, extent_of
from hashtagd.providers.downloads.slots import Slots
from hashtagd.providers.entrance import enter, origin_of
from hashtagd.providers.guard import check_addresses, check_url, refused
from hashtagd.providers.http import USER_AGENT
from hashtagd.providers.keys import bearer, is_well_formed, key_for
from hashtagd.providers.surroundings import Surroundings
from hashtagd.providers.wire import TRANSPORT_ERRORS, Limits, Resolve, Wire

__all__ = ["DOWNLOAD_LIMITS", "FileDownloader", "gate_of"]

#: a head, or a refusal, has a minute; while a file comes no byte is waited for longer than `read_s`, and the
#: rate is the stage's to judge
DOWNLOAD_LIMITS: Final = Limits(total_s=60.0, body_bytes=64 * 1024, connections=32)
#: files that come from one origin at once
MOST_AT_ONCE: Final = 2
#: no country's rules change within a day
_REGION_WAIT_S: Final = 86_400.0
_HOPS: Final = 5
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_ALREADY_WHOLE: Final = 416
_GOOD: Final = (200, 206)
_HEADERS: Final = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}
_BROKE_AT_ONCE: Final = (ReadError, RemoteProtocolError, WriteError)
#: refusals that a key may turn
_DOORS: Final = frozenset({"login_wanted", "early_access", "no_access"})


class FileDownloader:
    """The `Downloader` of `core.ports`.

    Args:
        surroundings: its key is shown to the site only.
        base_url: where the site's API is asked; its download addresses are asked there, too.
        allowed_origins: may be plain http, on any port, on any address: a mirror in the LAN, a test server.
        resolve: gives the addresses of a host.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        *,
        base_url: str,
        allowed_origins: Collection[str] = (),
        limits: Limits = DOWNLOAD_LIMITS,
        resolve: Resolve | None = None,
    ) -> None:
        self._outside = surroundings
        self._site = origin_of(base_url)
        self._canonical = Addresses(base_url).canonical
        key = key_for(self._site, surroundings)
        self._key = key if is_well_formed(key) else ""
        self._allowed = frozenset(origin_of(origin) for origin in (*allowed_origins, base_url))
        self._limits = limits
        self._slots = Slots(MOST_AT_ONCE, surroundings.pause)
        #: gates of the hosts that the site has sent us to
        self._storages: set[str] = set()
        self._guarded = self._wire(resolve, guarded=True)
        self._trusted = self._wire(resolve, guarded=False)

    def close(self) -> None:
        """Close all connections."""
        self._guarded.close()
        self._trusted.close()

    def gate_for(self, source: DownloadUrl) -> str | None:
        """Name the gate that a source is asked through first; None where it is not asked at all."""
        try:
            first = check_url(self._first(source), self._allowed)
        except Trouble:
            return None
        return self._closed_storage(source, first) or gate_of(first, self._site)

    def _closed_storage(self, source: DownloadUrl, first: str) -> str | None:
        """Name the gate of the site's storage while all of it is away: then the site need not be asked where.

        Each question would cost one download of the quota, for thousands of files that cannot come.
        """
        if source.source != CIVITAI or origin_of(first) != self._site or not self._storages:
            return None
        looks = {name: self._outside.gatekeeper.look(name) for name in sorted(self._storages)}
        closed = {
            name: look.opens_at
            for name, look in looks.items()
            if isinstance(look, Closed) and look.trouble is not None
        }
        return min(closed, key=lambda name: closed[name]) if len(closed) == len(looks) else None

    @contextmanager
    def open(self, source: DownloadUrl, *, offset: int, begun: Begun | None) -> Iterator[Incoming]:
        """Ask for bytes, as `core.ports.Downloader` says; waits while too many come from there already."""
        etag = begun.etag if begun is not None and begun.url == source.url else None
        first = check_url(self._first(source), self._allowed)
        away = self._closed_storage(source, first)
        if away is not None:
            self._enter(away)
        with self._slots.taken(origin_of(first)), ExitStack() as stack:
            body = self._asked(stack, source, offset, etag)
            if body is None:  # the server has another file now, or does not know ranges
                stack.close()
                body = self._asked(stack, source, 0, None)
            if body is None:
                raise no_file("it contradicts itself about what it sends")
            yield body

    def _asked(self, stack: ExitStack, source: DownloadUrl, offset: int, etag: str | None) -> Body | None:
        """Follow a source to its bytes; None: they do not go on where ours end."""
        url, key = self._first(source), ""
        for hop in range(_HOPS + 1):
            checked = check_url(url, self._allowed)
            if hop and source.source == CIVITAI:
                self._storages.add(gate_of(checked, self._site))
            response = self._answer(stack, checked, {**asked_range(offset, etag), **bearer(key)})
            verdict = self._judge(source, checked, response, with_key=bool(key))
            if isinstance(verdict, Trouble) and verdict.scope is Scope.PROVIDER:
                raise self._closed(checked, verdict)
            # also who refuses one file is there and well
            self._outside.gatekeeper.succeeded(gate_of(checked, self._site))
            match verdict:
                case Elsewhere():
                    url, key = verdict.url, ""
                case Trouble() if verdict.kind in _DOORS and self._may_show_key(checked, key):
                    key = self._key
                case Trouble():
                    raise verdict
                case Bytes():
                    return self._body(checked, response, offset, etag)
            stack.close()
        raise refused(f"it redirects more than {_HOPS} times")

    def _first(self, source: DownloadUrl) -> str:
        """Give the address to begin at: the site's own are asked where the settings say the site is."""
        if source.url.startswith(f"{self._canonical}/"):
            return self._site + source.url.removeprefix(self._canonical)
        return source.url

    def _may_show_key(self, url: str, shown: str) -> bool:
        return bool(self._key) and not shown and origin_of(url) == self._site

    def _answer(self, stack: ExitStack, url: str, headers: dict[str, str]) -> httpx.Response:
        """Ask; a connection that breaks at once is tried once more, since it may have been an old one."""
        outside, gate = self._outside, gate_of(url, self._site)
        for last in (False, True):
            entered = self._enter(gate)
            exchange = self._wire_to(url).exchange("GET", url, {**_HEADERS, **headers})
            try:
                return stack.enter_context(exchange)
            except UnsupportedProtocol:
                raise refused("it is malformed") from None
            except TRANSPORT_ERRORS as error:
                trouble = verdicts.from_transport(origin_of(url), error, outside.clock.now())
                if last or entered.probe or not isinstance(error, _BROKE_AT_ONCE):
                    raise self._closed(url, trouble) from None
        raise AssertionError("the last try returns or raises")

    def _enter(self, gate: str) -> Admitted:
        outside = self._outside
        return enter(gate, gatekeeper=outside.gatekeeper, clock=outside.clock, pause=outside.pause)

    def _judge(
        self, source: DownloadUrl, url: str, response: httpx.Response, *, with_key: bool
    ) -> Bytes | Elsewhere | Trouble:
        status = response.status_code
        if status == _ALREADY_WHOLE:
            return Bytes()
        answer = DownloadAnswer(
            status=status,
            headers={name: header_values(response, name.encode()) for name in _JUDGED},
            body=b"" if status in (*_GOOD, *_REDIRECTS) else self._refusal(url, response),
        )
        now = self._outside.clock.now()
        if source.source == CIVITAI and origin_of(url) == self._site:
            return judge_download(url, answer, with_key=with_key, now=now)
        return judge_mirror(url, answer, now=now, sent=source.source == CIVITAI)

    def _refusal(self, url: str, response: httpx.Response) -> bytes:
        try:
            return read_body(response, self._limits.body_bytes)
        except SpoiledBody:
            return b""
        except TRANSPORT_ERRORS as error:
            trouble = verdicts.from_transport(origin_of(url), error, self._outside.clock.now())
            raise self._closed(url, trouble) from None

    def _body(self, url: str, response: httpx.Response, offset: int, etag: str | None) -> Body | None:
        """Read the head of a good answer; None: the bytes do not go on where ours end."""
        codings = [value.strip().lower() for value in header_values(response, b"content-encoding")]
        if codings not in ([], ["identity"]):
            raise no_file("it came in a coding nobody asked for")
        extent = extent_of(response, offset, etag)
        if extent is None:
            return None
        body = Body(response, extent, patience_s=self._limits.read_s)
        # in the middle of a file any bytes may stand
        if extent.offset == 0 and body.begins_like_a_page():
            raise self._closed(url, verdicts.not_json(origin_of(url), response.status_code))
        self._wire_to(url).take_time()
        return body

    def _wire_to(self, url: str) -> Wire:
        return self._trusted if origin_of(url) in self._allowed else self._guarded

    def _closed(self, url: str, trouble: Trouble) -> Trouble:
        """Close the gate of a host, which is all of it concerned; give the trouble back, to be raised."""
        is_region = trouble.kind == "region_blocked"
        wait_s = _REGION_WAIT_S if is_region else getattr(trouble, "after_s", None)
        self._outside.gatekeeper.close(gate_of(url, self._site), trouble, wait_s)
        return trouble

    def _wire(self, resolve: Resolve | None, *, guarded: bool) -> Wire:
        return Wire(
            clock=self._outside.clock,
            limits=self._limits,
            proxy=self._outside.proxy,
            ssl_context=self._outside.ssl_context,
            check=(lambda host, _port, addresses: check_addresses(host, addresses)) if guarded else None,
            resolve=resolve,
            stopping=lambda: self._outside.pause.stopping,
        )


_JUDGED: Final = ("location", "content-type", "retry-after")


def gate_of(url: str, site: str) -> str:
    """Name the gate of an address: what a site says of downloads holds up no look-ups."""
    origin = origin_of(url)
    return f"{origin}/api/download" if origin == site else origin
