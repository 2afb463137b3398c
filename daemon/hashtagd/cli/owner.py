"""`hashtagd match`, `unmatch`, `lock`, `unlock` and `ignore-updates`: what the owner decides."""

import click

from hashtagd.cli.cards import card_facts
from hashtagd.cli.context import Context, pass_context
from hashtagd.cli.finding import find_one
from hashtagd.cli.output import print_facts, safe
from hashtagd.core.pins import LOCKABLE, pinned_values
from hashtagd.core.troubles import GiveUp, Scope
from hashtagd.service.clock import StopPause
from hashtagd.service.matching import Matched, match_to
from hashtagd.service.providers import asked_now

_FIELDS = click.Choice((*LOCKABLE, "all"))


@click.command()
@click.argument("file")
@click.argument("version", metavar="VERSION_ID|AIR|URL")
@click.option("--anyway", is_flag=True, help="Also a version that the site does not know (any more).")
@pass_context
def match(context: Context, *, file: str, version: str, anyway: bool) -> int:
    """Say which version FILE is. It stays so, whatever a site says later.

    The version is named by its number, by its AIR, or by an address of its page, of the API or of a download.
    """
    with context.catalog() as catalog:
        row = find_one(catalog, context.known_roots(), file)
        with asked_now(context.loaded, context.environ, context.clock, StopPause(), catalog) as providers:
            matched = match_to(row, version, providers, anyway=anyway)
        sha256 = row.sha256 or ""
        if matched.card is None:
            catalog.wishes.match_later(sha256, matched.version_id)
        else:
            catalog.wishes.match(sha256, matched.card, again_in_s=matched.again_in_s)
    _print(file, matched)
    return 0


@click.command()
@click.argument("file")
@pass_context
def unmatch(context: Context, *, file: str) -> int:
    """Take back what `match` said of FILE; what the sites say counts again."""
    with context.catalog() as catalog:
        row = find_one(catalog, context.known_roots(), file)
        there = catalog.wishes.unmatch(row.sha256 or "")
    click.echo(f"{safe(file)}: {'taken back' if there else 'you had not said anything'}")
    return 0


@click.command()
@click.argument("file")
@click.argument("fields", nargs=-1, required=True, type=_FIELDS)
@pass_context
def lock(context: Context, *, file: str, fields: tuple[str, ...]) -> int:
    """Keep FIELDS of FILE as they are now, whatever a site says later."""
    with context.catalog() as catalog:
        row = find_one(catalog, context.known_roots(), file)
        if row.card is None:
            raise _nothing_known(file)
        values = pinned_values(row.card, LOCKABLE if "all" in fields else fields)
        catalog.wishes.lock(row.sha256 or "", values)
    click.echo(f"{safe(file)}: locked: {', '.join(sorted(values))}")
    return 0


@click.command()
@click.argument("file")
@click.argument("fields", nargs=-1, type=_FIELDS)
@pass_context
def unlock(context: Context, *, file: str, fields: tuple[str, ...]) -> int:
    """Let what the sites say of FIELDS of FILE count again; without FIELDS, of all."""
    with context.catalog() as catalog:
        row = find_one(catalog, context.known_roots(), file)
        chosen = None if not fields or "all" in fields else fields
        gone = catalog.wishes.unlock(row.sha256 or "", chosen)
    click.echo(f"{safe(file)}: {'unlocked: ' + ', '.join(gone) if gone else 'nothing was locked'}")
    return 0


@click.command("ignore-updates")
@click.argument("file")
@click.option("--undo", is_flag=True, help="Tell of newer versions again.")
@pass_context
def ignore_updates(context: Context, *, file: str, undo: bool) -> int:
    """Tell no more of newer versions of the model that FILE is."""
    with context.catalog() as catalog:
        row = find_one(catalog, context.known_roots(), file)
        if row.card is None or row.card.model_id is None:
            raise _nothing_known(file)
        catalog.wishes.ignore_updates(row.card.model_id, ignore=not undo)
    told = "are told again" if undo else "are not told any more"
    click.echo(f"{safe(row.card.model_name or file)}: newer versions {told}")
    return 0


def _print(file: str, matched: Matched) -> None:
    if matched.card is None:
        why = matched.trouble.what if matched.trouble else "the site is silent"
        click.echo(
            f"{safe(why)}: version {matched.version_id} is kept, and counts as soon as the site answers"
        )
        click.echo(f"until then {safe(file)} stays as it is; `hashtagd unmatch` takes it back")
        return
    click.echo(f"{safe(file)} is what you said, from now on; `hashtagd unmatch` takes it back")
    print_facts(card_facts(matched.card))


def _nothing_known(file: str) -> GiveUp:
    return GiveUp(
        f"nothing is known of {file} yet",
        does="nothing was changed",
        you="wait until `hashtagd show FILE` names a model, or name it with `hashtagd match`",
        scope=Scope.FILE,
        kind="nothing_known",
    )
