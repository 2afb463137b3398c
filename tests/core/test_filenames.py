import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagd.core.filenames import LONGEST_NAME_BYTES, numbered, safe_name


@pytest.mark.parametrize(
    "name, safe",
    [
        ("ink wash.safetensors", "ink wash.safetensors"),
        ("../../etc/passwd", "passwd"),
        ("C:\\models\\x.safetensors", "x.safetensors"),
        (".hidden.safetensors", "hidden.safetensors"),
        ("~$lock.safetensors", "$lock.safetensors"),
        ('a<b>:"c|?*.safetensors', "a b c.safetensors"),
        ("a\u202egpj.safetensors", "a gpj.safetensors"),
        ("a\x00b\n.safetensors", "a b.safetensors"),
        ("CON.safetensors", "_CON.safetensors"),
        ("com1", "_com1"),
        ("name. . ", "name"),
        ("墨絵.safetensors", "墨絵.safetensors"),
        ("e\u0301.safetensors", "é.safetensors"),
        ("v1.0 for IL", "v1.0 for IL"),
        ("", "other.safetensors"),
        ("///", "other.safetensors"),
        ("...", "other.safetensors"),
        ("\ud800", "other.safetensors"),
    ],
)
def test_a_name_is_made_fit_for_any_disk(name: str, safe: str) -> None:
    assert safe_name(name, otherwise="other.safetensors") == safe


def test_a_long_name_keeps_its_extension() -> None:
    made = safe_name("墨" * 300 + ".safetensors", otherwise="x")
    assert made.endswith("墨.safetensors")
    assert len(made.encode()) <= LONGEST_NAME_BYTES
    assert len(numbered(made, 123456).encode()) <= LONGEST_NAME_BYTES


def test_where_nothing_is_left_at_all_it_is_a_model() -> None:
    assert safe_name("?", otherwise="..") == "model"


def test_a_mark_stands_before_the_extension() -> None:
    assert numbered("ink.safetensors", 7) == "ink-7.safetensors"
    assert numbered("ink", "7-8") == "ink-7-8"


@given(st.text(), st.text())
def test_any_name_becomes_one_component_that_stays_as_it_is(name: str, otherwise: str) -> None:
    made = safe_name(name, otherwise=otherwise)
    assert made
    assert "/" not in made
    assert made not in {".", ".."}
    assert not made.startswith((".", "~"))
    assert not made.endswith((".", " "))
    assert len(made.encode()) <= LONGEST_NAME_BYTES
    assert safe_name(made, otherwise="x") == made
