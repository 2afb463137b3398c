"""What every writer must keep to, whatever its format."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hashtagd.core.artifacts import TreeFile, Xattr
from hashtagd.core.card import Confidence
from hashtagd.settings.load import load
from hashtagd.writers import UnknownWriterError, known_names, make_writer
from support.metadata_reader import read_metadata
from support.publish_fakes import card, header, target
from support.writer_samples import WRITERS, content_of, sample_cards, writer

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", WRITERS)
def test_a_writer_renders_every_sample_card_twice_alike(name: str) -> None:
    for sample in sample_cards():
        for view in (target(), target(header=None), target(answered=False, checked_at=None)):
            first = writer(name).render(sample, view)
            assert [content_of(item) for item in first] == [
                content_of(item) for item in writer(name).render(sample, view)
            ]


@pytest.mark.parametrize("name", WRITERS)
def test_a_writer_names_what_it_renders_and_its_own_name(name: str) -> None:
    made = writer(name)
    assert made.name == name
    for item in made.render(card(), target()):
        assert isinstance(item, Xattr | TreeFile) or item.suffix.startswith(".")


def test_every_writer_is_in_the_list_of_this_test_and_three_are_on_by_default() -> None:
    assert set(WRITERS) == set(known_names())
    loaded = load(
        None,
        {"HOME": "/home/user"},
        source="none",
        known_providers=("civitai", "civarchive", "header"),
        known_writers=known_names(),
    )
    assert [entry.name for entry in loaded.writers] == ["lora-manager", "civitai-info", "preview"]


def test_every_sample_sidecar_of_lora_manager_passes_a_strict_reader() -> None:
    for sample in sample_cards():
        [artifact] = make_writer("lora-manager").render(sample, target())
        read_metadata(content_of(artifact))


def test_every_civitai_sidecar_is_ascii_json() -> None:
    for sample in sample_cards():
        for artifact in make_writer("civitai-info").render(sample, target()):
            assert isinstance(json.loads(content_of(artifact).decode("ascii")), dict)


@pytest.mark.parametrize(
    "name,file,view",
    [
        ("lora-manager", "exact.metadata.json", target()),
        ("lora-manager", "unknown.metadata.json", target()),
        ("lora-manager", "offline.metadata.json", target(answered=False, checked_at=None)),
        ("civitai-info", "exact.civitai.info", target()),
        ("preview", "exact.preview.txt", target()),
        ("stability-matrix", "exact.cm-info.json", target()),
        ("swarm", "exact.swarm.json", target()),
        ("a1111", "exact.json", target()),
        ("rgthree", "exact.safetensors.rgthree-info.json", target()),
        ("sha256-line", "exact.sha256", target()),
        ("sha256-line", "unknown.sha256", target()),
        ("model-manager", "exact.md", target()),
        ("xattrs", "exact.xattrs.txt", target()),
        ("xattrs", "unknown.xattrs.txt", target()),
        ("json-tree", "exact.card.json", target()),
        ("json-tree", "unknown.card.json", target()),
        ("json-tree", "offline.card.json", target(answered=False, checked_at=None)),
    ],
)
def test_a_sidecar_equals_its_golden_file(name: str, file: str, view: Any) -> None:
    said = header(
        **{
            "modelspec.title": "From the file",
            "modelspec.tags": "Old, lamp",
            "sshs_model_hash": "0x" + "Ef" * 32,
        }
    )
    sample = card() if file.startswith("exact") else None
    artifacts = writer(name).render(sample, replace(view, header=said))
    assert b"\n".join(map(content_of, artifacts)) == (GOLDEN / file).read_bytes()


@pytest.mark.parametrize("confidence", [Confidence.TENSORS, Confidence.CLAIMED])
def test_a_partial_match_never_reaches_a_sidecar(confidence: Confidence) -> None:
    """P5. Only the full SHA-256, or the owner, puts a site's facts beside a file."""
    weak = card(confidence=confidence)
    for name in set(WRITERS) - {"lora-manager", "sha256-line", "xattrs", "json-tree"}:
        assert writer(name).render(weak, target()) == []
    [hash_alone] = writer("xattrs").render(weak, target())
    assert isinstance(hash_alone, Xattr)
    assert hash_alone.key == "user.checksum.sha256"
    [artifact] = make_writer("lora-manager").render(weak, target())
    data = json.loads(content_of(artifact))
    assert data["civitai"] == {}
    assert (data["from_civitai"], data["civitai_deleted"]) == (False, True)


def test_an_unknown_writer_is_named_together_with_the_known_ones() -> None:
    with pytest.raises(UnknownWriterError, match="lora-manager"):
        make_writer("lora_manager")
    assert set(WRITERS) <= set(known_names())


@pytest.mark.parametrize(
    "name,options",
    [
        ("civitai-info", {"indent": 2}),
        ("preview", {"max_bytes": "many"}),
        ("preview", {"max_nsfw_level": True}),
        ("preview", {"width_px": 0}),
        *((name, {"colour": "red"}) for name in WRITERS),
        ("json-tree", {}),
        ("json-tree", {"path": "cards"}),
        ("json-tree", {"path": "/srv/\0cards"}),
        ("json-tree", {"path": 5}),
    ],
)
def test_a_wrong_option_is_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make_writer(name, options)
