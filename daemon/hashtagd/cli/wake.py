"""`hashtagd retry`, `refresh` and `rescan`: wake what waits, ask again, look at the disks now."""

from collections.abc import Sequence
from pathlib import Path

import click

from hashtagd.catalog.catalog import Catalog
from hashtagd.cli.context import Context, pass_context
from hashtagd.cli.finding import chosen_roots, found_rows
from hashtagd.cli.output import safe
from hashtagd.core.place import Place
from hashtagd.core.troubles import AskOperator, GiveUp, Scope, Trouble
from hashtagd.service.clock import StopPause
from hashtagd.service.lock import running_pid
from hashtagd.service.roots import RootPlan, place_of
from hashtagd.service.survey import survey_root
from hashtagd.system.patience import in_time
from hashtagd.watch.roots import RootFolder, Roots
from hashtagd.watch.troubles import silent


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, readable=False))
@pass_context
def retry(context: Context, files: tuple[Path, ...]) -> int:
    """Wake parked and waiting FILES; without FILES everything that waits, and closed gates are opened."""
    plan = context.known_roots()
    places = [_place(plan, path) for path in files]
    with context.catalog() as catalog:
        wanted = {row.place for row in catalog.transfers.rows()} if files else set()
        for place in places:
            if place not in wanted and not catalog.reports.show(place):
                raise _unknown(place)
        downloads = catalog.transfers.retry(places if files else None)
        woken = catalog.retry(places if files else None)
    click.echo(f"{woken} files{f' and {downloads} downloads' if downloads else ''} are due now")
    return 0


@click.command()
@click.argument("files", nargs=-1)
@pass_context
def refresh(context: Context, files: tuple[str, ...]) -> int:
    """Ask again about FILES, also about what is known; without FILES about the whole library.

    The questions go in batches; the running daemon, or the next run, asks them.
    """
    plan = context.known_roots()
    with context.catalog() as catalog:
        rows = [row for wanted in files for row in found_rows(catalog, plan, wanted)]
        hashes = [value for row in rows for value in (row.sha256, row.tensors_sha256) if value is not None]
        due = catalog.ask_again(hashes if files else None)
    waits = "" if running_pid(context.lock_folder) is not None else "; `hashtagd run` asks them"
    click.echo(f"{due} questions are due now{waits}")
    return 0


@click.command()
@click.argument("names", nargs=-1, metavar="[ROOT]...")
@click.option("--rehash", is_flag=True, help="Read every byte again, also of files that look unchanged.")
@pass_context
def rescan(context: Context, names: tuple[str, ...], rehash: bool) -> int:  # noqa: FBT001 - click's flags
    """Look at the disks now; a running daemon goes on with what is found.

    A root that suddenly looks empty is not believed, unless it is named here.
    """
    folders = chosen_roots(context.known_roots().folders, names)
    roots = Roots(folders)
    code = 0
    with context.own_catalog({folder.name: folder.quiet_s for folder in folders}) as catalog:
        for folder in folders:
            for trouble in _rescan(folder, roots, catalog, context, believe_empty=bool(names)):
                click.echo(f"{safe(folder.name)}: {safe(trouble)}", err=True)
                code = 1
        if rehash:
            click.echo(f"{catalog.rehash([folder.name for folder in folders])} files will be read again")
    return code


def _rescan(
    folder: RootFolder, roots: Roots, catalog: Catalog, context: Context, *, believe_empty: bool
) -> Sequence[Trouble]:
    answers = in_time(lambda: roots.check([folder.name]))
    trouble = roots.trouble(folder.name) if answers else silent(folder.name)
    if trouble is not None:
        return [trouble]
    survey = survey_root(folder, catalog, context.clock, StopPause(), believe_empty=believe_empty)
    if survey.report.inodes_moved:
        survey = survey_root(
            folder, catalog, context.clock, StopPause(), trust_inodes=False, believe_empty=believe_empty
        )
    click.echo(f"{safe(folder.name)}: {survey.report.files} files, {survey.changes} changes")
    return survey.report.troubles


def _place(plan: RootPlan, path: Path) -> Place:
    place = place_of(plan.folders, path)
    if place is None:
        raise AskOperator(
            f"{path.name} lies in no root",
            does="nothing was woken",
            you="name a file below one of the roots that `hashtagd status` lists",
            scope=Scope.FILE,
            kind="no_root",
        )
    return place


def _unknown(place: Place) -> GiveUp:
    return GiveUp(
        f"the catalog does not know {place.root}/{place.relpath}",
        does="nothing was woken",
        you="let `hashtagd rescan` look for it first",
        scope=Scope.FILE,
        kind="not_in_catalog",
    )
