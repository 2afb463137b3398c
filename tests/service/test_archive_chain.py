"""The archive as the second link of the chain: what Civitai deleted gets its name all the same."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hashtagd.standin import ArchiveStandin, Standin
from support.safetensors import lora
from support.serving import Served, served, settings


@contextmanager
def chain(folder: Path, providers: Sequence[dict[str, Any]]) -> Iterator[Served]:
    environ = {
        "HOME": str(folder),
        "HASHTAGD_STATE_DIR": str(folder / "state"),
        "CIVITAI_API_KEY": "0123456789abcdef" * 2,
    }
    made = {
        "comfyui": {"path": None, "url": None},
        "roots": [{"name": "loras", "path": str(folder / "loras"), "quiet_s": 0}],
        "providers": list(providers),
        "digests": {"workers": 1},
    }
    with served(settings(json.dumps(made), environ), environ) as run:
        yield run


def put(folder: Path, name: str, seed: int) -> str:
    """Put a model down that has been resting for an hour; returns its hash."""
    content = lora(seed)
    path = folder / "loras" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    past_s = path.stat().st_mtime - 3600
    os.utime(path, (past_s, past_s))
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def sites() -> Iterator[tuple[Standin, ArchiveStandin]]:
    with Standin() as civitai, ArchiveStandin() as archive:
        yield civitai, archive


def entries(civitai: Standin, archive: ArchiveStandin) -> list[dict[str, Any]]:
    return [
        {"kind": "civitai", "base_url": civitai.url, "requests_per_minute": 6000},
        {"kind": "civarchive", "base_url": archive.url, "requests_per_minute": 6000},
        {"kind": "header"},
    ]


def test_what_civitai_deleted_is_named_by_the_archive(
    tmp_path: Path, sites: tuple[Standin, ArchiveStandin]
) -> None:
    civitai, archive = sites
    archive.add(
        sha256=put(tmp_path, "gone.safetensors", 1), name="Gone", trained_words=["a word"], tags=["ink"]
    )
    civitai.add(sha256=put(tmp_path, "here.safetensors", 2), name="Here")
    with chain(tmp_path, entries(civitai, archive)) as run:
        assert run.turn() == []
        assert run.ears.bugs == []
    gone, here = (
        json.loads((tmp_path / "loras" / f"{name}.metadata.json").read_text(encoding="utf-8"))
        for name in ("gone", "here")
    )
    assert (gone["model_name"], gone["base_model"], gone["tags"]) == ("Gone", "SDXL 1.0", ["ink"])
    assert (gone["metadata_source"], gone["civitai_deleted"]) == ("civarchive", True)
    assert gone["civitai"]["trainedWords"] == ["a word"]
    assert (here["model_name"], here["metadata_source"]) == ("Here", "civitai_api")
    assert archive.counts == {"sha256": 1}
    assert all("authorization" not in request.headers for request in archive.requests)


def test_an_archive_that_wants_silence_delays_no_name_that_civitai_knows(
    tmp_path: Path, sites: tuple[Standin, ArchiveStandin]
) -> None:
    """Quirk 49."""
    civitai, archive = sites
    archive.fail_next(None, status=429, headers={"Retry-After": "1500"})
    put(tmp_path, "gone.safetensors", 1)
    with chain(tmp_path, entries(civitai, archive)) as run:
        assert [trouble.kind for trouble in run.turn()] == ["rate_limited"]
        civitai.add(sha256=put(tmp_path, "here.safetensors", 2), name="Here")
    with chain(tmp_path, entries(civitai, archive)) as run:
        assert run.turn() == []
    assert (tmp_path / "loras" / "here.metadata.json").exists()
    # the gate is remembered: also after a restart nobody knocks
    assert len(archive.requests) == 1
