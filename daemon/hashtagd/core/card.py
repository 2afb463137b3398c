"""The card: what is known of a model, in words that belong to no single site.

Absent facts are None or empty, never invented. Addresses on a card carry no token and no signature.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal


class Availability(StrEnum):
    """Whether the model can still be had where it came from."""

    PUBLIC = "public"
    EARLY_ACCESS = "early_access"
    ARCHIVED = "archived"
    TAKEN_DOWN = "taken_down"
    #: gone from its site, an archive still knows it
    DELETED = "deleted"
    GENERATION_ONLY = "generation_only"
    #: nobody but the file itself says anything
    UNKNOWN = "unknown"


class Confidence(StrEnum):
    """How a card was matched to the bytes."""

    #: the owner said so
    OWNER = "owner"
    #: our SHA-256 is in the answer
    EXACT = "exact"
    #: only the tensor part is: somebody edited the header
    TENSORS = "tensors"
    #: the file's own header says so
    CLAIMED = "claimed"

    @property
    def rank(self) -> int:
        """Order by strength, 0 the strongest: a weaker card never replaces a stronger one."""
        return list(Confidence).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """One picture or video that shows what the model does."""

    url: str
    media: Literal["image", "video"]
    width_px: int | None
    height_px: int | None
    #: Civitai's bit mask: 1 PG, 2 PG-13, 4 R, 8 X, 16 XXX, 32 blocked; None where nobody rated it
    nsfw_level: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadUrl:
    """One address the bytes can be fetched from."""

    url: str
    #: `civitai`, `huggingface`, ...
    source: str
    #: an account, a consent or money is asked for at the door; None where the source does not say
    gated: bool | None = None
    #: the bytes have to be paid for; None where the source does not say
    paid: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """One file of the matched version; the matched or primary one stands first on the card."""

    file_id: int | None
    name: str
    #: as the site calls it: Model, VAE, Training Data, ...
    type: str
    primary: bool
    size_bytes: int | None
    sha256: str | None
    #: 12 lower-case digits, as the site states it
    autov3: str | None
    urls: tuple[DownloadUrl, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class License:
    """What the creator allows; None where the site does not say."""

    allow_no_credit: bool | None = None
    allow_commercial_use: tuple[str, ...] | None = None
    allow_derivatives: bool | None = None
    allow_different_license: bool | None = None
    #: the name or the words of the licence, where they are given instead
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """A newer version of the same model for the same base model, published after the matched one."""

    version_id: int
    name: str | None = None
    #: RFC 3339 in UTC
    published_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """All that is known of one model version, matched to one file's bytes."""

    #: who answered: `civitai`, `civarchive`, `header`, `owner`
    provider: str
    #: by which hash: `sha256`, `tensors`, or `header` when no hash was involved
    by: str
    confidence: Confidence
    availability: Availability
    model_id: int | None = None
    version_id: int | None = None
    air: str | None = None
    model_name: str | None = None
    version_name: str | None = None
    #: the site's word for the type of model: LORA, Checkpoint, ...
    kind: str | None = None
    base_model: str | None = None
    trained_words: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    nsfw_level: int | None = None
    creator: str | None = None
    license: License = field(default_factory=License)
    #: HTML by a stranger: never shown without cleaning
    description_html: str | None = None
    version_description_html: str | None = None
    page_url: str | None = None
    published_at: str | None = None
    previews: tuple[Preview, ...] = ()
    downloads: tuple[Download, ...] = ()
    #: the newest version that could take this one's place; None where the site shows none
    update: Update | None = None
    #: RFC 3339 in UTC: when the version becomes free for all; None where it is free, or no end was set
    early_access_ends_at: str | None = None
    #: why there is nothing to download, in words; None when there is
    not_downloadable_because: str | None = None
    #: the provider's own document about the version (for Civitai: the version object with `model` and
    #: `creator` filled in and every address rebuilt); empty where there is none. Writers that speak that
    #: shape use it.
    raw: Mapping[str, Any] = field(default_factory=dict)

    @property
    def downloadable(self) -> bool:
        """Tell whether an address is known and allowed."""
        return self.not_downloadable_because is None and any(item.urls for item in self.downloads)

    def to_json(self) -> dict[str, Any]:
        """Give plain JSON values that `from_json` reads back to an equal card."""
        data = asdict(self)
        data["confidence"] = self.confidence.value
        data["availability"] = self.availability.value
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Card":
        """Rebuild a card that was stored with `to_json`.

        Raises:
            KeyError: the mapping was not written by `to_json`.
        """
        known = dict(data)
        known["confidence"] = Confidence(known["confidence"])
        known["availability"] = Availability(known["availability"])
        known["license"] = License(**_tuples(known["license"]))
        known["previews"] = tuple(Preview(**item) for item in known["previews"])
        known["downloads"] = tuple(_download(item) for item in known["downloads"])
        if known.get("update") is not None:
            known["update"] = Update(**known["update"])
        for name in ("trained_words", "tags"):
            known[name] = tuple(known[name])
        return cls(**known)


def strongest(cards: Sequence[Card]) -> Card | None:
    """Pick the card to show: the strongest confidence, then the earliest in the given (chain) order."""
    return min(cards, key=lambda card: card.confidence.rank, default=None)


def _download(item: Mapping[str, Any]) -> Download:
    return Download(**{**item, "urls": tuple(DownloadUrl(**url) for url in item["urls"])})


def _tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
