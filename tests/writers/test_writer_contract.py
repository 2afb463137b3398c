"""What every writer must keep to, whatever its format."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hashtagd.core.artifacts import Artifact, JsonMerge, PreviewFile, SidecarFile
from hashtagd.core.card import Availability, Card, Confidence
from hashtagd.stages.merge import Merged, merge
from hashtagd.writers import UnknownWriterError, known_names, make_writer
from support.metadata_reader import read_metadata
from support.publish_fakes import card, header, preview, raw_version, target

GOLDEN = Path(__file__).parent / "golden"
WRITERS = ("lora-manager", "civitai-info", "preview")
HOSTILE_TITLES = (
    "\"quoted\" 'title' \\ back",
    "two\nlines\r\n\tand a tab",
    "\u202etfel ot thgir\u202c אבג",
    "🦊👩‍👩‍👧 \u0000\u001b[31m",
    "x" * 10_240,
    "</script><script>alert(1)</script>",
    "half a pair \ud83d",
    "",
)


def shared_cards() -> list[Card]:
    """Read real answers if they lie beside the repository, as the raw document of a card."""
    for parent in Path(__file__).resolve().parents:
        folder = parent / "shared" / "fixtures" / "civitai" / "by-hash"
        if folder.is_dir():
            raws = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]
            return [card(raw=raw, version_id=raw.get("id")) for raw in raws if isinstance(raw, dict)]
    return []


def sample_cards() -> list[Card | None]:
    hostile = [
        card(
            model_name=title,
            version_name=title,
            description_html=title,
            trained_words=(title, title),
            tags=(title,),
            base_model=title,
            creator=title,
            raw={**raw_version(name=title, deep=_nested(title)), title: [title, float("nan")]},
        )
        for title in HOSTILE_TITLES
    ]
    others: list[Card | None] = [
        None,
        card(),
        card(confidence=Confidence.OWNER, provider="owner"),
        card(confidence=Confidence.TENSORS),
        card(provider="civarchive", availability=Availability.DELETED, raw={}),
        card(raw={}, version_id=None),
        card(previews=(preview(url="http://[broken"), preview(url=""), preview(nsfw_level=None))),
        Card(
            provider="header", by="header", confidence=Confidence.CLAIMED, availability=Availability.UNKNOWN
        ),
    ]
    return [*others, *hostile, *shared_cards()]


def _nested(leaf: str) -> Any:
    value: Any = leaf
    for _ in range(200):
        value = {"inner": [value]}
    return value


def content_of(artifact: Artifact) -> bytes:
    """Give what would be written where nothing lies yet."""
    if isinstance(artifact, SidecarFile):
        return artifact.content
    if isinstance(artifact, JsonMerge):
        merged = merge(None, artifact)
        assert isinstance(merged, Merged)
        return merged.content
    assert isinstance(artifact, PreviewFile)
    return "\n".join(artifact.urls).encode()


@pytest.mark.parametrize("name", WRITERS)
def test_a_writer_renders_every_sample_card_twice_alike(name: str) -> None:
    for sample in sample_cards():
        for view in (target(), target(header=None), target(answered=False, checked_at=None)):
            first = make_writer(name).render(sample, view)
            assert [content_of(item) for item in first] == [
                content_of(item) for item in make_writer(name).render(sample, view)
            ]


@pytest.mark.parametrize("name", WRITERS)
def test_a_writer_names_what_it_renders_and_its_own_name(name: str) -> None:
    writer = make_writer(name)
    assert writer.name == name
    assert all(item.suffix.startswith(".") for item in writer.render(card(), target()))  # type: ignore[union-attr]


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
    [artifact] = make_writer(name).render(sample, replace(view, header=said))
    assert content_of(artifact) == (GOLDEN / file).read_bytes()


@pytest.mark.parametrize("confidence", [Confidence.TENSORS, Confidence.CLAIMED])
def test_a_partial_match_never_reaches_a_sidecar(confidence: Confidence) -> None:
    """P5. Only the full SHA-256, or the owner, puts a site's facts beside a file."""
    weak = card(confidence=confidence)
    assert make_writer("civitai-info").render(weak, target()) == []
    assert make_writer("preview").render(weak, target()) == []
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
        ("lora-manager", {"colour": "red"}),
        ("civitai-info", {"indent": 2}),
        ("preview", {"max_bytes": "many"}),
        ("preview", {"max_nsfw_level": True}),
        ("preview", {"width_px": 0}),
    ],
)
def test_a_wrong_option_is_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make_writer(name, options)
