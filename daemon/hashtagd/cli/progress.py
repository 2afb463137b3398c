"""The progress of `run --once`: a bar on a terminal, nothing elsewhere (the log tells it there)."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: takes how many files are done, and how many there are
Report = Callable[[int, int], None]


@contextmanager
def progress(*, shown: bool) -> Iterator[Report]:
    """Draw on standard error for the time of a block; lines that are logged meanwhile stand above the bar."""
    if not shown:
        yield lambda _done, _total: None
        return
    # megabytes, which a daemon without a terminal has no use for
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("files"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("files", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


def wants_progress(*, once: bool, volume: str | None) -> bool:
    """Tell whether to draw: for a run that ends, on a terminal, unless the log or silence was asked for."""
    return once and volume is None and sys.stderr.isatty()
