"""Made-up documents in the shapes of the site's routes, and the way to captured ones, where there are any."""

import copy
import json
from pathlib import Path
from typing import Any

SHA = "ab" * 32


def version(**changes: Any) -> dict[str, Any]:
    """Make a version as the hash routes give it; a change to `...` leaves the field out."""
    document: dict[str, Any] = {
        "id": 50,
        "modelId": 5,
        "name": "v2",
        "nsfwLevel": 1,
        "createdAt": "2025-01-01T00:00:00.000Z",
        "publishedAt": "2025-01-02T00:00:00.000Z",
        "status": "Published",
        "trainedWords": ["word one, word two", "word three"],
        "baseModel": "SDXL 1.0",
        "baseModelType": "Standard",
        "description": "<p>About the version</p>",
        "usageControl": "Download",
        "air": "urn:air:sdxl:lora:civitai:5@50",
        "stats": {"downloadCount": 10, "thumbsUpCount": 3},
        "model": {"name": "A model", "type": "LORA", "nsfw": False, "poi": False},
        "files": [file()],
        "images": [image()],
        "downloadUrl": "https://undefined/api/download/models/50",
    }
    return _changed(document, changes)


def file(**changes: Any) -> dict[str, Any]:
    """Make a file of a version."""
    document = {
        "id": 500,
        "sizeKB": 56081.76171875,
        "name": "model.safetensors",
        "type": "Model",
        "metadata": {"format": "SafeTensor", "size": None, "fp": "fp16"},
        "hashes": {"SHA256": SHA.upper(), "AutoV2": SHA[:10].upper(), "AutoV3": "0123456789AB"},
        "primary": True,
        "downloadUrl": "https://undefined/api/download/models/50",
    }
    return _changed(document, changes)


def image(**changes: Any) -> dict[str, Any]:
    """Make a picture of a version."""
    document = {
        "url": "https://image.civitai.com/acc/5b6c0d2e-0000-4000-8000-000000000001/original=true/77.jpeg",
        "nsfwLevel": 1,
        "width": 832,
        "height": 1216,
        "hash": "U5$|~Q-4Vn+0~EO^5xa",
        "type": "image",
        "meta": {"hashes": {"SHA256": "cd" * 32}, "prompt": "https:// is not an address here"},
    }
    return _changed(document, changes)


def model(**changes: Any) -> dict[str, Any]:
    """Make a model as the model routes give it."""
    document = {
        "id": 5,
        "name": "A model",
        "description": "<p>About the model</p>",
        "type": "LORA",
        "nsfw": False,
        "nsfwLevel": 1,
        "poi": False,
        "allowNoCredit": True,
        "allowCommercialUse": ["Image", "Rent"],
        "allowDerivatives": False,
        "allowDifferentLicense": True,
        "creator": {
            "username": "somebody",
            "image": "https://image.civitai.com/acc/u/width=96/x.jpeg?token=abc",
        },
        "tags": ["one", "two"],
        "modelVersions": [],
    }
    return _changed(document, changes)


def captured() -> Path | None:
    """Find captured answers beside the project; None where there are none."""
    for folder in Path(__file__).resolve().parents:
        found = folder.parent / "shared" / "fixtures" / "civitai"
        if found.is_dir():
            return found
    return None


def captured_json(name: str) -> Any:
    """Read one captured answer."""
    folder = captured()
    assert folder is not None
    return json.loads((folder / name).read_text(encoding="utf-8"))


def _changed(document: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    made = {**copy.deepcopy(document), **changes}
    return {name: value for name, value in made.items() if value is not ...}
