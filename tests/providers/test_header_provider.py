"""What a file's own header is worth."""

import json

import pytest

from hashtagd.core.card import Availability, Confidence
from hashtagd.core.digests import Digests
from hashtagd.core.header import Header
from hashtagd.core.work import Absent, Found, Subject
from hashtagd.providers.header import HeaderProvider, card_of
from support.surroundings import sha


def header(family: str | None = None, kind: str | None = None, **metadata: str) -> Header:
    named = {name.replace("__", "."): value for name, value in metadata.items()}
    return Header(length_bytes=100, tensor_count=1, metadata=named, family=family, kind=kind)


def ask(described: Header | None) -> Found | Absent:
    subject = Subject(hash=sha(1), digests=Digests(sha256=sha(1)), header=described, size_bytes=1000)
    answers = dict(HeaderProvider().ask([subject, subject]))
    assert list(answers) == [sha(1)]
    answer = answers[sha(1)]
    assert isinstance(answer, Found | Absent)
    return answer


def test_a_file_that_says_nothing_is_absent() -> None:
    assert isinstance(ask(None), Absent)
    assert isinstance(ask(header()), Absent)
    assert isinstance(ask(header(format="pt")), Absent)


def test_a_header_makes_a_claim_and_no_more() -> None:
    answer = ask(header("SDXL", "LORA", modelspec__title="A style", modelspec__author="somebody"))
    assert isinstance(answer, Found)
    card = answer.card
    assert (card.provider, card.by) == ("header", "header")
    assert (card.confidence, card.availability) == (Confidence.CLAIMED, Availability.UNKNOWN)
    assert (card.model_name, card.kind, card.creator) == ("A style", "LORA", "somebody")
    assert not card.downloadable
    assert card.model_id is None


@pytest.mark.parametrize(
    "described, family",
    [
        (header(ss_base_model_version="sd_v1"), "SD 1.5"),
        (header(ss_base_model_version="flux1"), "Flux.1 D"),
        (header(ss_base_model_version="sdxl_base_v1-0"), "SDXL (from the file)"),
        (header(modelspec__architecture="stable-diffusion-xl-v1-base/lora"), "SDXL (from the file)"),
        (header(modelspec__architecture="flux-1-dev/lora"), "Flux.1 D"),
        (header("SDXL"), "SDXL (from the file)"),
        (header("SDXL", ss_base_model_version="sdxl_base_v1-0"), "SDXL (from the file)"),
        (header(ss_v2="True"), "SD 2.x (from the file)"),
        (header(ss_v2="False"), "SD 1.x (from the file)"),
        (header(ss_base_model_version="next_v9"), None),
    ],
)
def test_the_family_is_named_as_finely_as_the_file_knows_it(described: Header, family: str | None) -> None:
    """Pony and Illustrious are SDXL by their tensors and by kohya's word; the file cannot tell them apart."""
    card = card_of(described)
    assert (card.base_model if card else None) == family


def test_a_stated_trigger_phrase_wins() -> None:
    tags = json.dumps({"10_x": {"other": 5}})
    card = card_of(header(modelspec__trigger_phrase="word one, word two", ss_tag_frequency=tags))
    assert card is not None
    assert card.trained_words == ("word one", "word two")


def test_tags_that_stand_on_every_picture_are_candidates() -> None:
    tags = json.dumps({"10_a": {"trigger": 50, "hat": 7}, "5_b": {"trigger": 50, " style ": 95, "bad": "x"}})
    card = card_of(header(ss_tag_frequency=tags))
    assert card is not None
    assert card.trained_words == ("trigger", "style")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", '{"a":7}', '{"a":{"b":null}}', "[" * 5000, '{"a":{"/home/x":9}}']
)
def test_broken_tag_counts_say_nothing(text: str) -> None:
    assert card_of(header(ss_tag_frequency=text)) is None


@pytest.mark.parametrize("name", ["/home/somebody/out/x", "C:\\Users\\somebody\\x", "out/x"])
def test_paths_of_the_trainers_machine_are_not_published(name: str) -> None:
    described = header(
        "SDXL", ss_output_name=name, ss_sd_model_name=name, ss_vae_name=name, modelspec__trigger_phrase=name
    )
    card = card_of(described)
    assert card is not None
    assert "somebody" not in str(card.to_json())
    assert card.model_name is None


def test_a_name_that_is_no_path_serves_as_title() -> None:
    card = card_of(header(ss_output_name="my style v2"))
    assert card is not None
    assert card.model_name == "my style v2"


@pytest.mark.parametrize("words", ['["one", "two", 3]', "one, two"])
def test_stated_words_are_read_in_both_forms(words: str) -> None:
    card = card_of(header(trained_words=words))
    assert card is not None
    assert card.trained_words == ("one", "two")


@pytest.mark.parametrize(
    "metadata, kind",
    [
        ({"modelspec__architecture": "flux-1-dev/lora"}, "LORA"),
        ({"modelspec__architecture": "flux-1-dev/controlnet"}, "Controlnet"),
        ({"ss_network_module": "lycoris.kohya", "ss_base_model_version": "sd_v1"}, "LORA"),
        ({"modelspec__architecture": "flux-1-dev"}, None),
    ],
)
def test_the_kind_is_read_where_the_tensors_were_silent(metadata: dict[str, str], kind: str | None) -> None:
    card = card_of(header(**metadata))
    assert card is not None
    assert card.kind == kind


def test_what_no_store_can_hold_is_dropped() -> None:
    """F57."""
    card = card_of(header(modelspec__title="a\x00b\ud800c\nd"))
    assert card is not None
    assert card.model_name == "abc d"
