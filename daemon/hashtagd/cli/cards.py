"""A model in words: the card as people read it, and as `show --json` gives it."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from hashtagd.catalog.pages import FileRow
from hashtagd.core.card import Card
from hashtagd.core.digests import Digests

#: what the confidence of a match means
_CONFIDENCE = {
    "owner": "you said so",
    "exact": "same SHA-256",
    "tensors": "same tensors, another header",
    "claimed": "the file's own header says so",
}

#: the keys of the documented card that stand before and after whether it can be downloaded
_FIRST = ("model_id", "version_id", "air", "model_name", "version_name", "kind")
_LATER = (
    "base_model",
    "trained_words",
    "tags",
    "nsfw_level",
    "creator",
    "license",
    "page_url",
    "downloads",
)
_LISTS = frozenset({"trained_words", "tags", "downloads"})


def card_facts(card: Card) -> dict[str, object]:
    """Give the card as names and values for people."""
    version = f" - {card.version_name}" if card.version_name else ""
    return {
        "model": f"{card.model_name}{version}" if card.model_name else None,
        "type": card.kind,
        "base model": card.base_model,
        "trigger words": ", ".join(card.trained_words),
        "tags": ", ".join(card.tags),
        "creator": card.creator,
        "matched": f"{card.provider}, {_CONFIDENCE[card.confidence.value]}",
        "availability": card.availability.value.replace("_", " "),
        "page": card.page_url,
        "downloads": [url.url for item in card.downloads for url in item.urls],
        "no download": card.not_downloadable_because,
    }


def card_json(row: FileRow, absolute_path: Path | None) -> dict[str, Any]:
    """Give the documented card of one file: plain JSON values, absent facts as null or []."""
    digests = (
        None
        if row.sha256 is None
        else Digests(sha256=row.sha256, tensors_sha256=row.tensors_sha256, blake3=row.blake3, crc32=row.crc32)
    )
    return {
        "root": row.root,
        "path": row.relpath,
        "absolute_path": None if absolute_path is None else str(absolute_path),
        "size_bytes": row.size_bytes,
        "state": row.state,
        "next_check_at": row.next_check_at,
        "hashes": hashes_json(digests),
        **model_json(row.card, checked_at=row.checked_at),
        "trouble": None if row.trouble is None else dict(row.trouble),
    }


def hashes_json(digests: Digests | None) -> dict[str, str | None]:
    """Give all hashes by their names; before the file was read each is null."""
    names = ("sha256", "autov2", "autov3", "tensors_sha256", "blake3", "crc32")
    return {name: None if digests is None else getattr(digests, name) for name in names}


def model_json(card: Card | None, *, checked_at: datetime | None) -> dict[str, Any]:
    """Give what is known of the model; without a card everything is null or []."""
    data: Mapping[str, Any] = {} if card is None else card.to_json()
    return {
        "match": None if card is None else _match(card, checked_at),
        **{name: data.get(name) for name in _FIRST},
        "downloadable": card is not None and card.downloadable,
        "not_downloadable_because": data.get("not_downloadable_because"),
        **{name: data.get(name, [] if name in _LISTS else None) for name in _LATER},
        "update": None,
    }


def _match(card: Card, checked_at: datetime | None) -> dict[str, Any]:
    return {
        "provider": card.provider,
        "by": card.by,
        "confidence": card.confidence.value,
        "checked_at": checked_at,
        "availability": card.availability.value,
    }
