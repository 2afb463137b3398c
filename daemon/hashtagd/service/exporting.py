"""A library as a manifest: every live file, with the addresses that lead to its very bytes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, TextIO

from hashtagd.catalog.pages import FileRow
from hashtagd.core.addresses import plain_address
from hashtagd.core.card import Card, DownloadUrl
from hashtagd.core.manifest import Entry
from hashtagd.core.troubles import AskOperator, Scope
from hashtagd.stages.effects import TEMPORARY_PREFIX
from hashtagd.stages.ground import new_token
from hashtagd.system.flags import PLAIN

_CREATE_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | PLAIN


def entry_of_row(row: FileRow) -> Entry:
    """Make the entry of a file.

    What is only claimed of a file that was not read yet stays out: nobody could tell whether what is restored
    is the same.
    """
    bare = Entry(root=row.root, path=row.relpath, size_bytes=row.size_bytes, sha256=row.sha256)
    return bare if row.sha256 is None or row.card is None else _told(bare, row.card)


def _told(bare: Entry, card: Card) -> Entry:
    ours = next((item for item in card.downloads if item.sha256 == bare.sha256), None)
    return replace(
        bare,
        model_id=card.model_id,
        version_id=card.version_id,
        file_id=None if ours is None else ours.file_id,
        model_name=card.model_name or None,
        version_name=card.version_name or None,
        kind=card.kind or None,
        base_model=card.base_model or None,
        urls=() if ours is None else _plain(ours.urls),
    )


def _plain(urls: tuple[DownloadUrl, ...]) -> tuple[DownloadUrl, ...]:
    """Leave out what is more than an address: another machine may have made the card."""
    return tuple(url for url in urls if plain_address(url.url) == url.url)


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """Open a text file that gets its name at the end of the block; an error leaves the old one as it was.

    Devices and pipes are written to as they are.

    Raises:
        AskOperator: the file cannot be written.
    """
    try:
        if path.exists() and not path.is_file():
            with path.open("w", encoding="utf-8", newline="") as stream:
                yield stream
        else:
            with _replaced(path) as stream:
                yield stream
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _not_written(path, error) from None


@contextmanager
def _replaced(path: Path) -> Iterator[TextIO]:
    temporary = path.with_name(TEMPORARY_PREFIX + new_token())
    # the usual rights: it is the user's file, not a model's
    fd = os.open(temporary, _CREATE_FLAGS, 0o666)
    try:
        with os.fdopen(fd, "w", encoding="utf-8", newline="") as stream:
            yield stream
            stream.flush()
            os.fsync(fd)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _not_written(path: Path, error: OSError) -> AskOperator:
    return AskOperator(
        f"{path} cannot be written ({os.strerror(error.errno or 0)})",
        does="what lay there stays as it was",
        you="name a file in a folder that you may write to, on a disk with room",
        scope=Scope.FILE,
        kind="output_not_written",
    )
