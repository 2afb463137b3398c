"""`STEM.cm-info.json`, by which StabilityMatrix knows a model as connected to Civitai.

Its reader takes the whole file or none of it: one value of a wrong type, or a null where it wants a word, and
the model is unconnected. While the file exists StabilityMatrix neither hashes nor looks up the model itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from hashtagd.core.artifacts import JsonMerge, Target
from hashtagd.core.card import Card
from hashtagd.writers.version_object import clean_text, entry_of, trusted, version_object

SUFFIX: Final = ".cm-info.json"
#: from this level on Civitai calls a picture R or worse
_NSFW_LEVEL: Final = 4
_STATS: Final = ("downloadCount", "ratingCount", "favoriteCount", "commentCount", "thumbsUpCount")
#: what a 64-bit whole number holds
_LARGEST: Final = 2**63 - 1
#: the reader's numbers of models, versions and files have 32 bits
_LARGEST_ID: Final = 2**31 - 1


class StabilityMatrixOptions(BaseModel):
    """No options."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StabilityMatrix:
    """Renders one merge: fills what is empty, and leaves titles, thumbnails and defaults to their owner."""

    name = "stability-matrix"
    Options = StabilityMatrixOptions

    def __init__(self, options: StabilityMatrixOptions) -> None:
        self._options = options

    def render(self, card: Card | None, target: Target) -> Sequence[JsonMerge]:
        """Make the merge for a version with both its numbers: without them it says nothing to its reader."""
        known = trusted(card)
        if known is None or not _is_id(known.model_id) or not _is_id(known.version_id):
            return []
        version = version_object(known)
        return [
            JsonMerge(
                suffix=SUFFIX,
                owned={},
                fill={**_words(known, target), **_file(version, target)},
                # whole milliseconds: it compares what it reads with what it would write
                absent={"ImportedAt": target.first_seen_at.isoformat(timespec="milliseconds")},
                renewed={"Nsfw": _is_nsfw(known, version), "Stats": _stats(version)},
                agrees={"ModelId": known.model_id, "VersionId": known.version_id},
            )
        ]


def _words(card: Card, target: Target) -> dict[str, Any]:
    return {
        "ModelId": card.model_id,
        "ModelName": clean_text(card.model_name or target.place.stem),
        "ModelDescription": clean_text(card.description_html or ""),
        "Tags": [clean_text(tag) for tag in card.tags],
        "ModelType": clean_text(card.kind or "Other"),
        "VersionId": card.version_id,
        "VersionName": clean_text(card.version_name or ""),
        "VersionDescription": _text(card.version_description_html),
        "AuthorUsername": _text(card.creator),
        "BaseModel": _text(card.base_model),
        "TrainedWords": [clean_text(word) for word in card.trained_words],
    }


def _file(version: Mapping[str, Any], target: Target) -> dict[str, Any]:
    entry = entry_of(version, target.digests.sha256)
    said = entry.get("hashes", {})
    own = target.digests.blake3
    hashes = {
        "SHA256": target.digests.sha256.upper(),
        "CRC32": _text(said.get("CRC32")),
        "BLAKE3": _text(said.get("BLAKE3")) or (own.upper() if own is not None else None),
    }
    file_id = entry.get("id")
    return {
        "RemoteFileId": file_id if _is_id(file_id) else None,
        "RemoteFileName": _text(entry.get("name")),
        "FileMetadata": _metadata(entry.get("metadata")),
        "Hashes": {name: value for name, value in hashes.items() if value is not None},
    }


def _metadata(said: Any) -> dict[str, str] | None:  # noqa: ANN401 - a stranger's JSON
    if not isinstance(said, Mapping):
        return None
    return {name: said[name] for name in ("fp", "size", "format") if isinstance(said.get(name), str)}


def _stats(version: Mapping[str, Any]) -> dict[str, Any] | None:
    said = version.get("stats")
    if not isinstance(said, Mapping):
        return None
    stats: dict[str, Any] = {
        name: said[name] for name in _STATS if _is_count(said.get(name)) and said[name] <= _LARGEST
    }
    rating = said.get("rating")
    if isinstance(rating, float) or _is_count(rating):
        stats["rating"] = rating
    return stats


def _is_nsfw(card: Card, version: Mapping[str, Any]) -> bool:
    model = version.get("model")
    said = model.get("nsfw") if isinstance(model, Mapping) else None
    return said if isinstance(said, bool) else (card.nsfw_level or 0) >= _NSFW_LEVEL


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _LARGEST_ID


def _text(value: object) -> str | None:
    return clean_text(value) if isinstance(value, str) else None
