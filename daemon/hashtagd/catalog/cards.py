"""The card as JSON: the shape that `show --json`, exports and the mirrored tree have in common."""

import copy
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

from hashtagd.catalog.pages import FileRow
from hashtagd.core.card import Card, Download
from hashtagd.core.digests import SHA256_OF_NOTHING


def card_json(row: FileRow, absolute_path: PurePath | None) -> dict[str, Any]:
    """Give everything known of a file; absent facts are None or empty, never invented.

    Args:
        row: from the reports.
        absolute_path: where this machine has the file; None when it does not have the root.
    """
    return {
        "root": row.root,
        "path": row.relpath,
        "absolute_path": None if absolute_path is None else str(absolute_path),
        "size_bytes": row.size_bytes,
        "state": row.state,
        "next_check_at": moment(row.next_check_at),
        "hashes": _hashes(row),
        "match": _match(row),
        **_model(row.card),
        "update": None,
        "trouble": None if row.trouble is None else dict(row.trouble),
    }


def moment(value: datetime | None) -> str | None:
    """Write a moment as RFC 3339 in UTC."""
    if value is None:
        return None
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def _hashes(row: FileRow) -> dict[str, str | None]:
    tensors = row.tensors_sha256
    return {
        "sha256": row.sha256,
        "autov2": None if row.sha256 is None else row.sha256[:10],
        "autov3": None if tensors is None or tensors == SHA256_OF_NOTHING else tensors[:12],
        "tensors_sha256": tensors,
        "blake3": row.blake3,
        "crc32": row.crc32,
    }


def _match(row: FileRow) -> dict[str, Any] | None:
    if row.card is None:
        return None
    return {
        "provider": row.card.provider,
        "by": row.card.by,
        "confidence": row.card.confidence.value,
        "checked_at": moment(row.checked_at),
        "availability": row.card.availability.value,
    }


#: what stands in place of a card
_NOTHING: dict[str, Any] = {
    "model_id": None,
    "version_id": None,
    "air": None,
    "model_name": None,
    "version_name": None,
    "kind": None,
    "downloadable": False,
    "not_downloadable_because": "nobody knows this file",
    "base_model": None,
    "trained_words": [],
    "tags": [],
    "nsfw_level": None,
    "creator": None,
    "license": {},
    "page_url": None,
    "downloads": [],
}


def _model(card: Card | None) -> dict[str, Any]:
    if card is None:
        return copy.deepcopy(_NOTHING)
    plain = {name: getattr(card, name) for name in _NOTHING}
    because = card.not_downloadable_because
    if because is None and not card.downloadable:
        because = "no address is known"
    return plain | {
        "trained_words": list(card.trained_words),
        "tags": list(card.tags),
        "license": {name: value for name, value in asdict(card.license).items() if value is not None},
        "not_downloadable_because": because,
        "downloads": [_download(item) for item in card.downloads],
    }


def _download(item: Download) -> dict[str, Any]:
    return {
        "file_id": item.file_id,
        "name": item.name,
        "type": item.type,
        "primary": item.primary,
        "size_bytes": item.size_bytes,
        "sha256": item.sha256,
        "urls": [
            {"url": it.url, "source": it.source} | ({} if it.gated is None else {"gated": it.gated})
            for it in item.urls
        ],
    }
