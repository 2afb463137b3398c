"""`hashtagd retry` and `hashtagd rescan`: wake what waits, look at the disks now."""

from collections.abc import Sequence
from pathlib import Path

import click

from hashtagd.cli.context import Context, pass_context
from hashtagd.core.place import Place
from hashtagd.core.troubles import AskOperator, Scope, Trouble
from hashtagd.service.clock import StopPause
from hashtagd.service.roots import RootPlan, place_of
from hashtagd.service.survey import survey_root
from hashtagd.watch.roots import RootFolder, Roots


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@pass_context
def retry(context: Context, files: tuple[Path, ...]) -> int:
    """Wake parked and waiting FILES; without FILES everything that waits, and closed gates are opened."""
    plan = context.known_roots()
    places = [_place(plan, path) for path in files]
    catalog = context.open_catalog()
    try:
        woken = catalog.retry(places if files else None)
    finally:
        catalog.close()
    click.echo(f"{woken} files and questions are due now")
    return 0


@click.command()
@click.argument("names", nargs=-1, metavar="[ROOT]...")
@click.option("--rehash", is_flag=True, help="Read every byte again, also of files that look unchanged.")
@pass_context
def rescan(context: Context, names: tuple[str, ...], rehash: bool) -> int:  # noqa: FBT001 - click's flags
    """Look at the disks now; a running daemon goes on with what is found."""
    folders = _chosen(context.known_roots().folders, names)
    roots = Roots(folders)
    catalog = context.open_catalog()
    code = 0
    try:
        for folder in folders:
            roots.check([folder.name])
            trouble: Trouble | None = roots.trouble(folder.name)
            if trouble is None:
                survey = survey_root(folder, catalog, context.clock, StopPause())
                trouble = next(iter(survey.report.troubles), None)
                click.echo(f"{folder.name}: {survey.report.files} files, {survey.changes} changes")
            if trouble is not None:
                click.echo(f"{folder.name}: {trouble}", err=True)
                code = 1
        if rehash:
            click.echo(f"{catalog.rehash([folder.name for folder in folders])} files will be read again")
    finally:
        catalog.close()
    return code


def _chosen(folders: Sequence[RootFolder], names: Sequence[str]) -> list[RootFolder]:
    unknown = [name for name in names if name not in {folder.name for folder in folders}]
    if unknown:
        raise AskOperator(
            f"there is no root called {unknown[0]}",
            does="nothing was looked at",
            you=f"choose from: {', '.join(folder.name for folder in folders) or 'no root is configured'}",
            scope=Scope.ROOT,
            kind="unknown_root",
        )
    return [folder for folder in folders if not names or folder.name in names]


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
