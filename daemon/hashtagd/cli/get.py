"""`hashtagd get`: download models, verified, into the folders that they belong to."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import click

from hashtagd.catalog.transfers import TransferRow
from hashtagd.cli.bars import row_facts, watching
from hashtagd.cli.context import Context, pass_context
from hashtagd.cli.main import EXIT_FAILED, EXIT_TRY_AGAIN
from hashtagd.cli.output import print_json_lines, print_trouble, safe
from hashtagd.cli.working import heeding_signals, logging_to_stderr, tell
from hashtagd.core.picking import Choice
from hashtagd.core.troubles import AskOperator, Scope, Trouble, TryLater
from hashtagd.service import parts
from hashtagd.service.bringing import Hands, bring
from hashtagd.service.clock import StopPause
from hashtagd.service.lock import OwnerFile
from hashtagd.service.placing import Ground
from hashtagd.service.providers import asked_now
from hashtagd.service.resolving import Resolved, Resolver
from hashtagd.service.roots import RootPlan


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
@click.option("--detach", is_flag=True, help="Leave the work to the daemon that runs.")
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
    detach: bool,
    as_json: bool,
) -> int:
    """Download models by the address of their page, by AIR, or by the number of a version.

    Each file goes into the ComfyUI folder of its type, is verified by its SHA-256, and is published at once.
    """
    wanted = [*names, *(() if list_file is None else _listed(list_file))]
    if not wanted:
        raise click.UsageError("name a model, or a file with names with --list")
    choice = Choice(file_id=file_id, fp=fp, format=form)
    with _hands(context, to) as hands:
        found = _resolved(context, hands, to, wanted, choice)
        ids = hands.catalog.transfers.want([item.wanted for item in found if item.wanted is not None])
        with watching(as_json=as_json) if not detach else nullcontext(_see_nothing) as watch:
            rows = bring(hands, ids, watch, detach=detach)
    return _told(found, rows, as_json=as_json, detached=detach)


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


@contextmanager
def _hands(context: Context, to: Path | None) -> Iterator[Hands]:
    """Open the catalog and everything that works on it."""
    plan = _plan(context, to)
    pause = StopPause()
    with ExitStack() as stack:
        stack.enter_context(heeding_signals(pause))
        # what is wrong with a file is told at the end, with all that is known of it
        log = stack.enter_context(logging_to_stderr(context, terse=True, least="error"))
        catalog = stack.enter_context(context.own_catalog({}))
        stack.enter_context(OwnerFile(context.lock_folder, catalog.owner))
        outside = parts.Outside(
            loaded=context.loaded,
            environ=context.environ,
            clock=context.clock,
            pause=pause,
            gates=parts.make_gates(context.loaded, catalog),
            tell=lambda event, values: tell(log, event, **values),
            state_folder=context.lock_folder,
        )
        yield Hands(
            outside=outside,
            catalog=catalog,
            plan=plan,
            folder=context.lock_folder,
            tell=partial(tell, log),
        )


def _plan(context: Context, to: Path | None) -> RootPlan:
    plan = context.known_roots()
    if not plan.folders and to is not None and to.is_dir():
        plan = context.roots((to,))
    if not plan.folders:
        raise AskOperator(
            "there is no folder to put models into",
            does="nothing is fetched",
            you="set `comfyui.path` or `roots` in the settings, or name a folder with `--to`",
            scope=Scope.DAEMON,
            kind="no_roots",
        )
    return plan


def _resolved(
    context: Context, hands: Hands, to: Path | None, wanted: Sequence[str], choice: Choice
) -> list[Resolved]:
    settings = context.loaded.settings
    ground = Ground(
        plan=hands.plan,
        comfyui=settings.comfyui.path,
        to=to or settings.downloads.to,
        environ=context.environ,
    )
    with asked_now(
        context.loaded, context.environ, context.clock, hands.outside.pause, hands.catalog
    ) as providers:
        resolver = Resolver(providers, hands.catalog, ground)
        return [resolver.resolve(name, choice) for name in wanted]


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


def _there(item: Resolved) -> dict[str, Any]:
    place = item.there
    return {"named": item.named, "root": place and place.root, "path": place and place.relpath}


def _clauses(trouble: Trouble) -> dict[str, str]:
    return {"what": trouble.what, "does": trouble.does, "you": trouble.you}


def _waits(row: TransferRow) -> bool:
    return row.state == "waiting"
