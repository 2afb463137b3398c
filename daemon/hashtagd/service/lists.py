"""Read a list of models, whatever form it has: what it is, is found out by looking at it."""

import codecs
import errno
import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, islice
from pathlib import Path
from typing import Final

from hashtagd.core.foreign_lists import SIDECARS
from hashtagd.core.manifest import LONGEST_LINE, Entry, Mistake, read_json_lines
from hashtagd.core.manifest_csv import read_csv, separator_of
from hashtagd.core.name_list import is_comment, is_name, read_names
from hashtagd.core.troubles import GiveUp, Scope
from hashtagd.service.sidecar_tree import read_sidecar, read_sidecars

#: so many lines are looked at to find out what a file is
_LOOKED_AT: Final = 64
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

_Items = Iterable[Entry | Mistake]


class ListKind(StrEnum):
    """What a list is."""

    MANIFEST = "manifest"
    TABLE = "table"
    NAMES = "names"
    SIDECARS = "sidecars"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadList:
    """All that a list says."""

    kind: ListKind
    entries: tuple[Entry, ...]
    mistakes: tuple[Mistake, ...]


def read_list(source: Path) -> ReadList:
    """Read a file, a folder with sidecars, or standard input (`-`).

    Raises:
        GiveUp: it cannot be read, or is no list at all.
    """
    try:
        if source == Path("-"):
            with os.fdopen(_stdin(), "rb", closefd=False) as file:
                return _of_file(file)
        if source.is_dir():
            return _collected(ListKind.SIDECARS, read_sidecars(source))
        if source.name.endswith(tuple(SIDECARS)):
            return _collected(ListKind.SIDECARS, read_sidecar(source))
        with source.open("rb") as file:
            return _of_file(file)
    except OSError as error:
        raise _unreadable(source, error) from None


def text_lines(file: io.BufferedReader) -> Iterator[str]:
    """Give the lines of a file with their ends, which may be those of any system.

    UTF-8, or UTF-16 with its mark; bytes that are neither become halves of characters. Of a line that is too
    long so much is given that its reader refuses it.
    """
    is_utf16 = file.peek(2)[:2] in _UTF16
    text = io.TextIOWrapper(
        file,
        encoding="utf-16" if is_utf16 else "utf-8",
        errors="replace" if is_utf16 else "surrogateescape",
        newline="",
    )
    try:
        while line := text.readline(LONGEST_LINE + 1):
            yield line
            while line and not line.endswith(("\n", "\r")):
                line = text.readline(LONGEST_LINE)
    finally:
        text.detach()


def _of_file(file: io.BufferedReader) -> ReadList:
    lines = text_lines(file)
    first = list(islice(lines, _LOOKED_AT))
    found = _kind_of(first)
    if found is None:
        raise _no_list()
    kind, reader = found
    return _collected(kind, reader(chain(first, lines)))


def _kind_of(first: Sequence[str]) -> tuple[ListKind, Callable[[Iterable[str]], _Items]] | None:
    telling = [text for line in first if (text := line.removeprefix("\ufeff").strip())]
    if any(map(_is_object, telling)):
        return ListKind.MANIFEST, read_json_lines
    if telling and separator_of(telling[0]) is not None:
        return ListKind.TABLE, read_csv
    said = [line for line in telling if not is_comment(line)]
    # one line that looks like a name makes no list of a page of text
    if said and 2 * sum(map(is_name, said)) >= len(said):
        return ListKind.NAMES, read_names
    return None


def _is_object(line: str) -> bool:
    if not line.startswith("{"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _collected(kind: ListKind, items: _Items) -> ReadList:
    entries: list[Entry] = []
    mistakes: list[Mistake] = []
    for item in items:
        if isinstance(item, Entry):
            entries.append(item)
        else:
            mistakes.append(item)
    if not entries and not mistakes:
        raise _no_list()
    return ReadList(kind=kind, entries=tuple(entries), mistakes=tuple(mistakes))


def _stdin() -> int:
    if sys.stdin is None:
        raise OSError(errno.EBADF, "standard input is closed")
    return sys.stdin.fileno()


def _no_list() -> GiveUp:
    return GiveUp(
        "that is no list of models",
        does="nothing was changed",
        you="give what `hashtagd export` wrote (JSON lines or CSV), a list with a SHA-256, or a version's "
        "number, AIR or address a line, or a folder with sidecars of LoRA Manager or StabilityMatrix",
        scope=Scope.FILE,
        kind="no_list",
    )


def _unreadable(source: Path, error: OSError) -> GiveUp:
    word = errno.errorcode.get(error.errno or 0, "unknown")
    return GiveUp(
        f"{source} cannot be read ({word})",
        does="nothing was changed",
        you="name a file or a folder that you may read",
        scope=Scope.FILE,
        kind="list_not_readable",
    )
