"""A model in words: the card as people read it, and as `show --json` gives it."""

from collections.abc import Mapping
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
    card = row.card
    return {
        "root": row.root,
        "path": row.relpath,
        "absolute_path": None if absolute_path is None else str(absolute_path),
        "size_bytes": row.size_bytes,
        "state": row.state,
        "next_check_at": row.next_check_at,
        "hashes": _hashes(row),
        "match": None if card is None else _match(card, row),
        **_model(card),
        "update": None,
        "trouble": None if row.trouble is None else dict(row.trouble),
    }


def _hashes(row: FileRow) -> dict[str, str | None]:
    digests = None if row.sha256 is None else Digests(sha256=row.sha256, tensors_sha256=row.tensors_sha256)
    return {
        "sha256": row.sha256,
        "autov2": digests.autov2 if digests else None,
        "autov3": digests.autov3 if digests else None,
        "tensors_sha256": row.tensors_sha256,
        "blake3": row.blake3,
        "crc32": row.crc32,
    }


def _match(card: Card, row: FileRow) -> dict[str, Any]:
    return {
        "provider": card.provider,
        "by": card.by,
        "confidence": card.confidence.value,
        "checked_at": row.checked_at,
        "availability": card.availability.value,
    }


def _model(card: Card | None) -> Mapping[str, Any]:
    data: Mapping[str, Any] = {} if card is None else card.to_json()
    names = ("model_id", "version_id", "air", "model_name", "version_name", "kind")
    later = (
        "base_model",
        "trained_words",
        "tags",
        "nsfw_level",
        "creator",
        "license",
        "page_url",
        "downloads",
    )
    lists = {"trained_words", "tags", "downloads"}
    return {
        **{name: data.get(name) for name in names},
        "downloadable": card is not None and card.downloadable,
        "not_downloadable_because": data.get("not_downloadable_because"),
        **{name: data.get(name, [] if name in lists else None) for name in later},
    }
