"""CivArchive: knows models that Civitai deleted, and where copies of them lie.

A small service run by volunteers: it is asked about one hash at a time, slowly, behind a gate of its own, and
never sees a key of Civitai.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from hashtagd.core.digests import SHA256_OF_NOTHING
from hashtagd.core.troubles import GiveUp, Scope, Trouble
from hashtagd.core.work import Absent, Found, Subject
from hashtagd.providers import verdicts
from hashtagd.providers.civarchive.answers import Said, pointers
from hashtagd.providers.civarchive.client import ArchiveApi, Unanswered
from hashtagd.providers.civarchive.mirrors import Places
from hashtagd.providers.civarchive.shapes import card_of
from hashtagd.providers.entrance import origin_of
from hashtagd.providers.http import PoliteClient
from hashtagd.providers.surroundings import Surroundings

__all__ = ["CivArchive", "CivArchiveOptions"]

#: a minute's worth of requests by default, so that a round is over, and committed, in about a minute
_BATCH_LIMIT: Final = 10
#: as many questions in a row without an answer mean that the site fails, not single hashes
_MOST_FAILURES: Final = 3
#: an answer that only points elsewhere is followed so far
_MOST_POINTERS: Final = 2


class CivArchiveOptions(BaseModel):
    """What the settings may say about this provider."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    #: where it is asked; relative addresses in its answers are meant from here
    base_url: str = "https://civarchive.com"
    requests_per_minute: Annotated[int, Field(ge=1, le=6_000)] = 10

    @field_validator("base_url")
    @classmethod
    def _is_base(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("https", "http") or not parts.hostname or "@" in parts.netloc or parts.query:
            raise ValueError(
                "must be an address such as https://civarchive.com, without a user name or a query"
            )
        origin_of(value)  # a port that is none is refused here
        return value


class CivArchive:
    """The provider. Make it once, close it at the end."""

    Options = CivArchiveOptions

    def __init__(self, options: CivArchiveOptions, surroundings: Surroundings) -> None:
        # whatever key comes along is meant for somebody else
        self._client = PoliteClient(options.base_url, replace(surroundings, key=None), max_in_flight=1)
        self._api = ArchiveApi(self._client)
        self._places = Places(options.base_url)
        self.name = "civarchive"
        self.slow = True
        self.reads_headers = False
        self.batch_limit = _BATCH_LIMIT
        self.origin: str | None = self._client.origin
        #: questions in a row, over all rounds, that the site failed to answer
        self._failures = 0

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def ask(self, subjects: Sequence[Subject]) -> Iterator[tuple[str, Found | Absent | Trouble]]:
        """Answer for every SHA-256 of the subjects once, as `core.ports.Provider` says."""
        for sha256 in dict.fromkeys(subject.hash for subject in subjects):
            if sha256 == SHA256_OF_NOTHING:
                yield sha256, _nothing_to_ask()
                continue
            try:
                answer = self._answer(sha256)
            except Unanswered as unanswered:
                yield sha256, unanswered.trouble
                self._count_failure()
                continue
            self._failures = 0
            yield sha256, answer

    def _answer(self, sha256: str) -> Found | Absent:
        said = self._api.by_sha256(sha256)
        for answer in () if said is None else self._followed(said, sha256):
            card = card_of(answer, sha256=sha256, places=self._places)
            if card is not None:
                return Found(card=card)
        return Absent()

    def _followed(self, said: Said, sha256: str) -> Iterator[Said]:
        """Give the answer itself, or those that it points to."""
        if said.version:
            yield said
            return
        for pointer in pointers(said, sha256)[:_MOST_POINTERS]:
            there = self._api.version(pointer)
            if there is not None and there.version:
                yield there

    def _count_failure(self) -> None:
        self._failures += 1
        if self._failures >= _MOST_FAILURES:
            why = f"{_MOST_FAILURES} questions in a row got none"
            raise self._client.shut(verdicts.unreachable(self._client.origin, why))


def _nothing_to_ask() -> GiveUp:
    return GiveUp(
        "the file is empty, and every empty file has the same hash",
        does="hashtagd asks nobody about it",
        you="delete the file or download it again",
        scope=Scope.FILE,
        kind="hash_of_nothing",
    )
