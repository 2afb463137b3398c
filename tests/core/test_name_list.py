"""Lists kept by hand: one hash or name a line."""

import pytest

from hashtagd.core.manifest import Entry, Mistake
from hashtagd.core.name_list import is_comment, is_name, read_names

SHA = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "line,entry",
    [
        (SHA, Entry(sha256=SHA)),
        (f"\ufeff  {SHA.upper()}\r\n", Entry(sha256=SHA)),
        (f"{SHA} # my favourite", Entry(sha256=SHA)),
        ("2130994", Entry(version_id=2130994)),
        ("urn:air:sdxl:lora:civitai:1882733@2130994", Entry(model_id=1882733, version_id=2130994)),
        (
            "https://civitai.com/models/1882733/ink?modelVersionId=2130994#comments",
            Entry(model_id=1882733, version_id=2130994),
        ),
        (
            "https://civitai.com/api/download/models/2130994?fileId=77&token=SECRET",
            Entry(version_id=2130994, file_id=77),
        ),
        (f"{SHA}  styles/ink #2.safetensors", Entry(sha256=SHA, path="styles/ink #2.safetensors")),
        (f"{SHA} *./ink.safetensors", Entry(sha256=SHA, path="ink.safetensors")),
    ],
)
def test_hashes_numbers_names_and_sums_are_read(line: str, entry: Entry) -> None:
    assert list(read_names([line])) == [entry]
    assert is_name(line.removeprefix("\ufeff"))


def test_comments_and_blank_lines_say_nothing() -> None:
    assert list(read_names(["# mine", "", "  # and this\n", "#"])) == []
    assert is_comment("  # x")
    assert not is_comment("5 # x")


@pytest.mark.parametrize(
    "line,words",
    [
        ("0123456789", "as many digits as AutoV2"),
        ("0123456789ab", "as many digits as AutoV3"),
        ("0123abcd", "as many digits as AutoV1 or CRC32"),
        ("9999999999", "as many digits as AutoV2"),
        ("https://civitai.com/models/1882733", "none of its versions"),
        ("https://example.com/models/1", "is no SHA-256"),
        ("0123", "is no SHA-256"),
        ("a poem", "is no SHA-256"),
        ("\udcff", "is not UTF-8"),
        (f"{SHA}  ../ink.safetensors", "`path` leaves its root"),
        (f"{SHA}  notes.txt", "does not end as a model file does"),
    ],
)
def test_what_names_no_version_is_told_with_its_line(line: str, words: str) -> None:
    before, mistake, after = read_names(["5", line, "6"])
    assert (before, after) == (Entry(version_id=5), Entry(version_id=6))
    assert isinstance(mistake, Mistake)
    assert mistake.where == "line 2"
    assert words in mistake.rule


@pytest.mark.parametrize("line", ["a poem", "", "# mine", "https://example.com/", '{"path": "x"}'])
def test_other_text_is_no_name(line: str) -> None:
    assert not is_name(line)
