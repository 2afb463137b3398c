"""A reader for each format, made after what its program accepts: takes ours, refuses what is broken."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from hashtagd.core.artifacts import Artifact, Xattr
from hashtagd.core.card import Card
from support.publish_fakes import card, header, target
from support.readers import RefusedError
from support.readers_json import (
    read_a1111,
    read_card,
    read_civitai_info,
    read_cm_info,
    read_rgthree,
    read_swarm,
)
from support.readers_text import read_attributes, read_page, read_sha256
from support.writer_samples import HOSTILE_TITLES, WRITERS, content_of, hostile_header, sample_cards, writer

READERS: dict[str, Callable[[bytes], Any]] = {
    "civitai-info": read_civitai_info,
    "stability-matrix": read_cm_info,
    "swarm": read_swarm,
    "a1111": read_a1111,
    "rgthree": read_rgthree,
    "sha256-line": read_sha256,
    "model-manager": read_page,
    "json-tree": read_card,
}


def read(name: str, artifacts: list[Artifact]) -> Any:
    """Read what a writer rendered as its program does."""
    if name == "xattrs":
        return read_attributes({item.key: item.value for item in artifacts if isinstance(item, Xattr)})
    [artifact] = artifacts
    return READERS[name](content_of(artifact))


def ours(name: str, known: Card | None = None) -> Any:
    """Read what we write for the ordinary card."""
    return read(name, list(writer(name).render(known or card(), target())))


@pytest.mark.parametrize("name", [*READERS, "xattrs"])
def test_a_reader_takes_ours_for_every_card(name: str) -> None:
    taken = 0
    for sample in sample_cards():
        for view in (
            target(),
            target(header=None),
            *(target(header=hostile_header(it)) for it in HOSTILE_TITLES),
        ):
            artifacts = list(writer(name).render(sample, view))
            taken += bool(artifacts) and bool(read(name, artifacts))
    assert taken >= len(HOSTILE_TITLES)


@pytest.mark.parametrize("name", WRITERS)
def test_hostile_words_leave_every_format_in_utf_8(name: str) -> None:
    for sample in sample_cards():
        for artifact in writer(name).render(sample, target()):
            content_of(artifact).decode("utf-8", "strict")


@pytest.mark.parametrize("name", WRITERS)
def test_what_a_trainer_left_in_the_header_reaches_no_file(name: str) -> None:
    said = header(
        **{
            "modelspec.title": "/home/jane/models/final",
            "modelspec.tags": "fine, C:\\Users\\jane\\tags, jane@example.org",
            "modelspec.trigger_phrase": "~/train/jane",
            "ss_training_comment": "mail jane@example.org",
            "ss_sd_model_name": "/home/jane/base.safetensors",
            "/home/jane": "x",
            "ss_network_dim": "16",
        }
    )
    for known in (None, card()):
        for view in (target(header=said), target(header=said, answered=False, checked_at=None)):
            for artifact in writer(name).render(known, view):
                assert b"jane" not in content_of(artifact)


def test_stability_matrix_is_told_what_connects_a_model() -> None:
    data = ours("stability-matrix")
    assert (data["ModelId"], data["VersionId"], data["ModelType"]) == (101, 202, "LORA")
    assert (data["RemoteFileId"], data["RemoteFileName"]) == (2, "wisp.safetensors")
    assert data["ImportedAt"] == "2029-12-31T10:00:00.000+00:00"
    assert "Source" not in data


def test_swarm_is_told_a_title_words_and_tags() -> None:
    data = ours("swarm")
    assert (data["title"], data["author"]) == ("Will-o'-wisp - v2 für alle", "someone")
    assert (data["trigger_phrase"], data["tags"]) == ("wisp, pale light", ["light", "swamp"])
    assert (data["description"], data["hash_sha256"]) == ("it glows", "0x" + "cd" * 32)


def test_a1111_is_told_the_family_the_words_and_the_hash() -> None:
    data = ours("a1111")
    assert (data["sd version"], data["activation text"]) == ("SDXL", "wisp, pale light")
    assert (data["modelId"], data["modelVersionId"]) == (101, 202)
    assert not {"notes", "negative text", "preferred weight"} & set(data)


@pytest.mark.parametrize(
    "base_model,family",
    [
        ("SD 1.5", "SD1"),
        ("SD 2.1 768", "SD2"),
        ("SDXL 1.0", "SDXL"),
        ("Pony", "SDXL"),
        ("Pony V7", None),
        ("NoobAI", "SDXL"),
        ("SD 3.5 Large", "SD3"),
        ("Flux.1 D", "Flux"),
        ("Flux.2 D", None),
        ("Wan Video", None),
        (None, None),
    ],
)
def test_a1111_is_told_no_family_it_does_not_have(base_model: str | None, family: str | None) -> None:
    assert ours("a1111", card(base_model=base_model)).get("sd version") == family


def test_rgthree_need_neither_ask_nor_hash() -> None:
    data = ours("rgthree")
    assert data["file"] == "styles/wisp.safetensors"
    assert data["raw"]["civitai"]["id"] == 202
    assert data["trainedWords"] == [
        {"word": "wisp", "civitai": True},
        {"word": "pale light", "civitai": True},
    ]
    [artifact] = writer("rgthree").render(card(), target())
    assert getattr(artifact, "suffix", "") == ".safetensors.rgthree-info.json"


def test_model_manager_shows_words_and_both_descriptions() -> None:
    known = card(version_description_html="<p>one</p><ul><li>two</li></ul># three<br>---")
    data = ours("model-manager", known)
    assert (data["website"], data["author"], data["baseModel"]) == ("Civitai", "someone", "Illustrious")
    assert data["sections"] == {
        "Trigger Words": ["- wisp", "- pale light"],
        "About this version": ["one", "two", r"\# three", r"\-\-\-"],
        r"Will\-o'\-wisp": ["it glows"],
    }


def test_attributes_name_tags_comment_origin_and_hash() -> None:
    data = ours("xattrs", card(page_url="https://civitai.com/models/101"))
    assert data["tags"] == ["light", "swamp"]
    assert data["user.xdg.comment"] == "Will-o'-wisp - v2 für alle (wisp, pale light)"
    assert data["user.xdg.origin.url"] == "https://civitai.com/models/101"


def test_the_tree_says_what_show_says() -> None:
    data = ours("json-tree")
    assert (data["root"], data["path"], data["state"]) == ("loras", "styles/wisp.safetensors", "published")
    assert data["match"]["checked_at"] == "2029-12-31T10:00:05Z"
    assert data["downloads"][0]["urls"][0]["source"] == "civitai"


BROKEN: list[tuple[str, dict[str, Any]]] = [
    ("stability-matrix", {"Source": "Civitai"}),
    ("stability-matrix", {"ModelType": None}),
    ("stability-matrix", {"Hashes": None}),
    ("stability-matrix", {"Hashes": {"SHA256": "ab" * 32}}),
    ("stability-matrix", {"ModelId": "101"}),
    ("stability-matrix", {"VersionId": 2**31}),
    ("stability-matrix", {"Tags": [None]}),
    ("stability-matrix", {"Nsfw": 0}),
    ("stability-matrix", {"ImportedAt": "2029-12-31T10:00:00"}),
    ("stability-matrix", {"ImportedAt": "2029-12-31T10:00:00.000001+00:00"}),
    ("stability-matrix", {"Stats": {"downloadCount": 1.5}}),
    ("stability-matrix", {"modelId": 101}),
    ("swarm", {"modelspec.resolution": "big"}),
    ("swarm", {"modelspec.tags": ["x"] * 129}),
    ("swarm", {"modelspec.title": ["x"]}),
    ("swarm", {"modelspec.title": ""}),
    ("swarm", {"modelspec.hash_sha256": "cd" * 32}),
    ("a1111", {"modelVersions": []}),
    ("a1111", {"preferred weight": "strong"}),
    ("a1111", {"preferred weight": 3}),
    ("a1111", {"sd version": "Illustrious"}),
    ("a1111", {"activation text": ["wisp"]}),
    ("a1111", {"sha256": "ab" * 32}),
    ("a1111", {"modelId": "101"}),
    ("rgthree", {"raw": {"civitai": {}}}),
    ("rgthree", {"raw": {"metadata": {"a": 1}}}),
    ("rgthree", {"trainedWords": ["wisp"]}),
    ("rgthree", {"sha256": "AB" * 32}),
    ("rgthree", {"modified": 1_900_000_000}),
    ("rgthree", {"images": [{"type": "image"}]}),
    ("civitai-info", {"id": "202"}),
    ("civitai-info", {"files": [{"primary": True}, {"primary": True}]}),
    ("json-tree", {"hashes": {"sha256": None}}),
    ("json-tree", {"trained_words": None}),
    ("json-tree", {"size_bytes": "9"}),
    ("json-tree", {"match": {"provider": "civitai"}}),
]


@pytest.mark.parametrize("name,changes", BROKEN)
def test_a_reader_refuses_one_wrong_value(name: str, changes: dict[str, Any]) -> None:
    [artifact] = writer(name).render(card(), target(stamp=target().stamp))
    data = {**json.loads(content_of(artifact)), **changes}
    READERS[name](content_of(artifact))
    with pytest.raises(RefusedError):
        READERS[name](json.dumps(data).encode())


@pytest.mark.parametrize("name", sorted(set(READERS) - {"sha256-line", "model-manager"}))
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b"null",
        b"\xef\xbb\xbf{}",
        b'{"a": NaN}',
        b'{"a": 1, "a": 1}',
        b'{"a": "\xff"}',
        b'{"a": "\\ud83d"}',
    ],
)
def test_a_reader_refuses_what_is_no_proper_object(name: str, content: bytes) -> None:
    with pytest.raises(RefusedError):
        READERS[name](content)


@pytest.mark.parametrize("name", sorted(set(READERS) - {"sha256-line", "model-manager", "a1111"}))
def test_a_reader_refuses_an_object_without_what_it_needs(name: str) -> None:
    with pytest.raises(RefusedError):
        READERS[name](b"{}")


def test_the_civitai_reader_refuses_what_only_some_machines_could_read() -> None:
    with pytest.raises(RefusedError):
        read_civitai_info('{"id": 1, "modelId": 1, "name": "für"}'.encode())


@pytest.mark.parametrize(
    "content", [b"", b"ab" * 32 + b"\n", b"AB" * 32, b"ab" * 31, b" " + b"ab" * 32, b"\xff" * 64]
)
def test_the_reader_of_the_bare_hash_refuses_all_else(content: bytes) -> None:
    with pytest.raises(RefusedError):
        read_sha256(content)


@pytest.mark.parametrize(
    "old,new",
    [
        (b"---\n", b""),
        (b"\n---\n", b"\n"),
        (b"website: Civitai", b"website: [Civitai"),
        (b"website: Civitai", b"site: Civitai"),
        (b"author: someone", b"author: 5"),
        (b"# Trigger Words", b"# Trigger Words\n\n# Trigger Words"),
        (b"it glows", b"<script>it glows"),
        (b"it glows", b"---"),
        (b"it glows", b"\xe2\x80\xaeit glows"),
        (b"it glows", b"\x00"),
        (b"it glows", b"\xff"),
        (b"SHA256: ", b"SHA256: x"),
    ],
)
def test_the_reader_of_pages_refuses_a_broken_one(old: bytes, new: bytes) -> None:
    [artifact] = writer("model-manager").render(card(), target())
    content = content_of(artifact)
    assert old in content
    with pytest.raises(RefusedError):
        read_page(content.replace(old, new, 1))


@pytest.mark.parametrize(
    "changes",
    [
        {"user.xdg.tags": b"a,,b"},
        {"user.xdg.tags": b"a,a"},
        {"user.xdg.comment": b"two\nlines"},
        {"user.xdg.comment": b"\xff"},
        {"user.xdg.comment": b"x" * 4096},
        {"user.xdg.origin.url": b"javascript:alert(1)"},
        {"user.checksum.sha256": b"AB" * 32},
        {"trusted.x": b"1"},
    ],
)
def test_the_reader_of_attributes_refuses_a_broken_one(changes: dict[str, bytes]) -> None:
    values = {
        item.key: item.value for item in writer("xattrs").render(card(), target()) if isinstance(item, Xattr)
    }
    read_attributes(values)
    with pytest.raises(RefusedError):
        read_attributes({**values, **changes})
