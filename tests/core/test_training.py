"""What a file says of its training: read where it makes sense, passed over where it does not."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashtagd.core.claimed import claimed_tensors_sha256, claimed_version
from hashtagd.core.header import Header, Whole, judge
from hashtagd.core.training import Training, training_of
from support.hearsay import CHANGES, JUNK, RETYPED, SECRETS, changed, stored, trained
from support.safetensors import frame


def of(**metadata: str) -> Training:
    training = training_of(metadata)
    return Training() if training is None else training


def test_a_file_that_says_nothing_of_a_training_has_none() -> None:
    assert training_of({}) is None
    assert training_of({"modelspec.title": "x", "format": "pt", "ss_network_dim": "None"}) is None


def test_every_fact_is_read_in_its_own_type() -> None:
    assert training_of(trained()) == Training(
        network_module="networks.lora",
        rank=32,
        alpha=16.0,
        base_model_name="base_v1.0",
        images=240,
        epochs=8,
        steps=1920,
        resolution="1024x768",
        clip_skip=2,
        started_at="2025-01-01T00:00:00Z",
        finished_at="2025-01-01T01:00:00Z",
        comment="a first try",
        optimizer="bitsandbytes.optim.adamw.AdamW8bit(weight_decay=0.1)",
        learning_rate=0.0001,
        trigger_candidates=(("madestyle", 24), ("1girl", 12), ("outdoors", 3)),
        folder_hints=("madestyle",),
    )


def test_the_json_of_a_training_is_made_of_plain_values() -> None:
    training = of(**trained())
    data = json.loads(stored(training.to_json()))
    assert data["trigger_candidates"][0] == ["madestyle", 24]
    assert data["folder_hints"] == ["madestyle"]
    assert (data["rank"], data["alpha"], data["started_at"]) == (32, 16.0, "2025-01-01T00:00:00Z")


def test_what_was_planned_stands_in_where_nothing_says_what_was_done() -> None:
    training = of(ss_num_epochs="10", ss_max_train_steps="2400")
    assert (training.epochs, training.steps) == (10, 2400)


@pytest.mark.parametrize("stated,rank", [("None", 8), ("Dynamic", 8), ("", 8), ("65537", 8), ("16", 16)])
def test_the_rank_of_the_tensors_serves_where_none_is_stated(stated: str, rank: int) -> None:
    training = training_of({"ss_network_dim": stated}, tensor_rank=8)
    assert training is not None
    assert training.rank == rank


@pytest.mark.parametrize(
    "text",
    [
        *("", "None", "abc", "-4", "0", "1.5", "NaN", "inf", "1e999", "9" * 30, "9" * 5_000, "٣", "0x10"),
        *("[4]", "1_000", "4 5", "2000000000"),
    ],
)
def test_a_count_that_is_none_is_not_said(text: str) -> None:
    assert training_of({"ss_num_train_images": text}) is None


@pytest.mark.parametrize("text", ["24", " 24 ", "24.0", "2.4e1", "+24"])
def test_a_count_is_read_in_every_spelling(text: str) -> None:
    assert of(ss_num_train_images=text).images == 24


@pytest.mark.parametrize("text", ["0", "-1", "1e11", "1400000000", "9" * 12, "soon", "nan", "2025-01-01"])
def test_a_time_before_or_long_after_there_were_such_files_is_not_said(text: str) -> None:
    assert training_of({"ss_training_started_at": text}) is None


@pytest.mark.parametrize(
    "text,resolution",
    [
        ("(1024, 1024)", "1024x1024"),
        ("1024,768", "1024x768"),
        ("512x768", "512x768"),
        ("[640, 640]", "640x640"),
        ("(512,)", "512"),
        ("512", "512"),
        ("None", None),
        ("1", None),
        ("999999999", None),
        ("(1, 2, 3)", None),
        (" " * 100 + "512", None),
    ],
)
def test_a_resolution_is_read_in_every_spelling(text: str, resolution: str | None) -> None:
    assert of(ss_resolution=text).resolution == resolution


@pytest.mark.parametrize(
    "text,name",
    [
        ("base_v1.0.safetensors", "base_v1.0"),
        ("/home/somebody/models/base.ckpt", "base"),
        ("C:\\Users\\somebody\\base.SAFETENSORS", "base"),
        ("somelab/base-xl-1.0", "base-xl-1.0"),
        ("x" * 300 + "/base.pt", "base"),
        ("/home/somebody", None),
        ("C:\\Users\\somebody", None),
        ("/media/somebody", None),
        ("somebody@example.com", None),
        ("/models/", None),
        ("x" * 201, None),
        ("..", None),
        ("None", None),
        ("", None),
    ],
)
def test_of_the_base_only_a_bare_name_is_kept(text: str, name: str | None) -> None:
    assert of(ss_sd_model_name=text).base_model_name == name


def test_another_key_names_the_base_where_the_first_does_not() -> None:
    assert of(ss_sd_model_name="/home/somebody", base_model="base").base_model_name == "base"


# ---- words


def test_words_are_counted_over_all_folders() -> None:
    tags = {"10_a": {"made": 5, " hat ": 4}, "5_b": {"hat": 3, "made": 1}}
    assert of(ss_tag_frequency=json.dumps(tags)).trigger_candidates == (("hat", 7), ("made", 6))


def test_the_24_most_frequent_words_are_kept() -> None:
    tags = {"1_x": {f"tag{number}": number for number in range(1, 2_000)}}
    candidates = of(ss_tag_frequency=json.dumps(tags)).trigger_candidates
    assert candidates == tuple((f"tag{number}", number) for number in range(1_999, 1_975, -1))


def test_words_that_differ_by_what_cannot_be_stored_are_one() -> None:
    tags = {"1_x": {"made": 3, "made\x00": 4, "made\ud800": 5, "b": 6}}
    assert of(ss_tag_frequency=json.dumps(tags)).trigger_candidates == (("made", 12), ("b", 6))


@pytest.mark.parametrize("secret", SECRETS)
def test_what_is_private_is_nobodys_word(secret: str) -> None:
    tags = {f"10_{secret}": {secret: 50, "made": 1}, secret: {"made": 1}}
    training = of(ss_tag_frequency=json.dumps(tags))
    assert training.trigger_candidates == (("made", 2),)
    assert "somebody" not in str(training)


@pytest.mark.parametrize("count", [0, -1, True, 1.5, "3", None, [], 10**400, float("nan")])
def test_a_word_without_a_proper_count_is_passed_over(count: object) -> None:
    assert training_of({"ss_tag_frequency": json.dumps({"x": {"made": count}})}) is None


@pytest.mark.parametrize("text", ["{", "[]", "7", '{"x": 7}', '{"x": [1]}', "[" * 100_000, '"text"'])
def test_counts_that_are_no_counts_say_nothing(text: str) -> None:
    assert training_of({"ss_tag_frequency": text}) is None


def test_words_too_long_or_of_several_lines_are_no_words() -> None:
    tags = {"x": {"w" * 101: 9, "two\nlines": 8, "": 7, "w" * 100: 6}}
    assert of(ss_tag_frequency=json.dumps(tags)).trigger_candidates == (("w" * 100, 6),)


def test_the_names_of_the_folders_hint_at_the_word() -> None:
    tags = json.dumps({"10_made style": {}, "hats": {}, "sets/3_hat": {}, "10_": {}, "10_made style ": {}})
    training = of(ss_tag_frequency=tags, ss_dataset_dirs=json.dumps({"5_more": {}, "3_hat": {}}))
    assert training.folder_hints == ("made style", "hat", "more")


# ---- anything


@settings(max_examples=200)
@given(CHANGES)
def test_any_change_leaves_a_training_that_can_be_stored(changes: list[tuple[str, str, str]]) -> None:
    training = training_of(changed(changes))
    if training is not None:
        text = stored(training.to_json())
        assert len(text) < 10_000
        assert "/home/" not in text


@settings(max_examples=100)
@given(st.dictionaries(st.sampled_from(sorted(trained())), JUNK | RETYPED))
def test_any_type_under_any_key_is_borne(metadata: dict[str, str]) -> None:
    training = training_of(metadata)
    if training is not None:
        stored(training.to_json())


def test_values_of_many_megabytes_cost_next_to_nothing() -> None:
    """Processor time, so that a busy machine does not matter; to parse one of these alone takes longer."""
    tags = '{"x":{' + ",".join(f'"tag{number}":{number}' for number in range(1_000_000)) + "}}"
    for text in (tags, "a@-/~" * 4_000_000):
        began_s = time.process_time()
        training = of(**dict.fromkeys(trained(), text))
        assert time.process_time() - began_s < 0.5
        assert (training.rank, training.base_model_name, training.trigger_candidates) == (None, None, ())
        assert len(stored(training.to_json())) < 2_000


def test_the_longest_list_of_private_words_that_is_kept_is_looked_through_in_a_moment() -> None:
    words = {f"/home/{number}/{'a@' * 20}": number + 1 for number in range(4_000)}
    text = json.dumps({"x": words})[: 256 * 1024]
    assert len(text) > 200_000
    began_s = time.process_time()
    assert training_of({"ss_tag_frequency": text}) is None
    assert time.process_time() - began_s < 1


# ---- from the bytes of a file


@settings(max_examples=100)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.text(max_size=8) | JUNK,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=6,
    )
    | st.dictionaries(st.sampled_from(sorted(trained())), JUNK | RETYPED)
)
def test_whatever_stands_under_metadata_in_a_file_is_read_stored_and_read_again(metadata: object) -> None:
    text = json.dumps({"__metadata__": metadata}, allow_nan=True).encode()
    verdict = judge(frame(text), 8 + len(text))
    if not isinstance(verdict, Whole) or verdict.header is None:
        return  # numbers that are no JSON, or too deep: refused as a whole
    header = Header.from_json(json.loads(stored(verdict.header.to_json())))
    assert header == verdict.header
    training = training_of(header.metadata, tensor_rank=header.rank)
    stored(None if training is None else training.to_json())
    claimed_tensors_sha256(header)
    claimed_version(header.metadata)
