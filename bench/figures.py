"""Figures beside their goals: what every bench gives back, and the one table they are printed in."""

import json
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured thing."""

    what: str
    measured: str
    goal: str
    #: None: a figure for orientation, without a promise
    kept: bool | None = None


def at_most(what: str, measured: float, goal: float, unit: str = "") -> Figure:
    """Make a figure that must not be larger than its goal."""
    return Figure(
        what=what,
        measured=f"{measured:g}{unit}",
        goal=f"at most {goal:g}{unit}",
        kept=measured <= goal,
    )


def exactly(what: str, measured: int, goal: int, unit: str = "") -> Figure:
    """Make a figure that must equal its goal."""
    return Figure(what=what, measured=f"{measured:,}{unit}", goal=f"{goal:,}{unit}", kept=measured == goal)


def table(figures: Sequence[Figure]) -> str:
    """Lay figures out in columns."""
    rows = [("what", "measured", "goal", "")]
    words = {True: "kept", False: "BROKEN", None: ""}
    rows += [(figure.what, figure.measured, figure.goal, words[figure.kept]) for figure in figures]
    widths = [max(_width(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join(_pad(cell, width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def finish(figures: Sequence[Figure], *, as_json: bool = False) -> None:
    """Print the figures and end the process: 1 if a promise is broken."""
    if as_json:
        print(json.dumps([asdict(figure) for figure in figures], ensure_ascii=False))
    else:
        print(table(figures))
    sys.exit(any(figure.kept is False for figure in figures))


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _width(text))
