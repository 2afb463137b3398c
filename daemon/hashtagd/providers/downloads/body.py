"""The head and the body of a file on its way: where it begins, how long it is, where it breaks.

Source: RFC 9110, 13.1.5 (If-Range), 14 (Range, Content-Range); 8.8.3 (entity tags).
"""

import itertools
import re
from collections.abc import Iterator
from typing import Final

import httpx

from hashtagd.core.troubles import Scope, TryLater
from hashtagd.providers.bodies import header_values
from hashtagd.providers.downloads.answers import no_file
from hashtagd.providers.media import is_page
from hashtagd.providers.wire import TRANSPORT_ERRORS

_PARTIAL: Final = 206
_CONTENT_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/(\*|[0-9]{1,18})", re.IGNORECASE)
_UNSATISFIED: Final = re.compile(r"bytes \*/([0-9]{1,18})", re.IGNORECASE)
_LONGEST_ETAG: Final = 256


class Body:
    """The `Incoming` of `core.ports`.

    Args:
        response: its body is unread.
        offset: where in the file it begins.
        empty: there is nothing more to come.
    """

    def __init__(self, response: httpx.Response, *, offset: int, empty: bool = False) -> None:
        self._response = response
        self._empty = empty
        self.offset = offset
        self.total_bytes = offset if empty else _total(response, offset)
        self.etag = _etag(response)

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes, as `core.ports.Incoming` says; a page in place of a file is refused."""
        if self._empty:
            return
        pieces = self._received()
        first = next(pieces, b"")
        # in the middle of a file any bytes may stand
        if self.offset == 0 and is_page(first):
            raise no_file("it is a page for people")
        yield from itertools.chain((first,), pieces) if first else ()

    def _received(self) -> Iterator[bytes]:
        try:
            yield from self._response.iter_raw()
        except TRANSPORT_ERRORS:
            raise cut() from None


def asked_range(offset: int, etag: str | None) -> dict[str, str]:
    """Give the headers that ask for the rest of a file, if it is still the same."""
    if offset == 0:
        return {}
    condition = {} if etag is None else {"If-Range": etag}
    return {"Range": f"bytes={offset}-", **condition}


def is_over(response: httpx.Response, offset: int) -> bool:
    """Tell whether a refused range means that the file ends exactly where ours does."""
    match = _UNSATISFIED.fullmatch(" ".join(header_values(response, b"content-range")))
    return match is not None and int(match[1]) == offset


def is_resumed(response: httpx.Response, offset: int, etag: str | None) -> int | None:
    """Tell where the bytes begin: at the offset, or at 0; None: at neither, or of another file."""
    if response.status_code != _PARTIAL:
        return 0
    match = _CONTENT_RANGE.fullmatch(" ".join(header_values(response, b"content-range")))
    if match is None or int(match[1]) != offset:
        return None
    now = _etag(response)
    return None if etag is not None and now is not None and now != etag else offset


def cut() -> TryLater:
    """Name a connection that broke while bytes came."""
    return TryLater(
        "the connection broke while the file came",
        does="hashtagd keeps what came and goes on from there",
        you="nothing; if it stays, look at your network",
        scope=Scope.FILE,
        kind="cut",
    )


def _total(response: httpx.Response, offset: int) -> int | None:
    if response.status_code == _PARTIAL:
        match = _CONTENT_RANGE.fullmatch(" ".join(header_values(response, b"content-range")))
        return int(match[3]) if match is not None and match[3] != "*" else None
    lengths = header_values(response, b"content-length")
    known = len(lengths) == 1 and lengths[0].isascii() and lengths[0].isdecimal()
    return offset + int(lengths[0]) if known else None


def _etag(response: httpx.Response) -> str | None:
    tags = header_values(response, b"etag")
    strong = len(tags) == 1 and tags[0].startswith('"') and tags[0].endswith('"')
    return tags[0] if strong and tags[0].isprintable() and len(tags[0]) <= _LONGEST_ETAG else None
