"""What a file's own header is worth."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashtagd.core.card import Availability, Card, Confidence, License
from hashtagd.core.digests import Digests
from hashtagd.core.header import Header
from hashtagd.core.work import Absent, Found, Subject
from hashtagd.providers.header import HeaderProvider, card_of
from support.hearsay import CHANGES, SECRETS, changed, stored, trained
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


@pytest.mark.parametrize("kind", ["VAE", "Controlnet", "Upscaler", "LORA"])
def test_a_file_whose_tensors_tell_only_its_kind_is_claimed_to_be_of_that_kind(kind: str) -> None:
    answer = ask(header(kind=kind))
    assert isinstance(answer, Found)
    assert (answer.card.kind, answer.card.base_model, answer.card.confidence) == (kind, None, "claimed")


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
        (header("Flux.1", ss_base_model_version="flux1"), "Flux.1 D"),
        (header("Flux.1", ss_base_model_version="chroma"), "Chroma"),
        (header("Flux.1 S", modelspec__architecture="Flux.1-schnell"), "Flux.1 S"),
        (header("Lumina 2", ss_base_model_version="lumina2"), "Lumina"),
        (header("SD 3.5 Large", ss_base_model_version="sd3_large"), "SD 3.5 Large (from the file)"),
        (header(modelspec__architecture="stable-diffusion-xl-v1-refiner"), "SDXL Refiner (from the file)"),
        (header(modelspec__architecture="flux-2-dev/lora"), "Flux.2 (from the file)"),
        (header(ss_base_model_version="hunyuan-image-2.1"), "Hunyuan Image (from the file)"),
        (header(ss_base_model_version="qwen_image_edit"), "Qwen-Image (from the file)"),
        # what was copied into the header is wrong where the tensors say otherwise
        (header("SDXL", ss_base_model_version="sd_v1"), "SDXL (from the file)"),
        (header("Flux.2 D", modelspec__architecture="flux-1-dev/lora"), "Flux.2 D (from the file)"),
        (header("Flux.1 S", ss_base_model_version="flux1"), "Flux.1 S (from the file)"),
        (
            header("SD 1.x", ss_base_model_version="chroma", modelspec__architecture="stable-diffusion-v1"),
            "SD 1.5",
        ),
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


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("key", sorted(trained()))
def test_nothing_private_gets_onto_a_card_by_any_key(key: str, secret: str) -> None:
    metadata = {**trained(), "modelspec.author": "another", key: f"{secret}"}
    for described in (metadata, {**metadata, key: f"look at {secret} there"}):
        card = card_of(Header(length_bytes=100, tensor_count=1, metadata=described))
        assert card is not None
        assert "somebody" not in str(card.to_json())


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


def test_all_that_a_file_says_stands_on_its_card() -> None:
    card = card_of(Header(length_bytes=100, tensor_count=1, metadata=trained(), family="SDXL", kind="LORA"))
    assert card is not None
    assert (card.model_id, card.version_id, card.air) == (1234, 5678, "urn:air:sdxl:lora:civitai:1234@5678")
    assert (card.model_name, card.kind, card.base_model) == ("Made Style", "LORA", "SDXL (from the file)")
    assert (card.trained_words, card.tags) == (("madestyle", "painted"), ("style", "made up"))
    assert card.creator == "somebody else"
    assert card.license == License(text="CreativeML Open RAIL++-M")
    assert card.description_html == "Paints &amp; draws.<br>Best at 0.8."
    assert card.confidence is Confidence.CLAIMED
    assert Card.from_json(json.loads(stored(card.to_json()))) == card


def test_older_keys_serve_where_the_newer_ones_are_silent() -> None:
    older = {
        "ssmd_tags": "a, b",
        "ssmd_author": "somebody",
        "ssmd_description": "x < y",
        "modelspec.tags": " ",
    }
    card = card_of(Header(length_bytes=100, tensor_count=1, metadata=older, family="SDXL"))
    assert card is not None
    assert (card.tags, card.creator, card.description_html) == (("a", "b"), "somebody", "x &lt; y")


def test_a_claimed_number_alone_is_worth_a_card() -> None:
    card = card_of(header(source_url="https://civitai.com/models/12"))
    assert card is not None
    assert (card.model_id, card.version_id, card.air) == (12, None, None)
    assert not card.downloadable


def test_html_in_a_description_is_taken_out_and_text_stays_text() -> None:
    said = (
        "<a href='https://models.example/'>Link</a> <script>bad()</script> &lt;img onerror=x&gt; a<b \n\n end"
    )
    card = card_of(header("SDXL", modelspec__description=said))
    assert card is not None
    assert card.description_html is not None
    assert "<" not in card.description_html.replace("<br>", "")
    assert card.description_html.startswith("Link bad()")


@settings(max_examples=200, deadline=None)
@given(CHANGES, st.sampled_from([None, "SDXL", "Flux.1"]))
def test_any_change_leaves_a_card_that_can_be_stored(
    changes: list[tuple[str, str, str]], family: str | None
) -> None:
    described = Header(length_bytes=100, tensor_count=1, metadata=changed(changes), family=family)
    card = card_of(described)
    if card is not None:
        assert card.confidence is Confidence.CLAIMED
        assert Card.from_json(json.loads(stored(card.to_json()))) == card
        assert "/home/" not in str(card.to_json())


def test_the_largest_metadata_that_are_kept_make_a_card_in_a_moment() -> None:
    """Processor time: several values of 256 KiB, which no pattern may go over again and again."""
    for piece in ("a, ", "a@", "<a", "/a/ ", '["a",', '{"a":', "token="):
        text = (piece * 200_000)[: 256 * 1024]
        began_s = time.process_time()
        card_of(Header(length_bytes=100, tensor_count=1, metadata=dict.fromkeys(trained(), text)))
        assert time.process_time() - began_s < 2


def test_what_no_store_can_hold_is_dropped() -> None:
    """F57."""
    card = card_of(header(modelspec__title="a\x00b\ud800c\nd"))
    assert card is not None
    assert card.model_name == "abc d"
