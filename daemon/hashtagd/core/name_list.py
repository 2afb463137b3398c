"""Lists that people keep by hand: hashes, or names of models, one a line; and what `sha256sum` prints."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from hashtagd.core.addresses import file_id_in
from hashtagd.core.manifest import Entry, Mistake, UnusableLine, entry_of, is_text
from hashtagd.core.naming import parse_model_name

_SHA256: Final = re.compile(r"[0-9A-Fa-f]{64}", re.ASCII)
#: how `sha256sum` writes: the hash, a space, a space or an asterisk, the path
_SUM: Final = re.compile(r"([0-9A-Fa-f]{64}) [ *](.+)", re.ASCII)
_COMMENT: Final = re.compile(r"(?:^|\s)#.*", re.DOTALL)
#: digits of the short hashes that sites print, with their names
_SHORT: Final = {8: "AutoV1 or CRC32", 10: "AutoV2", 12: "AutoV3"}
_HEX: Final = re.compile(r"[0-9A-Fa-f]+", re.ASCII)


def read_names(lines: Iterable[str]) -> Iterator[Entry | Mistake]:
    """Read a list: a SHA-256, or a version's number, AIR or address a line; `#` begins a comment."""
    for number, line in enumerate(lines, start=1):
        text = (line.removeprefix("\ufeff") if number == 1 else line).strip()
        if is_comment(text):
            continue
        try:
            yield _entry(text)
        except UnusableLine as unusable:
            yield from unusable.at(f"line {number}")


def is_comment(line: str) -> bool:
    """Tell whether a line says nothing."""
    return not _COMMENT.sub("", line.strip())


def is_name(line: str) -> bool:
    """Tell whether a line could stand in such a list, comments and blank lines not counted."""
    text = line.strip()
    bare = _COMMENT.sub("", text).strip()
    if _SUM.fullmatch(text) or _SHA256.fullmatch(bare) or _short(bare):
        return True
    try:
        parse_model_name(bare)
    except ValueError:
        return False
    return True


def _entry(text: str) -> Entry:
    if not is_text(text):
        raise UnusableLine(["is not UTF-8"])
    summed = _SUM.fullmatch(text)
    if summed:
        return entry_of({"sha256": summed[1], "path": summed[2].removeprefix("./")})
    bare = _COMMENT.sub("", text).strip()
    if _SHA256.fullmatch(bare):
        return Entry(sha256=bare.lower())
    try:
        named = parse_model_name(bare)
    except ValueError:
        short = _short(bare)
        raise UnusableLine([_too_short(short) if short else _UNREADABLE]) from None
    if named.version_id is None:
        raise UnusableLine([_NO_VERSION])
    return Entry(model_id=named.model_id, version_id=named.version_id, file_id=file_id_in(bare))


def _short(text: str) -> str | None:
    return _SHORT.get(len(text)) if _HEX.fullmatch(text) else None


def _too_short(name: str) -> str:
    return (
        f"has as many digits as {name}, by which no downloaded file can be verified; "
        "write the 64 digits of the SHA-256, or the version's number"
    )


_NO_VERSION: Final = (
    "names a model and none of its versions; the address of a version ends in ?modelVersionId=NUMBER"
)
_UNREADABLE: Final = (
    "is no SHA-256, and no number, AIR or address of a version "
    "(https://civitai.com/models/1882733?modelVersionId=2130994)"
)
