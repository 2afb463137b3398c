"""The documented card as plain values: what `show --json`, `lookup --json` and the tree of cards share."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from hashtagd.core.card import Card
from hashtagd.core.digests import Digests

#: the keys of the documented card that stand before and after whether it can be downloaded
_FIRST: Final = ("model_id", "version_id", "air", "model_name", "version_name", "kind")
_LATER: Final = (
    "base_model",
    "trained_words",
    "tags",
    "nsfw_level",
    "creator",
    "license",
    "page_url",
    "downloads",
)
_LISTS: Final = frozenset({"trained_words", "tags", "downloads"})
_HASHES: Final = ("sha256", "autov2", "autov3", "tensors_sha256", "blake3", "crc32")


def hashes_json(digests: Digests | None) -> dict[str, str | None]:
    """Give all hashes by their names; before the file was read each is null."""
    return {name: None if digests is None else getattr(digests, name) for name in _HASHES}


def model_json(card: Card | None, *, checked_at: datetime | None) -> dict[str, Any]:
    """Give what is known of the model; without a card everything is null or []."""
    data: Mapping[str, Any] = {} if card is None else card.to_json()
    return {
        "match": None if card is None else _match(card, checked_at),
        **{name: data.get(name) for name in _FIRST},
        "downloadable": card is not None and card.downloadable,
        "not_downloadable_because": data.get("not_downloadable_because"),
        **{name: data.get(name, [] if name in _LISTS else None) for name in _LATER},
        "update": data.get("update"),
    }


def _match(card: Card, checked_at: datetime | None) -> dict[str, Any]:
    return {
        "provider": card.provider,
        "by": card.by,
        "confidence": card.confidence.value,
        "checked_at": checked_at,
        "availability": card.availability.value,
    }
