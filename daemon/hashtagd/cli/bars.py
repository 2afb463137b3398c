"""How downloads are watched: bars on a terminal, a line now and then in a pipe, events for programs."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

import click

from hashtagd.catalog.transfers import TransferRow
from hashtagd.cli.output import bytes_in_words, cut, print_json_lines, print_trouble, safe

#: in a pipe, a file is told of at each tenth
_STEPS: Final = 10
_NAME_WIDTH: Final = 40
_SHORTEST_NAME: Final = 12
#: what stands on a line besides the name
_REST_WIDTH: Final = 56
#: the number of no download
_ALL: Final = 0


class Watcher(Protocol):
    """Is told how far downloads are, several times a second."""

    def __call__(self, rows: Sequence[TransferRow], here: Mapping[int, int]) -> None:
        """Take the rows, and by number how many bytes are here, where that is known better."""
        ...


@contextmanager
def watching(*, as_json: bool) -> Iterator[Watcher]:
    """Give what draws for the time of a block."""
    if as_json:
        yield _Told(_json_line)
    elif sys.stderr.isatty():
        with _bars() as watcher:
            yield watcher
    else:
        yield _Told(_plain_line)


def row_facts(row: TransferRow) -> dict[str, Any]:
    """Give one download as JSON."""
    return {
        "id": row.transfer_id,
        "root": row.place.root,
        "path": row.place.relpath,
        "state": row.state,
        "sha256": row.sha256,
        "size_bytes": row.size_bytes,
        "bytes_done": row.bytes_done,
        "due_at": row.due_at,
        "done_at": row.done_at,
        "trouble": None if row.trouble is None else {key: row.trouble[key] for key in _CLAUSES},
    }


def print_downloads(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print what did not end yet, for people."""
    for row in rows:
        where = safe(f"{row['root']}/{row['path']}")
        size = row["size_bytes"]
        done = bytes_in_words(row["bytes_done"]) + (f" of {bytes_in_words(size)}" if size else "")
        if row["state"] == "parked":
            print_trouble({"where": f"{row['root']}/{row['path']}", **row["trouble"]})
        elif row["state"] != "done":
            why = f" ({safe(row['trouble']['what'])})" if row["trouble"] else ""
            click.echo(f"download: {where}: {row['state']}, {done}{why}")


_CLAUSES: Final = ("kind", "what", "does", "you")


class _Told:
    """Tells of each download when it begins, at each tenth, and when it ends."""

    def __init__(self, tell: Any) -> None:  # noqa: ANN401 - one of the two below
        self._tell = tell
        self._last: dict[int, tuple[str, int]] = {}

    def __call__(self, rows: Sequence[TransferRow], here: Mapping[int, int]) -> None:
        for row in rows:
            done = max(row.bytes_done, here.get(row.transfer_id, 0))
            step = done * _STEPS // row.size_bytes if row.size_bytes else 0
            now = (row.state, step)
            if self._last.get(row.transfer_id) != now and (done or row.state in ("done", "parked")):
                self._last[row.transfer_id] = now
                self._tell(row, done)


def _plain_line(row: TransferRow, done: int) -> None:
    where = safe(f"{row.place.root}/{row.place.relpath}")
    if row.state == "done":
        click.echo(f"{where}: done, {bytes_in_words(row.size_bytes or done)}", err=True)
    elif row.state == "parked":
        click.echo(f"{where}: not fetched", err=True)
    else:
        of = f" of {bytes_in_words(row.size_bytes)}" if row.size_bytes else ""
        click.echo(f"{where}: {bytes_in_words(done)}{of}", err=True)


def _json_line(row: TransferRow, done: int) -> None:
    print_json_lines([{"event": _EVENTS[row.state], **row_facts(row), "bytes_done": done}])


_EVENTS: Final = {"done": "fetched", "parked": "parked", "fetching": "progress", "waiting": "progress"}


@contextmanager
def _bars() -> Iterator[Watcher]:
    # megabytes, which nobody but a terminal has a use for
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        DownloadColumn(),  # in the units of the rate, and of what is printed at the end
        TransferSpeedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    name_width = max(_SHORTEST_NAME, min(_NAME_WIDTH, console.width - _REST_WIDTH))
    with Progress(*columns, console=console) as bars:
        tasks: dict[int, Any] = {}
        ended: set[int] = set()

        def watch(rows: Sequence[TransferRow], here: Mapping[int, int]) -> None:
            there = {row.transfer_id: max(row.bytes_done, here.get(row.transfer_id, 0)) for row in rows}
            if len(rows) > 1:
                sizes = sum(row.size_bytes or there[row.transfer_id] for row in rows)
                if _ALL not in tasks:
                    tasks[_ALL] = bars.add_task("all", total=sizes, completed=sum(there.values()))
                bars.update(tasks[_ALL], completed=sum(there.values()), total=sizes)
            for row in rows:
                done = there[row.transfer_id]
                if row.transfer_id in ended:
                    continue
                if row.transfer_id not in tasks and row.state in ("fetching", "done"):
                    name = _short(safe(row.place.name), name_width)
                    # what an earlier call brought did not come within the last second
                    tasks[row.transfer_id] = bars.add_task(name, total=row.size_bytes, completed=done)
                if row.transfer_id in tasks:
                    bars.update(tasks[row.transfer_id], completed=done, total=row.size_bytes)
                if row.state in ("done", "parked") and row.transfer_id in tasks and len(rows) > _SHOWN:
                    # of thousands, what is on no screen must not be drawn at each tick
                    bars.remove_task(tasks.pop(row.transfer_id))
                    if row.state == "done":
                        ended.add(row.transfer_id)

        yield watch


def _short(name: str, width: int) -> str:
    """Shorten a file's name; what it ends with is the first to go, as it is the same for all."""
    short = cut(name, width)
    return short if short == name else cut(name.rpartition(".")[0] or name, width)


#: of more downloads than this, those that are done go from the screen
_SHOWN: Final = 8
