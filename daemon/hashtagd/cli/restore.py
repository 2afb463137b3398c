"""`hashtagd restore`: make the files of a list exist again."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.transfers import TransferRow
from hashtagd.catalog.whereabouts import Whereabouts
from hashtagd.cli.bars import watching
from hashtagd.cli.context import Context, pass_context
from hashtagd.cli.hands import hands
from hashtagd.cli.main import EXIT_TRY_AGAIN
from hashtagd.cli.restored import Report
from hashtagd.core.place import Place
from hashtagd.core.ports import Pause, Provider, Stopping
from hashtagd.core.troubles import AskOperator
from hashtagd.service.bringing import bring
from hashtagd.service.clock import StopPause
from hashtagd.service.disks import Disks
from hashtagd.service.feeding import Feeding
from hashtagd.service.heeding import heeding
from hashtagd.service.lists import ReadList, read_list
from hashtagd.service.lookup import sha256_of
from hashtagd.service.placing import Ground
from hashtagd.service.providers import asked_now
from hashtagd.service.resolving import resolve
from hashtagd.service.restoring import Fetch, Restoring, fetch_nothing
from hashtagd.service.roots import RootPlan, absolute_path
from hashtagd.service.targets import Destination, Targets, destination_at, destination_of
from hashtagd.service.twins import Twins
from hashtagd.stages.ground import new_token
from hashtagd.stages.linking import Linker
from hashtagd.watch.roots import Roots


@click.command("restore")
@click.argument("source", metavar="MANIFEST", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--to", metavar="ROOT", help="Put all of it there, a root or a folder; else where it lay.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@click.option("--copy", "copies", is_flag=True, help="Copy what lies elsewhere in a root; else it is linked.")
@click.option(
    "--order",
    type=click.Choice(("list", "size")),
    default="list",
    show_default=True,
    help="In which order files are fetched; by size: the smallest first.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@pass_context
def restore(
    context: Context,
    *,
    source: Path,
    to: str | None,
    dry_run: bool,
    copies: bool,
    order: str,
    as_json: bool,
) -> int:
    """Make the files of MANIFEST exist again. What lies at a place is never replaced.

    MANIFEST is what `hashtagd export` wrote, a list with a SHA-256 or a version's number, AIR or address a
    line, what `sha256sum` printed, or a folder with sidecars of LoRA Manager or StabilityMatrix; `-` reads
    standard input.

    A file whose bytes lie elsewhere in a root gets a hard link: the same bytes under a second name. With
    `--copy` it gets bytes of its own.
    """
    listed = read_list(source)
    plan, destination = _destination(context, to)
    task = _Task(
        source=source,
        listed=listed,
        plan=plan,
        destination=destination,
        copies=copies,
        smallest_first=order == "size",
    )
    try:
        report = _rehearse(context, task) if dry_run else _restore(context, task, quiet=as_json)
    except Stopping:
        click.echo("stopped: what came is kept, and the same command goes on from there", err=True)
        return EXIT_TRY_AGAIN
    if as_json:
        report.print_json()
    else:
        report.print()
    return report.exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """What was asked for."""

    source: Path
    listed: ReadList
    plan: RootPlan
    destination: Destination | None
    copies: bool
    smallest_first: bool


def _rehearse(context: Context, task: _Task) -> Report:
    pause = StopPause()
    with (
        context.catalog() as catalog,
        asked_now(context.loaded, context.environ, context.clock, pause, catalog) as providers,
    ):
        # archives answer ten questions a minute: nobody waits for that only to be told what would be done
        asked = [it for it in providers if not it.slow]
        restoring = _restoring(context, task, catalog, asked, pause, linker=None)
        return _reported(task, restoring, fetch_nothing, dry_run=True)


def _restore(context: Context, task: _Task, *, quiet: bool) -> Report:
    with (
        hands(context, task.plan) as held,
        asked_now(
            context.loaded, context.environ, context.clock, held.outside.pause, held.catalog
        ) as providers,
        watching(as_json=False) if not quiet else nullcontext(_see_nothing) as watch,
    ):
        pause = held.outside.pause
        linker = Linker(hard_links=not task.copies, token=new_token, pause=pause)
        twins = Twins(held.catalog.transfers, Roots(task.plan.folders))
        restoring = _restoring(context, task, held.catalog, providers, pause, linker=linker, made=twins.made)
        report = _reported(task, restoring, Feeding(held, watch), dry_run=False)
        bring(held, (), watch, made=twins.places)
        return report


def _reported(task: _Task, restoring: Restoring, fetch: Fetch, *, dry_run: bool) -> Report:
    planned = restoring.plan(task.listed.entries)
    report = Report(source=task.source, listed=task.listed, plan=planned, dry_run=dry_run)
    report.take(restoring.carry_out(planned, fetch))
    return report


def _restoring(
    context: Context,
    task: _Task,
    catalog: Catalog,
    asked: Sequence[Provider],
    pause: Pause,
    *,
    linker: Linker | None,
    made: Callable[[Place, Place], None] = lambda _source, _twin: None,
) -> Restoring:
    return Restoring(
        disks=Disks(
            Roots(task.plan.folders),
            Whereabouts(catalog.database),
            partial(sha256_of, clock=context.clock, pause=pause),
        ),
        targets=Targets(
            task.plan.folders,
            to=task.destination,
            beside=_beside(task.plan, task.source),
            by_type=partial(_by_type, context, task.plan),
        ),
        ask=lambda entries: heeding(resolve(entries, asked), pause),
        linker=linker,
        keep_free_bytes=context.loaded.settings.downloads.min_free_bytes,
        made=made,
        smallest_first=task.smallest_first,
    )


def _by_type(
    context: Context, plan: RootPlan, name: str, kind: str | None, file_type: str | None
) -> Place | None:
    settings = context.loaded.settings
    ground = Ground(
        plan=plan, comfyui=settings.comfyui.path, to=settings.downloads.to, environ=context.environ
    )
    try:
        return ground.place_named(name, kind, file_type)
    except AskOperator:
        return None


def _see_nothing(rows: Sequence[TransferRow], here: Mapping[int, int]) -> None:
    """Draw nothing."""


def _destination(context: Context, to: str | None) -> tuple[RootPlan, Destination | None]:
    plan = context.known_roots()
    if to is None:
        return plan, None
    return destination_of(plan, to, lambda folder: context.roots((folder,)))


def _beside(plan: RootPlan, source: Path) -> Destination | None:
    """Find where the paths of a list begin that names no root: where it lies itself, as sidecars do."""
    if str(source) == "-":
        return None
    path = absolute_path(source)
    if not path.is_dir():
        path = path.parent
    return destination_at(plan, path)
