"""Civitai: asked in batches, anonymously, a few requests for thousands of files."""

from collections.abc import Iterator, Sequence
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from hashtagd.core.digests import SHA256_OF_NOTHING
from hashtagd.core.troubles import GiveUp, Scope
from hashtagd.core.whole_paths import whole_path
from hashtagd.core.work import Found, Subject
from hashtagd.providers.civitai.addresses import Addresses
from hashtagd.providers.civitai.client import IDS_LIMIT, Api
from hashtagd.providers.civitai.rounds import Round, Spoke
from hashtagd.providers.civitai.tensors import CivitaiTensors
from hashtagd.providers.civitai.versions import CivitaiVersions
from hashtagd.providers.entrance import origin_of
from hashtagd.providers.http import PoliteClient
from hashtagd.providers.surroundings import Surroundings

__all__ = ["Civitai", "CivitaiOptions"]


class CivitaiOptions(BaseModel):
    """What the settings may say about this provider."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    #: where the API is asked; stored addresses use the site's canonical name, whichever stands here
    base_url: str = "https://civitai.com"
    #: a file with the key alone in it; look-ups do without
    api_key_file: Annotated[str, AfterValidator(whole_path)] | None = None
    requests_per_minute: Annotated[int, Field(ge=1, le=6_000)] = 60
    max_in_flight: Annotated[int, Field(ge=1, le=8)] = 2

    @field_validator("base_url")
    @classmethod
    def _is_base(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("https", "http") or not parts.hostname or "@" in parts.netloc or parts.query:
            raise ValueError("must be an address such as https://civitai.com, without a user name or a query")
        origin_of(value)  # a port that is none is refused here
        return value


class Civitai:
    """The provider. Make it once, close it at the end."""

    Options = CivitaiOptions

    def __init__(self, options: CivitaiOptions, surroundings: Surroundings) -> None:
        self._clock = surroundings.clock
        self._addresses = Addresses(options.base_url)
        self._client = PoliteClient(options.base_url, surroundings, max_in_flight=options.max_in_flight)
        self._api = Api(self._client)
        self.name = "civitai"
        self.slow = False
        self.reads_headers = False
        self.batch_limit = IDS_LIMIT
        self.origin: str | None = self._client.origin
        #: how much the site knew of what it was asked, begun with a guess that a few hundred answers outweigh
        self._asked, self._known = 100, 80

    def by_tensors(self) -> CivitaiTensors:
        """Give the provider for questions about tensor hashes; it shares this one's connections and gate."""
        return CivitaiTensors(self._api, self._addresses, self._clock.now)

    def by_version(self) -> CivitaiVersions:
        """Give the look-up by number, for matches made by the owner; it shares connections and gate, too."""
        return CivitaiVersions(self._api, self._addresses, self._clock.now)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def ask(self, subjects: Sequence[Subject]) -> Iterator[Spoke]:
        """Answer for every SHA-256 of the subjects once, as `core.ports.Provider` says."""
        by_hash = {subject.hash: subject for subject in subjects}
        if by_hash.pop(SHA256_OF_NOTHING, None) is not None:
            yield SHA256_OF_NOTHING, _nothing_to_ask()
        fresh = [text for text, subject in by_hash.items() if not subject.times_absent]
        for sha256, answer in self._ask(fresh, self._known / self._asked):
            self._asked += 1
            self._known += isinstance(answer, Found)
            yield sha256, answer
        # of what was not there before, hardly anything is there now: one request says so of thousands
        yield from self._ask([text for text, subject in by_hash.items() if subject.times_absent], 0.0)

    def _ask(self, hashes: Sequence[str], share_known: float) -> Iterator[Spoke]:
        for start in range(0, len(hashes), IDS_LIMIT):
            part = hashes[start : start + IDS_LIMIT]
            yield from Round(self._api, self._addresses, self._clock.now(), share_known).ask(part)


def _nothing_to_ask() -> GiveUp:
    return GiveUp(
        "the file is empty, and every empty file has the same hash",
        does="hashtagd asks nobody about it",
        you="delete the file or download it again",
        scope=Scope.FILE,
        kind="hash_of_nothing",
    )
