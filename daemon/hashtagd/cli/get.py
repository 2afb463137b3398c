"""`hashtagd get`: download models, verified, into the folders that they belong to."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import click

from hashtagd.catalog.transfers import TransferRow
from hashtagd.cli.bars import row_facts, watching
from hashtagd.cli.cancelling import cancel
from hashtagd.cli.context import Context, pass_context
from hashtagd.cli.hands import hands
from hashtagd.cli.main import EXIT_FAILED, EXIT_TRY_AGAIN
from hashtagd.cli.output import print_json_lines, print_trouble, safe
from hashtagd.core.picking import Choice
from hashtagd.core.ports import Stopping
from hashtagd.core.troubles import AskOperator, Scope, Trouble, TryLater
from hashtagd.service.bringing import Hands, bring
from hashtagd.service.lookup import sha256_of
from hashtagd.service.naming import Naming
from hashtagd.service.placing import Ground
from hashtagd.service.providers import asked_now
from hashtagd.service.roots import RootPlan
from hashtagd.service.vacancies import Vacancies
from hashtagd.service.wishing import Resolved, Resolver
from hashtagd.watch.filters import Kind


@click.command()
@click.argument("names", nargs=-1, metavar="URL|AIR|VERSION_ID...")
@click.option(
    "--list",
    "list_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="One name a line.",
)
@click.option(
    "--to", type=click.Path(path_type=Path), help="A root or a folder in one; without it by the model's type."
)
@click.option("--file", "file_id", type=int, help="The file of this number.")
@click.option("--fp", help="The file of this precision, such as fp16.")
@click.option("--format", "form", help="The file of this format, such as safetensors.")
@click.option(
    "--order",
    type=click.Choice(("list", "size")),
    default="list",
    show_default=True,
    help="In which order they come; by size: the smallest first, once all are known.",
)
@click.option("--detach", is_flag=True, help="Leave the work to the daemon that runs.")
@click.option(
    "--cancel", "takes_back", is_flag=True, help="Wait no more for these files, named as `status` lists them."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line.")
@pass_context
def get(
    context: Context,
    *,
    names: tuple[str, ...],
    list_file: Path | None,
    to: Path | None,
    file_id: int | None,
    fp: str | None,
    form: str | None,
    order: str,
    detach: bool,
    takes_back: bool,
    as_json: bool,
) -> int:
    """Download models by the address of their page, by AIR, or by the number of a version.

    Each file goes into the ComfyUI folder of its type, is verified by its SHA-256, and is published at once.
    """
    named = [*names, *(() if list_file is None else _listed(list_file))]
    if not named:
        raise click.UsageError("name a model, or a file with names with --list")
    if takes_back:
        return cancel(context, named, as_json=as_json)
    choice = Choice(file_id=file_id, fp=fp, format=form)
    try:
        with hands(context, _plan(context, to)) as held, _resolver(context, held, to) as resolver:
            naming = Naming(
                held.catalog.transfers,
                (resolver.resolve(name, choice) for name in named),
                smallest_first=order == "size",
            )
            with watching(as_json=as_json) if not detach else nullcontext(_see_nothing) as watch:
                naming.start()
                try:
                    rows = bring(held, naming.ids, watch, detach=detach, coming=naming.coming)
                finally:
                    naming.end()
            if naming.broke is not None:
                raise naming.broke
    except Stopping:
        click.echo("stopped: what came is kept, and the same command goes on from there", err=True)
        return EXIT_TRY_AGAIN
    code = _told(naming.found, rows, as_json=as_json, detached=detach)
    if not as_json:
        _tell_passed_over(held.plan, rows)
    return code


def _see_nothing(rows: Sequence[TransferRow], here: Any) -> None:  # noqa: ANN401 - not looked at
    """Draw nothing."""


def _listed(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        raise AskOperator(
            f"{path} cannot be read as a list of names",
            does="nothing is fetched",
            you="give a text file in UTF-8 with one address, AIR or number a line",
            scope=Scope.FILE,
            kind="unreadable_list",
        ) from None
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _plan(context: Context, to: Path | None) -> RootPlan:
    plan = context.known_roots()
    if not plan.folders and to is not None and to.is_dir():
        plan = context.roots((to,))
    if not plan.folders:
        raise AskOperator(
            "there is no folder to put models into",
            does="nothing is fetched",
            you="let `hashtagd init` look for ComfyUI (`--write` keeps what it finds), or name a folder with "
            "`--to`",
            scope=Scope.DAEMON,
            kind="no_roots",
        )
    return plan


@contextmanager
def _resolver(context: Context, held: Hands, to: Path | None) -> Iterator[Resolver]:
    settings = context.loaded.settings
    ground = Ground(
        plan=held.plan,
        comfyui=settings.comfyui.path,
        to=to or settings.downloads.to,
        environ=context.environ,
    )
    with asked_now(
        context.loaded, context.environ, context.clock, held.outside.pause, held.catalog
    ) as providers:
        hash_file = partial(sha256_of, clock=context.clock, pause=held.outside.pause)
        yield Resolver(providers, Vacancies(held.catalog, held.plan, hash_file), ground)


def _told(found: Sequence[Resolved], rows: Sequence[TransferRow], *, as_json: bool, detached: bool) -> int:
    """Say what became of each; returns the exit code."""
    failed = [item for item in found if item.trouble is not None]
    stuck = [row for row in rows if row.state != "done" and not detached]
    if as_json:
        print_json_lines({"event": "already_there", **_there(item)} for item in found if item.there)
        print_json_lines(
            {"event": "refused", "named": item.named, **item.trouble.to_json()}
            for item in failed
            if item.trouble
        )
        print_json_lines({"event": "ended", **row_facts(row)} for row in rows)
    else:
        _print(found, rows, detached=detached)
    if any(isinstance(item.trouble, TryLater) for item in found) or any(_waits(row) for row in stuck):
        return EXIT_TRY_AGAIN
    return EXIT_FAILED if failed or stuck else 0


def _print(found: Sequence[Resolved], rows: Sequence[TransferRow], *, detached: bool) -> None:
    for item in found:
        if item.there is not None:
            click.echo(
                f"{safe(item.named)}: already there: {safe(f'{item.there.root}/{item.there.relpath}')}"
            )
        if item.trouble is not None:
            print_trouble({"where": item.named, **_clauses(item.trouble)}, err=True)
    for row in rows:
        where = f"{row.place.root}/{row.place.relpath}"
        if row.state == "done":
            click.echo(safe(where))
        elif detached:
            click.echo(f"{safe(where)}: left to the daemon; `hashtagd status` shows how far it is")
        elif row.trouble is not None:
            print_trouble({"where": where, **row.trouble}, err=True)


def _tell_passed_over(plan: RootPlan, rows: Sequence[TransferRow]) -> None:
    """Say what no scan will see: it is there and named, but no list will show it."""
    names = {folder.name: folder.names for folder in plan.folders}
    for row in rows:
        known = names.get(row.place.root)
        if row.state == "done" and known is not None and known.kind_of(row.place.relpath) is not Kind.OURS:
            where = safe(f"{row.place.root}/{row.place.relpath}")
            ending = safe(Path(row.place.name).suffix)
            click.echo(
                f"{where}: no scan looks at it, so `hashtagd list` will not show it; add `{ending}` to "
                "`extensions` of its root to have it looked after",
                err=True,
            )


def _there(item: Resolved) -> dict[str, Any]:
    place = item.there
    return {"named": item.named, "root": place and place.root, "path": place and place.relpath}


def _clauses(trouble: Trouble) -> dict[str, str]:
    return {"what": trouble.what, "does": trouble.does, "you": trouble.you}


def _waits(row: TransferRow) -> bool:
    return row.state == "waiting"
