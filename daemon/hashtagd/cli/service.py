"""`hashtagd service install`, `uninstall` and `print`: systemd."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from hashtagd.cli.context import Context, pass_context
from hashtagd.cli.main import EXIT_FAILED
from hashtagd.cli.output import safe
from hashtagd.core.troubles import AskOperator, Scope
from hashtagd.service.checking import check_settings
from hashtagd.service.installing import SERVICE_HOME, SERVICE_USER, Installer, Step
from hashtagd.service.key_file import KeyFile, choose, usual_place
from hashtagd.service.parts import make_writers
from hashtagd.service.rights import LIST, READ, RUN, WRITE, lacking
from hashtagd.service.roots import RootPlan
from hashtagd.service.units import (
    Machine,
    Manager,
    program_of,
    rendered,
    unit_folder,
)
from hashtagd.service.writable import writable_folders
from hashtagd.settings import find_config
from hashtagd.settings.keys import KEY_VARIABLE, find_api_key, key_file
from hashtagd.settings.places import SYSTEM_CONFIG, state_folder
from hashtagd.settings.values import home_folder
from hashtagd.system.process import has_user, is_root

_WHOSE = click.option(
    "--user/--system", "user", default=None, help="Of you, or of the machine; as root the latter is meant."
)


@click.group()
def service() -> None:
    """Run hashtagd in the background, started by systemd."""


@service.command("print")
@_WHOSE
@pass_context
def show(context: Context, *, user: bool | None) -> int:
    """Print what `install` would write."""
    manager = _manager(user)
    folder = unit_folder(manager, context.environ, _home(context))
    key = _key(context, manager)
    if key is not None and key.key is not None:
        click.echo(f"# {safe(key.path)}\n# the key of $CIVITAI_API_KEY, for its owner alone (mode 600)\n")
    for name, text in rendered(manager, _machine(context, manager, key)).items():
        click.echo(f"# {safe(folder / name)}\n{text}")
    return 0


@service.command()
@_WHOSE
@pass_context
def install(context: Context, *, user: bool | None) -> int:
    """Write the unit for the configured folders, and start it where systemd runs."""
    manager = _manager(user)
    check_settings(context.loaded, context.environ)
    key = _key(context, manager)
    machine = _machine(context, manager, key)
    steps = list(_installer(context, manager).install(rendered(manager, machine), key))
    if manager is Manager.SYSTEM:
        steps += _lacking(context, machine)
    return _tell(steps)


@service.command()
@_WHOSE
@pass_context
def uninstall(context: Context, *, user: bool | None) -> int:
    """Stop it and remove what `install` wrote. Models, settings and the catalog stay."""
    steps = list(_installer(context, _manager(user)).uninstall())
    return _tell(steps or [Step(did="nothing was installed")])


def _lacking(context: Context, machine: Machine) -> Iterator[Step]:
    """Tell what the user of the machine's service may not do; a service of one's own may do what one may."""
    if not is_root() or not has_user(SERVICE_USER):
        return
    writers = make_writers(context.loaded)
    plain = {it.path for it in context.roots().folders if not writers.get(it.name, writers[None])}
    wanted = {folder: LIST if folder in plain else WRITE for folder in machine.folders}
    config = machine.config or SYSTEM_CONFIG
    yield from lacking(SERVICE_USER, {Path(machine.program[0]): RUN, config: READ, **wanted})


def _installer(context: Context, manager: Manager) -> Installer:
    home = _home(context)
    return Installer(
        manager,
        unit_folder(manager, context.environ, home),
        key_place=usual_place(manager, context.environ, home),
    )


def _manager(user: bool | None) -> Manager:  # noqa: FBT001 - click's flag
    by_system = is_root() if user is None else not user
    return Manager.SYSTEM if by_system else Manager.USER


def _home(context: Context) -> Path:
    home = home_folder(context.environ)
    if home is None:
        raise AskOperator(
            "nobody knows where your home folder is",
            does="nothing was written",
            you="set HOME",
            scope=Scope.DAEMON,
            kind="no_home",
        )
    return home


def _machine(context: Context, manager: Manager, key: KeyFile | None) -> Machine:
    """Collect what the unit depends on; settings that are wrong are told before anything is written."""
    plan = context.roots()
    if manager is Manager.SYSTEM:
        _check_homes(context, plan)
    if not plan.folders:
        raise AskOperator(
            "there is no folder to watch",
            does="nothing was written",
            you="set `comfyui.path` or `roots` in ~/.config/hashtagd/config.yaml first",
            scope=Scope.DAEMON,
            kind="no_roots",
        )
    listen = context.loaded.settings.web.listen
    return Machine(
        program=program_of(),
        config=_config(context, manager),
        folders=writable_folders(context.loaded, context.environ, (it.path for it in plan.folders)),
        state_folder=_state(context) if manager is Manager.USER else None,
        listens=None if listen is None else (listen.rpartition(":")[0], int(listen.rpartition(":")[2])),
        key_file=None if key is None else key.path,
        key_mark=None if key is None else key.mark,
    )


def _check_homes(context: Context, plan: RootPlan) -> None:
    """Refuse folders that are others for the user the service runs as, to whom `~` is another home."""
    theirs = replace(context, environ={**context.environ, "HOME": SERVICE_HOME})
    keys = {key_file(it.loaded.settings, it.environ) for it in (context, theirs)}
    if theirs.roots().folders != plan.folders or len(keys) > 1:
        raise AskOperator(
            f"for a service of the machine `~` is {SERVICE_HOME}, and the settings mean another home",
            does="nothing was written",
            you="write whole paths under `roots`, `comfyui.path` (null: no ComfyUI) and `api_key_file`, "
            "or install for yourself: `--user`",
            scope=Scope.DAEMON,
            kind="other_home",
        )


def _config(context: Context, manager: Manager) -> Path | None:
    """Name the settings where the service would not find them by itself."""
    found = find_config(context.environ, context.config)
    if found is None and manager is Manager.SYSTEM:
        raise AskOperator(
            "there are no settings that a service of the machine could use",
            does="nothing was written",
            you=f"write {SYSTEM_CONFIG} with your folders under `roots`, or install for yourself: `--user`",
            scope=Scope.DAEMON,
            kind="no_settings",
        )
    # `$HASHTAGD_CONFIG` and the like are of this shell, and no service sees them
    own = [_home(context) / ".config" / "hashtagd" / "config.yaml"] if manager is Manager.USER else []
    if context.config is None and found in (None, SYSTEM_CONFIG, *own):
        return None
    return None if found is None else Path(os.path.abspath(found))  # noqa: PTH100 - links stay as spelled


def _state(context: Context) -> Path | None:
    """Name the state folder of this shell if the unit would choose another one."""
    chosen = state_folder(context.environ)
    return None if chosen == _home(context) / ".local" / "state" / "hashtagd" else chosen


def _key(context: Context, manager: Manager) -> KeyFile | None:
    """Find the key for the service: in the file that the settings name, else at the usual place.

    A key in the environment is put there: no service would see it.
    """
    settings = context.loaded.settings
    named = key_file(settings, context.environ)
    if named is not None:
        return KeyFile(path=named)
    in_shell = context.environ.get(KEY_VARIABLE, "").strip()
    given = find_api_key(settings, context.environ) if in_shell else None
    return choose(manager, context.environ, _home(context), given)


def _tell(steps: list[Step]) -> int:
    for step in steps:
        click.echo(safe(step.did))
    return 0 if all(step.well for step in steps) else EXIT_FAILED
