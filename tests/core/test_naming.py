"""What a person may type to name a model of Civitai, and what is no such name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagd.core.naming import ModelRef, parse_model_name

IDS = st.integers(1, 2**31 - 1)
BOTH = (1882733, 2130994)


@pytest.mark.parametrize(
    "text,expected",
    [
        ("2130994", (None, 2130994)),
        ("  2130994\n", (None, 2130994)),
        ("2147483647", (None, 2**31 - 1)),
        ("urn:air:sdxl:lora:civitai:1882733@2130994", BOTH),
        ("URN:AIR:SDXL:LORA:CIVITAI:1882733@2130994", BOTH),
        ("urn:air:sdxl:lora:civitai:1882733", (1882733, None)),
        ("air:sdxl:lora:civitai:1882733@2130994", BOTH),
        ("sdxl:lora:civitai:1882733@2130994", BOTH),
        ("lora:civitai:1882733@2130994", BOTH),
        ("civitai:1882733@2130994", BOTH),
        ("civitai:1882733", (1882733, None)),
        ("https://civitai.com/models/1882733?modelVersionId=2130994", BOTH),
        ("https://civitai.com/models/1882733/some-name?modelVersionId=2130994", BOTH),
        ("https://civitai.com/models/1882733/some-name", (1882733, None)),
        ("https://civitai.com/models/1882733/", (1882733, None)),
        ("https://civitai.com/models/1882733#comments", (1882733, None)),
        ("https://civitai.com/models/1882733?modelVersionId=2130994&dialog=resourceDetails", BOTH),
        ("http://civitai.com/models/1882733?modelVersionId=2130994", BOTH),
        ("https://CIVITAI.com:443/models/1882733?modelVersionId=2130994", BOTH),
        ("civitai.com/models/1882733?modelVersionId=2130994", BOTH),
        ("www.civitai.com/models/1882733?modelVersionId=2130994", BOTH),
        ("https://civitai.red/models/1882733?modelVersionId=2130994", BOTH),
        ("https://www.civitai.red/models/1882733", (1882733, None)),
        ("civitai.green/models/1882733", (1882733, None)),
        ("https://civitai.com/api/download/models/2130994", (None, 2130994)),
        ("https://civitai.com/api/download/models/2130994?type=Model&format=SafeTensor", (None, 2130994)),
        ("https://civitai.com/api/download/models/2130994?fileId=5&token=secret", (None, 2130994)),
        ("https://civitai.com/api/v1/model-versions/2130994", (None, 2130994)),
        ("https://civitai.com/model-versions/2130994", (None, 2130994)),
        ("https://civitai.com/api/v1/models/1882733", (1882733, None)),
        ("https://api.civitai.com/api/v1/models/1882733", (1882733, None)),
    ],
)
def test_what_a_person_pastes_is_understood(text: str, expected: tuple[int | None, int | None]) -> None:
    assert parse_model_name(text) == ModelRef(model_id=expected[0], version_id=expected[1])


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "0", "-5", "+5", "007", "1.5", "12 13", "2147483648", "9" * 40, "\u0665\u0665", "0x10"),
        *("a model", "model.safetensors", "models/5", "/models/5", "civitai.com", "https://civitai.com/"),
        *("urn:air:sdxl:lora:huggingface:5@6", "urn:air:sdxl:lora:civitai:x@6", "civitai:5@", "civitai:5@0"),
        *("civitai:", "civitai:5@99999999999", "a:b:c:d:civitai:5@6", "urn:air:sdxl:lora:civitai:5@6 x"),
        "https://civitai.example/models/5",
        "https://civitai.com.evil.example/models/5",
        "https://evil.example/civitai.com/models/5",
        "https://civitai.com@evil.example/models/5",
        "https://somebody@civitai.com/models/5",
        "ftp://civitai.com/models/5",
        "javascript://civitai.com/models/5",
        "https://civitai.com:8080/models/5",
        "https://civitai.com:99999/models/5",
        "https://[civitai.com/models/5",
        "https://civitai.com/models",
        "https://civitai.com/models/x",
        "https://civitai.com/models/99999999999",
        "https://civitai.com/models/5/a/b",
        "https://civitai.com/models/5?modelVersionId=x",
        "https://civitai.com/models/5?modelVersionId=",
        "https://civitai.com/models/5?modelVersionId=6&modelVersionId=7",
        "https://civitai.com/user/5",
        "https://civitai.com/images/5",
        "https://civitai.com/api/v1/model-versions/by-hash/" + "ab" * 32,
        "https://civitai.com/models/5?modelVersionId=6 7",
        "https://civitai.com/models/5\x1b[2J",
        "https://civitai.com/models/5?x=" + "x" * 3000,
    ],
)
def test_anything_else_is_refused_in_three_clauses(text: str) -> None:
    with pytest.raises(ValueError, match="names no model of Civitai") as caught:
        parse_model_name(text)
    assert len(str(caught.value).split("; ")) == 3


def test_a_refusal_repeats_nothing_of_what_was_pasted() -> None:
    with pytest.raises(ValueError, match="names no model") as caught:
        parse_model_name("https://civitai.com/nowhere?token=planted-secret")
    assert "planted" not in str(caught.value)


@given(
    IDS,
    IDS,
    st.sampled_from(["https://", "http://", ""]),
    st.sampled_from(["civitai.com", "www.civitai.com", "civitai.red", "civitai.green"]),
    st.sampled_from(["", "/", "/a-name", "/%F0%9F%8E%A8"]),
)
def test_every_form_of_one_version_names_the_same(
    model_id: int, version_id: int, scheme: str, host: str, slug: str
) -> None:
    page = f"{scheme}{host}/models/{model_id}{slug}?modelVersionId={version_id}"
    for text in (page, f"urn:air:x:lora:civitai:{model_id}@{version_id}", f"civitai:{model_id}@{version_id}"):
        assert parse_model_name(text) == ModelRef(model_id=model_id, version_id=version_id)
    for text in (str(version_id), f"{scheme}{host}/api/download/models/{version_id}?type=Model"):
        assert parse_model_name(text) == ModelRef(model_id=None, version_id=version_id)


@given(st.one_of(st.text(max_size=60), st.text("civta:/.@?=0123456789models", max_size=60)))
def test_any_text_at_all_names_something_sane_or_is_refused(text: str) -> None:
    try:
        named = parse_model_name(text)
    except ValueError:
        return
    assert named.model_id or named.version_id
    assert all(1 <= number < 2**31 for number in (named.model_id, named.version_id) if number is not None)
