"""`hashtagd export`: the library as a manifest, from which `hashtagd restore` makes it again."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import click

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.filters import Filters
from hashtagd.cli.context import Context, pass_context
from hashtagd.cli.output import is_text, safe
from hashtagd.core.manifest import Entry, json_line
from hashtagd.core.manifest_csv import csv_head, csv_line
from hashtagd.core.troubles import AskOperator, Scope
from hashtagd.service.exporting import entry_of_row, whole_file
from hashtagd.service.roots import RootPlan


@click.command("export")
@click.option(
    "--format",
    "form",
    type=click.Choice(("jsonl", "csv")),
    default="jsonl",
    show_default=True,
    help="JSON lines, which lose nothing, or a table for spreadsheets.",
)
@click.option(
    "--root", "roots", multiple=True, metavar="ROOT", help="Only files of this root; may be repeated."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write into this file, which is replaced when all of it is there; else to standard output.",
)
@pass_context
def export(context: Context, *, form: str, roots: tuple[str, ...], output: Path | None) -> int:
    """Write the library as a manifest: one line a file, with its hash, names and addresses.

    Files that are gone are left out. Addresses are those that anybody may know: no key, no signature.

    In a table, text that a spreadsheet would take for a formula has a ' in front; `hashtagd restore` takes it
    off again.
    """
    with context.catalog() as catalog:
        filters = Filters(roots=_chosen(catalog, context.known_roots(), roots))
        entries = map(entry_of_row, catalog.reports.each_file(filters))
        lines = _lines(entries, form)
        if output is None:
            count = _write(_harmless(lines) if sys.stdout.isatty() else lines, sys.stdout)
        else:
            with whole_file(output) as stream:
                count = _write(lines, stream)
    files = count - (form == "csv")
    if output is not None:
        click.echo(f"{files} files are listed in {safe(output)}")
    elif files == 0:
        click.echo("no file is known of these roots; `hashtagd status` tells which there are", err=True)
    return 0


def _chosen(catalog: Catalog, plan: RootPlan, names: tuple[str, ...]) -> tuple[str, ...] | None:
    """Choose the roots; one that nobody knows is a mistake: it would make an empty backup."""
    if not names:
        return plan.shown
    known = {*(folder.name for folder in plan.folders), *(count.name for count in catalog.reports.roots())}
    unknown = next((name for name in names if name not in known or not is_text(name)), None)
    if unknown is not None:
        raise AskOperator(
            f"there is no root called {unknown}",
            does="nothing was exported",
            you=f"choose from: {', '.join(sorted(known)) or 'no root is known'}",
            scope=Scope.ROOT,
            kind="unknown_root",
        )
    return names


def _lines(entries: Iterator[Entry], form: str) -> Iterator[str]:
    if form == "csv":
        yield csv_head()
        yield from map(csv_line, entries)
    else:
        yield from (f"{json_line(entry)}\n" for entry in entries)


def _write(lines: Iterator[str], stream: TextIO) -> int:
    """Write line after line; returns how many."""
    count = 0
    for line in lines:
        stream.write(line)
        count += 1
    stream.flush()
    return count


def _harmless(lines: Iterator[str]) -> Iterator[str]:
    """Keep the control characters of strangers from a terminal."""
    return (safe(line.rstrip("\r\n")) + "\n" for line in lines)
