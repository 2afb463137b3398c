"""`hashtagd doctor`: looks at this machine, and says of each thing what to do about it."""

from collections.abc import Iterator
from pathlib import Path

import click

from hashtagd.cli.context import Context, pass_context
from hashtagd.cli.main import EXIT_FAILED
from hashtagd.cli.output import print_json, safe
from hashtagd.service import parts
from hashtagd.service.examining import (
    examine_beside,
    examine_key,
    examine_network,
    examine_service,
    examine_store,
)
from hashtagd.service.examining_roots import examine_limits, examine_root
from hashtagd.service.finding import Finding, Level, ok, warn
from hashtagd.service.writable import writable_folders
from hashtagd.settings.values import home_folder
from hashtagd.system.patience import silent_among

_SIGNS = {Level.OK: "ok  ", Level.WARN: "warn", Level.FAIL: "FAIL"}


@click.command()
@click.option("--offline", is_flag=True, help="Ask no site.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@pass_context
def doctor(context: Context, *, offline: bool, as_json: bool) -> int:
    """Look at folders, disks, limits, clock, network, key, and what runs beside; nothing is changed.

    In each folder that may be written to, a file is made and removed, to see whether changes are told.
    """
    findings = []
    for finding in _findings(context, offline=offline):
        findings.append(finding)
        if not as_json:
            _print(finding)
    if as_json:
        print_json(
            [
                {"check": it.check, "level": it.level.value, "found": it.found, "you": it.you}
                for it in findings
            ]
        )
    return EXIT_FAILED if any(it.level is Level.FAIL for it in findings) else 0


def _findings(context: Context, *, offline: bool) -> Iterator[Finding]:
    settings = context.loaded.settings
    yield ok("settings", f"read from {context.loaded.source}")
    plan = context.roots()
    if not plan.folders:
        yield warn(
            "roots",
            "there is no folder to watch",
            "set `comfyui.path` or `roots`, or say `hashtagd run FOLDER`",
        )
    for warning in plan.warnings:
        yield warn("roots", warning, "mend it if it is not meant like that")
    writers = parts.make_writers(context.loaded)
    for root in plan.folders:
        yield from examine_root(root, writes=bool(writers.get(root.name, writers[None])))
    silent = silent_among(root.path for root in plan.folders)
    yield examine_limits([root for root in plan.folders if root.path not in silent])
    yield examine_store(settings.catalog.url)
    if not offline:
        for entry, (_, options) in parts.entries_of(context.loaded):
            base_url = getattr(options, "base_url", None)
            if entry.kind == "civitai" and isinstance(base_url, str):
                yield from examine_network(context.loaded, context.clock, base_url)
    yield examine_key(context.loaded, context.environ)
    yield from examine_beside(settings.comfyui.url, context.clock)
    home = home_folder(context.environ)
    if home is not None:
        roots = (Path(root.path) for root in plan.folders)
        yield examine_service(context.environ, home, writable_folders(context.loaded, context.environ, roots))


def _print(finding: Finding) -> None:
    click.echo(f"{_SIGNS[finding.level]}  {safe(finding.check)}: {safe(finding.found)}")
    if finding.you is not None:
        click.echo(f"      you: {safe(finding.you)}")
