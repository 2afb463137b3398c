"""Compares a folder and a catalog with the truth about a made library, and with how they were before."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.library import Manifest, Model

#: size, mtime in ns, inode
FileStamp = tuple[int, int, int]

_OURS = re.compile(r".+\.(metadata\.json|civitai\.info|preview\.\w+)")


def stamps(folder: Path) -> Iterator[tuple[str, FileStamp]]:
    """Give path and stamp of every file, links not followed."""
    for at, _, names in os.walk(folder):
        for name in names:
            path = Path(at, name)
            look = path.lstat()
            yield str(path.relative_to(folder)), (look.st_size, look.st_mtime_ns, look.st_ino)


def changed(before: Mapping[str, FileStamp], folder: Path) -> Iterator[str]:
    """Name the files of before that changed or went since."""
    now = dict(stamps(folder))
    for path, stamp in before.items():
        if now.get(path) != stamp:
            yield f"{path}: {'changed' if path in now else 'removed'}"


def added(before: Mapping[str, FileStamp], folder: Path) -> Iterator[str]:
    """Name the files that were not there before."""
    return (f"{path}: added" for path, _ in stamps(folder) if path not in before)


def wrong_files(manifest: Manifest) -> Iterator[str]:
    """Find sidecars that are missing, say something untrue, or should not be there."""
    expected = {path for path in (manifest.half_written, manifest.web_page) if path}
    for model in manifest.models:
        for path in model.paths:
            stem = path.removesuffix(".safetensors")
            expected.add(path)
            expected.add(f"{stem}.metadata.json")
            if model.known:
                expected |= {f"{stem}.civitai.info", f"{stem}.preview.png"}
            yield from _untrue(manifest.folder, path, stem, model)
    there = {path for path, _ in stamps(manifest.folder) if not path.endswith(manifest.loop)}
    yield from (f"{path}: missing" for path in sorted(expected - there))
    yield from (
        f"{path}: {'should not be there' if _OURS.fullmatch(path) else 'left over'}"
        for path in sorted(there - expected)
    )


def _untrue(folder: Path, path: str, stem: str, model: Model) -> Iterator[str]:
    """Compare what LoRA Manager will read with the truth."""
    sidecar = folder / f"{stem}.metadata.json"
    if not sidecar.exists():
        return
    said = json.loads(sidecar.read_bytes())
    truth: dict[str, object] = {
        "sha256": model.sha256,
        "size": model.size_bytes,
        "file_name": Path(stem).name,
        "file_path": str(folder / path),
        "from_civitai": model.known,
    }
    if model.known:
        truth |= {"model_name": model.model_name, "base_model": model.base_model, "tags": list(model.tags)}
        truth |= {"preview_url": str(folder / f"{stem}.preview.png")}
        civitai = said.get("civitai") or {}
        if (civitai.get("id"), civitai.get("modelId")) != (model.version_id, model.model_id):
            yield f"{stem}.metadata.json: civitai is another version"
        if list(civitai.get("trainedWords", ())) != list(model.trained_words):
            yield f"{stem}.metadata.json: civitai.trainedWords is {civitai.get('trainedWords')}"
    for key, value in truth.items():
        if said.get(key) != value:
            yield f"{stem}.metadata.json: {key} is {said.get(key)!r}, should be {value!r}"


def wrong_rows(manifest: Manifest, listed: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Find files that the catalog knows something untrue of."""
    for model in manifest.models:
        for path in model.paths:
            row = listed.get(path, {})
            ids = (row.get("model_id"), row.get("version_id"))
            if model.known and ids != (model.model_id, model.version_id):
                yield f"{path}: listed as {ids}"
            if not model.known and ids != (None, None):
                yield f"{path}: nobody knows it, but it is listed as {ids}"
