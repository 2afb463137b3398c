"""A strict reader of `.metadata.json`, written from what LoRA Manager accepts, not from our writer."""

import json
from pathlib import Path
from typing import Any

_REQUIRED: dict[str, tuple[type, ...]] = {
    "file_name": (str,),
    "model_name": (str,),
    "file_path": (str,),
    "size": (int, float),
    "modified": (int, float),
    "sha256": (str,),
    "base_model": (str,),
    "preview_url": (str,),
}
_OPTIONAL: dict[str, tuple[type, ...]] = {
    "preview_nsfw_level": (int,),
    "notes": (str,),
    "from_civitai": (bool,),
    "civitai": (dict, type(None)),
    "tags": (list,),
    "modelDescription": (str,),
    "civitai_deleted": (bool,),
    "db_checked": (bool,),
    "exclude": (bool,),
    "favorite": (bool,),
    "skip_metadata_refresh": (bool,),
    "metadata_source": (str, type(None)),
    "last_checked_at": (int, float),
    "hash_status": (str,),
    "autov3": (str, type(None)),
    "trainedWords": (list,),
    "usage_tips": (str,),
    "sub_type": (str,),
}


def read_metadata(content: bytes, model: Path | None = None) -> dict[str, Any]:
    """Read a sidecar or fail; with the model's path, also what would make LoRA Manager rewrite it."""
    assert not content.startswith(b"\xef\xbb\xbf")
    data = json.loads(content.decode("utf-8", "strict"))
    assert isinstance(data, dict)
    for key, types in (_REQUIRED | _OPTIONAL).items():
        if key in data or key in _REQUIRED:
            assert type(data[key]) in types, (key, data[key])
    assert not [key for key in data if key.startswith("_")]
    assert "autov3" in data
    assert data["autov3"] is None or (len(data["autov3"]) == 12 and data["autov3"] == data["autov3"].lower())
    assert data["sha256"] == data["sha256"].lower()
    assert data["sha256"] or data.get("hash_status") == "pending"
    assert all(isinstance(tag, str) and tag == tag.strip().lower() for tag in data.get("tags", []))
    assert len(set(data.get("tags", []))) == len(data.get("tags", []))
    if model is not None:
        _fits(data, model)
    return data


def _fits(data: dict[str, Any], model: Path) -> None:
    assert data["file_name"] == model.stem
    assert data["file_path"] == str(model)
    if data["preview_url"]:
        picture = Path(data["preview_url"])
        assert str(picture.parent) == str(model.parent)
        assert picture.is_file()
    for file in (data.get("civitai") or {}).get("files", []):
        hashes = file.get("hashes", {})
        if hashes.get("SHA256", "").lower() == data["sha256"] and hashes.get("AutoV3"):
            assert data["autov3"] == hashes["AutoV3"][:12].lower()
