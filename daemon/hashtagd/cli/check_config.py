"""`hashtagd check-config`: all mistakes of the settings at once, each with its line; never a secret."""

import click

from hashtagd.cli.context import Context, pass_context
from hashtagd.cli.output import print_json, print_table, safe
from hashtagd.service.checking import check_settings
from hashtagd.settings import find_api_key


@click.command("check-config")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@pass_context
def check_config(context: Context, as_json: bool) -> int:  # noqa: FBT001 - click's flags
    """Check the settings and say what they come to."""
    loaded = context.loaded
    check_settings(loaded, context.environ)
    key = find_api_key(loaded.settings, context.environ, source=loaded.source, lines=loaded.lines)
    plan = context.roots()
    facts = {
        "source": loaded.source,
        "roots": [{"name": folder.name, "path": str(folder.path)} for folder in plan.folders],
        "warnings": list(plan.warnings),
        "providers": [entry.kind for entry in loaded.settings.providers],
        "writers": [entry.name for entry in loaded.settings.writers],
        "api_key": "set" if key is not None else "not set",
    }
    if as_json:
        print_json(facts)
        return 0
    click.echo(f"{safe(loaded.source)}: no mistakes")
    print_table(["root", "path"], [[folder.name, folder.path] for folder in plan.folders], whole=("path",))
    for warning in plan.warnings:
        click.echo(f"note: {safe(warning)}", err=True)
    click.echo(f"providers: {', '.join(entry.kind for entry in loaded.settings.providers)}")
    click.echo(f"writers: {', '.join(entry.name for entry in loaded.settings.writers) or 'none'}")
    click.echo(f"API key: {facts['api_key']}")
    return 0
