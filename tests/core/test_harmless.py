"""Texts by strangers: what is private is found, and what only looks a little like it is left alone."""

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagd.core.harmless import HIDDEN, is_private, line, prose, word, words
from support.hearsay import SECRETS, stored

PRIVATE = [
    *SECRETS,
    *("/home/joe", "/Users/Joe Doe/x", "~/x", "~joe/x", "/root", "/mnt/x", "(/home/joe/x)", "path:/srv/a/b"),
    *("C:\\x", "c:/x/y", "see D:\\My Models\\x", "\\\\nas\\share", "out\\x", "./x", "../x", "a/../b"),
    *("a/b.safetensors", "out/caption.TXT", "file:///srv/x", "joe.doe+x@mail.example.com"),
    *(
        "ghp_" + "a1" * 18,
        "sk-" + "a1" * 12,
        "a1" * 16,
        "AKIA" + "A1" * 8,
        "api_key: abcdef",
        "PASSWORD='abcdef'",
    ),
    *("ey" + "a" * 20 + ".ey" + "b" * 20, "Bearer abcdefgh12345678", "-----BEGIN PRIVATE KEY-----"),
]
HARMLESS = [
    *("1girl", "fate/stay night", "artist \\(style\\)", "\\m/", "o_o", ">:/", ":/", "a/b", "and/or", "50/50"),
    *(
        "https://civitai.com/models/1?modelVersionId=2",
        "ab" * 32,
        "@user",
        "v1.0 w/ hat",
        "token: x",
        "r/place",
    ),
    *(
        "style @ 0.8",
        "Made Style v2.0 (SDXL)",
        "key visual",
        "x.safetensors",
        "12:30",
        "https://models.example/LICENSE.txt",
        "secret garden",
    ),
]


@pytest.mark.parametrize("text", PRIVATE)
def test_paths_logins_addresses_and_keys_are_private(text: str) -> None:
    assert is_private(text)
    assert line(text, 500) is None
    assert word(text) is None


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_words_are_not(text: str) -> None:
    assert not is_private(text)
    assert line(text, 500) == word(text) == prose(text, 500) == text


def test_a_line_is_one_and_not_longer_than_asked() -> None:
    assert line("  a\x00 \n\n b\ud800\x1b[31m\u202e ", 100) == "a b[31m"
    assert line("abc def", 4) == "abc"
    assert line(" \n\x00", 100) is None
    assert line("\u202e", 100) is None
    assert line(" None ", 100) is None
    assert word("null") is None
    assert line(None, 100) is None
    assert line(3, 100) is None


def test_what_is_private_is_found_before_the_text_is_cut() -> None:
    assert line("x" * 8 + " somebody@example.com", 20) is None
    assert prose("x" * 8 + " somebody@example.com", 20) == "x" * 8 + f" {HIDDEN}"


def test_words_between_commas_stand_each_once() -> None:
    assert words(" a, b c,,a,/home/x/y, d ", 3) == ("a", "b c", "d")
    assert words("a,b,c", 2) == ("a", "b")
    assert words(None, 3) == ()
    assert word("x" * 101) is None
    assert word("a\nb") is None


def test_of_prose_only_the_private_parts_are_blanked_out() -> None:
    text = "<p>Made with <b>care</b>.</p>\nAsk joe@mail.example.com, or see /home/joe/a b/x.txt !"
    assert prose(text, 500) == f"Made with care.\nAsk {HIDDEN}, or see {HIDDEN} !"
    assert prose("a < b and c > d", 500) == "a < b and c > d"
    assert prose(" joe@mail.example.com ", 500) is None
    assert prose("<br>", 500) is None
    assert (
        prose("1 &lt; 2 &amp; &#51; joe&#64;mail.example.com&#x202e;&#0;", 500) == f"1 < 2 & 3 {HIDDEN}\ufffd"
    )
    assert prose("a&#" + "9" * 5_000 + ";b", 8_000) == "ab"
    assert prose(None, 500) is None


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_is_left_in_prose(secret: str) -> None:
    for text in (
        secret,
        f"see {secret} there",
        f"({secret})",
        f"a\n{secret}\nb",
        f'"{secret}"',
        f"<b>{secret}</b>",
        f"x{secret}",
    ):
        assert "somebody" not in (prose(text, 500) or "")


@given(st.text(max_size=200))
def test_any_text_becomes_storable(text: str) -> None:
    for made in (line(text, 50), prose(text, 50), word(text)):
        assert made is None or 0 < len(made) <= 100
        stored(made)


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "a",
            "a@",
            "@a.",
            "ey-",
            "/a",
            " /a",
            "/a ",
            "~",
            "C:/",
            "C:\\a ",
            "token=",
            "hf_",
            "<a",
            "<a>",
            "\\\\a\\",
        ),
        *(
            "://",
            "://a@",
            "a.",
            "a@a.",
            "bearer ",
            "-----BEGIN PRIVATE KEY",
            "file:/",
            "/home/",
            "./",
            "[\\/",
        ),
    ],
)
@pytest.mark.parametrize("read", [lambda text: prose(text, 8_000), lambda text: line(text, 8_000)])
def test_no_text_takes_long(piece: str, read: Callable[[str], str | None]) -> None:
    """Processor time; a pattern that goes back over the text again and again would take minutes."""
    began_s = time.process_time()
    read(piece * 200_000)
    assert time.process_time() - began_s < 1
