import time

import pytest

from hashtagd.nudges.plain import plain_text


@pytest.mark.parametrize(
    "text,plain",
    [
        ("", ""),
        ("just words", "just words"),
        ("<p>One.</p><p>Two &amp; three.</p>", "One.\nTwo & three."),
        ("<ul><li>a</li>\n  <li>b</li></ul>", "a\nb"),
        ("line<br/>line<BR>line", "line\nline\nline"),
        ('<a href="https://x.example/?token=1">link</a>', "link"),
        ("<script>alert(1)</script>after", "after"),
        ("before<style>p {color: red}", "before"),
        ("weight &lt;1 is fine", "weight <1 is fine"),
        ("3 < 4 and 5 > 4", "3 < 4 and 5 > 4"),
        ("a\x00b\u202ec\x1b[31m", "abc[31m"),
        ("&#0;&#27;x", "\ufffdx"),
        ("<p>   </p><p></p>", ""),
    ],
)
def test_marks_go_and_lines_stay(text: str, plain: str) -> None:
    assert plain_text(text, 1000) == plain


def test_a_long_text_is_cut() -> None:
    assert plain_text("word " * 1000, 12) == "word word wo"


@pytest.mark.parametrize("text", ["<script>" * 50_000, "<" * 400_000, "<p " * 100_000, "\n" * 400_000])
def test_hostile_text_takes_no_time(text: str) -> None:
    started = time.monotonic()
    plain_text(text, 4000)
    assert time.monotonic() - started < 5
