"""The version object for Civitai Helper and its friends."""

import json

import pytest

from hashtagd.core.artifacts import SidecarFile
from hashtagd.core.card import Card, Confidence
from hashtagd.writers import make_writer
from hashtagd.writers.civitai_info import is_placeholder
from support.publish_fakes import SHA256, card, raw_version, target


def render(known: Card | None) -> list[SidecarFile]:
    return [
        item for item in make_writer("civitai-info").render(known, target()) if isinstance(item, SidecarFile)
    ]


def test_only_our_file_is_primary_because_readers_take_its_hash_for_ours() -> None:
    [artifact] = render(card())
    files = json.loads(artifact.content)["files"]
    assert [(file["id"], file["primary"]) for file in files] == [(1, False), (2, True)]


def test_no_file_is_primary_when_the_owner_matched_a_version_without_our_bytes() -> None:
    [artifact] = render(card(confidence=Confidence.OWNER, provider="owner", raw=raw_version("11" * 32)))
    assert not any(file["primary"] for file in json.loads(artifact.content)["files"])


def test_the_rest_of_the_document_is_as_civitai_sent_it() -> None:
    [artifact] = render(card())
    assert {**json.loads(artifact.content), "files": None} == {**raw_version(SHA256), "files": None}
    assert artifact.content.startswith(b'{\n    "id": 202')


@pytest.mark.parametrize(
    "known",
    [
        None,
        card(provider="civarchive"),
        card(confidence=Confidence.TENSORS),
        card(confidence=Confidence.CLAIMED, provider="header"),
        card(version_id=None),
        card(raw={}),
    ],
)
def test_nothing_is_written_for_what_civitai_does_not_know(known: Card | None) -> None:
    assert render(known) == []


@pytest.mark.parametrize(
    "content,replaceable",
    [
        (b"{}", True),
        (b' {"skeleton_file": true, "id": ""}', True),
        (b'{"skeleton_file": false}', False),
        (b'{"id": 5}', False),
        (b"[]", False),
        (b"", False),
        (b"\xff\xfe", False),
        (b"[" * 100_000, False),
    ],
)
def test_only_a_file_that_means_asked_and_unknown_is_a_placeholder(
    content: bytes, *, replaceable: bool
) -> None:
    assert is_placeholder(content) is replaceable
