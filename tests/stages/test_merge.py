"""Merging into other programs' JSON: what is not ours never changes, and a second merge has nothing to do."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagd.core.artifacts import JsonMerge, OtherBytes
from hashtagd.stages.exact_json import write_json
from hashtagd.stages.merge import Merged, Refused, Unchanged, merge
from hashtagd.writers import make_writer
from support.publish_fakes import card, target

KEYS = st.sampled_from(["a", "b", "c", "d", "sha256", "civitai", "é", ""])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
#: what JSON allows and no float holds: `1e400`, `-0`, `0.10`, thirty digits
NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,29})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?", fullmatch=True)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=6)
MERGES = st.builds(
    JsonMerge,
    suffix=st.just(".x.json"),
    owned=st.dictionaries(st.just("a"), VALUES, max_size=1),
    fill=st.dictionaries(st.sampled_from(["b", "c"]), VALUES, max_size=2),
    absent=st.dictionaries(st.just("d"), VALUES, max_size=1),
    renewed=st.dictionaries(st.just(""), VALUES, max_size=1),
    union=st.dictionaries(st.just("é"), st.tuples(st.text(max_size=2), st.text(max_size=2)), max_size=1),
    update=st.dictionaries(st.just("civitai"), OBJECTS, max_size=1),
    union_in=st.frozensets(st.tuples(st.just("civitai"), KEYS), max_size=2),
    keep_in=st.frozensets(st.tuples(st.just("civitai"), KEYS), max_size=2),
    empty=st.dictionaries(st.sampled_from(["b", "c"]), st.tuples(VALUES), max_size=2),
)


def small(**changes: Any) -> JsonMerge:
    """Make a merge that owns `ours` and fills `name`."""
    return JsonMerge(**{"suffix": ".x.json", "owned": {"ours": 1}, "fill": {"name": "new"}, **changes})


def result_of(existing: dict[str, Any] | None, artifact: JsonMerge, **how: Any) -> Any:
    before = None if existing is None else json.dumps(existing).encode()
    result = merge(before, artifact, **how)
    assert isinstance(result, Merged), result
    return json.loads(result.content)


@given(existing=OBJECTS, artifact=MERGES, ours=st.booleans())
def test_a_merge_of_its_own_result_is_a_fixed_point(
    existing: dict[str, Any], artifact: JsonMerge, *, ours: bool
) -> None:
    result = merge(json.dumps(existing).encode(), artifact, ours=ours)
    if isinstance(result, Merged):
        assert merge(result.content, artifact, ours=ours) == Unchanged()
        assert merge(result.content, artifact) == Unchanged()


@given(existing=OBJECTS, artifact=MERGES, ours=st.booleans())
def test_keys_that_the_merge_does_not_name_never_change(
    existing: dict[str, Any], artifact: JsonMerge, *, ours: bool
) -> None:
    """P6."""
    result = merge(json.dumps(existing).encode(), artifact, ours=ours)
    if isinstance(result, Merged):
        after = json.loads(result.content)
        named = {*artifact.owned, *artifact.fill, *artifact.absent, *artifact.renewed}
        named |= {*artifact.union, *artifact.update}
        for key, value in existing.items():
            if key not in named:
                assert json.dumps(after[key]) == json.dumps(value)
        assert [key for key in after if key in existing] == list(existing)


@given(numbers=st.lists(NUMBERS, min_size=3, max_size=3), ours=st.booleans())
def test_numbers_of_others_survive_as_they_are_spelled(numbers: list[str], *, ours: bool) -> None:
    """P6."""
    one, two, three = numbers
    artifact = small(union={"words": ("w",)}, update={"civitai": {"id": 5}})
    words = f'["x", {three}]' if not ours else "[]"
    block = f'{{"size": {two}, "l": [{{"q": {three}}}]}}'
    text = f'{{"z": {one}, "name": {one}, "civitai": {block}, "words": {words}}}'
    result = merge(text.encode(), artifact, ours=ours)
    assert isinstance(result, Merged)
    after = json.loads(result.content, parse_int=str, parse_float=str)
    assert after["z"] == one
    if not ours:
        assert after["name"] == one
        assert after["civitai"] == {"size": two, "l": [{"q": three}], "id": "5"}
        assert after["words"] == ["x", three, "w"]


@given(value=OBJECTS, indent=st.integers(0, 4), ascii_only=st.booleans())
def test_a_merge_is_laid_out_as_json_usually_is(
    value: dict[str, Any], indent: int, *, ascii_only: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert write_json(value, indent=indent, ascii_only=ascii_only) == text


def test_a_value_that_says_the_same_in_another_spelling_is_no_reason_to_write() -> None:
    artifact = small(owned={"ours": 1.5}, fill={})
    assert merge(b'{"ours": 15e-1, "z": 1e400}', artifact) == Unchanged()


@given(existing=OBJECTS)
def test_every_foreign_object_stays_readable_for_lora_manager_after_a_merge(existing: dict[str, Any]) -> None:
    [artifact] = make_writer("lora-manager").render(card(), target())
    assert isinstance(artifact, JsonMerge)
    result = merge(json.dumps(existing).encode(), artifact)
    assert isinstance(result, Merged)
    after = json.loads(result.content)
    assert {
        "file_name",
        "model_name",
        "file_path",
        "size",
        "modified",
        "sha256",
        "base_model",
        "preview_url",
    } <= {*after}


@given(content=st.binary(max_size=40))
def test_any_bytes_are_merged_or_refused_but_never_a_crash(content: bytes) -> None:
    assert isinstance(merge(content, small()), Merged | Refused | Unchanged)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b'\xef\xbb\xbf{"a": 1}',
        b'{"a": "\xff"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a": ' + b"9" * 5_000 + b"}",
        b'{"a": NaN}',
        b'{"a": [-Infinity]}',
        b'{"a": 1, "a": 2}',
        b'{"z": [{"k": 1, "b": 0, "k": 1}]}',
        '{"a": 1}'.encode("utf-16"),
    ],
)
def test_what_is_no_json_object_is_refused_unless_we_wrote_it_ourselves(content: bytes) -> None:
    assert isinstance(merge(content, small()), Refused)
    mended = merge(content, small(), ours=True)
    assert isinstance(mended, Merged)
    assert json.loads(mended.content) == {"ours": 1, "name": "new"}


def test_another_document_under_the_same_name_is_refused() -> None:
    artifact = small(refuse_if=frozenset({"modelVersions"}))
    assert isinstance(merge(b'{"modelVersions": []}', artifact), Refused)


def test_nothing_is_written_when_only_the_spelling_would_change() -> None:
    assert merge(b'{"name":"x","ours":1,   "z":"\\u00e9"}\n', small()) == Unchanged()


def test_true_is_not_one() -> None:
    assert result_of({"ours": True, "name": "x"}, small()) == {"ours": 1, "name": "x"}


@pytest.mark.parametrize("present", [None, "", [], {}, "Unknown"])
def test_an_empty_value_is_filled(present: Any) -> None:
    filled = result_of({"name": present}, small(empty={"name": ("Unknown",)}))
    assert filled["name"] == "new"


@pytest.mark.parametrize("present", [0, False, "mine", ["x"]])
def test_a_value_of_somebody_is_not_filled(present: Any) -> None:
    assert result_of({"name": present}, small())["name"] == present


def test_what_we_filled_into_our_own_unedited_file_is_filled_anew() -> None:
    assert result_of({"name": "old", "ours": 1}, small(), ours=True)["name"] == "new"


def test_a_path_where_nothing_lies_is_filled_and_one_that_exists_is_kept() -> None:
    artifact = small(paths=frozenset({"name"}))
    assert result_of({"name": "/there"}, artifact, exists=lambda _: True)["name"] == "/there"
    assert result_of({"name": "/gone"}, artifact, exists=lambda _: False)["name"] == "new"


def test_lists_grow_at_the_end_and_values_of_other_types_stay() -> None:
    artifact = small(union={"words": ("b", "c", "c")})
    assert result_of({"words": ["x", "b"]}, artifact)["words"] == ["x", "b", "c"]
    assert result_of({"words": "mine"}, artifact)["words"] == "mine"
    assert result_of({}, artifact)["words"] == ["b", "c"]


def test_an_object_that_is_no_object_is_somebodys() -> None:
    artifact = small(update={"civitai": {"id": 1}})
    assert result_of({"civitai": ["x"]}, artifact)["civitai"] == ["x"]
    assert result_of({"civitai": None}, artifact)["civitai"] == {"id": 1}


def test_a_null_object_stays_null_when_we_have_nothing_to_say() -> None:
    assert result_of({"civitai": None}, small(update={"civitai": {}}))["civitai"] is None


@pytest.mark.parametrize(
    "block,kept",
    [
        ({"files": [{"hashes": {"SHA256": "AA"}}]}, True),
        ({"files": [{"hashes": {"SHA256": "bb"}}]}, False),
        ({"files": [None, {"hashes": []}]}, False),
        ({"files": 5}, False),
        ([], False),
    ],
)
def test_a_block_about_other_bytes_goes_unless_it_names_ours(block: Any, *, kept: bool) -> None:
    other = OtherBytes(key="sha", sha256="aa", drop=frozenset({"block"}))
    after = result_of({"sha": "BB", "block": block}, small(other_bytes=other))
    assert ("block" in after) is kept


def test_half_a_surrogate_pair_of_somebody_survives() -> None:
    result = merge(b'{"notes": "\\ud83d", "more": "\\u00e9"}', small())
    assert isinstance(result, Merged)
    assert json.loads(result.content.decode("utf-8"))["notes"] == "\ud83d"


def test_a_renewed_key_is_set_where_it_is_absent_and_anew_while_the_file_is_ours() -> None:
    artifact = small(renewed={"words": "b"})
    assert result_of({"name": "x"}, artifact)["words"] == "b"
    assert result_of({"words": ""}, artifact)["words"] == ""
    assert result_of({"words": "a"}, artifact, ours=True)["words"] == "b"


@pytest.mark.parametrize(
    "existing,refused",
    [
        ({"id": 7}, True),
        ({"id": "7"}, True),
        ({"id": True}, True),
        ({"id": 1}, False),
        ({"hash": "ABCD"}, False),
        ({"hash": "ef"}, True),
        ({"id": None, "hash": ""}, False),
        ({"id": "not found"}, False),
        ({}, False),
    ],
)
def test_a_file_that_tells_of_another_model_is_refused(existing: dict[str, Any], *, refused: bool) -> None:
    artifact = small(agrees={"id": 1, "hash": "abcd"}, empty={"id": ("not found",)})
    result = merge(json.dumps(existing).encode(), artifact)
    assert (result == Refused(reason="it tells of another model")) is refused
    assert isinstance(merge(json.dumps(existing).encode(), artifact, ours=True), Merged)
