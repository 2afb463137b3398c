"""Names that strangers give to files, made fit for any disk.

Source: what ext4, NTFS, exFAT and SMB refuse; names that shells, watchers and other programs take for
something else (hidden, unfinished).
"""

import re
import unicodedata
from typing import Final

#: the name of the unfinished file, and every sidecar's, must fit into 255 bytes as well
LONGEST_NAME_BYTES: Final = 200
_LONGEST_EXTENSION: Final = 16
_UNFIT: Final = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffd]+')
#: devices of Windows, whatever extension follows
_DEVICES: Final = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|\Z)", re.IGNORECASE)
_SPACES: Final = re.compile(r"\s+")
_EXTENSION: Final = re.compile(r"\.[A-Za-z0-9]+")


def safe_name(name: str, *, otherwise: str) -> str:
    """Make a file name of a name that a stranger gave.

    Args:
        name: only its last component counts.
        otherwise: used where nothing of the name is left.

    Returns a name of one component, in NFC, at most `LONGEST_NAME_BYTES` long, that is not hidden, not the
    name of a device, and ends neither in a dot nor in a space. The extension stays.
    Repeats: a safe name stays as it is.
    """
    last = re.split(r"[/\\]", name)[-1]
    whole = _clean(last) or _clean(otherwise) or "model"
    stem, extension = _split(whole)
    if _DEVICES.match(whole):
        stem = f"_{stem}"
    room = LONGEST_NAME_BYTES - len(extension.encode())
    return _cut(stem, room).rstrip(". ") + extension


def numbered(name: str, mark: int | str) -> str:
    """Give another name for the same file: `STEM-MARK.EXTENSION`."""
    stem, extension = _split(name)
    tail = f"-{mark}{extension}"
    return _cut(stem, LONGEST_NAME_BYTES - len(tail.encode())) + tail


def _clean(text: str) -> str:
    plain = _UNFIT.sub(" ", text.encode(errors="ignore").decode())
    plain = unicodedata.normalize("NFC", _SPACES.sub(" ", plain))
    return plain.strip(" ").lstrip(".~ ").rstrip(". ")


def _split(name: str) -> tuple[str, str]:
    stem, dot, extension = name.rpartition(".")
    tail = f".{extension}"
    if dot and stem and len(tail) <= _LONGEST_EXTENSION and _EXTENSION.fullmatch(tail):
        return stem, tail
    return name, ""


def _cut(text: str, room: int) -> str:
    return text.encode()[:room].decode(errors="ignore")
