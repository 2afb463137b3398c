"""Both programs against a server that behaves as they do."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hashtagd.core.card import Availability, Card, Confidence
from hashtagd.nudges import News, Program, Unreachable, Unusable, news_of, programs_at
from hashtagd.service.clock import SystemClock
from support.beside import Beside
from support.fault_server import FaultServer, reply

CARD = Card(
    provider="civitai",
    by="sha256",
    confidence=Confidence.EXACT,
    availability=Availability.PUBLIC,
    model_id=12,
    version_id=34,
    model_name="Ink",
    kind="LORA",
    base_model="SDXL 1.0",
    trained_words=("ink wash", "墨"),
    tags=("style",),
    description_html="<p>Made of <b>ink</b>.</p>",
)
FACTS = {
    "additional_tags": ["style"],
    "trained_words": ["ink wash", "墨"],
    "base_model": ["SDXL 1.0"],
    "source_arn": "civitai:model:12:version:34",
    "user_description": "Made of ink.",
}
SIDECAR = '{"model_name": "Ink"}'


@pytest.fixture
def beside(tmp_path: Path) -> Iterator[Beside]:
    with Beside(tmp_path / "models") as server:
        yield server


def model(beside: Beside, relpath: str = "loras/styles/ink & öl.safetensors") -> Path:
    path = beside.models / relpath
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"model")
    path.with_name(path.stem + ".metadata.json").write_text(SIDECAR)
    return path


def _json(document: object) -> bytes:
    return json.dumps(document).encode()


def news(path: Path, card: Card | None = CARD) -> News:
    return news_of(path, path.stat().st_size if path.exists() else 5, card)


def programs(beside: Beside) -> tuple[Program, Program]:
    lora_manager, assets = programs_at(beside.url, SystemClock())
    return lora_manager, assets


def test_news_hold_what_is_sure_and_leave_out_what_is_absent() -> None:
    path = Path("/m/x.safetensors")
    assert news_of(path, 5, CARD).facts == FACTS
    assert news_of(path, 5, None).facts == {}
    bare = Card(provider="x", by="sha256", confidence=Confidence.OWNER, availability=Availability.UNKNOWN)
    assert news_of(path, 5, bare).facts == {}
    for weak in (Confidence.CLAIMED, Confidence.TENSORS):
        assert news_of(path, 5, replace(CARD, confidence=weak)).facts == {}


def test_lora_manager_is_told_of_a_file_and_takes_it_in(beside: Beside) -> None:
    path = model(beside)
    lora_manager, _ = programs(beside)
    assert lora_manager.present()
    assert lora_manager.tell(news(path))
    assert beside.cache == {"loras": {str(path): "Ink"}}
    assert len(beside.requests) == 5


@pytest.mark.parametrize(
    "relpath,collection",
    [
        ("checkpoints/a.safetensors", "checkpoints"),
        ("embeddings/deep/a.safetensors", "embeddings"),
        ("vae/a.safetensors", None),
        ("a.safetensors", None),
    ],
)
def test_the_collection_is_the_one_whose_root_has_the_file(
    beside: Beside, relpath: str, collection: str | None
) -> None:
    path = model(beside, relpath)
    lora_manager, _ = programs(beside)
    assert lora_manager.present()
    assert lora_manager.tell(news(path))
    assert beside.cache == ({} if collection is None else {collection: {str(path): "Ink"}})


@pytest.mark.parametrize(
    "relpath,kind,collection",
    [
        ("unet/a.safetensors", "LORA", "checkpoints"),
        ("Lora/embeddings/a.safetensors", None, "embeddings"),
        ("stuff/a.safetensors", "TextualInversion", "embeddings"),
        ("stuff/a.safetensors", "DoRA", "loras"),
        ("stuff/a.safetensors", "VAE", None),
        ("stuff/a.safetensors", None, None),
    ],
)
def test_a_lora_manager_that_tells_no_roots_is_told_by_folder_then_by_kind(
    tmp_path: Path, relpath: str, kind: str | None, collection: str | None
) -> None:
    with Beside(tmp_path, tells_roots=False) as beside:
        path = model(beside, relpath)
        lora_manager, _ = programs(beside)
        assert lora_manager.present()
        assert lora_manager.tell(news(path, replace(CARD, kind=kind)))
    assert list(beside.cache) == ([] if collection is None else [collection])


def test_a_file_without_a_sidecar_is_nothing_to_lora_manager_and_no_trouble(beside: Beside) -> None:
    lora_manager, _ = programs(beside)
    assert lora_manager.present()
    assert lora_manager.tell(news(beside.models / "loras" / "a.safetensors"))
    assert beside.cache == {}


def test_a_comfyui_without_lora_manager_and_without_assets_has_nobody_to_tell(tmp_path: Path) -> None:
    with Beside(tmp_path, lora_manager=False, assets=False) as beside:
        assert [program.present() for program in programs(beside)] == [False, False]


def test_keys_that_are_absent_are_filled(beside: Beside) -> None:
    path = model(beside)
    beside.add(path)
    _, assets = programs(beside)
    assert assets.present()
    assert assets.tell(news(path))
    assert beside.shown(path) == FACTS


def test_what_the_user_wrote_stays_and_nothing_is_written_twice(beside: Beside) -> None:
    path = model(beside)
    own: dict[str, Any] = {
        "additional_tags": [],
        "user_description": "mine",
        "name": "My ink",
        "rating": {"a": 1},
    }
    beside.add(path, **own)
    _, assets = programs(beside)
    assert assets.tell(news(path))
    assert beside.shown(path) == {**FACTS, **own}
    assert assets.tell(news(path))
    assert [it.method for it in beside.requests] == ["GET", "PUT", "GET"]


def test_keys_that_are_not_ours_to_know_are_left_alone(beside: Beside) -> None:
    path = model(beside)
    beside.add(path)["user_metadata"] = ["odd"]
    _, assets = programs(beside)
    assert assets.tell(news(path))
    assert [it.method for it in beside.requests] == ["GET"]


def test_of_many_files_of_like_names_the_one_at_the_path_is_meant(beside: Beside) -> None:
    others = [model(beside, f"loras/{number}/ink.safetensors") for number in range(250)]
    for path in others:
        beside.add(path)
    _, assets = programs(beside)
    assert assets.tell(news(others[-1]))
    assert beside.shown(others[-1]) == FACTS
    assert not any(beside.shown(path) for path in others[:-1])
    assert len(beside.requests) == 4


def test_a_record_without_a_path_is_known_by_type_path_and_size(beside: Beside) -> None:
    beside.enriched = False
    lora, checkpoint = (
        model(beside, "loras/s/ink.safetensors"),
        model(beside, "checkpoints/s/ink.safetensors"),
    )
    unet = model(beside, "diffusion_models/ink.safetensors")
    for path in (lora, checkpoint, unet):
        beside.add(path)
    _, assets = programs(beside)
    assert assets.tell(news(lora))
    assert (beside.shown(lora), beside.shown(checkpoint)) == (FACTS, {})
    as_unet = beside.models / "unet" / "ink.safetensors"
    assert assets.tell(replace(news(lora), path=str(as_unet)))
    assert beside.shown(unet) == FACTS
    assert not assets.tell(replace(news(checkpoint), size_bytes=6))


def test_two_records_that_may_be_meant_are_both_left_alone(beside: Beside) -> None:
    """Two folders of one type may hold files of one name."""
    beside.enriched = False
    path = model(beside)
    beside.add(path)
    beside.add(path)["id"] = "another"
    _, assets = programs(beside)
    assert not assets.tell(news(path))
    assert [it.method for it in beside.requests] == ["GET"]


@pytest.mark.parametrize(
    "change", [{"loader_path": None}, {"loader_path": ""}, {"tags": "x"}, {"tags": [None]}]
)
def test_records_of_an_odd_shape_mean_no_file(beside: Beside, change: dict[str, Any]) -> None:
    beside.enriched = False
    path = model(beside)
    record = {**beside.add(path), **change}
    with FaultServer(reply(_json({"assets": [record, None, {"name": "no id"}]}))) as server:
        _, assets = programs_at(server.url, SystemClock())
        assert not assets.tell(news(path))


def test_a_file_that_is_not_met_yet_is_found_by_looking_around(beside: Beside) -> None:
    path = model(beside)
    _, assets = programs(beside)
    assert not assets.tell(news(path))
    assets.look_around()
    assert assets.tell(news(path))
    assert beside.shown(path) == FACTS


def test_after_a_rename_the_new_record_is_filled_anew(beside: Beside) -> None:
    path = model(beside)
    _, assets = programs(beside)
    assets.look_around()
    assert assets.tell(news(path))
    moved = path.rename(path.with_name("tusche.safetensors"))
    assets.look_around()
    assert beside.shown(moved) == {}
    assert assets.tell(news(moved))
    assert beside.shown(moved) == FACTS


def test_of_what_nobody_knows_assets_are_not_told(beside: Beside) -> None:
    _, assets = programs(beside)
    assert assets.tell(news(model(beside), None))
    assert beside.requests == []


def test_a_scan_that_runs_already_is_no_trouble_and_an_asset_that_goes_neither(beside: Beside) -> None:
    path = model(beside)
    record = beside.add(path)
    beside.broken = {"/api/assets/seed": 409, f"/api/assets/{record['id']}": 404}
    _, assets = programs(beside)
    assets.look_around()
    assert assets.tell(news(path))


@pytest.mark.parametrize("status", [403, 500, 503])
def test_a_refusal_cannot_be_used(beside: Beside, status: int) -> None:
    path = model(beside)
    beside.broken = {"/api/assets": status, "/api/assets/seed": status, "/api/lm/loras/metadata": 500}
    lora_manager, assets = programs(beside)
    assert lora_manager.present()
    for call in (lambda: lora_manager.tell(news(path)), lambda: assets.tell(news(path)), assets.look_around):
        with pytest.raises(Unusable, match="status"):
            call()


@pytest.mark.parametrize(
    "answer", [reply(b"<html>log in</html>", kind="text/html"), reply(b'{"assets": {}}'), reply(b"[]")]
)
def test_pages_and_odd_answers_change_nothing(answer: bytes, tmp_path: Path) -> None:
    with FaultServer(answer) as server:
        lora_manager, assets = programs_at(server.url, SystemClock())
        assert not lora_manager.present()
        with pytest.raises(Unusable):
            assets.tell(news(tmp_path / "x.safetensors"))
    assert all(request.startswith(b"GET ") for request in server.requests)


def test_nobody_there_is_told_apart(tmp_path: Path) -> None:
    with Beside(tmp_path) as gone:
        pass
    for program in programs(gone):
        with pytest.raises(Unreachable):
            program.present()
