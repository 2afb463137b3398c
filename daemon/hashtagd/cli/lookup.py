"""`hashtagd lookup`: ask the sites about files or hashes now, and write nothing."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from hashtagd.cli.cards import card_facts, hashes_json, model_json
from hashtagd.cli.context import Context, pass_context
from hashtagd.cli.main import EXIT_FAILED, EXIT_TRY_AGAIN
from hashtagd.cli.output import print_facts, print_json_lines
from hashtagd.core.digests import Digests, is_sha256
from hashtagd.core.troubles import GiveUp, Scope, Trouble, TryLater
from hashtagd.core.work import Subject
from hashtagd.service import parts
from hashtagd.service.clock import StopPause
from hashtagd.service.lookup import Looked, look_up, subject_of


@click.command()
@click.argument("wanted", nargs=-1, required=True, metavar="FILE|HASH...")
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line.")
@pass_context
def lookup(context: Context, wanted: tuple[str, ...], as_json: bool) -> int:  # noqa: FBT001 - click's flags
    """Ask now about files or SHA-256 hashes; nothing is written."""
    pause = StopPause()
    subjects = [_subject(text, context, pause) for text in wanted]
    with context.catalog() as catalog, ExitStack() as stack:
        outside = parts.Outside(
            loaded=context.loaded,
            environ=context.environ,
            clock=context.clock,
            pause=pause,
            gates=parts.make_gates(context.loaded, catalog),
            tell=lambda _event, _values: None,
        )
        providers = parts.make_providers(outside)
        for provider in providers:
            stack.callback(provider.close)
        looked = list(look_up(subjects, providers))
    if as_json:
        print_json_lines(_to_json(item) for item in looked)
    else:
        _print(looked)
    return _exit_code(looked)


def _exit_code(looked: Sequence[Looked]) -> int:
    if any(isinstance(item.trouble, TryLater) for item in looked):
        return EXIT_TRY_AGAIN
    return 0 if all(item.card is not None for item in looked) else EXIT_FAILED


def _subject(text: str, context: Context, pause: StopPause) -> Subject:
    path = Path(text)
    if is_sha256(text.lower()) and not path.exists():
        return Subject(hash=text.lower(), digests=Digests(sha256=text.lower()), header=None, size_bytes=0)
    try:
        subject = subject_of(path, clock=context.clock, pause=pause)
    except OSError as error:
        raise _not_found(path, error.strerror or "cannot be read") from None
    if isinstance(subject, Subject):
        return subject
    trouble = getattr(subject, "trouble", None)
    raise trouble if isinstance(trouble, Trouble) else _not_found(path, "it changed while it was read")


def _not_found(path: Path, why: str) -> GiveUp:
    return GiveUp(
        f"{path.name}: {why}",
        does="nothing was asked",
        you="name a file that can be read, or the 64 digits of a SHA-256",
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
        print_facts({"SHA-256": item.subject.hash, **dict(_facts(item))})


def _facts(item: Looked) -> Iterator[tuple[str, object]]:
    if item.card is not None:
        yield from card_facts(item.card).items()
    elif item.trouble is not None:
        yield "no answer", str(item.trouble)
    else:
        yield "answer", "no site knows this file"
