"""`hashtagd restore`: make the files of a list exist again."""

from functools import partial
from pathlib import Path

import click

from hashtagd.catalog.whereabouts import Whereabouts
from hashtagd.cli.context import Context, pass_context
from hashtagd.cli.restored import Report
from hashtagd.core.ports import Pause
from hashtagd.core.work import Subject
from hashtagd.service.clock import StopPause
from hashtagd.service.disks import Disks
from hashtagd.service.lists import read_list
from hashtagd.service.lookup import subject_of
from hashtagd.service.providers import asked_now
from hashtagd.service.resolving import resolve
from hashtagd.service.restoring import Restoring, fetch_nothing
from hashtagd.service.roots import RootPlan, absolute_path
from hashtagd.service.targets import Destination, Targets, destination_at, destination_of
from hashtagd.stages.ground import new_token
from hashtagd.stages.linking import Linker
from hashtagd.watch.roots import Roots


@click.command("restore")
@click.argument("source", metavar="MANIFEST", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--to", metavar="ROOT", help="Put all of it there, a root or a folder; else where it lay.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@click.option("--copy", "copies", is_flag=True, help="Copy what lies elsewhere in a root; else it is linked.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@pass_context
def restore(
    context: Context, *, source: Path, to: str | None, dry_run: bool, copies: bool, as_json: bool
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
    pause = StopPause()
    with (
        context.catalog() as catalog,
        asked_now(context.loaded, context.environ, context.clock, pause, catalog) as providers,
    ):
        # archives answer ten questions a minute: nobody waits for that only to be told what would be done
        asked = [it for it in providers if not (dry_run and it.slow)]
        restoring = Restoring(
            disks=Disks(Roots(plan.folders), Whereabouts(catalog.database), partial(_sha256, context, pause)),
            targets=Targets(plan.folders, to=destination, beside=_beside(plan, source)),
            ask=partial(resolve, providers=asked),
            linker=None if dry_run else Linker(hard_links=not copies, token=new_token, pause=pause),
            keep_free_bytes=context.loaded.settings.downloads.min_free_bytes,
        )
        planned = restoring.plan(listed.entries)
        report = Report(source=source, listed=listed, plan=planned, dry_run=dry_run)
        report.take(restoring.carry_out(planned, fetch_nothing))
    if as_json:
        report.print_json()
    else:
        report.print()
    return report.exit_code


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


def _sha256(context: Context, pause: Pause, path: Path) -> str | None:
    try:
        found = subject_of(path, clock=context.clock, pause=pause)
    except OSError:
        return None
    return found.hash if isinstance(found, Subject) else None
