"""`hashtagd list`, `search` and `show`: what the catalog knows."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import click

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.filters import Filters
from hashtagd.catalog.pages import FileRow, Told
from hashtagd.catalog.states import STATES
from hashtagd.cli.cards import card_facts, card_json
from hashtagd.cli.context import Context, pass_context
from hashtagd.cli.output import (
    bytes_in_words,
    is_text,
    moment_in_words,
    print_facts,
    print_json,
    print_json_lines,
    print_table,
)
from hashtagd.core.digests import Digests
from hashtagd.core.place import Place
from hashtagd.core.troubles import GiveUp, Scope
from hashtagd.service.roots import RootPlan, place_of

#: fewer digits of a hash would match by chance
_HASH_DIGITS = 8
#: what every store can count to
_ID_DIGITS = 18


@click.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only files in this state.")
@click.option("--kind", help="Only models of this type, for example LORA.")
@click.option("--base", help="Only models for this base model.")
@click.option("--trouble", is_flag=True, help="Only files that something keeps waiting, with the reason.")
@click.option("--unmatched", is_flag=True, help="Only files that no site knows.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line.")
@pass_context
def list_models(
    context: Context,
    *,
    state: str | None,
    kind: str | None,
    base: str | None,
    trouble: bool,
    unmatched: bool,
    limit: int | None,
    as_json: bool,
) -> int:
    """List the files of the catalog."""
    filters = Filters(state=state, kind=kind, base=base, trouble=trouble, unmatched=unmatched, limit=limit)
    with context.catalog() as catalog:
        rows = catalog.reports.list_files(filters)
    _print_rows(context, rows, as_json=as_json, with_trouble=trouble)
    return 0


@click.command()
@click.argument("words", nargs=-1, required=True)
@click.option("--limit", type=click.IntRange(min=1), help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line.")
@pass_context
def search(context: Context, *, words: tuple[str, ...], limit: int | None, as_json: bool) -> int:
    """Find files whose path, name, trigger words, tags or creator hold all WORDS."""
    if not all(is_text(word) for word in words):
        return 0  # no store can hold it, so no file has it
    with context.catalog() as catalog:
        rows = catalog.reports.search(words, limit)
    _print_rows(context, rows, as_json=as_json, with_trouble=False)
    return 0


@click.command()
@click.argument("wanted", metavar="FILE|HASH|ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON document; a list when several files match.")
@pass_context
def show(context: Context, *, wanted: str, as_json: bool) -> int:
    """Show everything known of one model: by file, by hash, or by the site's number."""
    plan = context.known_roots()
    with context.catalog() as catalog:
        rows = _find(catalog, plan, wanted)
        if not rows:
            raise _unknown(wanted)
        if as_json:
            cards = [card_json(row, plan.path_of(row.root, row.relpath)) for row in rows]
            print_json(cards[0] if len(cards) == 1 else cards)
            return 0
        for number, row in enumerate(rows):
            if number:
                click.echo("")
            _print_one(context, catalog, plan, row)
    return 0


def _find(catalog: Catalog, plan: RootPlan, wanted: str) -> list[FileRow]:
    if not is_text(wanted):
        return []  # no store can hold such a name
    for place in _places(plan, wanted):
        if rows := catalog.reports.show(place):
            return rows
    is_id = wanted.isascii() and wanted.isdigit() and len(wanted) <= _ID_DIGITS
    if is_id and (rows := catalog.reports.show(int(wanted))):
        return rows
    if len(wanted) >= _HASH_DIGITS and set(wanted.lower()) <= set("0123456789abcdef"):
        return catalog.reports.show(wanted.lower())
    return []


def _places(plan: RootPlan, wanted: str) -> Iterator[Place]:
    """Read a word as a path from here, and as `list` prints files: the root's name before the path."""
    place = place_of(plan.folders, Path(wanted))
    if place is not None:
        yield place
    root, _, relpath = wanted.partition("/")
    with suppress(ValueError):
        yield Place(root=root, relpath=relpath)


def _print_rows(context: Context, rows: Sequence[FileRow], *, as_json: bool, with_trouble: bool) -> None:
    if as_json:
        plan = context.known_roots()
        print_json_lines(card_json(row, plan.path_of(row.root, row.relpath)) for row in rows)
        return
    columns = ["state", "file", "model", "base model", "size"]
    table: list[list[object]] = [
        [
            row.state,
            f"{row.root}/{row.relpath}",
            row.card.model_name if row.card else None,
            row.card.base_model if row.card else None,
            bytes_in_words(row.size_bytes),
        ]
        for row in rows
    ]
    if with_trouble:
        columns = [*columns[:2], "why", "what you can do"]
        table = [[*cells[:2], *_why(row)] for cells, row in zip(table, rows, strict=True)]
    print_table(columns, table)


def _why(row: FileRow) -> list[object]:
    return [row.trouble["what"], row.trouble["you"]] if row.trouble else [None, None]


def _print_one(context: Context, catalog: Catalog, plan: RootPlan, row: FileRow) -> None:
    now = context.clock.now()
    digests = None if row.sha256 is None else Digests(sha256=row.sha256, tensors_sha256=row.tensors_sha256)
    print_facts(
        {
            "file": plan.path_of(row.root, row.relpath) or f"{row.root}/{row.relpath}",
            "size": bytes_in_words(row.size_bytes),
            "state": row.state,
            **(card_facts(row.card) if row.card else {}),
            "SHA-256": row.sha256,
            "AutoV2": digests.autov2 if digests else None,
            "AutoV3": digests.autov3 if digests else None,
            "last check": moment_in_words(row.checked_at, now) if row.checked_at else None,
            "next check": moment_in_words(row.next_check_at, now) if row.next_check_at else None,
            "trouble": [row.trouble["what"], row.trouble["does"], row.trouble["you"]]
            if row.trouble
            else None,
        }
    )
    history = catalog.reports.history(row)
    if history.sidecars:
        click.echo("written:")
        print_table(["writer", "file"], [[item.writer, item.relpath] for item in history.sidecars])
    if history.events:
        click.echo("story:")
        print_table(
            ["when", "what", "why"],
            [[moment_in_words(told.at, now), told.name, _reason(told)] for told in history.events],
        )


def _reason(told: Told) -> object:
    trouble = (told.detail or {}).get("trouble")
    return trouble.get("what") if isinstance(trouble, Mapping) else None


def _unknown(wanted: str) -> GiveUp:
    return GiveUp(
        f"the catalog knows nothing called {wanted}",
        does="nothing is shown",
        you="name a file below a root, 8 or more digits of a hash, or a number; `hashtagd list` shows all",
        scope=Scope.FILE,
        kind="not_in_catalog",
    )
