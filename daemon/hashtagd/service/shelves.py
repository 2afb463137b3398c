"""Where the galleries of this machine lie, for people, and taking them away."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hashtagd.catalog.catalog import Catalog
from hashtagd.core.troubles import Trouble
from hashtagd.service.galleries import gallery_trouble
from hashtagd.stages.galleries import Galleries

_FOLDER: Final = "gallery"
#: so many models are looked up at a time
_BATCH: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenPicture:
    """What became of one picture of a gallery."""

    path: Path
    #: it lay there, and does not any more; of a look: it would not
    goes: bool
    #: why it could not be removed
    trouble: Trouble | None = None


def galleries_in(state_folder: Path) -> Galleries:
    """Give the galleries of a state folder, whether there are any or not."""
    return Galleries(state_folder / _FOLDER)


def take_galleries(
    catalog: Catalog,
    galleries: Galleries,
    *,
    roots: Sequence[str],
    others: Sequence[str],
    dry_run: bool,
) -> Iterator[TakenPicture]:
    """Remove the galleries of the models of some roots, one after another; tells of each picture.

    Args:
        catalog: says which models those are.
        galleries: where they lie.
        roots: the roots.
        others: roots whose models keep theirs; without any, all galleries go, also those of nobody's models.
        dry_run: only tell.
    """
    try:
        hashes = galleries.hashes()
    except OSError as error:
        yield TakenPicture(path=galleries.top, goes=False, trouble=gallery_trouble(error))
        return
    for start in range(0, len(hashes), _BATCH):
        some = hashes[start : start + _BATCH]
        if others:
            kept = catalog.peeks.with_a_file(some, others)
            theirs = catalog.peeks.with_a_file(some, roots)
            some = [it for it in some if it in theirs and it not in kept]
        for sha256 in some:
            yield from _take(galleries, sha256, dry_run=dry_run)


def _take(galleries: Galleries, sha256: str, *, dry_run: bool) -> list[TakenPicture]:
    try:
        pictures = galleries.pictures(sha256)
        if not dry_run:
            galleries.remove(sha256)
    except OSError as error:
        trouble = gallery_trouble(error)
        return [TakenPicture(path=galleries.folder_of(sha256), goes=False, trouble=trouble)]
    return [TakenPicture(path=path, goes=True) for path in pictures]
