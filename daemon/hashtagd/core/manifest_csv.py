"""The manifest as a table for spreadsheets: commas, a line of names first, addresses joined by spaces.

A title by a stranger may begin like a formula, which a spreadsheet would run. Such text gets a quotation mark
`'` in front, and so does text that already has one there; both are taken off again when the table is read.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from hashtagd.core.manifest import FIELDS, Entry, Mistake, UnusableLine, entry_of, is_text

#: what a spreadsheet takes for the beginning of a formula, in narrow and in wide letters
_FORMULA: Final = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_MARKED: Final = re.compile(f"'{_FORMULA.pattern}")
#: by one of these a table is told from a list of names
TELLING: Final = frozenset({"path", "sha256", "version_id", "urls"})
_SEPARATORS: Final = ",;\t"


class _Written:
    """What the csv module writes to: keeps the last line."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text = text
        return len(text)


def csv_head() -> str:
    """Give the line of names, with its end."""
    return _line(FIELDS)


def csv_line(entry: Entry) -> str:
    """Give an entry as a line, with its end; a text with line breaks takes more than one."""
    values = (getattr(entry, name) for name in FIELDS[:-1])
    cells = [_marked(value) if isinstance(value, str) else value for value in values]
    return _line([*cells, " ".join(url.url for url in entry.urls)])


def separator_of(line: str) -> str | None:
    """Tell by which character a line of names separates them; None: it is no such line."""
    for separator in _SEPARATORS:
        if TELLING & set(_names(line, separator)):
            return separator
    return None


def read_csv(lines: Iterable[str]) -> Iterator[Entry | Mistake]:
    """Read a table whose first line that is not blank has the names; lines keep their own ends.

    Spreadsheets also write `;` or tabs between the cells. Unknown columns are overlooked.
    """
    rest = enumerate(lines, start=1)
    for number, line in rest:
        head = line.removeprefix("\ufeff")
        if head.strip():
            separator = separator_of(head)
            if separator is None:
                yield Mistake(
                    where=f"line {number}", rule=f"has none of the names {', '.join(sorted(TELLING))}"
                )
                return
            yield from _rows(_names(head, separator), (text for _, text in rest), separator, number)
            return


def _rows(
    names: Sequence[str], lines: Iterator[str], separator: str, before: int
) -> Iterator[Entry | Mistake]:
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        where = f"line {before + reader.line_num + 1}"
        try:
            row = next(reader)
            if any(cell.strip() for cell in row):
                yield _entry(dict(zip(names, row, strict=False)))
        except StopIteration:
            return
        except UnusableLine as unusable:
            yield from unusable.at(where)
        except csv.Error:
            yield Mistake(
                where=where, rule="has a quotation mark that is not closed, or something behind one"
            )


def _entry(cells: dict[str, str]) -> Entry:
    if not all(is_text(cell) for cell in cells.values()):
        raise UnusableLine(["is not UTF-8"])
    return entry_of({name: cell[1:] if _MARKED.match(cell) else cell for name, cell in cells.items()})


def _names(line: str, separator: str) -> list[str]:
    return [name.strip().strip('"').lower() for name in line.strip().split(separator)]


def _marked(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) else text


def _line(cells: Sequence[object]) -> str:
    written = _Written()
    csv.writer(written).writerow(cells)
    return written.text
