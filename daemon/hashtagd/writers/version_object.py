"""The Civitai version object that several formats carry: the card's own, cleaned, or rebuilt from its facts.

Metadata goes beside a file only when the whole file's SHA-256 is in the answer, or the owner said so: a match
by a part of the bytes stays in the catalog.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from hashtagd.core.card import Card, Confidence, Download, DownloadUrl, Preview
from hashtagd.core.joining import SITE

#: deeper than any answer seen; what lies below is cut off, so that no reader runs out of stack
_DEPTH_LIMIT: Final = 40
_TRUSTED: Final = frozenset({Confidence.EXACT, Confidence.OWNER})


def trusted(card: Card | None) -> Card | None:
    """Give the card if it may be written beside a file as what the file is; None otherwise."""
    return card if card is not None and card.confidence in _TRUSTED else None


def version_object(card: Card) -> dict[str, Any]:
    """Give the version in Civitai's shape: the provider's own document, or one rebuilt from the card.

    Returns:
        plain JSON values without lone surrogates or non-finite numbers; empty when the version has no id.
    """
    if card.version_id is None:
        return {}
    raw = card.raw
    if raw.get("id") == card.version_id and isinstance(raw.get("files"), Sequence):
        return dict(plain(raw))
    return dict(plain(_rebuilt(card)))


def with_primary(version: Mapping[str, Any], sha256: str) -> dict[str, Any]:
    """Copy the object so that only the file with this SHA-256 is primary.

    Readers take the primary file's hash for the hash of the file at hand, so no other may carry the mark.
    """
    files = version.get("files")
    if not isinstance(files, list):
        return dict(version)
    marked = [
        {**item, "primary": names_sha256(item, sha256)} if isinstance(item, dict) else item for item in files
    ]
    return {**version, "files": marked}


def with_mirrors(version: Mapping[str, Any], card: Card) -> dict[str, Any]:
    """Copy the object with the copies that lie elsewhere, as `mirrors` of a file.

    That is where CivArchive lists them, and where LoRA Manager keeps and looks for them.
    """
    files = version.get("files")
    kept = [item for item in card.downloads if item.sha256 and any(url.source != SITE for url in item.urls)]
    if not kept or not isinstance(files, list):
        return dict(version)
    copies = {item.sha256: [_mirror(item, url) for url in item.urls if url.source != SITE] for item in kept}
    made = [_kept_at(item, copies) if isinstance(item, dict) else item for item in files]
    lost = [item for item in kept if not any(names_sha256(it, str(item.sha256)) for it in _entries(files))]
    return {**version, "files": [*made, *({**_file(item), "mirrors": copies[item.sha256]} for item in lost)]}


def _entries(files: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    yield from (item for item in files if isinstance(item, Mapping))


def _kept_at(
    entry: Mapping[str, Any], copies: Mapping[str | None, Sequence[Mapping[str, Any]]]
) -> Mapping[str, Any]:
    found = next((some for sha256, some in copies.items() if sha256 and names_sha256(entry, sha256)), None)
    return entry if found is None or entry.get("mirrors") else {**entry, "mirrors": found}


def _mirror(item: Download, url: DownloadUrl) -> dict[str, Any]:
    marks = {"is_gated": url.gated, "is_paid": url.paid}
    told = {name: value for name, value in marks.items() if value is not None}
    return {"filename": item.name, "url": url.url, "source": url.source, **told, "deletedAt": None}


def entry_of(version: Mapping[str, Any], sha256: str) -> Mapping[str, Any]:
    """Give the entry of `files` that is the file with this SHA-256; empty where none is."""
    files = version.get("files")
    found = _entries(files) if isinstance(files, list) else ()
    return next((item for item in found if names_sha256(item, sha256)), {})


def names_sha256(file: Mapping[str, Any], sha256: str) -> bool:
    """Tell whether one entry of `files` is the file with this SHA-256."""
    hashes = file.get("hashes")
    value = hashes.get("SHA256") if isinstance(hashes, Mapping) else None
    return isinstance(value, str) and value.casefold() == sha256


def plain(value: Any, depth: int = 0) -> Any:  # noqa: ANN401 - any JSON value in, any JSON value out
    """Copy a JSON value so that every reader can take it: no lone surrogates, no NaN, not too deep."""
    if depth > _DEPTH_LIMIT:
        return None
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {clean_text(str(key)): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value]
    return value


def clean_text(text: str) -> str:
    """Replace what cannot be written as UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _rebuilt(card: Card) -> dict[str, Any]:
    model: dict[str, Any] = {"name": card.model_name, "type": card.kind, "tags": list(card.tags)}
    license_ = {
        "allowNoCredit": card.license.allow_no_credit,
        "allowCommercialUse": card.license.allow_commercial_use,
        "allowDerivatives": card.license.allow_derivatives,
        "allowDifferentLicense": card.license.allow_different_license,
    }
    model |= {key: value for key, value in license_.items() if value is not None}
    model["description"] = card.description_html
    version: dict[str, Any] = {
        "id": card.version_id,
        "modelId": card.model_id,
        "name": card.version_name,
        "baseModel": card.base_model,
        "trainedWords": list(card.trained_words),
        "description": card.version_description_html,
        "publishedAt": card.published_at,
        "model": model,
        "files": [_file(item) for item in card.downloads],
        "images": [_image(item) for item in card.previews],
    }
    if card.creator is not None:
        version["creator"] = {"username": card.creator}
    return version


def _file(item: Download) -> dict[str, Any]:
    hashes = {"SHA256": item.sha256, "AutoV3": item.autov3}
    return {
        "id": item.file_id,
        "name": item.name,
        "type": item.type,
        "sizeKB": None if item.size_bytes is None else item.size_bytes / 1024,
        "primary": item.primary,
        "hashes": {name: value.upper() for name, value in hashes.items() if value is not None},
        "downloadUrl": item.urls[0].url if item.urls else None,
    }


def _image(item: Preview) -> dict[str, Any]:
    return {
        "url": item.url,
        "type": item.media,
        "width": item.width_px,
        "height": item.height_px,
        "nsfwLevel": item.nsfw_level,
    }
