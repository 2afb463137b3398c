"""Sidecars that are wrong or broken: ours are mended, those of others are reported and left alone."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from support.metadata_reader import read_metadata
from support.publish_fakes import SHA256, World, kind_of, published

HALF = sha256(b"the mo").hexdigest()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_sidecar_that_lora_manager_made_of_half_a_file_is_corrected(world: World) -> None:
    """LoRA Manager hashed while the download ran; it would trust that hash for ever."""
    model = world.model()
    path = world.folder / "wisp.metadata.json"
    theirs = {
        "file_name": "wisp",
        "model_name": "wisp",
        "file_path": str(model),
        "size": 6,
        "sha256": HALF,
        "base_model": "Unknown",
        "preview_url": "",
        "notes": "mine",
        "civitai": {"id": 999, "files": [{"hashes": {"SHA256": HALF.upper()}}]},
    }
    path.write_text(json.dumps(theirs), "utf-8")
    published(world.publish(world.claim(model))[0])
    data = read_metadata(path.read_bytes(), model)
    assert (data["sha256"], data["size"], data["hash_status"]) == (SHA256, 9, "completed")
    assert data["civitai"]["id"] == 202, "the block of the other bytes is gone"
    assert data["notes"] == "mine"
    assert "lora-manager" not in {item.writer for item in world.known[1]}, "the file stays theirs"
    before = world.tree()
    published(world.publish(world.claim(model))[0])
    assert world.tree() == before


@pytest.mark.parametrize("name", ["wisp.metadata.json", "wisp.civitai.info"])
@pytest.mark.parametrize("left", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("zeros", [0, 100])
def test_what_a_power_cut_left_of_a_sidecar_of_ours_is_written_anew(
    world: World, name: str, left: float, zeros: int
) -> None:
    model = world.model()
    world.publish(world.claim(model))
    whole = world.tree()
    path = world.folder / name
    path.write_bytes(whole[name][: int(len(whole[name]) * left)] + bytes(zeros))
    facts = published(world.publish(world.claim(model))[0])
    assert facts.trouble is None
    assert world.tree() == whole
    assert {item.writer for item in facts.publications} == {"lora-manager", "civitai-info", "preview"}


def test_what_a_person_broke_in_a_sidecar_of_ours_is_left_to_them(world: World) -> None:
    model = world.model()
    world.publish(world.claim(model))
    path = world.folder / "wisp.metadata.json"
    broken = path.read_bytes().replace(b'"notes": ""', b'"notes": "a "quote""')
    assert broken != path.read_bytes()
    path.write_bytes(broken)
    facts = published(world.publish(world.claim(model))[0])
    assert path.read_bytes() == broken
    assert kind_of(facts.trouble) == "foreign_sidecar"


@pytest.mark.parametrize("content", [b'{"sha256": "', b"", bytes(64)])
def test_a_broken_sidecar_that_we_never_wrote_is_told_in_three_clauses_and_stays(
    world: World, content: bytes
) -> None:
    path = world.folder / "wisp.metadata.json"
    path.write_bytes(content)
    trouble = published(world.publish(world.claim(world.model()))[0]).trouble
    assert trouble is not None
    assert ".metadata.json" in trouble.what
    assert "writes the other sidecars" in trouble.does
    assert "hashtagd retry FILE" in trouble.you
    assert path.read_bytes() == content
    assert "wisp.civitai.info" in world.tree()
