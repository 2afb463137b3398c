"""`hashtagd list` and `search`: what the catalog knows."""

from collections.abc import Iterable
from datetime import datetime
from enum import Enum, auto

import click

from hashtagd.catalog.filters import Filters
from hashtagd.catalog.pages import FileRow
from hashtagd.catalog.states import STATES
from hashtagd.cli.cards import (
    availability_in_words,
    card_json,
    rival_in_words,
    sure_in_words,
)
from hashtagd.cli.context import Context, pass_context
from hashtagd.cli.doubles import print_duplicates
from hashtagd.cli.output import (
    bytes_in_words,
    due_in_words,
    is_text,
    moment_in_words,
    print_json_lines,
    print_table,
)
from hashtagd.service.provisional import card_to_show
from hashtagd.service.roots import RootPlan


@click.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only files in this state.")
@click.option("--kind", help="Only models of this type, for example LORA.")
@click.option("--base", help="Only models for this base model.")
@click.option("--trouble", is_flag=True, help="Only files that something keeps waiting, with the reason.")
@click.option("--unmatched", is_flag=True, help="Only files that no site knows.")
@click.option("--updates", is_flag=True, help="Only models that have a newer version you do not have.")
@click.option("--review", is_flag=True, help="Only files that two answers call different models.")
@click.option("--duplicates", is_flag=True, help="Files that hold the same model, and what that costs.")
@click.option("--root", help="Only files of this root, also of one that is not watched any more.")
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
    updates: bool,
    review: bool,
    duplicates: bool,
    root: str | None,
    limit: int | None,
    as_json: bool,
) -> int:
    """List the files of the catalog."""
    plan = context.known_roots()
    if root is not None and not is_text(root):
        return 0  # no store can hold it, so no root has it
    filters = Filters(
        roots=plan.shown if root is None else None,
        root=root,
        state=state,
        kind=kind,
        base=base,
        trouble=trouble,
        unmatched=unmatched,
        updates=updates,
        review=review,
        duplicates=duplicates,
        limit=None if duplicates else limit,
    )
    chosen = ((_Form.TROUBLES, trouble), (_Form.UPDATES, updates), (_Form.REVIEW, review))
    form = next((form for form, asked in chosen if asked), _Form.PLAIN)
    with context.catalog() as catalog:
        rows = catalog.reports.each_file(filters)
        if duplicates:
            print_duplicates(rows, limit, as_json=as_json)
        else:
            _print_rows(context, plan, rows, form, as_json=as_json)
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
    plan = context.known_roots()
    roots = None if plan.shown is None else tuple(plan.shown)
    with context.catalog() as catalog:
        rows = catalog.reports.each_file(Filters(words=words, limit=limit, roots=roots))
        _print_rows(context, plan, rows, _Form.PLAIN, as_json=as_json)
    return 0


class _Form(Enum):
    """Which columns a list has."""

    PLAIN = auto()
    TROUBLES = auto()
    UPDATES = auto()
    REVIEW = auto()


def _print_rows(
    context: Context, plan: RootPlan, rows: Iterable[FileRow], form: _Form, *, as_json: bool
) -> None:
    if as_json:
        print_json_lines(card_json(row, plan.path_of(row.root, row.relpath)) for row in rows)
        return
    now = context.clock.now()
    match form:
        case _Form.TROUBLES:
            columns = ["state", "file", "why", "what you can do"]
            table = [[row.state, f"{row.root}/{row.relpath}", *_why(row)] for row in rows]
        case _Form.UPDATES:
            columns = ["file", "model", "version", "newer version", "published", "page"]
            table = [[f"{row.root}/{row.relpath}", *_newer(row)] for row in rows]
        case _Form.REVIEW:
            columns = ["file", "shown as", "but", "what you can do"]
            table = [[f"{row.root}/{row.relpath}", *_contradicted(row)] for row in rows]
        case _Form.PLAIN:
            columns = ["state", "file", "model", "base model", "size"]
            columns += ["known by", "availability", "last check", "next check"]
            table = [_plain(row, now) for row in rows]
    print_table(columns, table, whole=("why", "what you can do", "page"))


def _plain(row: FileRow, now: datetime) -> list[object]:
    card = card_to_show(row)
    return [
        row.state,
        f"{row.root}/{row.relpath}",
        card.model_name if card else None,
        card.base_model if card else None,
        bytes_in_words(row.size_bytes),
        sure_in_words(card) if card else None,
        availability_in_words(card) if card else None,
        moment_in_words(row.checked_at, now) if row.checked_at else None,
        due_in_words(row.next_check_at, now) if row.next_check_at else None,
    ]


def _newer(row: FileRow) -> list[object]:
    card = row.card
    update = None if card is None else card.update
    if card is None or update is None:
        return []  # the filter lets only others through
    return [card.model_name, card.version_name, update.name, (update.published_at or "")[:10], card.page_url]


def _contradicted(row: FileRow) -> list[object]:
    shown = None if row.card is None else rival_in_words(row.card)
    others = "; ".join(rival_in_words(other) for other in row.rivals)
    return [shown, others, "`hashtagd match FILE VERSION` decides"]


def _why(row: FileRow) -> list[object]:
    return [row.trouble["what"], row.trouble["you"]] if row.trouble else [None, None]
