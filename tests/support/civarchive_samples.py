"""Made-up answers in the shapes of CivArchive."""

import copy
import json
from collections.abc import Mapping
from typing import Any

from hashtagd.core.card import Card
from hashtagd.providers.bodies import parse_json
from hashtagd.providers.civarchive.answers import unwrapped
from hashtagd.providers.civarchive.mirrors import Places
from hashtagd.providers.civarchive.shapes import card_of

SHA = "ab" * 32
OTHER = "cd" * 32
BASE = "https://civarchive.com"
DELETED_AT = "2025-11-05T08:00:00.000Z"
CIVITAI_URL = "https://civitai.com/api/download/models/50"
FACE_URL = "https://huggingface.co/someone/things/resolve/main/a.safetensors"


def model(about_version: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Make an answer in snake_case; a change to `...` leaves the field out."""
    document: dict[str, Any] = {
        "id": "5",
        "name": "A model",
        "type": "LORA",
        "description": "<p>About the model</p>",
        "is_nsfw": False,
        "nsfw_level": 3,
        "deleted_at": None,
        "tags": ["one", "two"],
        "creator_username": "somebody",
        "platform": "civitai",
        "version": version() if about_version is None else dict(about_version),
    }
    return _changed(document, changes)


def version(*files: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """Make the version inside an answer; without files it has one, ours."""
    document: dict[str, Any] = {
        "id": "50",
        "model_id": 5,
        "name": "v2",
        "base_model": "SDXL 1.0",
        "base_model_type": "Standard",
        "description": "<p>About the version</p>",
        "nsfw_level": 1,
        "created_at": "2025-01-02T00:00:00.000Z",
        "deleted_at": None,
        "files": list(files) or [file()],
        "images": [image()],
        "trigger": ["word one, word two", "word three"],
        "allow_download": True,
        "download_url": "/api/download/models/50",
        "mirrors": [{"platform": "tensorart", "href": "/tensorart/models/904473536033245000"}],
    }
    return _changed(document, changes)


def file(*mirrors: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """Make a file; without mirrors it has one, Civitai's."""
    document: dict[str, Any] = {
        "id": "500",
        "name": "model.safetensors",
        "type": "Model",
        "size_kb": 56081.76171875,
        "download_url": CIVITAI_URL,
        "model_id": 5,
        "model_version_id": 50,
        "sha256": SHA,
        "is_primary": False,
        "deleted_at": None,
        "mirrors": list(mirrors) or [mirror()],
    }
    return _changed(document, changes)


def mirror(url: Any = CIVITAI_URL, source: Any = "civitai", **changes: Any) -> dict[str, Any]:
    """Make a mirror of a file."""
    document = {
        "filename": "model.safetensors",
        "url": url,
        "source": source,
        "model_id": "5" if source == "civitai" else None,
        "model_version_id": "50" if source == "civitai" else None,
        "deleted_at": None,
        "is_gated": False,
        "is_paid": False,
    }
    return _changed(document, changes)


def image(**changes: Any) -> dict[str, Any]:
    """Make a picture on the archive's own image host."""
    document = {
        "url": "https://img.genur.example/sig/width:450/quality:85/abcdef",
        "nsfw_level": 1,
        "width": 832,
        "height": 1216,
        "hash": "U5$|~Q-4Vn+0~EO^5xa",
        "type": "image",
        "image_url": "https://img.genur.example/sig/width:450/quality:85/abcdef",
    }
    return _changed(document, changes)


def card(document: Any, sha256: str = SHA, base_url: str = BASE) -> Card | None:
    """Make a card of an answer the way the provider does, from its bytes on."""
    body = json.dumps(document).encode("utf-8", "surrogatepass")
    said = unwrapped(parse_json(body))
    return None if said is None else card_of(said, sha256=sha256, places=Places(base_url))


def exact(document: Any) -> Card:
    """Make a card where there must be one."""
    made = card(document)
    assert made is not None
    return made


def _changed(document: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    made = {**copy.deepcopy(document), **changes}
    return {name: value for name, value in made.items() if value is not ...}
