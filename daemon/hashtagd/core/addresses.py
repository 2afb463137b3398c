"""Addresses that may be kept and passed on: no login, no signature, no trace of who asked."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

#: query names that select something; every other one may be a proof, a token or a trace
SELECTING: Final = frozenset({"fileId", "fp", "modelVersionId", "type", "format", "size"})
#: names that select the size of a picture
_SIZES: Final = frozenset({"width", "height", "quality"})
#: characters that a kept path keeps as they are
_PATH_CHARS: Final = "/%:=,&+@!$'()*;~"
#: hosts that are known by a shorter name
_SOURCES: Final[Mapping[str, str]] = {
    "huggingface.co": "huggingface",
    **dict.fromkeys(
        (
            *("civitai.com", "civitai.red", "civitai.green"),
            *("www.civitai.com", "www.civitai.red", "www.civitai.green"),
            "api.civitai.com",
        ),
        "civitai",
    ),
}


def plain_address(url: object) -> str | None:
    """Give an http(s) address without user and fragment; its query stays only if every name is harmless.

    Repeats: what it gave stays as it is.
    """
    parts = split_address(url)
    if parts is None:
        return None
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = f":{parts.port}" if parts.port else ""
    names = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    query = f"?{quote(parts.query, safe=_PATH_CHARS)}" if names and names <= SELECTING | _SIZES else ""
    return f"{parts.scheme}://{host}{port}{quote(parts.path, safe=_PATH_CHARS)}{query}"


def source_of(url: str) -> str:
    """Name who keeps the bytes, by the host of an address."""
    parts = split_address(url)
    host = "" if parts is None else parts.hostname or ""
    return _SOURCES.get(host, host)


def file_id_in(url: object) -> int | None:
    """Read the file's id out of a download address of Civitai."""
    parts = split_address(url)
    values = dict(parse_qsl(parts.query)) if parts else {}
    text = values.get("fileId", "")
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def split_address(url: object) -> SplitResult | None:
    """Take an http(s) address with a host apart; None where it is none."""
    if not isinstance(url, str):
        return None
    try:
        url.encode()  # half a character is no part of any address
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 0) >= 0
    except ValueError:
        return None
    return parts if usable and _is_one_word(parts.netloc) else None


def _is_one_word(text: str) -> bool:
    return text.isprintable() and not any(char.isspace() for char in text)
