"""`hashtagd lookup`: ask the sites about files, hashes or versions now, and write nothing."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click

from hashtagd.cli.cards import card_facts
from hashtagd.cli.context import Context, pass_context
from hashtagd.cli.main import EXIT_FAILED, EXIT_TRY_AGAIN
from hashtagd.cli.output import print_facts, print_json_lines
from hashtagd.core.card_json import hashes_json, model_json
from hashtagd.core.digests import Digests, is_sha256
from hashtagd.core.naming import ModelRef, parse_model_name
from hashtagd.core.troubles import GiveUp, Scope, Trouble, TryLater
from hashtagd.core.work import Subject
from hashtagd.service.clock import StopPause
from hashtagd.service.lookup import Looked, by_version, look_up, subject_of
from hashtagd.service.matching import check_model, named_version
from hashtagd.service.providers import asked_now


@click.command()
@click.argument("wanted", nargs=-1, required=True, metavar="FILE|HASH|VERSION_ID|AIR|URL...")
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line.")
@pass_context
def lookup(context: Context, wanted: tuple[str, ...], as_json: bool) -> int:  # noqa: FBT001 - click's flags
    """Ask now about files, SHA-256 hashes, or versions by number, AIR or address; nothing is written."""
    pause = StopPause()
    subjects = [_subject(text, context, pause) for text in wanted]
    hashes = [subject for subject in subjects if subject.version_id is None]
    versions = [subject for subject in subjects if subject.version_id is not None]
    with (
        context.catalog() as catalog,
        asked_now(context.loaded, context.environ, context.clock, pause, catalog) as providers,
    ):
        numbered = look_up(versions, by_version(providers))
        looked = [*look_up(hashes, providers), *map(_of_that_model, numbered)]
    if as_json:
        print_json_lines(_to_json(item) for item in looked)
    else:
        _print(looked)
    return _exit_code(looked)


def _of_that_model(item: Looked) -> Looked:
    """Refuse a version of another model than was named with it, as `match` does."""
    ref = _named(item.subject.hash)
    if item.card is not None and ref is not None:
        try:
            check_model(ref, item.card)
        except GiveUp as trouble:
            return replace(item, card=None, trouble=trouble)
    return item


def _exit_code(looked: Sequence[Looked]) -> int:
    if any(isinstance(item.trouble, TryLater) for item in looked):
        return EXIT_TRY_AGAIN
    return 0 if all(item.card is not None for item in looked) else EXIT_FAILED


def _subject(text: str, context: Context, pause: StopPause) -> Subject:
    path = Path(text)
    there = os.path.exists(path)  # noqa: PTH110 - what may not be looked at is said below
    if not there and (ref := _named(text)) is not None:
        return Subject(hash=text, digests=None, header=None, size_bytes=0, version_id=ref.version_id)
    if is_sha256(text.lower()) and not there:
        return Subject(hash=text.lower(), digests=Digests(sha256=text.lower()), header=None, size_bytes=0)
    try:
        subject = subject_of(path, clock=context.clock, pause=pause)
    except OSError as error:
        raise _not_found(path, error.strerror or "cannot be read") from None
    if isinstance(subject, Subject):
        return subject
    trouble = getattr(subject, "trouble", None)
    raise trouble if isinstance(trouble, Trouble) else _not_found(path, "it changed while it was read")


def _named(text: str) -> ModelRef | None:
    """Read a version by its number, AIR or address; None: it is something else.

    Raises:
        GiveUp: it is an address, and names no version.
    """
    try:
        parse_model_name(text)
    except ValueError:
        if "://" not in text:
            return None
    return named_version(text)


def _not_found(path: Path, why: str) -> GiveUp:
    return GiveUp(
        f"{path.name}: {why}",
        does="nothing was asked",
        you="name a file that can be read, the 64 digits of a SHA-256, or a version's number or address",
        scope=Scope.FILE,
        kind="not_readable",
    )


def _to_json(item: Looked) -> dict[str, object]:
    return {
        "root": None,
        "path": None,
        "absolute_path": None,
        "size_bytes": item.subject.size_bytes or None,
        "hashes": hashes_json(item.subject.digests),
        **model_json(item.card, checked_at=None),
        "trouble": None if item.trouble is None else item.trouble.to_json(),
    }


def _print(looked: Sequence[Looked]) -> None:
    for number, item in enumerate(looked):
        if number:
            click.echo("")
        if item.subject.digests is None:
            # not as it was typed: a pasted address may hold a token
            asked: dict[str, object] = {"version": item.subject.version_id}
        else:
            asked = {"SHA-256": item.subject.hash}
        print_facts({**asked, **dict(_facts(item))})


def _facts(item: Looked) -> Iterator[tuple[str, object]]:
    if item.card is not None:
        yield from card_facts(item.card).items()
    elif item.trouble is not None:
        yield "no answer", str(item.trouble)
    else:
        what = "file" if item.subject.digests else "version"
        yield "answer", f"no site knows this {what}"
