"""Which kind of picture some bytes are: judged by the first of them, because names and headers lie."""

from typing import Final

#: so many bytes decide
DECIDING_BYTES: Final = 32

_FIRST: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\x1aE\xdf\xa3", "video/webm"),
)
_AVIF_BRANDS: Final = (b"avif", b"avis")
#: what may be put beside a model
STILL_TYPES: Final = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif", "image/avif"})


def media_type(prefix: bytes) -> str | None:
    """Name the media type of bytes by their beginning; None for anything not on the list."""
    for start, name in _FIRST:
        if prefix.startswith(start):
            return name
    if prefix[:4] == b"RIFF" and prefix[8:12] == b"WEBP":
        return "image/webp"
    if prefix[4:8] == b"ftyp":
        brands = {prefix[8:12], *(prefix[at : at + 4] for at in range(16, len(prefix) - 3, 4))}
        return "image/avif" if brands & set(_AVIF_BRANDS) else "video/mp4"
    return None


def is_page(prefix: bytes) -> bool:
    """Tell whether bytes begin like a page for people."""
    return (
        prefix.lstrip(b"\xef\xbb\xbf \t\r\n")[:9]
        .lower()
        .startswith((b"<!doctype", b"<html", b"<head", b"<script"))
    )


def looks_whole(kind: str, tail: bytes) -> bool:
    """Tell whether the end of a picture is there, for answers that do not say how long they are."""
    if kind == "image/png":
        return b"IEND" in tail
    if kind == "image/jpeg":
        return b"\xff\xd9" in tail
    return kind != "image/gif" or tail.rstrip(b"\x00").endswith(b";")
