"""`hashtagd run`: the daemon, or one pass over everything."""

import os
import signal
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from structlog.stdlib import BoundLogger

from hashtagd.cli.context import Context, pass_context
from hashtagd.cli.main import EXIT_FAILED, EXIT_TRY_AGAIN
from hashtagd.cli.output import bytes_in_words, print_json
from hashtagd.core.troubles import AskOperator, Scope
from hashtagd.service.assemble import Process, Service, assemble
from hashtagd.service.clock import StopPause
from hashtagd.service.logs import Level, configure, events
from hashtagd.service.redact import MIN_SECRET_CHARACTERS, Redactor
from hashtagd.service.summary import Summary
from hashtagd.settings import find_api_key
from hashtagd.settings.values import home_folder


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
@click.option("--once", is_flag=True, help="Work until nothing is due, print a summary, and end.")
@click.option("--json", "as_json", is_flag=True, help="With --once: print the summary as one JSON document.")
@pass_context
def run(context: Context, folders: tuple[Path, ...], once: bool, as_json: bool) -> int:  # noqa: FBT001 - click's flags
    """Watch FOLDERS (a ComfyUI folder, a models folder, or any folder) and tag what lands in them.

    Folders given here need no settings file and replace the configured roots for this run.
    """
    pause = StopPause()
    _heed_signals(pause)
    plan = context.roots(folders)
    if not plan.folders:
        raise _no_roots()
    with _logging(context) as log:
        for warning in plan.warnings:
            log.warning("settings_warned", what=warning)

        def tell(event: str, /, **values: Any) -> None:  # noqa: ANN401 - log values are of any type
            log.info(event, **values)

        process = Process(
            plan=plan,
            environ=context.environ,
            folder=context.lock_folder,
            clock=context.clock,
            pause=pause,
            tell=tell,
            bug=lambda lane, error: log.error("bug_met", lane=lane, exc_info=error),
            once=once,
        )
        with assemble(context.loaded, process) as service:
            well = service.run()
            return _end(service, well=well, once=once, as_json=as_json)


@contextmanager
def _logging(context: Context) -> Iterator[BoundLogger]:
    """Send all logging through the redactor for the time of the run."""
    settings = context.loaded.settings
    key = find_api_key(settings, context.environ, source=context.loaded.source, lines=context.loaded.lines)
    password = context.environ.get("PGPASSWORD", "")
    secrets = [
        *([key.get_secret_value()] if key else []),
        *([password] if len(password) >= MIN_SECRET_CHARACTERS else []),
    ]
    levels: dict[str | None, Level] = {"verbose": "debug", "quiet": "warning"}
    logs = configure(
        level=levels.get(context.volume, settings.log.level),
        form=settings.log.format,
        file=settings.log.file,
        redactor=Redactor(secrets, home_folder(context.environ)),
        stream=sys.stderr,
        clock=context.clock,
    )
    try:
        yield events("daemon")
    finally:
        logs.close()


def _end(service: Service, *, well: bool, once: bool, as_json: bool) -> int:
    if not well:
        return EXIT_TRY_AGAIN
    if not once:
        return 0
    summary = service.summary()
    if as_json:
        print_json(summary.to_json())
    else:
        _print(summary)
    return _exit_code(summary)


def _exit_code(summary: Summary) -> int:
    if summary.closed_gates or summary.growing:
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
        click.echo(f"closed: {origin}: {words}")
    if summary.parked or summary.waiting:
        click.echo("`hashtagd list --trouble` says which files wait, and why")


def _heed_signals(pause: StopPause) -> None:
    """Stop in order at the first SIGTERM or SIGINT, at once at the second."""

    def heed(_number: int, _frame: types.FrameType | None) -> None:
        if pause.stopping:
            os._exit(0)
        pause.stop()

    signal.signal(signal.SIGTERM, heed)
    signal.signal(signal.SIGINT, heed)


def _no_roots() -> AskOperator:
    return AskOperator(
        "there is no folder to watch",
        does="hashtagd does not start",
        you="name one: `hashtagd run ~/ComfyUI`, or list roots in the settings (config.example.yaml)",
        scope=Scope.DAEMON,
        kind="no_roots",
    )
