"""A whole service beside a ComfyUI: from a file on the disk to what its programs show."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hashtagd.settings import Loaded
from hashtagd.standin import Standin
from hashtagd.standin.pictures import png
from support.beside import Beside
from support.fault_server import FaultServer, Line, reply
from support.safetensors import lora
from support.serving import served, settings


class Home:
    """A ComfyUI with one folder of LoRAs, and a site that knows what is put there."""

    def __init__(self, folder: Path, site: Standin) -> None:
        self.models = folder / "models"
        self.loras = self.models / "loras"
        self.loras.mkdir(parents=True)
        self.site = site
        self.environ = {"HOME": str(folder), "HASHTAGD_STATE_DIR": str(folder / "state")}

    def loaded(self, url: str | None, **sections: Any) -> Loaded:
        made = {
            "comfyui": {"path": None, "url": url},
            "roots": [{"name": "loras", "path": str(self.loras), "quiet_s": 0}],
            "providers": [{"kind": "civitai", "base_url": self.site.url, "requests_per_minute": 6000}],
            "network": {"allowed_origins": [self.site.url]},
            # nobody asks here whether it generates
            "digests": {"workers": 1, "pause_while_generating": False},
            **sections,
        }
        return settings(json.dumps(made), self.environ)

    def put(self, name: str, seed: int) -> Path:
        content = lora(seed)
        path = self.loras / name
        path.write_bytes(content)
        past_s = path.stat().st_mtime - 3600
        os.utime(path, (past_s, past_s))
        self.site.add(
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            name="Ink",
            tags=("style",),
            trained_words=("ink wash",),
            previews=(png(8, 8, seed),),
        )
        return path


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with Standin() as site:
        yield Home(tmp_path, site)


def test_what_was_published_is_shown_at_once_and_not_told_again_after_a_restart(home: Home) -> None:
    path = home.put("ink.safetensors", 1)
    with Beside(home.models) as beside:
        beside.seed()
        with served(home.loaded(beside.url), home.environ) as run:
            run.turn()
            assert run.service._finished()
        assert beside.cache == {"loras": {str(path): "Ink"}}
        shown = beside.shown(path)
        assert (shown["additional_tags"], shown["trained_words"]) == (["style"], ["ink wash"])
        assert shown["source_arn"].startswith("civitai:model:")
        assert {it.headers.get("authorization") for it in beside.requests} == {None}
        beside.requests.clear()
        with served(home.loaded(beside.url), home.environ) as again:
            again.turn()
        assert beside.requests == []
    assert (run.ears.bugs, run.ears.of("nudge_failed")) == ([], [])


def test_after_a_rename_both_are_told_again_and_the_user_s_own_words_stay(home: Home) -> None:
    path = home.put("ink.safetensors", 1)
    with Beside(home.models) as beside:
        beside.seed()
        with served(home.loaded(beside.url), home.environ) as run:
            run.turn()
        moved = path.rename(path.with_name("tusche.safetensors"))
        beside.seed()
        [record] = beside.records.values()
        record["user_metadata"]["trained_words"] = ["mine"]
        with served(home.loaded(beside.url), home.environ) as run:
            run.turn()
        shown = beside.shown(moved)
        assert (shown["additional_tags"], shown["trained_words"]) == (["style"], ["mine"])
        assert beside.cache["loras"][str(moved)] == "Ink"


def test_a_sidecar_of_lora_manager_s_own_is_news_when_we_filled_it(home: Home) -> None:
    """It is no artifact of ours and has no record."""
    path = home.put("ink.safetensors", 1)
    content = {
        "file_name": "ink",
        "model_name": "ink",
        "file_path": str(path),
        "size": path.stat().st_size,
        "modified": 1.5,
        "sha256": "",
        "base_model": "Unknown",
        "preview_url": "",
    }
    path.with_name("ink.metadata.json").write_text(json.dumps(content))
    with Beside(home.models, assets=False) as beside:
        with served(home.loaded(beside.url, writers=["lora-manager"]), home.environ) as run:
            run.turn()
        assert beside.cache == {"loras": {str(path): "Ink"}}


@pytest.mark.parametrize("sections", [{"comfyui": {"path": None, "url": None}}, {"writers": []}])
def test_without_an_address_or_without_writers_nobody_is_told(home: Home, sections: dict[str, Any]) -> None:
    home.put("ink.safetensors", 1)
    with Beside(home.models) as beside:
        with served(home.loaded(beside.url, **sections), home.environ) as run:
            run.turn()
            assert run.service._finished()
        assert beside.requests == []


def test_a_comfyui_that_is_not_there_costs_one_line_and_no_outcome(home: Home) -> None:
    for seed in range(5):
        home.put(f"{seed}.safetensors", seed)
    with Beside(home.models) as gone:
        pass
    with served(home.loaded(gone.url), home.environ) as run:
        run.turn()
        assert run.service._finished()
        assert run.service.summary().named == 5
    assert len(run.ears.of("nudge_failed")) == 1
    assert run.ears.bugs == []


@pytest.mark.parametrize(
    "answer",
    [reply(b"<html>log in</html>"), reply(b"x" * (3 << 20)), Line.reset, Line.hang],
    ids=["a web page", "a huge answer", "a reset", "silence"],
)
def test_a_stranger_at_the_address_costs_a_line_for_each_program_and_no_outcome(
    home: Home, answer: Any
) -> None:
    for seed in range(3):
        home.put(f"{seed}.safetensors", seed)
    with FaultServer(answer) as stranger, served(home.loaded(stranger.url), home.environ) as run:
        run.turn()
        assert run.service._finished()
        assert run.service.summary().named == 3
        assert len(stranger.requests) == 2
    failures = [values["program"] for values in run.ears.of("nudge_failed")]
    assert failures in (["comfyui-assets"], ["lora-manager", "comfyui-assets"])
    assert run.ears.bugs == []
