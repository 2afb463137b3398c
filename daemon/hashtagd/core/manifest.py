"""The manifest: a library as a list of files, from which it can be made again.

What a list says is a stranger's word. Harmless oddities are overlooked; what could write where nothing should
be written, or fetch something else than was meant, is a mistake with its place, and the other lines count.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from hashtagd.core.addresses import plain_address, source_of
from hashtagd.core.card import DownloadUrl
from hashtagd.core.digests import is_sha256
from hashtagd.core.relative_paths import broken_rule

#: in the order in which they are written
FIELDS: Final = (
    *("root", "path", "size_bytes", "sha256", "model_id", "version_id", "file_id"),
    *("model_name", "version_name", "kind", "base_model", "urls"),
)
#: no line of ours comes near it
LONGEST_LINE: Final = 1 << 20
_IDS: Final = ("model_id", "version_id", "file_id")
_WORDS: Final = ("model_name", "version_name", "kind", "base_model")
#: what a 64-bit whole number holds
_LARGEST: Final = 2**63 - 1
_MOST_URLS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of a list; only what is known."""

    root: str | None = None
    #: relative to the root, POSIX
    path: str | None = None
    size_bytes: int | None = None
    #: lower-case
    sha256: str | None = None
    model_id: int | None = None
    version_id: int | None = None
    file_id: int | None = None
    model_name: str | None = None
    version_name: str | None = None
    #: the site's word for the type of model
    kind: str | None = None
    base_model: str | None = None
    #: where exactly these bytes can be fetched, the best first; without login or signature
    urls: tuple[DownloadUrl, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One thing that is wrong with a list; what it is about is left out, the rest is used."""

    #: `line 17`, or a path below the folder that was read
    where: str
    #: what is wrong, naming the field and quoting nothing: a pasted address may hold a token
    rule: str

    def __str__(self) -> str:
        return f"{self.where}: {self.rule}"


class UnusableLine(ValueError):  # noqa: N818 - it says what is unusable, not that the program failed
    """What was said of one file cannot be used; `rules` are all reasons."""

    def __init__(self, rules: Iterable[str]) -> None:
        self.rules = tuple(rules)
        super().__init__("; ".join(self.rules))

    def at(self, where: str) -> Iterator[Mistake]:
        """Give the reasons with their place."""
        return (Mistake(where=where, rule=rule) for rule in self.rules)


def json_line(entry: Entry) -> str:
    """Give an entry as one line of JSON, without its end.

    What is not printable is escaped: a title must not end a line for readers that know more line ends than
    JSON does, nor reach a terminal as a control code.
    """
    values = {name: getattr(entry, name) for name in FIELDS}
    text = json.dumps({**values, "urls": [_url_json(url) for url in entry.urls]}, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def read_json_lines(lines: Iterable[str]) -> Iterator[Entry | Mistake]:
    """Read lines of JSON; blank ones and unknown keys are overlooked, a mark at the beginning too."""
    for number, line in enumerate(lines, start=1):
        text = (line.removeprefix("\ufeff") if number == 1 else line).strip()
        if not text:
            continue
        try:
            yield _json_entry(text)
        except UnusableLine as unusable:
            yield from unusable.at(f"line {number}")


def entry_of(values: Mapping[str, Any]) -> Entry:
    """Make an entry of what a stranger says, by the names of the fields.

    Numbers may be written as text; an empty text, or a name of the wrong type, is not known.

    Raises:
        UnusableLine: with everything that is wrong.
    """
    rules: list[str] = []

    def take(name: str, read: Any) -> Any:  # noqa: ANN401 - reads whatever the field holds
        value = values.get(name)
        if value is None or value == "":
            return None
        try:
            return read(value)
        except ValueError as error:
            rules.append(f"`{name}` {error}")
            return None

    entry = Entry(
        root=take("root", _root),
        path=take("path", _path),
        size_bytes=take("size_bytes", _size_bytes),
        sha256=take("sha256", _sha256),
        **{name: take(name, _id) for name in _IDS},
        **{name: take(name, words) for name in _WORDS},
        urls=_urls(values.get("urls")),
    )
    if not rules and replace(entry, root=None, size_bytes=None) == Entry():
        rules.append("names neither a file nor a model")
    if rules:
        raise UnusableLine(rules)
    return entry


def is_text(text: str) -> bool:
    """Tell whether a text is proper Unicode; what was read with other letters than UTF-8's is not."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def words(value: object) -> str | None:
    """Take a text by a stranger; None where it is none. Halves of characters are replaced."""
    if not isinstance(value, str) or not value:
        return None
    return value if is_text(value) else "".join(char if is_text(char) else "\ufffd" for char in value)


def _json_entry(text: str) -> Entry:
    if len(text) > LONGEST_LINE:
        raise UnusableLine([f"is longer than {LONGEST_LINE} characters"])
    if not is_text(text):
        raise UnusableLine(["is not UTF-8"])
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise UnusableLine(["is not JSON"]) from None
    if not isinstance(values, dict):
        raise UnusableLine(["is not a JSON object"])
    return entry_of(values)


def _url_json(url: DownloadUrl) -> dict[str, Any]:
    known = {name: value for name in ("gated", "paid") if (value := getattr(url, name)) is not None}
    return {"url": url.url, "source": url.source, **known}


def _root(value: object) -> str:
    if not isinstance(value, str) or "\0" in value or not is_text(value):
        raise ValueError("is not the name of a root")
    return value


def _path(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("is not text")  # noqa: TRY004 - all that is wrong is told in one way
    rule = broken_rule(value)
    if rule is not None:
        raise ValueError(rule)
    return value


def _size_bytes(value: object) -> int:
    return _number(value, 0, "is not a whole number of bytes")


def _id(value: object) -> int:
    return _number(value, 1, "is not a whole number above 0")


def _number(value: object, least: int, rule: str) -> int:
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 40:  # noqa: PLR2004 - longer ones are too large
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= _LARGEST:
        raise ValueError(rule)
    return value


def _sha256(value: object) -> str:
    text = value.strip().lower() if isinstance(value, str) else ""
    if not is_sha256(text):
        raise ValueError("is not the 64 hexadecimal digits of a SHA-256")
    return text


def _urls(value: object) -> tuple[DownloadUrl, ...]:
    """Take addresses, as objects or as text; what is none is dropped, and so are logins and signatures."""
    items = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
    found: dict[str, DownloadUrl] = {}
    for item in items[:_MOST_URLS]:
        said = item if isinstance(item, dict) else {"url": item}
        url = plain_address(said.get("url"))
        if url is not None:
            source = words(said.get("source")) or source_of(url)
            gated, paid = _flag(said.get("gated")), _flag(said.get("paid"))
            found.setdefault(url, DownloadUrl(url=url, source=source, gated=gated, paid=paid))
    return tuple(found.values())


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None
