"""Strict readers of the JSON formats, written from what their programs accept, not from our writers."""

import re
from datetime import datetime
from typing import Any

from support.readers import RefusedError, hexadecimal, json_object, need, texts, typed

_CM_INFO = {
    "ModelId": "whole|null",
    "ModelName": "text",
    "ModelDescription": "text",
    "Nsfw": "flag",
    "Tags": "list",
    "ModelType": "text",
    "VersionId": "whole|null",
    "VersionName": "text",
    "ImportedAt": "text",
    "Hashes": "object",
}
_CM_INFO_OPTIONAL = {
    "VersionDescription": "text|null",
    "AuthorUsername": "text|null",
    "BaseModel": "text|null",
    "RemoteFileName": "text|null",
    "RemoteFileId": "whole|null",
    "TrainedWords": "list|null",
    "FileMetadata": "object|null",
    "Stats": "object|null",
    "UserTitle": "text|null",
    "ThumbnailImageUrl": "text|null",
    "InferenceDefaults": "object|null",
    "Source": "whole",
}
_COUNTS = ("downloadCount", "ratingCount", "favoriteCount", "commentCount", "thumbsUpCount")
_SWARM_TEXTS = (
    *("title", "description", "author", "date", "trigger_phrase", "license", "usage_hint"),
    *("hash_sha256", "prediction_type", "merged_from", "architecture"),
)
_A1111_FAMILIES = ("SD1", "SD2", "SDXL", "Unknown", "SD3", "Flux")


def read_cm_info(content: bytes) -> dict[str, Any]:
    """Read StabilityMatrix' file: Pascal case, exact types, and what "connected to Civitai" takes."""
    data = json_object(content)
    for key, types in _CM_INFO.items():
        typed(data, key, types, required=True)
    for key, types in _CM_INFO_OPTIONAL.items():
        typed(data, key, types)
    need(not data.keys() - _CM_INFO.keys() - _CM_INFO_OPTIONAL.keys(), f"unknown keys: {list(data)}")
    for key in ("ModelId", "VersionId", "RemoteFileId"):
        need(data.get(key) is None or -(2**31) <= data[key] < 2**31, f"{key} overflows")
    texts(data["Tags"], "Tags")
    texts(data.get("TrainedWords") or [], "TrainedWords")
    moment = datetime.fromisoformat(data["ImportedAt"])
    need(moment.tzinfo is not None and moment.microsecond % 1000 == 0, data["ImportedAt"])
    for name, digits in (("SHA256", 64), ("CRC32", 8), ("BLAKE3", 64)):
        if data["Hashes"].get(name) is not None:
            hexadecimal(data["Hashes"][name], digits, upper=True)
    for key in data.get("FileMetadata") or {}:
        need(key in ("fp", "size", "format"), key)
        typed(data["FileMetadata"], key, "text|null")
    for key in _COUNTS:
        typed(data.get("Stats") or {}, key, "whole")
    typed(data.get("Stats") or {}, "rating", "number")
    return data


def read_swarm(content: bytes) -> dict[str, Any]:
    """Read SwarmUI's file; gives the keys without `modelspec.`."""
    data = json_object(content)
    for key in _SWARM_TEXTS:
        typed(data, f"modelspec.{key}", "text")
    tags = data.get("modelspec.tags", [])
    tags = tags.split(",") if isinstance(tags, str) else tags
    texts(tags, "tags")
    need(len(tags) <= 128, "too many tags")
    resolution = data.get("modelspec.resolution", "1x1")
    need(re.fullmatch(r"[0-9]+x[0-9]+", str(resolution)), f"resolution {resolution!r} keeps it from loading")
    proof = data.get("modelspec.hash_sha256")
    if proof is not None:
        need(proof.startswith("0x"), "no 0x before the hash")
        hexadecimal(proof[2:], 64, upper=False)
    need(data.get("modelspec.title"), "nothing to show")
    return {key.removeprefix("modelspec."): value for key, value in data.items()}


