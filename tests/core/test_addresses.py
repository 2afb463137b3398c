"""Which part of an address may be kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagd.core.addresses import file_id_in, plain_address, source_of


@pytest.mark.parametrize(
    "url,kept",
    [
        (
            "https://civitai.com/api/download/models/1?fileId=2",
            "https://civitai.com/api/download/models/1?fileId=2",
        ),
        (
            "https://civitai.com/api/download/models/1?fileId=2&token=SECRET",
            "https://civitai.com/api/download/models/1",
        ),
        ("https://cdn.example/x.safetensors?X-Amz-Signature=SECRET", "https://cdn.example/x.safetensors"),
        ("https://joe:SECRET@h.example:8443/x#SECRET", "https://h.example:8443/x"),
        ("http://[2001:db8::1]/a b", "http://[2001:db8::1]/a%20b"),
    ],
)
def test_logins_signatures_and_fragments_are_dropped(url: str, kept: str) -> None:
    assert plain_address(url) == kept
    assert plain_address(kept) == kept


@pytest.mark.parametrize(
    "url",
    [
        None,
        7,
        "",
        "x",
        "file:///etc/passwd",
        "ftp://h.example/x",
        "https://",
        "https://[::1/x",
        "https://h.example:99999/x",
        "https://h\u2028x.example/",
        "https://h x.example/",
        "https://h.example/\ud800",
    ],
)
def test_what_is_no_address_is_none(url: object) -> None:
    assert plain_address(url) is None


@given(st.text(st.characters(), max_size=30))
def test_a_kept_address_is_one_word_and_stays_as_it_is(text: str) -> None:
    kept = plain_address(f"https://h.example/{text}")
    if kept is not None:
        assert kept.split() == [kept]
        assert plain_address(kept) == kept


@pytest.mark.parametrize(
    "url,source",
    [
        ("https://civitai.com/api/download/models/1", "civitai"),
        ("https://www.civitai.red/x", "civitai"),
        ("https://huggingface.co/a/b", "huggingface"),
        ("https://mirror.example:8443/x", "mirror.example"),
        ("nonsense", ""),
    ],
)
def test_a_source_is_named_after_its_host(url: str, source: str) -> None:
    assert source_of(url) == source


@pytest.mark.parametrize(
    "url,number",
    [
        ("https://civitai.com/api/download/models/1?fileId=2", 2),
        ("https://civitai.com/api/download/models/1", None),
        ("https://civitai.com/api/download/models/1?fileId=x", None),
        ("nonsense", None),
    ],
)
def test_a_file_is_named_by_its_number(url: str, number: int | None) -> None:
    assert file_id_in(url) == number
