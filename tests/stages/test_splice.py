"""Changing a JSON text of somebody's: what nobody asked to change stays as it was typed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagd.core.artifacts import JsonMerge
from hashtagd.stages.exact_json import read_json
from hashtagd.stages.merge import Merged, merge
from hashtagd.stages.splice import splice

KEYS = st.sampled_from(["a", "b", "notes", "é", "", "\ud83d", '"\\'])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)
SPACES = st.text(" \t\r\n", max_size=3)


@st.composite
def typed(draw: st.DrawFn, value: Any) -> str:
    """Spell a value with spaces anywhere, as a person or another program may."""
    if isinstance(value, dict):
        items = [f"{draw(typed(key))}{draw(SPACES)}:{draw(typed(item))}" for key, item in value.items()]
    elif isinstance(value, list):
        items = [draw(typed(item)) for item in value]
    else:
        return draw(SPACES) + json.dumps(value) + draw(SPACES)
    start, end = "{}" if isinstance(value, dict) else "[]"
    middle = ",".join(f"{draw(SPACES)}{item}" for item in items) if items else draw(SPACES)
    return f"{draw(SPACES)}{start}{middle}{draw(SPACES)}{end}{draw(SPACES)}"


def ordered_like(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Give `after` with the keys that both have first, in their order."""
    return {**{key: after[key] for key in before if key in after}, **after}


@given(data=st.data(), before=OBJECTS, after=OBJECTS, indent=st.integers(0, 4), ascii_only=st.booleans())
def test_any_object_becomes_any_other_however_it_was_typed(
    data: st.DataObject, before: dict[str, Any], after: dict[str, Any], indent: int, *, ascii_only: bool
) -> None:
    text = data.draw(typed(before))
    wanted = ordered_like(before, {key: before.get(key, value) for key, value in after.items()})
    wanted |= {key: value for index, (key, value) in enumerate(after.items()) if index % 2}
    result = json.loads(splice(text, read_json(text), wanted, indent=indent, ascii_only=ascii_only))
    assert json.dumps(result, sort_keys=True) == json.dumps(wanted, sort_keys=True)
    assert list(result) == list(ordered_like(before, wanted))


@given(data=st.data(), value=OBJECTS)
def test_what_changes_nothing_changes_no_character(data: st.DataObject, value: dict[str, Any]) -> None:
    text = data.draw(typed(value))
    if value:
        assert splice(text, value, value, indent=2) == text


def test_line_ends_tabs_escapes_and_the_end_of_the_file_stay() -> None:
    theirs = b'{\r\n\t"notes": "caf\\u00e9 \\/ 1",\r\n\t"preferred weight" : 0.80,\r\n\t"l": [ 1,2 ]\r\n}\r\n'
    artifact = JsonMerge(suffix=".json", owned={}, fill={}, renewed={"description": "é", "m": {"n": [1]}})
    result = merge(theirs, artifact)
    assert isinstance(result, Merged)
    assert result.content == theirs[: -len(b"\r\n}\r\n")] + (
        b',\r\n\t"description": "\\u00e9",\r\n\t"m": {\r\n\t\t"n": [\r\n\t\t\t1\r\n\t\t]\r\n\t}\r\n}\r\n'
    )


@pytest.mark.parametrize(
    "theirs, ours",
    [
        ('{"a":1}', '{"a":1,"z":{"y":[1,2]}}'),
        ('{"a": 1, "b": 2}', '{"a": 1, "b": 2, "z": {"y": [1, 2]}}'),
        ('\n{\n "a": 1\n\n}', '\n{\n "a": 1,\n "z": {\n  "y": [\n   1,\n   2\n  ]\n }\n\n}'),
        ("{ }\n", '{\n  "z": {\n    "y": [\n      1,\n      2\n    ]\n  }\n}\n'),
    ],
)
def test_what_is_new_is_laid_out_like_its_neighbours(theirs: str, ours: str) -> None:
    result = merge(theirs.encode(), JsonMerge(suffix=".json", owned={"z": {"y": [1, 2]}}, fill={}))
    assert isinstance(result, Merged)
    assert result.content.decode() == ours


def test_within_a_block_that_is_updated_all_else_stays_as_it_was_typed() -> None:
    theirs = '{"civitai": {"trainedWords": ["a",  "b"], "customImages": [ {"u":"\\u0041"} ] ,"id": 1}}'
    artifact = JsonMerge(
        suffix=".json",
        owned={},
        fill={},
        update={"civitai": {"id": 2, "trainedWords": ["b", "c"]}},
        union_in=frozenset({("civitai", "trainedWords")}),
    )
    result = merge(theirs.encode(), artifact)
    assert isinstance(result, Merged)
    assert result.content.decode() == theirs.replace('"id": 1', '"id": 2').replace('"b"]', '"b",  "c"]')


def test_what_was_written_raw_by_others_stays_raw_beside_half_a_character_of_ours() -> None:
    result = splice('{"n": "ü"}', {"n": "ü"}, {"n": "ü", "z": "\ud83dé"}, indent=2, ascii_only=True)
    assert result == '{"n": "ü", "z": "\\ud83d\\u00e9"}'
