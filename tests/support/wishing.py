"""Wishes for make-believe files, and how they end, for tests of transfers without a network or a disk."""

from dataclasses import replace

from hashtagd.core.card import DownloadUrl
from hashtagd.core.header import Header
from hashtagd.core.place import Stamp
from hashtagd.core.transfer import Fetched, TransferClaim, TransferOutcome, Wanted
from hashtagd.core.work import Put
from support.library import HEADER, ROOT, Library, digests, place, put, question, sha256, stamp_of

SOURCE = DownloadUrl(url="https://site.example/x", source="civitai", gated=False, paid=None)


def wish(relpath: str = "x", root: str = ROOT, **changes: object) -> Wanted:
    """Wish for the file whose bytes are its path."""
    plain = Wanted(place=place(relpath, root), sha256=sha256(relpath), size_bytes=1000, sources=(SOURCE,))
    return replace(plain, **changes)  # type: ignore[arg-type] # tests name real fields


def fetched(
    relpath: str = "x",
    text: str | None = None,
    stamp: Stamp | None = None,
    header: Header | None = HEADER,
    questions: tuple[Put, ...] | None = None,
) -> Fetched:
    """Say that a file is there; its bytes are the text, or the path."""
    said = text or relpath
    asked = put(question(said)) if questions is None else questions
    return Fetched(stamp=stamp or stamp_of(relpath), digests=digests(said), header=header, questions=asked)


def take(library: Library, root: str = ROOT) -> TransferClaim:
    """Claim the only transfer that is due."""
    (claim,) = library.catalog.transfers.claim([root], 9)
    return claim


def end(library: Library, outcome: TransferOutcome, root: str = ROOT) -> TransferClaim:
    """Claim the only transfer that is due and end it so."""
    claim = take(library, root)
    assert library.catalog.transfers.apply([(claim, outcome)]) == [True]
    return claim


def bring(library: Library, wanted: Wanted, outcome: Fetched) -> TransferClaim:
    """Wish for a file and let it land."""
    library.catalog.transfers.want([wanted])
    return end(library, outcome, wanted.place.root)
