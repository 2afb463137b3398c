"""What other programs keep beside a model, read as an entry of a list; the model need not be there any more.

Sources: the sidecars of LoRA Manager (`STEM.metadata.json`) and StabilityMatrix (`STEM.cm-info.json`).
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

from hashtagd.core.manifest import Entry, UnusableLine, entry_of
from hashtagd.core.relative_paths import MODEL_SUFFIXES

_Document = Mapping[str, Any]
#: StabilityMatrix's number for models of Civitai; without one it means them as well
_CIVITAI: Final = 0


def lora_manager_entry(document: _Document, stem: str, beside: Collection[str]) -> Entry:
    """Read a sidecar of LoRA Manager.

    Args:
        document: the whole object.
        stem: the path without its suffix, below the folder that was read.
        beside: names of files in the sidecar's folder: the model's name may be among them.

    Raises:
        UnusableLine: it names a hash that is none, or no model.
    """
    version = _object(document.get("civitai"))
    files = [_object(item) for item in _list(version.get("files"))]
    sha256 = document.get("sha256")
    file = next((item for item in files if _is_same(_object(item.get("hashes")).get("SHA256"), sha256)), {})
    return entry_of(
        {
            "path": _path(stem, beside, (document.get("file_path"), file.get("name"))),
            "size_bytes": _whole(document.get("size")),
            "sha256": sha256,
            "model_id": version.get("modelId"),
            "version_id": version.get("id"),
            "file_id": file.get("id"),
            "model_name": document.get("model_name"),
            "version_name": version.get("name"),
            "kind": _object(version.get("model")).get("type"),
            "base_model": document.get("base_model"),
            "urls": [file.get("downloadUrl")],
        }
    )


def stability_matrix_entry(document: _Document, stem: str, beside: Collection[str]) -> Entry:
    """Read a sidecar of StabilityMatrix; arguments and errors as of `lora_manager_entry`.

    The numbers of models that are not Civitai's are nobody's here.
    """
    hashes = _object(document.get("Hashes"))
    numbers = {"model_id": "ModelId", "version_id": "VersionId", "file_id": "RemoteFileId"}
    is_civitai = document.get("Source") in (None, _CIVITAI)
    return entry_of(
        {
            "path": _path(stem, beside, (document.get("RemoteFileName"),)),
            "sha256": hashes.get("SHA256"),
            **{name: document.get(key) if is_civitai else None for name, key in numbers.items()},
            "model_name": document.get("ModelName"),
            "version_name": document.get("VersionName"),
            "kind": document.get("ModelType"),
            "base_model": document.get("BaseModel"),
        }
    )


#: how the sidecars end that are read; of two beside one model the first counts
SIDECARS: Final[Mapping[str, Callable[[_Document, str, Collection[str]], Entry]]] = {
    ".metadata.json": lora_manager_entry,
    ".cm-info.json": stability_matrix_entry,
}


def sidecars_in(names: Collection[str]) -> Iterator[tuple[str, str]]:
    """Choose of the names of a folder the sidecars to read: stem and suffix, one for each stem, in order."""
    found: dict[str, str] = {}
    for suffix in SIDECARS:
        for name in names:
            if name.endswith(suffix) and name != suffix:
                found.setdefault(name.removesuffix(suffix), suffix)
    return iter(sorted(found.items()))


def entry_in(document: object, suffix: str, stem: str, beside: Collection[str]) -> Entry:
    """Read a sidecar by its suffix.

    Raises:
        UnusableLine: it is no object, or its program's reader raises it.
    """
    if not isinstance(document, Mapping):
        raise UnusableLine(["is not a JSON object"])
    return SIDECARS[suffix](document, stem, beside)


def _path(stem: str, beside: Collection[str], named: tuple[object, ...]) -> str:
    """Give the model's path: as it lies there, else with the suffix that one of the names has."""
    name = stem.rpartition("/")[2]
    there = (f"{stem}{suffix}" for suffix in MODEL_SUFFIXES if f"{name}{suffix}" in beside)
    told = (
        stem + suffix
        for text in named
        if isinstance(text, str)
        for suffix in MODEL_SUFFIXES
        if text.lower().endswith(suffix)
    )
    return [*there, *told, stem + MODEL_SUFFIXES[0]][0]


def _is_same(said: object, sha256: object) -> bool:
    return isinstance(said, str) and isinstance(sha256, str) and said.lower() == sha256.lower() != ""


def _whole(size: object) -> object:
    """Round a size: LoRA Manager computes it from the site's kibibytes at times, which leaves a fraction."""
    return round(size) if isinstance(size, float) and math.isfinite(size) else size


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
