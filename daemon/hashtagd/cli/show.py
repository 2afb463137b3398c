"""`hashtagd show`: everything known of one model, and what lies beside it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.pages import FileRow, Told
from hashtagd.cli.cards import card_facts, card_json, rival_in_words, told_training, training_facts
from hashtagd.cli.context import Context, pass_context
from hashtagd.cli.finding import found_rows
from hashtagd.cli.output import (
    bytes_in_words,
    due_in_words,
    moment_in_words,
    print_facts,
    print_json,
    print_table,
    safe,
)
from hashtagd.core.digests import Digests
from hashtagd.core.sidecars import SidecarState
from hashtagd.service.parts import gallery_addresses
from hashtagd.service.provisional import card_to_show
from hashtagd.service.roots import RootPlan
from hashtagd.service.shelves import galleries_in
from hashtagd.service.sidecars import SeenSidecar, look_at_sidecars, make_ground

#: whose an artifact is, in words
_STATES: Final = {
    SidecarState.OURS: "as hashtagd wrote it",
    SidecarState.EDITED: "somebody changed it: what they wrote stays",
    SidecarState.FOREIGN: "somebody else's: what it says stays",
    SidecarState.MISSING: "not there",
}


@click.command()
@click.argument("wanted", metavar="FILE|HASH|ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON document; a list when several files match.")
@pass_context
def show(context: Context, *, wanted: str, as_json: bool) -> int:
    """Show everything known of one model: by file, by hash, or by the site's number."""
    plan = context.known_roots()
    with context.catalog() as catalog:
        rows = found_rows(catalog, plan, wanted)
        ground = make_ground(context.loaded, plan, context.clock)
        hung = [_gallery(context, row) for row in rows]
        beside = look_at_sidecars(catalog, ground, rows)
        if as_json:
            cards = [
                _whole_json(row, plan, seen, pictures)
                for row, seen, pictures in zip(rows, beside, hung, strict=True)
            ]
            print_json(cards[0] if len(cards) == 1 else cards)
            return 0
        for number, row in enumerate(rows):
            if number:
                click.echo("")
            _print_one(context, catalog, plan, row, beside[number])
            if hung[number]:
                click.echo(f"gallery: {len(hung[number])} pictures in {safe(hung[number][0].parent)}")
    return 0


def _gallery(context: Context, row: FileRow) -> list[Path]:
    """List the pictures of a model in the state folder, in the card's order."""
    if row.sha256 is None:
        return []
    addresses = gallery_addresses(context.loaded)(row.card)
    try:
        return galleries_in(context.lock_folder).pictures(row.sha256, addresses)
    except OSError:
        return []  # the folder of a daemon that another user runs


def _whole_json(
    row: FileRow, plan: RootPlan, beside: Sequence[SeenSidecar], gallery: Sequence[Path]
) -> dict[str, object]:
    training = told_training(row)
    return {
        **card_json(row, plan.path_of(row.root, row.relpath)),
        "training": None if training is None else training.to_json(),
        "sidecars": [_sidecar_json(seen) for seen in beside],
        "gallery": [str(path) for path in gallery],
    }


def _sidecar_json(seen: SeenSidecar) -> dict[str, Any]:
    return {
        "writer": seen.writer,
        "path": seen.path,
        "state": None if seen.state is None else seen.state.value,
        "written_at": seen.written_at,
    }


def _print_one(
    context: Context, catalog: Catalog, plan: RootPlan, row: FileRow, beside: Sequence[SeenSidecar]
) -> None:
    now, card = context.clock.now(), card_to_show(row)
    digests = None if row.sha256 is None else Digests(sha256=row.sha256, tensors_sha256=row.tensors_sha256)
    print_facts(
        {
            "file": plan.path_of(row.root, row.relpath) or f"{row.root}/{row.relpath}",
            "size": bytes_in_words(row.size_bytes),
            "state": row.state,
            **(card_facts(card, row.update_at) if card else {}),
            "contradicted by": [rival_in_words(other) for other in row.rivals],
            "locked": ", ".join(row.locked),
            "updates": "you do not want to hear of them" if row.updates_ignored else None,
            "SHA-256": row.sha256,
            "AutoV2": digests.autov2 if digests else None,
            "AutoV3": digests.autov3 if digests else None,
            **training_facts(told_training(row)),
            "last check": moment_in_words(row.checked_at, now) if row.checked_at else None,
            "next check": due_in_words(row.next_check_at, now) if row.next_check_at else None,
            "trouble": [row.trouble["what"], row.trouble["does"], row.trouble["you"]]
            if row.trouble
            else None,
        }
    )
    history = catalog.reports.history(row)
    if beside:
        click.echo("sidecars:")
        print_table(
            ["writer", "file", "written", "now"],
            [[it.writer, it.path, moment_in_words(it.written_at, now), _state(it)] for it in beside],
            whole=("file", "now"),
        )
    if history.events:
        click.echo("story:")
        print_table(
            ["when", "what", "about"],
            [[moment_in_words(told.at, now), told.name, _about(told)] for told in history.events],
            whole=("about",),
        )


def _state(seen: SeenSidecar) -> str:
    return "it could not be looked at" if seen.state is None else _STATES[seen.state]


def _about(told: Told) -> str:
    """Say who told it, and what was wrong."""
    detail = told.detail or {}
    trouble = detail.get("trouble")
    what = trouble.get("what") if isinstance(trouble, Mapping) else None
    return ": ".join(str(word) for word in (detail.get("provider"), what) if word)
