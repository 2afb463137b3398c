"""The head and the body of a file on its way: where it begins, how long it is, where it breaks.

Source: RFC 9110, 8.6 (Content-Length), 8.8.3 (entity tags), 13.1.5 (If-Range), 14 (Range, Content-Range).
"""

import re
from dataclasses import dataclass
from typing import Final

import httpx

from hashtagd.core.troubles import Scope, TryLater
from hashtagd.providers.bodies import header_values
from hashtagd.providers.downloads.inflow import Inflow
from hashtagd.providers.media import is_page
from hashtagd.providers.wire import TRANSPORT_ERRORS

_PARTIAL: Final = 206
_UNSATISFIABLE: Final = 416
_CONTENT_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/(\*|[0-9]{1,18})", re.IGNORECASE)
_UNSATISFIED: Final = re.compile(r"bytes \*/([0-9]{1,18})", re.IGNORECASE)
_LENGTH: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_STRONG_ETAG: Final = re.compile(r'"[\x21\x23-\x7e]{0,254}"', re.ASCII)
#: so many bytes tell a page from a model
_DECIDING_BYTES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """Which bytes of the file an answer brings."""

    offset: int
    #: of the whole file; None: the server does not say
    total_bytes: int | None
    #: of this answer; None: the server does not say
    length_bytes: int | None


class Body:
    """The `Incoming` of `core.ports`.

    Args:
        response: its body is unread.
        extent: what it brings.
        patience_s: how long to wait for a byte.
    """

    def __init__(self, response: httpx.Response, extent: Extent, *, patience_s: float) -> None:
        self._inflow = Inflow(response, length_bytes=extent.length_bytes, patience_s=patience_s)
        self._is_empty = extent.offset == extent.total_bytes
        #: read to be looked at, and not given yet
        self._begin = memoryview(b"")
        self.offset = extent.offset
        self.total_bytes = extent.total_bytes
        self.etag = etag_of(response)

    def begins_like_a_page(self) -> bool:
        """Look at the first bytes of a file, which is to be done before any is read.

        Raises:
            TryLater: kind `cut`, as from `read_into`.
        """
        begin = memoryview(bytearray(_DECIDING_BYTES))
        have = 0
        while have < len(begin) and (count := self.read_into(begin[have:])):
            have += count
        self._begin = begin[:have]
        return is_page(bytes(self._begin))

    def read_into(self, buffer: memoryview) -> int:
        """Give the next bytes, as `core.ports.Incoming` says."""
        if self._begin:
            count = min(len(self._begin), len(buffer))
            buffer[:count] = self._begin[:count]
            self._begin = self._begin[count:]
            return count
        try:
            return 0 if self._is_empty else self._inflow.read_into(buffer)
        except TRANSPORT_ERRORS:
            raise cut() from None


def asked_range(offset: int, etag: str | None) -> dict[str, str]:
    """Give the headers that ask for the rest of a file, if it is still the same."""
    if offset == 0:
        return {}
    condition = {} if etag is None else {"If-Range": etag}
    return {"Range": f"bytes={offset}-", **condition}


def extent_of(response: httpx.Response, offset: int, etag: str | None) -> Extent | None:
    """Read what a good answer, or a refused range, brings.

    Args:
        response: its body is unread.
        offset: from where on bytes were asked for.
        etag: what the file was called of which we have the bytes before that.

    Returns None where it does not go on at our end, or goes on with another file.
    """
    said = " ".join(header_values(response, b"content-range"))
    if response.status_code == _UNSATISFIABLE:
        match = _UNSATISFIED.fullmatch(said)
        over = match is not None and int(match[1]) == offset
        return Extent(offset=offset, total_bytes=offset, length_bytes=0) if over else None
    length_bytes = _length(response)
    if response.status_code != _PARTIAL:
        return Extent(offset=0, total_bytes=length_bytes, length_bytes=length_bytes)
    match = _CONTENT_RANGE.fullmatch(said)
    now = etag_of(response)
    if match is None or (etag is not None and now is not None and now != etag):
        return None
    first, last, total = int(match[1]), int(match[2]), None if match[3] == "*" else int(match[3])
    fits = length_bytes in (None, last - first + 1) and (total is None or last < total)
    if first != offset or last < first or not fits:
        return None
    return Extent(offset=offset, total_bytes=total, length_bytes=length_bytes)


def etag_of(response: httpx.Response) -> str | None:
    """Give what the server calls this form of the file; None without a strong name."""
    tags = header_values(response, b"etag")
    return tags[0] if len(tags) == 1 and _STRONG_ETAG.fullmatch(tags[0]) else None


def cut() -> TryLater:
    """Name a connection that broke while bytes came."""
    return TryLater(
        "the connection broke while the file came",
        does="hashtagd keeps what came and goes on from there",
        you="nothing; if it stays, look at your network",
        scope=Scope.FILE,
        kind="cut",
    )


def _length(response: httpx.Response) -> int | None:
    """Give the length of a body by its head; where it comes in chunks, that is the one that counts."""
    lengths = set(header_values(response, b"content-length"))
    if header_values(response, b"transfer-encoding") or len(lengths) != 1:
        return None
    text = lengths.pop()
    return int(text) if _LENGTH.fullmatch(text) else None
