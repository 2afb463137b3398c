"""Every format on real files: what is merged, what is replaced, and what somebody else wrote."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from support.publish_fakes import World, card, kind_of, published
from support.readers_json import read_a1111, read_cm_info, read_rgthree
from support.readers_text import read_page, read_sha256

SIDECARS = ("stability-matrix", "swarm", "a1111", "rgthree", "sha256-line", "model-manager")
SHA256 = sha256(b"the model").hexdigest()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, names=SIDECARS)


def put(world: World, name: str, document: dict[str, Any]) -> bytes:
    """Write a file of another program's; returns its bytes."""
    content = json.dumps(document).encode()
    (world.folder / name).write_bytes(content)
    return content


def document(world: World, name: str) -> Any:
    return json.loads(world.tree()[name])


def test_all_formats_lie_beside_the_model_and_a_second_run_writes_nothing(world: World) -> None:
    model = world.model()
    world.publish(world.claim(model))
    first = world.tree()
    assert set(first) == {
        "wisp.safetensors",
        "wisp.cm-info.json",
        "wisp.swarm.json",
        "wisp.json",
        "wisp.safetensors.rgthree-info.json",
        "wisp.sha256",
        "wisp.md",
    }
    calls = world.ledger.calls
    world.publish(world.claim(model))
    assert (world.tree(), world.ledger.calls) == (first, calls)


def test_without_an_answer_only_the_hash_is_written(world: World) -> None:
    world.publish(world.claim(world.model(), card=None))
    assert set(world.tree()) == {"wisp.safetensors", "wisp.sha256"}


def test_what_tells_of_former_bytes_is_replaced_as_long_as_it_is_ours(world: World) -> None:
    world.publish(world.claim(world.model()))
    world.model(content=b"other bytes")
    other = sha256(b"other bytes").hexdigest()
    world.publish(world.claim(world.folder / "wisp.safetensors", card=card(other, model_id=5, version_id=6)))
    tree = world.tree()
    assert read_sha256(tree["wisp.sha256"]) == other
    assert read_cm_info(tree["wisp.cm-info.json"])["VersionId"] == 6
    assert read_a1111(tree["wisp.json"])["sha256"] == other.upper()
    assert read_rgthree(tree["wisp.safetensors.rgthree-info.json"])["sha256"] == other
    assert read_page(tree["wisp.md"])["hashes"]["SHA256"] == other.upper()


def test_a_hash_of_somebody_elses_stays(world: World) -> None:
    (world.folder / "wisp.sha256").write_bytes(b"ab" * 32)
    world.publish(world.claim(world.model()))
    assert world.tree()["wisp.sha256"] == b"ab" * 32


def test_sd_next_keeps_its_document(world: World) -> None:
    theirs = put(world, "wisp.json", {"id": 101, "name": "Will-o'-wisp", "modelVersions": [{"id": 202}]})
    facts = published(world.publish(world.claim(world.model()))[0])
    assert world.tree()["wisp.json"] == theirs
    assert kind_of(facts.trouble) == "foreign_sidecar"


def test_each_file_that_was_left_alone_is_told_with_its_reason(world: World) -> None:
    model = world.model()
    put(world, "wisp.json", {"modelVersions": []})
    put(world, "wisp.cm-info.json", {"ModelId": 7})
    (world.folder / "wisp.swarm.json").write_bytes(b" " * (16 * 1024 * 1024 + 1))
    facts = published(world.publish(world.claim(model))[0])
    assert facts.trouble is not None
    assert facts.trouble.what == (
        "files beside the model are left alone: .cm-info.json: it tells of another model; "
        ".swarm.json: it is larger than 16 MiB; .json: it is another program's document"
    )


def test_a1111_gets_keys_that_are_absent_and_keeps_what_somebody_emptied(world: World) -> None:
    theirs = {"notes": "mine", "activation text": "", "preferred weight": 0.8, "modelId": "Model not found"}
    put(world, "wisp.json", theirs)
    world.publish(world.claim(world.model()))
    data = document(world, "wisp.json")
    assert {key: data[key] for key in theirs} == theirs
    assert (data["sd version"], data["modelVersionId"]) == ("SDXL", 202)


def test_a_new_answer_renews_the_a1111_file_that_nobody_edited(world: World) -> None:
    model = world.model()
    world.publish(world.claim(model))
    world.publish(world.claim(model, card=card(SHA256, trained_words=("lantern",))))
    assert document(world, "wisp.json")["activation text"] == "lantern"


