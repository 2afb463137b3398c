"""Bodies of answers: read within bounds, parsed into values that every store can hold."""

import json
import re
import zlib
from collections.abc import Iterator
from typing import Any

import httpx

_STEP_BYTES = 256 * 1024
_DEEPEST = 48
#: what an answer may hold outside its strings: ten thousand rows of the site have 20,000 brackets and 30,000
#: commas; the parser makes at most 150 bytes of each, as measured
_MOST_BRACKETS = 600_000
_MOST_COMMAS = 1_000_000
_MOST_QUOTES = 2_000_000
_STRING = re.compile(rb'"[^"]*"')
_INT64_DIGITS = 18
#: a run of digits too long for 64 bits, an exponent too large for a float
_ODD_NUMBER = re.compile(rb"[0-9]{19}|[0-9][eE]\+?[0-9]{3}")
#: escapes of what no store can hold: NUL, and halves of surrogate pairs (most of which have their other half)
_SUSPECT = re.compile(rb"\\u(0000|[dD][89a-fA-F])")
_CONTAINERS = (dict, list)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class SpoiledBody(Exception):  # noqa: N818 - a condition of an answer; it becomes a trouble one level up
    """A body that must not be used; the text says why, without quoting it.

    Args:
        cut: bytes are missing, so that asking again at once may help.
    """

    def __init__(self, why: str, *, cut: bool) -> None:
        super().__init__(why)
        self.cut = cut


def header_values(response: httpx.Response, name: bytes) -> list[str]:
    """Give all values of a header, in order; `name` in lower case."""
    return [value.decode("latin-1") for key, value in response.headers.raw if key.lower() == name]


def read_body(response: httpx.Response, max_bytes: int) -> bytes:
    """Read a body, at most so many bytes after decoding.

    Raises:
        SpoiledBody: too long, cut short, or in a coding nobody asked for.
    """
    codings = [value.strip().lower() for value in header_values(response, b"content-encoding")]
    chunks = _chunks(response)
    if codings == ["gzip"]:
        chunks = _unzipped(chunks)
    elif codings not in ([], ["identity"]):
        raise SpoiledBody("the body has a coding nobody asked for", cut=False)
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > max_bytes:
            raise SpoiledBody(f"the body is longer than {max_bytes} bytes", cut=False)
    return bytes(body)


def _chunks(response: httpx.Response) -> Iterator[bytes]:
    yield from response.iter_raw()


def _unzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    decoder = zlib.decompressobj(wbits=31)
    try:
        for chunk in chunks:
            yield decoder.decompress(chunk, _STEP_BYTES)
            while decoder.unconsumed_tail:
                yield decoder.decompress(decoder.unconsumed_tail, _STEP_BYTES)
    except zlib.error:
        raise SpoiledBody("the body is no proper gzip", cut=False) from None
    if not decoder.eof:
        raise SpoiledBody("the body ends early", cut=True)


def parse_json(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Parse a JSON document by a stranger.

    Returns plain values without NUL and half characters in texts, without numbers beyond 64 bits (None
    instead), and not nested deeper than any honest answer.

    Raises:
        SpoiledBody: it is no JSON, or more than any honest answer holds.
    """
    if not _is_bounded(body) and not _is_bounded(_bare(body)):
        raise SpoiledBody("the body holds too many values", cut=False)
    # to read every number with our own functions takes as long as all the rest; hardly any document needs it
    careful = _ODD_NUMBER.search(body) is not None
    try:
        value = json.loads(
            body.decode("utf-8-sig"),
            parse_int=_integer if careful else None,
            parse_float=_number if careful else None,
            parse_constant=_no_number,
        )
    except (ValueError, RecursionError):
        raise SpoiledBody("the body is no JSON", cut=True) from None
    if _too_deep(value):
        raise SpoiledBody("the body is nested too deeply", cut=False)
    return _cleaned(value) if _SUSPECT.search(body) else value


def clean_text(text: str) -> str:
    """Drop what no store can hold."""
    return _UNSTORABLE.sub("", text)


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= _INT64_DIGITS else None


def _number(digits: str) -> float | None:
    number = float(digits)
    return number if abs(number) < float("inf") else None


def _no_number(_name: str) -> None:
    """Read NaN and the infinities, which are no JSON, as nothing."""


def _is_bounded(body: bytes) -> bool:
    """Count at the speed of `bytes` methods what a parser would make values of."""
    brackets = sum(body.count(bracket) for bracket in (b"[", b"]", b"{", b"}"))
    return brackets <= _MOST_BRACKETS and body.count(b",") <= _MOST_COMMAS


def _bare(body: bytes) -> bytes:
    """Take the strings out, whose brackets and commas are prose; pairs of backslashes go first.

    Raises:
        SpoiledBody: there are too many of them even for that.
    """
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    if body.count(b'"') > _MOST_QUOTES:
        raise SpoiledBody("the body holds too many strings", cut=False)
    return _STRING.sub(b"", body)


def _too_deep(value: object) -> bool:
    level: list[Any] = [value] if type(value) in _CONTAINERS else []
    for _ in range(_DEEPEST):
        children = (item.values() if isinstance(item, dict) else item for item in level if item)
        level = [child for group in children for child in group if type(child) in _CONTAINERS]
        if not level:
            return False
    return True


def _cleaned(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_text(name): _cleaned(item) for name, item in value.items()}
    return [_cleaned(item) for item in value] if isinstance(value, list) else value
