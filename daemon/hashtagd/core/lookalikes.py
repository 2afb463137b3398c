"""What a file that is no model looks like, guessed from its first bytes for the message to the owner.

Nothing is opened, unpacked or unpickled: only the beginning is compared.
"""

from typing import Final

#: (first bytes, what they mean), the more telling first
_MAGIC: Final[tuple[tuple[bytes, str], ...]] = (
    (b"version https://git-lfs", "a Git LFS pointer: the file itself was never fetched"),
    (b"GGUF", "a GGUF model"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x93NUMPY", "a NumPy array"),
)
#: the same for text, compared in lower case after leading white space
_TEXT: Final[tuple[tuple[bytes, str], ...]] = (
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<head", "an HTML page"),
    (b"<?xml", "an XML document"),
    (b"{", "a JSON document, perhaps an error message"),
    (b"[", "a JSON document, perhaps an error message"),
)
_PICKLE_PROTOCOLS: Final = frozenset(range(2, 6))
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_TEXT_BYTES: Final = frozenset({9, 10, 13, *range(32, 127)})


def looks_like(prefix: bytes) -> str | None:
    """Guess the kind of a file from its first (up to 512) bytes; None when nothing fits."""
    for magic, meaning in _MAGIC:
        if prefix.startswith(magic):
            is_checkpoint = magic.startswith(b"PK") and b"data.pkl" in prefix
            return "a PyTorch checkpoint (a zip archive)" if is_checkpoint else meaning
    if prefix[:1] == b"\x80" and prefix[1:2] and prefix[1] in _PICKLE_PROTOCOLS:
        return "a pickle"
    text = prefix.removeprefix(_BYTE_ORDER_MARK).lstrip().lower()
    for start, meaning in _TEXT:
        if text.startswith(start):
            return meaning
    return "a text file" if text and all(byte in _TEXT_BYTES for byte in text) else None