def test_a_title_that_somebody_gave_swarm_without_a_prefix_still_counts_there(world: World) -> None:
    """SwarmUI takes `modelspec.title` before `title`."""
    model = world.model()
    put(world, "wisp.swarm.json", {"title": "Mine", "trigger_phrase": "", "tags": "a"})
    world.publish(world.claim(model))
    made = document(world, "wisp.swarm.json")
    assert made["title"] == "Mine"
    assert "modelspec.title" not in made
    assert (made["modelspec.trigger_phrase"], made["modelspec.tags"]) == (
        "wisp, pale light",
        ["light", "swamp"],
    )
    before = world.tree()
    world.publish(world.claim(model))
    assert world.tree() == before


def test_stability_matrix_keeps_its_users_words_and_a_model_it_connected_itself(world: World) -> None:
    world.publish(world.claim(world.model()))
    edited = {**document(world, "wisp.cm-info.json"), "UserTitle": "mine", "BaseModel": "Pony"}
    theirs = put(world, "wisp.cm-info.json", edited)
    world.publish(world.claim(world.folder / "wisp.safetensors", card=card(SHA256, base_model="Illustrious")))
    assert world.tree()["wisp.cm-info.json"] == theirs
    other = put(world, "wisp.cm-info.json", {"ModelId": 7, "VersionId": 8, "ModelName": ""})
    world.publish(world.claim(world.folder / "wisp.safetensors"))
    assert world.tree()["wisp.cm-info.json"] == other


def test_rgthree_keeps_strengths_notes_words_and_what_it_fetched(world: World) -> None:
    theirs = {
        "file": "old/wisp.safetensors",
        "sha256": SHA256,
        "strengthMin": 0.4,
        "userNote": "mine",
        "trainedWords": [{"word": "own", "user": True}],
        "raw": {"civitai": {"id": 1}},
    }
    put(world, "wisp.safetensors.rgthree-info.json", theirs)
    world.publish(world.claim(world.model()))
    data = document(world, "wisp.safetensors.rgthree-info.json")
    assert {key: data[key] for key in theirs if key != "raw"} == {
        k: v for k, v in theirs.items() if k != "raw"
    }
    assert data["raw"]["civitai"] == {"id": 1}
    assert data["raw"]["metadata"] == {}
    assert data["baseModel"] == "Illustrious"


def test_a_page_is_only_made_where_there_is_none(world: World) -> None:
    (world.folder / "wisp.md").write_text("my page", "utf-8")
    world.publish(world.claim(world.model()))
    assert world.tree()["wisp.md"] == b"my page"


@pytest.mark.parametrize("zeros", [0, 100])
def test_a_page_whose_end_somebody_cut_off_stays_so_and_what_a_power_cut_left_is_written_anew(
    tmp_path: Path, zeros: int
) -> None:
    world = World(tmp_path, names=("model-manager",))
    model = world.model()
    world.publish(world.claim(model))
    path = tmp_path / "wisp.md"
    whole = path.read_bytes()
    left = whole[: whole.index(b"- pale light")] + bytes(zeros)
    path.write_bytes(left)
    published(world.publish(world.claim(model))[0])
    assert path.read_bytes() == (whole if zeros else left)


def test_a_page_of_ours_gives_way_to_notes_of_a_person(world: World) -> None:
    model = world.model()
    world.publish(world.claim(model))
    (world.folder / "wisp.txt").write_text("my notes", "utf-8")
    world.publish(world.claim(model))
    assert "wisp.md" not in world.tree()
    (world.folder / "wisp.txt").unlink()
    world.publish(world.claim(model))
    assert "wisp.md" in world.tree()


def test_an_edited_page_stays_beside_notes(world: World) -> None:
    model = world.model()
    world.publish(world.claim(model))
    (world.folder / "wisp.md").write_text("my page", "utf-8")
    (world.folder / "wisp.txt").write_text("my notes", "utf-8")
    world.publish(world.claim(model))
    assert world.tree()["wisp.md"] == b"my page"


def test_all_formats_are_swept_with_their_model_and_edited_ones_stay(world: World) -> None:
    model = world.model()
    world.publish(world.claim(model))
    (world.folder / "wisp.md").write_text("my page", "utf-8")
    model.unlink()
    world.publish(world.gone("wisp.safetensors"))
    assert world.tree() == {"wisp.md": b"my page"}
