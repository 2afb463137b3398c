"""`hashtagd unpublish`: take back what was written beside the models."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any, Final

import click

from hashtagd.cli.context import Context, pass_context
from hashtagd.cli.finding import chosen_roots
from hashtagd.cli.main import EXIT_FAILED
from hashtagd.cli.output import print_json_lines, print_trouble, safe
from hashtagd.core.sidecars import SidecarState
from hashtagd.core.troubles import Scope
from hashtagd.service.shelves import TakenPicture, galleries_in, take_galleries
from hashtagd.service.sidecars import make_ground, unpublish, without_daemon, would_unpublish
from hashtagd.stages.effects import Folder
from hashtagd.stages.unpublish import Taken

#: the word for what lies in the state folder
_GALLERY: Final = "gallery"
#: why something stays
_WHY: Final = {
    SidecarState.EDITED: "somebody changed it since hashtagd wrote it",
    SidecarState.FOREIGN: "it is not hashtagd's",
}


@click.command("unpublish")
@click.argument("names", nargs=-1, metavar="[ROOT]...")
@click.option("--dry-run", is_flag=True, help="Only list what would go, and what stays and why.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line, for each artifact.")
@pass_context
def command(context: Context, *, names: tuple[str, ...], dry_run: bool, as_json: bool) -> int:
    """Remove what hashtagd wrote beside the models of each ROOT (all of them without one).

    Only what nobody changed since goes. What you or another program edited, merged or put there stays, and so
    does the catalog.

    The pictures in hashtagd's own gallery of these models go as well.

    It is gone until the next `hashtagd run`, which writes it again. To have no sidecars for good, set
    `writers: []` first. While a daemon runs, only `--dry-run` works.
    """
    plan = context.known_roots()
    folders = chosen_roots(plan.folders, names)
    roots = [folder.name for folder in folders]
    ground = make_ground(context.loaded, plan, context.clock, *(() if dry_run else (Folder,)))
    with ExitStack() as stack:
        if not dry_run:
            stack.enter_context(without_daemon(context.lock_folder))
        catalog = stack.enter_context(context.catalog())
        taken = (would_unpublish if dry_run else unpublish)(catalog, ground, roots)
        counts = Counter[str]()
        troubles: dict[tuple[str, str], dict[str, Any]] = {}
        told = _counted(taken, counts, troubles)
        pictures = _counted_pictures(
            take_galleries(
                catalog,
                galleries_in(context.lock_folder),
                roots=roots,
                others=[it.name for it in plan.folders if it.name not in roots],
                dry_run=dry_run,
            ),
            counts,
            troubles,
        )
        if as_json:
            print_json_lines(_json(it, dry_run=dry_run) for it in told)
            print_json_lines(_picture_json(it, dry_run=dry_run) for it in pictures)
        else:
            _print(told, dry_run=dry_run)
            _print_pictures(pictures, dry_run=dry_run)
    if not as_json:
        _print_end(counts, dry_run=dry_run)
    for trouble in troubles.values():
        print_trouble(trouble, err=True)
    return EXIT_FAILED if troubles else 0


def _counted(
    taken: Iterable[Taken], counts: Counter[str], troubles: dict[tuple[str, str], dict[str, Any]]
) -> Iterator[Taken]:
    """Pass on what went or stays, and count it; what is not there is nobody's concern."""
    for it in taken:
        if it.trouble is not None:
            place = it.seen.place
            troubles.setdefault(
                (place.root, it.trouble.kind),
                {
                    **it.trouble.to_json(),
                    "where": place.root if it.trouble.scope is Scope.ROOT else _where(it),
                    "does": "what hashtagd wrote there stays, and is still known to be its own",
                },
            )
        if it.seen.state is SidecarState.MISSING:
            continue
        counts[_end(it)] += 1
        yield it


def _counted_pictures(
    taken: Iterable[TakenPicture], counts: Counter[str], troubles: dict[tuple[str, str], dict[str, Any]]
) -> Iterator[TakenPicture]:
    for it in taken:
        if it.trouble is not None:
            does = "what could not be removed stays"
            told = {**it.trouble.to_json(), "where": str(it.path), "does": does}
            troubles.setdefault((_GALLERY, it.trouble.kind), told)
        counts["gone" if it.goes else "kept"] += 1
        counts[_GALLERY] += it.goes
        yield it


def _end(it: Taken) -> str:
    if it.goes:
        return "gone"
    return "kept" if it.trouble is not None or it.seen.state is None else it.seen.state.value


def _why(it: Taken) -> str | None:
    if it.goes:
        return None
    if it.trouble is not None:
        return it.trouble.what
    return None if it.seen.state is None else _WHY.get(it.seen.state)


def _where(it: Taken) -> str:
    return it.seen.where


def _json(it: Taken, *, dry_run: bool) -> dict[str, Any]:
    return {
        "root": it.seen.place.root,
        "path": it.seen.place.relpath,
        "writer": it.seen.writer,
        "action": ("would_remove" if dry_run else "removed") if it.goes else "stays",
        "state": None if it.seen.state is None else it.seen.state.value,
        "why": _why(it),
    }


def _picture_json(it: TakenPicture, *, dry_run: bool) -> dict[str, Any]:
    return {
        "root": None,
        "path": str(it.path),
        "writer": _GALLERY,
        "action": ("would_remove" if dry_run else "removed") if it.goes else "stays",
        "state": SidecarState.OURS.value,
        "why": None if it.trouble is None else it.trouble.what,
    }


def _print_pictures(taken: Iterable[TakenPicture], *, dry_run: bool) -> None:
    for it in taken:
        if dry_run and it.goes:
            click.echo(f"would remove {safe(it.path)}")


def _print(taken: Iterable[Taken], *, dry_run: bool) -> None:
    """List everything of a look; of the real thing only what could not be removed is of interest."""
    for it in taken:
        if dry_run:
            words = "would remove" if it.goes else "stays"
            reason = "" if it.goes else f": {safe(_why(it))}"
            what = safe(_where(it))
            name = f" ({safe(it.seen.writer)})" if ":" in it.seen.writer else ""
            click.echo(f"{words} {what}{name}{reason}")


def _print_end(counts: Counter[str], *, dry_run: bool) -> None:
    click.echo(f"{counts['gone']} {'would be removed' if dry_run else 'removed'}")
    stay = [
        f"{counts[name]} {words}"
        for name, words in (
            ("edited", "that somebody changed"),
            ("foreign", "that are not hashtagd's"),
            ("kept", "that could not be removed"),
        )
        if counts[name]
    ]
    if stay:
        click.echo(f"left alone: {', '.join(stay)}")
    if counts["gone"] and not dry_run:
        unless = "`writers: []`" + (" and `preview: {gallery: 0}`" if counts[_GALLERY] else "")
        click.echo(f"the next `hashtagd run` writes them again, unless the settings say {unless}")
