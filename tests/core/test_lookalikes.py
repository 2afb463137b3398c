"""Guesses about files that are no models."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagd.core.lookalikes import looks_like


@pytest.mark.parametrize(
    "prefix,words",
    [
        (b"\x1f\x8b\x08", "gzip"),
        (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
        (b"Rar!\x1a\x07\x01\x00", "RAR"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"SQLite format 3\0", "SQLite"),
        (b"\x93NUMPY\x01\x00", "NumPy"),
        (b"\xef\xbb\xbf\r\n <HTML lang=en>", "HTML"),
        (b"<?xml version='1.0'?><Error/>", "XML"),
        (b'[{"code": 1}]', "JSON"),
        (b"Not Found\r\n", "text"),
    ],
)
def test_common_kinds_are_named(prefix: bytes, words: str) -> None:
    """F27."""
    guess = looks_like(prefix)
    assert guess is not None
    assert words in guess


@pytest.mark.parametrize("prefix", [b"", b"   ", b"\x80", b"\x80\x09", b"\x00\x01\x02", b"caf\xe9"])
def test_nothing_is_guessed_from_bytes_that_say_nothing(prefix: bytes) -> None:
    assert looks_like(prefix) is None


@given(st.binary(max_size=512))
def test_any_bytes_may_be_guessed_at(prefix: bytes) -> None:
    assert looks_like(prefix) is None or looks_like(prefix) != ""
