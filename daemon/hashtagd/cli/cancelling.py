"""`hashtagd get --cancel`: downloads that somebody wished for and does not want any more."""

from collections.abc import Sequence

import click

from hashtagd.catalog.transfers import TransferRow
from hashtagd.cli.context import Context
from hashtagd.cli.finding import places_of
from hashtagd.cli.main import EXIT_FAILED
from hashtagd.cli.output import print_json_lines, print_trouble, safe
from hashtagd.core.place import Place
from hashtagd.core.troubles import GiveUp, Scope
from hashtagd.service.roots import RootPlan


def cancel(context: Context, names: Sequence[str], *, as_json: bool) -> int:
    """Take back the wishes for these files, as `status` names them; who fetches one right now stops.

    Of names that fit nothing it is said so; the others are taken back all the same.
    """
    plan = context.known_roots()
    taken: dict[int, Place] = {}
    with context.catalog() as catalog:
        waiting = [row for row in catalog.transfers.rows() if row.state != "done"]
        unknown = []
        for name in names:
            found = _meant(waiting, plan, name)
            taken |= {row.transfer_id: row.place for row in found}
            unknown += [] if found else [name]
        catalog.transfers.cancel(taken)
    _tell(list(taken.values()), unknown, as_json=as_json)
    return EXIT_FAILED if unknown else 0


def _meant(waiting: Sequence[TransferRow], plan: RootPlan, name: str) -> list[TransferRow]:
    """Find a wish by path, by ROOT/PATH, or by the bare names of files, of which all are meant."""
    places = set(places_of(plan, name))
    return [row for row in waiting if row.place in places or row.place.name == name]


def _tell(taken: Sequence[Place], unknown: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        print_json_lines({"event": "cancelled", "root": it.root, "path": it.relpath} for it in taken)
    else:
        for it in taken:
            click.echo(f"{safe(f'{it.root}/{it.relpath}')}: not waited for any more")
    for name in unknown:
        trouble = _not_waited_for()
        print_trouble(
            {"where": name, "what": trouble.what, "does": trouble.does, "you": trouble.you}, err=True
        )


def _not_waited_for() -> GiveUp:
    return GiveUp(
        "no download is waited for under this name",
        does="nothing is taken back for it",
        you="name it as `hashtagd status` lists it (loras/ink.safetensors)",
        scope=Scope.FILE,
        kind="not_waited_for",
    )
