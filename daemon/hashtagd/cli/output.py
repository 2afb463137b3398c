"""How commands print: tables on a terminal, plain lines in a pipe, JSON for programs.

Text from strangers (model names, tags, paths) never reaches the terminal with control characters in it.
"""

import json
import sys
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import click

#: a cell of a table on a terminal is not wider
CELL_WIDTH: Final = 60


def safe(value: object) -> str:
    """Make text fit to be printed on one line: control and override characters become visible escapes."""
    text = "" if value is None else str(value)
    if text.isprintable():  # nearly always, and much quicker than looking at each
        return text
    return "".join(char if _is_printable(char) else char.encode("unicode_escape").decode() for char in text)


def cut(text: str, width: int = CELL_WIDTH) -> str:
    """Shorten a text in its middle: the end of a path, or of a version's name, tells it from its neighbours.

    Wide characters count twice, and those without width once: a letter may carry thousands of them.
    """
    if sum(map(_cells, text[: width + 1])) <= width:
        return text
    tail = _fitting(reversed(text[-width:]), width // 3)
    return f"{_fitting(text[:width], width - 1 - width // 3)}…{tail[::-1]}"


def _fitting(text: Iterable[str], width: int) -> str:
    kept = []
    for char in text:
        width -= _cells(char)
        if width < 0:
            break
        kept.append(char)
    return "".join(kept)


def _cells(char: str) -> int:
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def is_text(text: str) -> bool:
    """Tell whether a word of the command line is proper text, which every store and stream can take."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _is_printable(char: str) -> bool:
    return unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} or char in "\u200d\ufe0f"


def print_json(data: object) -> None:
    """Print one JSON document."""
    click.echo(_dumps(data, indent=2))


def print_json_lines(rows: Iterable[object]) -> None:
    """Print one JSON document a line."""
    for row in rows:
        click.echo(_dumps(row))


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    title: str | None = None,
    whole: Collection[str] = (),
) -> None:
    """Print rows as a table on a terminal, as tab-separated lines in a pipe.

    On a terminal long cells are cut, but for those of the columns named in `whole`.
    """
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(safe(cell) for cell in row))
        return
    # megabytes, which nobody but a terminal has a use for
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(
            *(
                Text(safe(cell) if column in whole else cut(safe(cell)))
                for column, cell in zip(columns, row, strict=False)
            )
        )
    Console(markup=False, emoji=False, highlight=False).print(table)


def print_trouble(trouble: Mapping[str, Any], when: str = "", *, err: bool = False) -> None:
    """Print where something is wrong, and the three clauses."""
    click.echo(f"{safe(trouble['where'])}: {safe(trouble['what'])}{when}", err=err)
    does = trouble["does"].removeprefix("hashtagd ")  # most clauses begin with its name
    click.echo(f"  hashtagd: {safe(does)}\n  you:      {safe(trouble['you'])}", err=err)


def print_facts(facts: Mapping[str, object]) -> None:
    """Print names and values, one a line, leaving out what is not known."""
    shown = {name: value for name, value in facts.items() if value not in (None, "", [], ())}
    width = max((len(name) for name in shown), default=0)
    for name, value in shown.items():
        lines = [safe(line) for line in value] if isinstance(value, list | tuple) else [safe(value)]
        click.echo(f"{name:<{width}}  {lines[0]}")
        for line in lines[1:]:
            click.echo(f"{'':<{width}}  {line}")


def bytes_in_words(size_bytes: float) -> str:
    """Say a size with the unit people use for files."""
    for unit in ("B", "KB", "MB", "GB"):
        if abs(size_bytes) < 1000:  # noqa: PLR2004 - the step between the units
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"


def moment_in_words(moment: datetime | None, now: datetime) -> str:
    """Say when something is, relative to now."""
    if moment is None:
        return "-"
    seconds = (moment - now).total_seconds()
    size = abs(seconds)
    for limit, step, unit in (
        (90, 1, "s"),
        (5400, 60, "min"),
        (172_800, 3600, "h"),
        (float("inf"), 86_400, "days"),
    ):
        if size < limit:
            words = f"{size / step:.0f} {unit}"
            break
    return f"in {words}" if seconds >= 0 else f"{words} ago"


def due_in_words(moment: datetime | None, now: datetime) -> str:
    """Say when something will be done; what is overdue is done as soon as anybody can."""
    return "now" if moment is not None and moment <= now else moment_in_words(moment, now)


def _dumps(data: object, indent: int | None = None) -> str:
    """Make JSON that may be looked at on a terminal: control and override characters are escaped as well."""
    text = json.dumps(data, ensure_ascii=False, indent=indent, default=_plain)
    if text.isprintable():
        return text
    # the only such characters that json leaves outside of strings are its own line ends
    return "".join(char if char == "\n" or _is_printable(char) else json.dumps(char)[1:-1] for char in text)


def _plain(value: object) -> Any:  # noqa: ANN401 - the shape json asks for
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    raise TypeError(f"not a JSON value: {type(value).__name__}")
