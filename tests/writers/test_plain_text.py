"""Words of a card as plain text."""

import pytest

from hashtagd.writers.plain_text import one_line, tags_of, text_of, title_of, words_of
from support.publish_fakes import card


@pytest.mark.parametrize(
    "html,text",
    [
        (None, ""),
        ("<p>one</p><p>two</p>", "one\ntwo"),
        ("a<br/>b<BR>c", "a\nb\nc"),
        ("<ul><li>x</li><li>y</li></ul>", "x\ny"),
        ("1 &lt; 2 &amp; 3", "1 < 2 & 3"),
        ("</script><script>alert(1)</script>", "alert(1)"),
        ("use /models/loras/ and mail@example.org", "use /models/loras/ and mail@example.org"),
        ("\u202eback\u202c\x00", "back"),
        ("x" * 100_000, "x" * 8_000),
        ("<p>" * 100_000, ""),
    ],
)
def test_a_description_becomes_lines(html: str | None, text: str) -> None:
    assert text_of(html) == text


def test_a_title_names_model_and_version_or_the_file() -> None:
    assert title_of(card(model_name="a\nb", version_name=None), "stem") == "a b"
    assert title_of(card(model_name=" ", version_name="v1"), "stem") == "stem - v1"


def test_a_line_is_cut_and_has_no_half_characters() -> None:
    assert one_line("x \ud83d y", 3) == "x y"
    assert len(one_line("x" * 10_240)) == 200


def test_words_and_tags_are_told_once_and_tags_have_no_commas() -> None:
    known = card(trained_words=("a", " a ", "", "b, c"), tags=("One,two", "one two", ","))
    assert words_of(known) == ("a", "b, c")
    assert tags_of(known) == ("one two",)