def read_a1111(content: bytes) -> dict[str, Any]:
    """Read the card of A1111, Forge and Civitai Browser+."""
    data = json_object(content)
    need("modelVersions" not in data, "that is SD.Next's document")
    for key in ("description", "notes", "activation text", "negative text", "sd version"):
        typed(data, key, "text")
    need(data.get("sd version", "SD1") in _A1111_FAMILIES, data.get("sd version"))
    try:
        weight = float(data.get("preferred weight", 0))
    except (TypeError, ValueError) as error:
        raise RefusedError(str(error)) from error
    need(0 <= weight <= 2, weight)
    if "sha256" in data:
        hexadecimal(data["sha256"], 64, upper=True)
    for key in ("modelId", "modelVersionId"):
        need(data.get(key) == "Model not found" or type(data.get(key, 0)) is int, data.get(key))
    return data


def read_rgthree(content: bytes) -> dict[str, Any]:
    """Read rgthree's file, as one that asks nobody and hashes nothing."""
    data = json_object(content)
    for key in ("file", "path", "sha256"):
        typed(data, key, "text", required=True)
    for key in ("name", "type", "baseModel", "baseModelFile", "userNote"):
        typed(data, key, "text")
    typed(data, "modified", "number", required=True)
    need(data["modified"] >= 10**11 or data["modified"] == 0, "modified in seconds")
    hexadecimal(data["sha256"], 64, upper=False)
    for word in data.get("trainedWords", []):
        need(isinstance(word, dict), word)
        typed(word, "word", "text", required=True)
    texts(data.get("links", []), "links")
    for image in data.get("images", []):
        need(isinstance(image, dict), image)
        typed(image, "url", "text", required=True)
        need(image.get("type", "image") in ("image", "video"), image)
        for key in ("width", "height", "nsfwLevel"):
            typed(image, key, "whole|null")
    typed(data, "raw", "object", required=True)
    typed(data["raw"], "metadata", "object", required=True)
    texts(list(data["raw"]["metadata"].values()), "metadata")
    typed(data["raw"], "civitai", "object")
    return data


def read_civitai_info(content: bytes) -> dict[str, Any]:
    """Read the version object in the encoding of any machine; at most one file may be the primary one."""
    data = json_object(content, "ascii")
    for key in ("id", "modelId"):
        typed(data, key, "whole|null", required=True)
    for key in ("name", "baseModel"):
        typed(data, key, "text|null")
    texts(data.get("trainedWords") or [], "trainedWords")
    typed(data, "model", "object")
    files = data.get("files", [])
    need(isinstance(files, list) and all(isinstance(file, dict) for file in files), "files")
    need(sum(file.get("primary") is True for file in files) <= 1, "two primary files")
    return data


def read_card(content: bytes) -> dict[str, Any]:
    """Read a card of the tree: every documented key, of its type."""
    data = json_object(content)
    for key in ("root", "path", "absolute_path", "state"):
        typed(data, key, "text", required=True)
    typed(data, "size_bytes", "whole", required=True)
    typed(data, "hashes", "object", required=True)
    hexadecimal(data["hashes"].get("sha256"), 64, upper=False)
    for key in ("autov2", "autov3", "tensors_sha256", "blake3", "crc32"):
        typed(data["hashes"], key, "text|null", required=True)
    typed(data, "match", "object|null", required=True)
    for key in ("provider", "by", "confidence", "availability"):
        typed(data["match"] or {key: ""}, key, "text", required=True)
    for key in ("model_id", "version_id", "nsfw_level"):
        typed(data, key, "whole|null", required=True)
    for key in ("air", "model_name", "version_name", "kind", "base_model", "creator", "page_url"):
        typed(data, key, "text|null", required=True)
    texts(data.get("trained_words"), "trained_words")
    texts(data.get("tags"), "tags")
    for item in data["downloads"]:
        typed(item, "urls", "list", required=True)
    return data
