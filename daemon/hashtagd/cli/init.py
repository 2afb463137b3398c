"""`hashtagd init`: proposes settings from what it finds on this machine, and writes them if told to."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from hashtagd.cli.context import Context, pass_context
from hashtagd.cli.output import safe
from hashtagd.comfyui.places import Lead, leads
from hashtagd.core.troubles import AskOperator, Scope
from hashtagd.nudges import Unreachable, Unusable
from hashtagd.nudges.line import Line
from hashtagd.service.proposing import proposed
from hashtagd.settings import Root, check_roots, find_config, state_folder
from hashtagd.settings.document import can_hold
from hashtagd.settings.values import home_folder, http_url
from hashtagd.system.flags import PLAIN

_DEFAULT_URL = "http://127.0.0.1:8188"
_ROUTES = ("/system_stats", "/experiment/models")
_ANSWERS_WITHIN_S = 2.0


def _checked_url(_context: click.Context, _option: click.Parameter, url: str) -> str:
    try:
        return http_url(url)
    except ValueError as error:
        raise click.BadParameter(f"{error}, for example {_DEFAULT_URL}") from None


@click.command()
@click.argument(
    "folders", nargs=-1, type=click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True)
)
@click.option("--write", is_flag=True, help="Write it to where hashtagd looks for it; nothing is replaced.")
@click.option(
    "--url",
    default=_DEFAULT_URL,
    show_default=True,
    callback=_checked_url,
    help="Where ComfyUI answers, if it runs.",
)
@pass_context
def init(context: Context, *, folders: tuple[Path, ...], write: bool, url: str) -> int:
    """Look for ComfyUI and other folders with models, and propose settings for them.

    FOLDERS are looked at first: where ComfyUI, or models, lie that would not be found.
    """
    home = home_folder(context.environ)
    if home is None:
        raise _no_home()
    told = _told(url, context)
    everything = leads(context.environ, home, told, folders)
    left_out = {lead.path: why for lead in everything if (why := _unfit(lead, context, home)) is not None}
    found = [lead for lead in everything if lead.path not in left_out]
    text = proposed(found, url=url if told or url != _DEFAULT_URL else None, environ=context.environ)
    for lead in found:
        click.echo(f"found {safe(lead.path)}: {safe(lead.why)}", err=True)
    for path, why in left_out.items():
        click.echo(f"left out {safe(path)}: {why}", err=True)
    if not found:
        click.echo("found no folder with models; name one: `hashtagd init FOLDER`", err=True)
    if not write:
        click.echo(text, nl=False)
        click.echo("`hashtagd init --write` writes this", err=True)
        return 0
    path = context.config or _place(context.environ, home)
    _write(path, text)
    click.echo(f"{safe(path)} was written; `hashtagd check-config` checks it, `hashtagd run` works with it")
    return 0


def _unfit(lead: Lead, context: Context, home: Path) -> str | None:
    """Say why a folder is not proposed; None: it is."""
    if not lead.answers:
        return "it does not answer; see whether its disk, or the server behind it, is there"
    if not can_hold(str(lead.path)):
        return "settings cannot hold the characters of its name; give it another one"
    root = Root.model_construct(name="", path=lead.path / "models" if lead.comfyui else lead.path)
    refused = check_roots([root], home=home, state_folder=state_folder(context.environ)).mistakes
    return next((f"a root {mistake.rule}" for mistake in refused), None)


def _told(url: str, context: Context) -> dict[str, Any]:
    line = Line(url, context.clock)
    told: dict[str, Any] = {}
    for route in _ROUTES:
        try:
            answer = line.get(route, until_s=line.until_s(_ANSWERS_WITHIN_S))
            told[route] = json.loads(answer.body) if answer.good else None
        except (Unreachable, Unusable, ValueError, RecursionError):
            continue
    return {route: document for route, document in told.items() if document is not None}


def _place(environ: Mapping[str, str], home: Path) -> Path:
    found = find_config(environ)
    if found is not None:
        return found
    named = environ.get("XDG_CONFIG_HOME", "")
    base = Path(named) if named.startswith("/") else home / ".config"
    return base / "hashtagd" / "config.yaml"


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | PLAIN, 0o644)
        try:
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                file.write(text)
        except OSError:
            path.unlink()  # half of it would be taken for settings
            raise
    except FileExistsError:
        raise AskOperator(
            f"{path} is there already",
            does="it was left as it is",
            you="take what you like from `hashtagd init`, or name another file with `--config`",
            scope=Scope.FILE,
            kind="settings_there",
        ) from None
    except OSError as error:
        raise AskOperator(
            f"{path} could not be written ({error.strerror})",
            does="nothing was written",
            you="name another file with `--config`, and start hashtagd with it",
            scope=Scope.FILE,
            kind="settings_not_writable",
        ) from error


def _no_home() -> AskOperator:
    return AskOperator(
        "nobody knows where your home folder is",
        does="nothing was looked for",
        you="set HOME",
        scope=Scope.DAEMON,
        kind="no_home",
    )
