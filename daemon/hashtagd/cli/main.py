"""The `hashtagd` command: its options, its commands by name, and how it ends when something is wrong."""

import importlib
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from hashtagd import __version__
from hashtagd.cli.importing import UNWANTED, imports_without
from hashtagd.cli.streams import OutputLostError, drop_output, told_output
from hashtagd.core.ports import Stopping
from hashtagd.core.troubles import AskOperator, Scope, Trouble, TryLater
from hashtagd.settings import SettingsMistakes
from hashtagd.system.names import HOLDS_FOLDERS

#: the exit codes of the contract with users and with systemd
EXIT_FAILED, EXIT_USAGE, EXIT_TRY_AGAIN, EXIT_CONFIG = 1, 2, 75, 78

#: name -> where the command is, and its line in `--help`, so that asking for help imports nothing
_COMMANDS = {
    "run": ("hashtagd.cli.run:run", "Watch folders and tag what lands in them."),
    "init": ("hashtagd.cli.init:init", "Propose settings from what is found on this machine."),
    "status": ("hashtagd.cli.status:status", "Say how the daemon and the library are."),
    "list": ("hashtagd.cli.library:list_models", "List the files of the catalog."),
    "search": ("hashtagd.cli.library:search", "Find files by path, name, trigger words, tags or creator."),
    "show": ("hashtagd.cli.show:show", "Show everything known of one model."),
    "lookup": ("hashtagd.cli.lookup:lookup", "Ask the sites about files or hashes now; write nothing."),
    "get": ("hashtagd.cli.get:get", "Download models into the folders that they belong to."),
    "match": ("hashtagd.cli.owner:match", "Say which version a file is."),
    "unmatch": ("hashtagd.cli.owner:unmatch", "Take back what `match` said."),
    "lock": ("hashtagd.cli.owner:lock", "Keep parts of what is known of a file as they are."),
    "unlock": ("hashtagd.cli.owner:unlock", "Let them follow the sites again."),
    "ignore-updates": ("hashtagd.cli.owner:ignore_updates", "Tell no more of newer versions of a model."),
    "retry": ("hashtagd.cli.wake:retry", "Wake what is parked or waiting."),
    "refresh": ("hashtagd.cli.wake:refresh", "Ask again, also about what is known."),
    "rescan": ("hashtagd.cli.wake:rescan", "Look at the disks now."),
    "export": ("hashtagd.cli.exporting:export", "Write the library as a manifest."),
    "restore": ("hashtagd.cli.restore:restore", "Make the files of a manifest exist again."),
    "unpublish": ("hashtagd.cli.unpublish:command", "Remove what was written beside the models."),
    "check-config": ("hashtagd.cli.check_config:check_config", "Check the settings."),
    "doctor": ("hashtagd.cli.doctor:doctor", "Look at this machine, and say what to do."),
    "service": ("hashtagd.cli.service:service", "Run it in the background, started by systemd."),
    "demo": ("hashtagd.cli.demo:demo", "Tell the whole story in ten seconds, without network."),
}


#: they write in folders with models, which is safe only from folders held open
_WRITING = frozenset({"run", "get", "restore", "unpublish", "demo", "service"})


class LazyGroup(click.Group):
    """A group that imports a command when it is used: `hashtagd status` needs no web client."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        """Name the commands in the order of the contract."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        """Import one command."""
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        with imports_without(*UNWANTED):
            command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - the signature is click's
        """Run the command; a reader that has gone (`| head`) has what it wanted, and that is no failure."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            drop_output()
            return 0

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--config",
    type=click.Path(path_type=Path, readable=False),
    help="The settings file; without it the usual places are looked at.",
)
@click.option("--verbose", "volume", flag_value="verbose", help="Log at debug level.")
@click.option("--quiet", "volume", flag_value="quiet", help="Log warnings only.")
@click.version_option(__version__, prog_name="hashtagd")
@click.pass_context
def cli(ctx: click.Context, config: Path | None, volume: str | None) -> None:
    """Drop a model into a folder; by the time you look, it has its name, trigger words, tags and picture."""
    if not HOLDS_FOLDERS and ctx.invoked_subcommand in _WRITING:
        raise _not_on_this_system()
    from hashtagd.cli.context import Context  # noqa: PLC0415 - `--help` and `--version` need none of it

    ctx.obj = Context(config=config, volume=volume, environ=dict(os.environ))


def _not_on_this_system() -> AskOperator:
    return AskOperator(
        "this system (Windows) cannot hold folders open while their files are renamed",
        does="nothing in them is touched; `lookup`, `init` and `check-config` work here",
        you="run hashtagd under WSL 2 or in a container, with the models folder mounted there",
        scope=Scope.DAEMON,
        kind="system_not_supported",
    )


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the command and end the process with one of the documented exit codes."""
    try:
        with told_output():
            code: Any = cli.main(args=argv, prog_name="hashtagd", standalone_mode=False)
    except click.exceptions.Abort:
        code = 130
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except Trouble as trouble:
        complain(trouble)
        code = exit_code_for(trouble)
    except Stopping:
        code = 0
    except OutputLostError as lost:
        drop_output()
        click.echo(f"hashtagd: the output could not be written: {lost}", err=True)
        code = EXIT_FAILED
    sys.exit(code if isinstance(code, int) else 0)


def complain(trouble: Trouble) -> None:
    """Print the three clauses of a trouble for a person."""
    from hashtagd.cli.output import safe  # noqa: PLC0415 - only who complains needs the printer

    lines = [f"hashtagd: {safe(trouble.what)}"]
    if isinstance(trouble, SettingsMistakes):
        lines += [f"  {safe(mistake.text(trouble.source))}" for mistake in trouble.mistakes]
    lines += [f"  what hashtagd does: {safe(trouble.does)}", f"  what you can do:    {safe(trouble.you)}"]
    click.echo("\n".join(lines), err=True)


def exit_code_for(trouble: Trouble) -> int:
    """Choose the exit code: time heals 75, an operator must act on the whole daemon 78, else 1."""
    if isinstance(trouble, TryLater):
        return EXIT_TRY_AGAIN
    return EXIT_CONFIG if trouble.scope is Scope.DAEMON else EXIT_FAILED
