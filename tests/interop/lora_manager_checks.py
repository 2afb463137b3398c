"""What LoRA Manager shows against the truth, and what it left as it was."""

import hashlib
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from running import Server

from bench.library import Manifest, Model
from bench.trial import WRITERS, command, environment
from bench.truth import stamps


def untrue(
    manifest: Manifest, rows: Mapping[str, Mapping[str, Any]], *, from_cache: bool = False
) -> Iterator[str]:
    """Compare every row with the truth; its cache keeps tags in an order of its own."""
    for model in manifest.models:
        for relpath in model.paths:
            row = rows.get(str(manifest.folder / relpath))
            if row is None:
                yield f"{relpath}: not listed"
                continue
            for key, (shown, truth) in _compared(model, relpath, row).items():
                in_another_order = from_cache and key == "tags" and sorted(row["tags"]) == sorted(model.tags)
                if shown != truth and not in_another_order:
                    yield f"{relpath}: {key} is {shown!r}, should be {truth!r}"


def _compared(model: Model, relpath: str, row: Mapping[str, Any]) -> dict[str, tuple[object, object]]:
    civitai = row.get("civitai") or {}
    pairs: dict[str, tuple[object, object]] = {
        "sha256": (row["sha256"], model.sha256),
        "file_name": (row["file_name"], Path(relpath).stem),
        "from_civitai": (row["from_civitai"], model.known),
    }
    if model.known:
        pairs |= {
            "model_name": (row["model_name"], model.model_name),
            "base_model": (row["base_model"], model.base_model),
            "tags": (list(row["tags"]), list(model.tags)),
            "trigger words": (civitai.get("trainedWords"), list(model.trained_words)),
            "version": (civitai.get("id"), model.version_id),
            "picture": (row["preview_url"].endswith(".preview.png"), True),
        }
    return pairs


def pictures_shown(server: Server, rows: Mapping[str, Mapping[str, Any]]) -> int:
    """Count the models whose picture the server really hands out."""
    shown = 0
    for path, row in rows.items():
        picture = Path(path).with_suffix(".preview.png")
        if row["preview_url"] and server.fetch(row["preview_url"]) == picture.read_bytes():
            shown += 1
    return shown


def contents(folder: Path) -> dict[str, tuple[object, str]]:
    """Give stamp and SHA-256 of every file."""
    return {
        path: (stamp, "" if (folder / path).is_symlink() else _sha256(folder / path))
        for path, stamp in stamps(folder)
    }


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def unnamed(manifest: Manifest, rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Name the models that are listed without their name or their base model."""
    return [
        relpath
        for model in manifest.known
        for relpath in model.paths
        if (row := rows.get(str(manifest.folder / relpath))) is None
        or (row["model_name"], row["base_model"]) != (model.model_name, model.base_model)
    ]


def hashed_so_far(folder: Path) -> int:
    """Count by its log what it has hashed so far, in all its lives."""
    return (folder / "lora-manager.log").read_text(errors="replace").count("SHA256 hash calculated")


def edited(ours: Path, manifest: Manifest) -> int:
    """Count the artifacts of these models that do not lie there as hashtagd wrote them."""
    done = subprocess.run(
        command(ours, "unpublish", "--dry-run", "--json"),
        env=environment(ours),
        capture_output=True,
        text=True,
        check=True,
    )
    stems = {str((manifest.folder / path).with_suffix("")) for it in manifest.models for path in it.paths}
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    theirs = [it for it in rows if _stem(manifest.folder.parent / it["path"]) in stems]
    whole = sum(it["action"] == "would_remove" for it in theirs)
    return len(theirs) - whole + abs(len(WRITERS) * len(stems) - whole)


def _stem(path: Path) -> str:
    """Take from a sidecar's path what it shares with its model's."""
    for suffix in (".metadata.json", ".civitai.info", ".preview.png"):
        if path.name.endswith(suffix):
            return str(path)[: -len(suffix)]
    return str(path)


def differing(before: Mapping[str, object], after: Mapping[str, object]) -> int:
    return sum(before.get(path) != after.get(path) for path in before | after)
