"""What lies beside models while they are renamed, swapped, replaced and deleted under the whole program."""

import os
from pathlib import Path
from typing import Any

import pytest

from hashtagd.standin import Standin
from support.crash_lives import png_of, rows_of
from support.daemon_process import Home, make_home, picture_of, publish, run_command, sidecar_of
from support.safetensors import lora

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def put(home: Home, site: Standin, name: str, seed: int) -> bytes:
    """Put a model there that the site knows."""
    content = lora(seed=seed)
    publish(site, content, f"Model {seed}", trained_words=[f"word{seed}"])
    path = home.loras / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return content


def once(home: Home) -> None:
    done = run_command(home, "run", "--once")
    assert done.returncode == 0, done.stdout + done.stderr


def tells_of(path: Path, seed: int) -> bool:
    """Tell whether what lies beside a file is of this model."""
    data: dict[str, Any] = sidecar_of(path)
    picture = picture_of(path)
    return (
        (data["model_name"], data["trainedWords"]) == (f"Model {seed}", [f"word{seed}"])
        and picture is not None
        and picture.read_bytes() == png_of(lora(seed=seed))
        and data["preview_url"] == str(picture)
    )


def test_artifacts_follow_their_models_through_a_library_that_is_tidied(
    tmp_path: Path, site: Standin
) -> None:
    """F16. One of each: renamed, moved, swapped, replaced by another that is known, deleted."""
    home = make_home(tmp_path / "home", site=site.url)
    names = ["renamed", "moved", "one", "two", "old", "new", "deleted", "kept"]
    for seed, name in enumerate(names, start=1):
        put(home, site, f"{name}.safetensors", seed)
    once(home)
    at = {name: home.loras / f"{name}.safetensors" for name in names}
    requests = len(site.requests)
    (home.loras / "deep").mkdir()
    at["renamed"].rename(home.loras / "other.safetensors")
    at["moved"].rename(home.loras / "deep" / "moved.safetensors")
    aside = at["one"].rename(home.loras / "aside")
    at["two"].rename(at["one"])
    aside.rename(at["two"])
    at["new"].rename(at["old"])
    at["deleted"].unlink()
    once(home)
    assert tells_of(home.loras / "other.safetensors", 1)
    assert tells_of(home.loras / "deep" / "moved.safetensors", 2)
    assert tells_of(at["one"], 4)
    assert tells_of(at["two"], 3)
    assert tells_of(at["old"], 6)
    assert tells_of(at["kept"], 8)
    live = ["other", "deep/moved", "one", "two", "old", "kept"]
    wanted = {
        stem + suffix
        for stem in live
        for suffix in (".safetensors", ".metadata.json", ".civitai.info", ".preview.png")
    }
    found = {os.fspath(path.relative_to(home.loras)) for path in home.loras.rglob("*") if path.is_file()}
    assert found == wanted
    assert len(site.requests) == requests, "nothing was asked again, pictures included"
    digested = [row for row in rows_of(home.catalog, "event") if row["name"] == "file_digested"]
    assert len(digested) == len(names), "nothing was read again"
