"""`hashtagd run`: the daemon, or one pass over everything."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
from structlog.stdlib import BoundLogger

from hashtagd.cli.context import Context, pass_context
from hashtagd.cli.main import EXIT_FAILED, EXIT_TRY_AGAIN
from hashtagd.cli.output import bytes_in_words, print_json, print_trouble, safe
from hashtagd.cli.progress import progress, wants_progress
from hashtagd.cli.rehearsal import Rehearsed
from hashtagd.cli.reloading import Prepared, Reloads, prepare
from hashtagd.cli.working import heeding_signals, logging_to_stderr, tell
from hashtagd.core.troubles import Trouble
from hashtagd.service.assemble import Process, assemble
from hashtagd.service.clock import StopPause
from hashtagd.service.memory import share_one_arena
from hashtagd.service.summary import Summary
from hashtagd.settings import SettingsMistakes


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path, readable=False))
@click.option("--once", is_flag=True, help="Work until nothing is due, print a summary, and end.")
@click.option(
    "--background",
    is_flag=True,
    help="With --once: also wait for questions that are asked behind all others.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="As --once, but write nothing below the folders: show what would be written, as a diff.",
)
@click.option("--json", "as_json", is_flag=True, help="With --once: print the summary as one JSON document.")
@pass_context
def run(
    context: Context,
    *,
    folders: tuple[Path, ...],
    once: bool,
    background: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Watch FOLDERS (a ComfyUI folder, a models folder, or any folder) and tag what lands in them.

    Folders given here need no settings file and replace the configured roots for this run.

    With --dry-run files are hashed and asked about, and the catalog keeps what was learned; an ordinary run
    after it writes.
    """
    once = once or dry_run
    if not once and (as_json or background):
        flag = "--json" if as_json else "--background"
        raise click.UsageError(f"{flag} needs --once: a daemon has no end")
    prepared = prepare(context, folders)
    share_one_arena()
    if once:
        return _run_once(prepared, background=background, dry_run=dry_run, as_json=as_json)
    return _run_daemon(prepared, folders)


def _run_daemon(prepared: Prepared, folders: tuple[Path, ...]) -> int:
    """Watch until stopped; SIGHUP begins a round with new settings, or with the old if these do not work."""
    turn: Prepared | None = prepared
    stood: Prepared | None = None
    failed: Trouble | None = None
    reloads = Reloads(prepared.context, folders)
    well = True
    with heeding_signals(StopPause(), reloads.ask) as heard:
        while turn is not None and well and not heard.stops:
            pause = heard.renew()
            try:
                with logging_to_stderr(turn.context, terse=False) as log:
                    reloads.refused, reloads.ring = partial(_tell_refused, log), pause.ring
                    if failed is not None:
                        _tell_refused(log, failed)
                    process = _process(turn, pause, log, once=False, handover=reloads.is_due)
                    with assemble(turn.context.loaded, process) as service:
                        stood, failed = turn, None
                        well = service.run()
            except Trouble as trouble:
                if stood is None or stood is turn:
                    raise
                turn, failed = stood, trouble
            else:
                turn = reloads.take()
    return 0 if well else EXIT_TRY_AGAIN


def _run_once(prepared: Prepared, *, background: bool, dry_run: bool, as_json: bool) -> int:
    context, pause = prepared.context, StopPause()
    rehearsed = Rehearsed(as_json=as_json) if dry_run else None
    # a bar would be drawn over the diff
    drawn = rehearsed is None and wants_progress(once=True, volume=context.volume)
    with (
        heeding_signals(pause),
        progress(shown=drawn) as report,
        logging_to_stderr(context, terse=drawn or dry_run) as log,
    ):
        process = replace(
            _process(prepared, pause, log, once=True),
            background=background,
            progress=report,
            rehearsed=None if rehearsed is None else rehearsed.tell,
        )
        with assemble(context.loaded, process) as service:
            well = service.run()
            summary = service.summary() if well else None
    if summary is None:
        return EXIT_TRY_AGAIN
    if as_json:
        would = {} if rehearsed is None else {"would": rehearsed.told}
        print_json({**summary.to_json(), **would})
    else:
        _print(summary)
    return _exit_code(summary)


def _process(
    prepared: Prepared,
    pause: StopPause,
    log: BoundLogger,
    *,
    once: bool,
    handover: Callable[[], bool] = lambda: False,
) -> Process:
    context = prepared.context
    for warning in prepared.plan.warnings:
        tell(log, "settings_warned", what=warning)
    return Process(
        plan=prepared.plan,
        environ=context.environ,
        folder=context.lock_folder,
        clock=context.clock,
        pause=pause,
        tell=partial(tell, log),
        bug=lambda lane, error: log.error("bug_met", lane=lane, exc_info=error),
        once=once,
        handover=handover,
    )


def _tell_refused(log: BoundLogger, trouble: Trouble) -> None:
    mistakes = (
        [it.text(trouble.source) for it in trouble.mistakes] if isinstance(trouble, SettingsMistakes) else []
    )
    tell(log, "settings_refused", kind=trouble.kind, what=trouble.what, you=trouble.you, mistakes=mistakes)


def _exit_code(summary: Summary) -> int:
    if summary.closed_gates or summary.growing or summary.downloads_waiting:
        return EXIT_TRY_AGAIN
    return EXIT_FAILED if summary.for_a_person else 0


def _print(summary: Summary) -> None:
    requests = sum(summary.requests.values())
    click.echo(
        f"{summary.files} files: {summary.named} named, {summary.unknown} unknown to every site, "
        f"{summary.waiting} waiting, {summary.parked} parked"
    )
    click.echo(
        f"{requests} requests, {bytes_in_words(summary.bytes_hashed)} hashed, {summary.written} written "
        f"in {summary.took_s:.1f} s"
    )
    for origin, words in summary.closed_gates.items():
        click.echo(f"closed: {safe(origin)}: {safe(words)}")
    if summary.downloads_waiting or summary.downloads_parked:
        click.echo(
            f"downloads: {summary.downloads_waiting} waiting, {summary.downloads_parked} parked; "
            "`hashtagd status` says why"
        )
    for trouble in summary.troubles:
        print_trouble(trouble)
    if summary.troubled_files:
        click.echo("`hashtagd list --trouble` says which files wait, and why")
