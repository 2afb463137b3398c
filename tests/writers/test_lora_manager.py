"""LoRA Manager's sidecar, field by field."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any

import pytest

from hashtagd.core.artifacts import JsonMerge, Target
from hashtagd.core.card import Availability, Card, Confidence, DownloadUrl
from hashtagd.core.digests import SHA256_OF_NOTHING
from hashtagd.core.header import Header
from hashtagd.stages.merge import Merged, Unchanged, merge
from hashtagd.writers import make_writer
from support.metadata_reader import read_metadata
from support.publish_fakes import CHECKED_AT, FIRST_SEEN_AT, SHA256, card, header, raw_version, target


def render(known: Card | None, view: Target) -> JsonMerge:
    [artifact] = make_writer("lora-manager").render(known, view)
    assert isinstance(artifact, JsonMerge)
    return artifact


def written(known: Card | None, view: Target, existing: dict[str, Any] | None = None) -> dict[str, Any]:
    before = None if existing is None else json.dumps(existing).encode()
    result = merge(before, render(known, view))
    assert isinstance(result, Merged)
    return read_metadata(result.content)


def foreign(**changes: Any) -> dict[str, Any]:
    """Make a file as LoRA Manager keeps it, with things a person did."""
    return {
        "file_name": "wisp",
        "model_name": "My own name",
        "file_path": "/",
        "size": 1536,
        "modified": 5.0,
        "sha256": SHA256.upper(),
        "base_model": "SDXL 1.0",
        "preview_url": "",
        "notes": "keep me",
        "favorite": True,
        "exclude": True,
        "usage_tips": '{"strength": 0.7}',
        "tags": ["mine"],
        "civitai": {
            "id": 202,
            "trainedWords": ["pale light", "mine"],
            "customImages": [{"id": "a"}],
            "source": "x",
        },
        "future_key": {"a": [1, 2.5, None]},
        **changes,
    }


def test_what_only_the_header_said_is_no_check_with_anybody() -> None:
    data = written(None, target(answered=False, checked_at=CHECKED_AT))
    assert (data["from_civitai"], data["civitai_deleted"], data["last_checked_at"]) == (True, False, 0)


def test_asked_and_known_says_where_the_facts_come_from() -> None:
    data = written(card(), target())
    assert (data["from_civitai"], data["civitai_deleted"], data["metadata_source"]) == (
        True,
        False,
        "civitai_api",
    )
    assert data["last_checked_at"] == CHECKED_AT.timestamp()
    assert data["modified"] == FIRST_SEEN_AT.timestamp()
    assert data["civitai"]["id"] == 202


def test_asked_and_not_there_stops_lora_manager_from_asking_again() -> None:
    data = written(None, target())
    assert (data["from_civitai"], data["civitai_deleted"], data["metadata_source"]) == (False, True, None)
    assert (data["model_name"], data["base_model"], data["civitai"]) == ("wisp", "SDXL", {})


def test_not_asked_yet_leaves_lora_manager_free_to_ask() -> None:
    data = written(None, target(answered=False, checked_at=None))
    assert (data["from_civitai"], data["civitai_deleted"], data["last_checked_at"]) == (True, False, 0)


def test_not_asked_yet_keeps_what_lora_manager_found_out_itself() -> None:
    found = foreign(
        metadata_source="civitai_api", last_checked_at=9.0, civitai_deleted=True, from_civitai=False
    )
    data = written(None, target(answered=False, checked_at=None), found)
    assert (data["metadata_source"], data["last_checked_at"]) == ("civitai_api", 9.0)
    assert (data["from_civitai"], data["civitai_deleted"]) == (False, True)


def test_an_archived_model_is_marked_as_deleted_and_keeps_its_facts() -> None:
    archived = card(provider="civarchive", availability=Availability.DELETED, raw={})
    data = written(archived, target())
    assert (data["from_civitai"], data["civitai_deleted"], data["metadata_source"]) == (
        True,
        True,
        "civarchive",
    )
    assert data["civitai"]["creator"] == {"username": "someone"}
    assert data["civitai"]["files"][0]["hashes"] == {"SHA256": SHA256.upper(), "AutoV3": "0123456789AB"}
    assert data["autov3"] == "0123456789ab"


def kept_elsewhere(**changes: Any) -> Card:
    """Make the card of a model that Civitai deleted after we knew it, with a copy that an archive knows."""
    known = card(availability=Availability.DELETED, **changes)
    mirror = DownloadUrl(url="https://mirror.example/x", source="huggingface", gated=True)
    return replace(known, downloads=(replace(known.downloads[0], urls=(mirror, *known.downloads[0].urls)),))


def test_copies_that_lie_elsewhere_stand_where_lora_manager_looks_for_them() -> None:
    files = written(kept_elsewhere(), target())["civitai"]["files"]
    assert files[1]["mirrors"] == [
        {
            "filename": "wisp.safetensors",
            "url": "https://mirror.example/x",
            "source": "huggingface",
            "is_gated": True,
            "deletedAt": None,
        }
    ]
    assert "mirrors" not in files[0]
    assert "mirrors" not in json.dumps(written(card(), target()))


def test_a_file_that_civitai_does_not_list_any_more_is_listed_with_its_copies() -> None:
    files = written(kept_elsewhere(raw=raw_version(files=[])), target())["civitai"]["files"]
    assert [(file["hashes"]["SHA256"], len(file["mirrors"])) for file in files] == [(SHA256.upper(), 1)]


def test_what_a_site_claims_without_our_hash_is_not_written_and_what_the_file_says_is() -> None:
    claimed = card(provider="civarchive", confidence=Confidence.CLAIMED, model_name="Perhaps")
    said = header(**{"modelspec.title": "Marsh light"})
    data = written(claimed, target(header=said))
    assert (data["model_name"], data["base_model"], data["tags"]) == ("Marsh light", "SDXL", [])
    assert data["civitai"] == {}


def test_a_title_from_the_header_is_used_until_somebody_knows_better() -> None:
    said = header(**{"modelspec.title": " Marsh light ", "modelspec.trigger_phrase": "wisp, fog"})
    data = written(None, target(answered=False, header=said))
    assert (data["model_name"], data["trainedWords"]) == ("Marsh light", ["wisp", "fog"])


@pytest.mark.parametrize(
    "known,said,expected",
    [
        (card(), {"sshs_model_hash": "ef" * 32}, "0123456789ab"),
        (None, {"sshs_model_hash": "EF" * 32}, "ef" * 6),
        (None, {"sshs_model_hash": SHA256_OF_NOTHING, "modelspec.hash_sha256": "0x" + "AB" * 32}, "ab" * 6),
        (None, {"modelspec.hash_sha256": "0X" + "AB" * 32}, "ab" * 6),
        (None, {"modelspec.hash_sha256": "not a hash at all"}, None),
        (None, {"sshs_model_hash": "abc"}, None),
        (None, {}, None),
        (card(raw=raw_version("11" * 32), downloads=()), {}, None),
        (
            card(raw={"id": 202, "files": [None, {"hashes": None}, {"hashes": {"SHA256": 5}}]}, downloads=()),
            {},
            None,
        ),
    ],
)
def test_autov3_has_three_states_and_is_never_that_of_nothing(
    known: Card | None, said: dict[str, str], expected: str | None
) -> None:
    assert written(known, target(header=header(**said)))["autov3"] == expected


@pytest.mark.parametrize(
    "kind,folder,expected",
    [
        ("LORA", "/m/loras", {"usage_tips": "{}"}),
        ("DoRA", "/m/loras", {"usage_tips": "{}"}),
        ("Checkpoint", "/m/checkpoints", {"sub_type": "checkpoint"}),
        ("Checkpoint", "/m/diffusion_models/a", {"sub_type": "diffusion_model"}),
        ("TextualInversion", "/m/embeddings", {"sub_type": "embedding"}),
        ("VAE", "/m/vae", {}),
        (None, "/m/any", {}),
    ],
)
def test_the_kind_decides_between_usage_tips_and_sub_type(
    kind: str | None, folder: str, expected: dict[str, str]
) -> None:
    path = PurePosixPath(folder, "wisp.safetensors")
    silent = Header(length_bytes=8, tensor_count=1)
    data = written(card(kind=kind), target(path=path, header=silent))
    assert {key: data[key] for key in ("usage_tips", "sub_type") if key in data} == expected


def test_what_a_person_did_in_lora_manager_stays() -> None:
    """P6."""
    data = written(card(), target(), foreign())
    for key in (
        "notes",
        "favorite",
        "exclude",
        "usage_tips",
        "future_key",
        "model_name",
        "base_model",
        "tags",
        "modified",
    ):
        assert data[key] == foreign()[key]
    assert data["civitai"]["trainedWords"] == ["pale light", "mine", "wisp"]
    assert data["civitai"]["customImages"] == [{"id": "a"}]
    assert data["civitai"]["source"] == "x"
    assert data["sha256"] == SHA256


def test_key_order_and_unknown_keys_are_kept() -> None:
    before = foreign()
    data = written(card(), target(), before)
    assert [key for key in data if key in before] == list(before)


def test_placeholders_are_filled() -> None:
    empty = foreign(model_name="wisp", base_model="Unknown", tags=[], modelDescription="")
    data = written(card(), target(), empty)
    assert (data["model_name"], data["base_model"]) == ("Will-o'-wisp", "Illustrious")
    assert data["tags"] == ["light", "swamp"]
    assert data["modelDescription"] == "<p>it glows</p>"


def test_a_hash_of_half_a_file_is_mended_together_with_what_hung_on_it() -> None:
    wrong = foreign(sha256="99" * 32, size=5, civitai={"id": 7, "files": [{"hashes": {"SHA256": "99" * 32}}]})
    data = written(None, target(), wrong)
    assert (data["sha256"], data["size"], data["hash_status"]) == (SHA256, 1536, "completed")
    assert "id" not in data["civitai"]


def test_a_wrong_size_beside_the_right_hash_is_corrected() -> None:
    assert written(None, target(), foreign(sha256=SHA256, size=3))["size"] == 1536


def test_a_civitai_block_that_names_our_bytes_survives_the_mending() -> None:
    ours = {"id": 7, "files": [{"hashes": {"SHA256": SHA256.upper()}}]}
    data = written(None, target(), foreign(sha256="99" * 32, civitai=ours))
    assert data["civitai"] == ours


def test_a_pending_hash_is_completed_and_nothing_else_is_dropped() -> None:
    data = written(None, target(), foreign(sha256="", hash_status="pending", size=3))
    assert (data["sha256"], data["hash_status"], data["size"]) == (SHA256, "completed", 1536)
    assert data["civitai"]["id"] == 202


def test_a_second_merge_changes_nothing() -> None:
    artifact = render(card(), target())
    first = merge(json.dumps(foreign()).encode(), artifact)
    assert isinstance(first, Merged)
    assert merge(first.content, artifact) == Unchanged()


def test_a_later_answer_of_the_same_kind_changes_only_its_time() -> None:
    later = target(checked_at=CHECKED_AT + timedelta(days=30))
    assert {**written(card(), later), "last_checked_at": 0} == {
        **written(card(), target()),
        "last_checked_at": 0,
    }
