"""Transfers as values: one wanted file, the right to fetch it, and what is known when it is there.

A transfer is a row like a file or a question: it is claimed under a lease, its outcome counts while its fence
holds, and it survives a kill. Sources hold plain addresses only; what a site signs for a day is never kept.
"""

from dataclasses import dataclass
from typing import Final

from hashtagd.core.card import Card, DownloadUrl
from hashtagd.core.digests import Digests, is_sha256
from hashtagd.core.header import Header
from hashtagd.core.place import Place, Stamp
from hashtagd.core.work import Defer, Park, Put, Release

#: the source by whose name the key and the site's own refusals are known
CIVITAI: Final = "civitai"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One file that shall be at a place.

    Raises:
        ValueError: the SHA-256 is not 64 lower-case hexadecimal digits.
    """

    place: Place
    #: lower-case hexadecimal; None where no site states one
    sha256: str | None
    #: as the site states it, so never more than a hint; None: nobody says
    size_bytes: int | None
    #: tried in this order
    sources: tuple[DownloadUrl, ...]
    #: what is known of the bytes with this SHA-256; None: to be asked when they are here
    card: Card | None = None

    def __post_init__(self) -> None:
        if self.sha256 is not None and not is_sha256(self.sha256):
            raise ValueError("a SHA-256 must be 64 lower-case hexadecimal digits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """Where the first bytes of an unfinished file came from, and what the server called this form of it."""

    url: str
    #: a strong entity tag; None: the server gave none
    etag: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferClaim:
    """The right to fetch one file until the lease ends; a result with an old fence is dropped."""

    transfer_id: int
    fence: int
    #: this claim included
    attempts: int
    wanted: Wanted
    begun: Begun | None = None
    #: claims in a row that came to no outcome, this one included: whoever held the others died
    unended: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """Fact: the bytes are at their place, whole and verified."""

    stamp: Stamp
    digests: Digests
    #: None where the format has none, or it is too large to be kept
    header: Header | None = None
    #: who is asked about the bytes, where they are new
    questions: tuple[Put, ...] = ()


TransferOutcome = Fetched | Defer | Release | Park
