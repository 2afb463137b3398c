"""The archive's answer in the form of Civitai's version object, which writers and other programs read."""

from collections.abc import Mapping
from typing import Any

from hashtagd.core.card import Card, Download
from hashtagd.providers.civarchive.answers import Said, sha256_of
from hashtagd.providers.civarchive.mirrors import Places, live_mirrors
from hashtagd.providers.civitai.fields import flag, words


def version_document(card: Card, said: Said, places: Places) -> dict[str, Any]:
    """Build the version object of a card; empty where the version has no number.

    Only what the card's own readers let through stands in it, so no signed address does.
    """
    if card.version_id is None:
        return {}
    document = {
        "id": card.version_id,
        "modelId": card.model_id,
        "name": card.version_name,
        "nsfwLevel": card.nsfw_level,
        "createdAt": words(said.version.get("created_at")),
        "updatedAt": words(said.version.get("updated_at")),
        "publishedAt": card.published_at,
        "baseModel": card.base_model,
        "baseModelType": words(said.version.get("base_model_type")),
        "description": card.version_description_html,
        "creator": {"username": card.creator} if card.creator else None,
        "downloadUrl": _address(card.downloads[0]) if card.downloads else None,
    }
    return {
        **_told(document),
        "trainedWords": list(card.trained_words),
        "model": _model(card, said),
        "files": _files(card, said, places),
        "images": [
            _told(
                {
                    "url": item.url,
                    "nsfwLevel": item.nsfw_level,
                    "width": item.width_px,
                    "height": item.height_px,
                    "type": item.media,
                }
            )
            for item in card.previews
        ],
        "source": card.provider,
    }


def _model(card: Card, said: Said) -> dict[str, Any]:
    facts = {
        "name": card.model_name,
        "type": card.kind,
        "nsfw": flag(said.about.get("is_nsfw")),
        "description": card.description_html,
    }
    return {**_told(facts), "tags": list(card.tags)}


def _files(card: Card, said: Said, places: Places) -> list[dict[str, Any]]:
    by_hash = {sha256_of(file): file for file in said.files}
    return [
        _file(item, by_hash.get(item.sha256, {}) if item.sha256 else {}, places) for item in card.downloads
    ]


def _file(item: Download, file: Mapping[str, Any], places: Places) -> dict[str, Any]:
    facts = {
        "id": item.file_id,
        "name": item.name or None,
        "type": item.type,
        "sizeKB": None if item.size_bytes is None else item.size_bytes / 1024,
        "primary": item.primary,
        "downloadUrl": _address(item),
    }
    return {
        **_told(facts),
        "hashes": {"SHA256": item.sha256.upper()} if item.sha256 else {},
        "mirrors": [_mirror(url, mirror) for url, mirror in live_mirrors(file, places)],
    }


def _mirror(url: str, mirror: Mapping[str, Any]) -> dict[str, Any]:
    facts = {
        "filename": words(mirror.get("filename")),
        "url": url,
        "source": words(mirror.get("source")),
        "is_gated": flag(mirror.get("is_gated")),
        "is_paid": flag(mirror.get("is_paid")),
    }
    return {**_told(facts), "deletedAt": None}


def _address(item: Download) -> str | None:
    return item.urls[0].url if item.urls else None


def _told(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}
