"""Put changed values into a JSON text of somebody's, and leave every other character as it stands.

What nobody asked to change keeps its line ends, its indentation, its escapes, and how the file ends. What is
new is laid out like its neighbours. Pure: text in, text out.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import Any, Final, NamedTuple

from hashtagd.stages.exact_json import SpelledFloat, SpelledInt

_NO_SPACE: Final = re.compile(r"[^ \t\r\n]")
_ESCAPED: Final = re.compile(r"\\u[0-9a-fA-F]{4}")
#: only where a value ends matters: numbers stay text, whatever their length
_DECODER: Final = json.JSONDecoder(parse_int=str, parse_float=str)


class _Member(NamedTuple):  # which are made faster than dataclasses; a stranger's file may hold a million
    """Where one member of an object, or element of a list, stands in a text."""

    #: None: of a list
    key: str | None
    #: where the space before it begins
    pad_start: int
    start: int
    #: where the space between the key and the value begins, with the colon in it
    key_end: int
    value_start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """A text, and how it is written."""

    text: str
    #: one level of indentation
    step: str
    #: what stands between a key and its value
    colon: str
    #: how words are spelled
    words: json.JSONEncoder


def splice(
    text: str, before: Mapping[str, Any], after: Mapping[str, Any], *, indent: int, ascii_only: bool = False
) -> str:
    """Change the text of one object into that of another.

    Args:
        text: JSON of one object in which no key stands twice.
        before: what it holds.
        after: what it shall hold; keys that both have stand in the same order.
        indent: spaces for each level, where the text itself shows none.
        ascii_only: escape everything else, also where the text itself does not.

    Raises:
        RecursionError: it is nested too deeply.
    """
    start = _after_space(text, 0)
    end = _DECODER.raw_decode(text, start)[1]
    members, _ = _members(text, start, most=1)
    pad = _line(text[members[0].pad_start : members[0].start]) if members else "\n"
    escaped = text.isascii() and _ESCAPED.search(text) is not None
    page = _Page(
        text=text,
        step=pad.rpartition("\n")[2] if members and "\n" in pad else " " * indent,
        colon=text[members[0].key_end : members[0].value_start] if members else ": ",
        words=json.JSONEncoder(ensure_ascii=ascii_only or escaped),
    )
    return text[:start] + _object(page, start, (before, after), "\n") + text[end:]


def _object(page: _Page, start: int, change: tuple[Mapping[str, Any], Mapping[str, Any]], margin: str) -> str:
    """Write the object that begins here anew.

    Args:
        page: the text.
        start: where its bracket is.
        change: what it holds, and what it shall hold.
        margin: the space before it, which counts where it has no members.
    """
    text, (before, after) = page.text, change
    members, end = _members(text, start)
    kept = [it for it in members if it.key in after]
    if not kept:
        return _spelled(after, page, margin)
    between = _between(page, members)
    parts = [
        text[it.pad_start : it.value_start]
        + _value(page, it, before[str(it.key)], after[str(it.key)], between)
        + (text[it.end : _after_space(text, it.end)] if it is not members[-1] else "")
        for it in kept
    ]
    known = {it.key for it in members}
    parts += [
        f"{between}{page.words.encode(key)}{page.colon}{_spelled(value, page, between)}"
        for key, value in after.items()
        if key not in known
    ]
    return "{" + ",".join(parts) + text[members[-1].end : end]


def _value(page: _Page, member: _Member, old: Any, new: Any, margin: str) -> str:  # noqa: ANN401
    if _is_same(old, new):
        return page.text[member.value_start : member.end]
    if isinstance(old, dict) and isinstance(new, dict):
        return _object(page, member.value_start, (old, new), margin)
    if isinstance(old, list) and isinstance(new, list) and old and _is_same(old, new[: len(old)]):
        return _longer(page, member.value_start, new[len(old) :])
    return _spelled(new, page, margin)


def _longer(page: _Page, start: int, added: Iterable[Any]) -> str:
    """Give the list that begins here some more elements at its end."""
    elements, end = _members(page.text, start)
    between = _between(page, elements)
    more = "".join(f",{between}{_spelled(value, page, between)}" for value in added)
    return page.text[start : elements[-1].end] + more + page.text[elements[-1].end : end]


def _between(page: _Page, members: Sequence[_Member]) -> str:
    """Give the space that a further one of these has before it."""
    pad = _line(page.text[members[-1].pad_start : members[-1].start])
    if len(members) > 1 or "\n" in pad:
        return pad
    # no space stands before the first one of `[1, 2]`
    return " " if page.colon.endswith(" ") else ""


def _line(space: str) -> str:
    """Leave out empty lines."""
    if "\n" not in space:
        return space
    return ("\r\n" if "\r\n" in space else "\n") + space.rpartition("\n")[2]


def _members(text: str, start: int, most: int | None = None) -> tuple[list[_Member], int]:
    """List what stands between the brackets that begin here, or the first of it; also gives where it ends."""
    found: list[_Member] = []
    pad_start = start + 1
    at = _after_space(text, pad_start)
    while text[at] not in "}]" and len(found) != most:
        key, key_end, value_start = None, at, at
        if text[start] == "{":
            key, key_end = _DECODER.raw_decode(text, at)
            value_start = _after_space(text, _after_space(text, key_end) + 1)
        end = _DECODER.raw_decode(text, value_start)[1]
        member = _Member(
            key=key, pad_start=pad_start, start=at, key_end=key_end, value_start=value_start, end=end
        )
        found.append(member)
        at = _after_space(text, end)
        if text[at] == ",":
            pad_start = at + 1
            at = _after_space(text, pad_start)
    return found, at + 1


def _after_space(text: str, at: int) -> int:
    found = _NO_SPACE.search(text, at)
    return len(text) if found is None else found.start()


def _spelled(value: Any, page: _Page, margin: str) -> str:  # noqa: ANN401 - any JSON value
    """Spell a new value, in one line where its neighbours stand in one."""
    if isinstance(value, SpelledInt | SpelledFloat):
        return value.spelling
    inner = margin + page.step if "\n" in margin else margin
    if isinstance(value, dict) and value:
        return _bracketed("{", _pairs(value, page, inner), "}", margin, inner)
    if isinstance(value, list | tuple) and value:
        return _bracketed("[", [_spelled(item, page, inner) for item in value], "]", margin, inner)
    return page.words.encode(value)


def _pairs(value: Mapping[str, Any], page: _Page, inner: str) -> Iterator[str]:
    for key, item in value.items():
        yield f"{page.words.encode(key)}{page.colon}{_spelled(item, page, inner)}"


def _bracketed(opening: str, items: Iterable[str], closing: str, margin: str, inner: str) -> str:
    if "\n" not in margin:
        return opening + f",{inner}".join(items) + closing
    return opening + inner + f",{inner}".join(items) + margin + closing


def _is_same(one: Any, other: Any) -> bool:  # noqa: ANN401 - any JSON values
    """Compare by spelling: 1 is not true. What nobody touched is the very same value still."""
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return all(starmap(_is_same, zip(one, other, strict=True)))
    return one is other or json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
