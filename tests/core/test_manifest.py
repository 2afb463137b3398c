"""The manifest's two forms: what was written is read back, and what strangers write is told apart."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagd.core.card import DownloadUrl
from hashtagd.core.manifest import (
    FIELDS,
    LONGEST_LINE,
    Entry,
    Mistake,
    UnusableLine,
    entry_of,
    json_line,
    read_json_lines,
)
from hashtagd.core.manifest_csv import csv_head, csv_line, read_csv, separator_of
from support.any_shape import JUNK
from support.entries import ENTRIES, HOSTILE, RICH_ENTRIES

SHA = "ab" * 32
INK = Entry(
    root="loras",
    path="styles/ink.safetensors",
    size_bytes=57427724,
    sha256=SHA,
    model_id=1882733,
    version_id=2130994,
    file_id=2024928,
    model_name="Ink",
    version_name="v1.0 for IL",
    kind="LORA",
    base_model="Illustrious",
    urls=(
        DownloadUrl(url="https://civitai.com/api/download/models/2130994?fileId=2024928", source="civitai"),
        DownloadUrl(url="https://huggingface.co/a/b/x.safetensors", source="huggingface", gated=False),
    ),
)
INK_JSON = (
    '{"root": "loras", "path": "styles/ink.safetensors", "size_bytes": 57427724, "sha256": "' + SHA + '", '
    '"model_id": 1882733, "version_id": 2130994, "file_id": 2024928, "model_name": "Ink", '
    '"version_name": "v1.0 for IL", "kind": "LORA", "base_model": "Illustrious", "urls": ['
    '{"url": "https://civitai.com/api/download/models/2130994?fileId=2024928", "source": "civitai"}, '
    '{"url": "https://huggingface.co/a/b/x.safetensors", "source": "huggingface", "gated": false}]}'
)
INK_CSV = (
    f"loras,styles/ink.safetensors,57427724,{SHA},1882733,2130994,2024928,Ink,v1.0 for IL,LORA,Illustrious,"
    "https://civitai.com/api/download/models/2130994?fileId=2024928 https://huggingface.co/a/b/x.safetensors\r\n"
)
HEAD = (
    "root,path,size_bytes,sha256,model_id,version_id,file_id,model_name,version_name,kind,base_model,urls\r\n"
)


def physical(text: str) -> list[str]:
    """Cut a text into lines as a file that was opened for any line ends gives them."""
    return re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text)


# ---- lines of JSON


def test_a_line_has_the_documented_keys_in_their_order() -> None:
    assert json_line(INK) == INK_JSON
    assert tuple(json.loads(json_line(Entry(path="x.sft")))) == FIELDS
    assert json.loads(json_line(Entry(path="x.sft")))["urls"] == []


@given(RICH_ENTRIES)
def test_what_is_written_as_json_is_read_back_and_is_one_line_for_everybody(entry: Entry) -> None:
    line = json_line(entry)
    assert line.isprintable()
    assert line.splitlines() == [line]
    assert list(read_json_lines([line])) == [entry]


def test_marks_blank_lines_line_ends_and_unknown_keys_are_overlooked() -> None:
    lines = ["\ufeff" + INK_JSON + "\r\n", "\r\n", "   \n", INK_JSON.replace("{", '{"note": [1], ', 1)]
    assert list(read_json_lines(lines)) == [INK, INK]


def test_numbers_may_be_text_and_names_of_a_wrong_type_are_unknown() -> None:
    (entry,) = read_json_lines(
        [f'{{"sha256": " {SHA.upper()} ", "size_bytes": "12", "model_id": 7.0, "model_name": 5, "kind": ""}}']
    )
    assert entry == Entry(sha256=SHA, size_bytes=12, model_id=7)


def test_half_a_character_in_a_name_is_replaced() -> None:
    assert entry_of({"version_id": 1, "model_name": "a\ud800b"}).model_name == "a\ufffdb"


@pytest.mark.parametrize(
    "line,rules",
    [
        ("nonsense", ["is not JSON"]),
        ("[1]", ["is not a JSON object"]),
        ("[" * 100_000, ["is not JSON"]),
        ('{"size_bytes": ' + "9" * 5_000 + "}", ["is not JSON"]),
        ("x" * (LONGEST_LINE + 1), [f"is longer than {LONGEST_LINE} characters"]),
        ('{"path": "\udcff.safetensors"}', ["is not UTF-8"]),
        ("{}", ["names neither a file nor a model"]),
        ('{"root": "loras", "size_bytes": 5, "model_name": ""}', ["names neither a file nor a model"]),
        ('{"path": "../x.safetensors"}', ["`path` leaves its root"]),
        ('{"path": 7}', ["`path` is not text"]),
        ('{"path": "a.sft", "root": "a\\u0000"}', ["`root` is not the name of a root"]),
        ('{"path": "a.sft", "root": ["loras"]}', ["`root` is not the name of a root"]),
        ('{"sha256": "ab"}', ["`sha256` is not the 64 hexadecimal digits of a SHA-256"]),
        ('{"sha256": 7}', ["`sha256` is not the 64 hexadecimal digits of a SHA-256"]),
        ('{"version_id": 0}', ["`version_id` is not a whole number above 0"]),
        ('{"version_id": true}', ["`version_id` is not a whole number above 0"]),
        ('{"version_id": 1.5}', ["`version_id` is not a whole number above 0"]),
        ('{"version_id": "1e5"}', ["`version_id` is not a whole number above 0"]),
        ('{"version_id": 9223372036854775808}', ["`version_id` is not a whole number above 0"]),
        ('{"version_id": "' + "9" * 5_000 + '"}', ["`version_id` is not a whole number above 0"]),
        ('{"path": "x.sft", "size_bytes": -1}', ["`size_bytes` is not a whole number of bytes"]),
        ('{"path": "x.sft", "size_bytes": NaN}', ["`size_bytes` is not a whole number of bytes"]),
    ],
)
def test_a_mistake_is_named_with_its_line_and_the_others_count(line: str, rules: list[str]) -> None:
    read = list(read_json_lines([INK_JSON, line, INK_JSON]))
    assert read == [INK, *(Mistake(where="line 2", rule=rule) for rule in rules), INK]


def test_all_mistakes_of_a_line_are_named_and_nothing_is_quoted() -> None:
    secret = "SECRET"
    (first, second, third) = read_json_lines(
        [f'{{"path": "/{secret}", "sha256": "{secret}", "file_id": "{secret}"}}']
    )
    assert [str(it) for it in (first, second, third)] == [
        "line 1: `path` is absolute; it must be relative to its root",
        "line 1: `sha256` is not the 64 hexadecimal digits of a SHA-256",
        "line 1: `file_id` is not a whole number above 0",
    ]


def test_addresses_keep_no_login_and_no_signature() -> None:
    urls = [
        {"url": "https://civitai.com/api/download/models/1?token=SECRET", "source": "civitai", "gated": "x"},
        {"url": "file:///etc/passwd"},
        "https://mirror.example/x?sig=SECRET",
        {"source": "no address"},
        7,
        "https://mirror.example/x",
    ]
    assert entry_of({"version_id": 1, "urls": urls}).urls == (
        DownloadUrl(url="https://civitai.com/api/download/models/1", source="civitai"),
        DownloadUrl(url="https://mirror.example/x", source="mirror.example"),
    )
    assert entry_of({"version_id": 1, "urls": {"url": "x"}}).urls == ()


def test_an_address_alone_names_a_model() -> None:
    assert entry_of({"urls": "https://mirror.example/x"}).urls[0].source == "mirror.example"


@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=3), JUNK))
def test_whatever_stands_in_a_line_is_an_entry_or_named(values: dict[str, object]) -> None:
    try:
        entry = entry_of(values)
    except UnusableLine as unusable:
        read: list[Entry | Mistake] = list(unusable.at("line 1"))
        assert read
    else:
        read = [entry]
        assert list(read_json_lines([json_line(entry)])) == read


# ---- tables


def test_a_table_has_the_documented_columns() -> None:
    assert csv_head() == HEAD
    assert csv_line(INK) == INK_CSV


@given(st.lists(ENTRIES, max_size=3))
def test_what_is_written_as_a_table_is_read_back(entries: list[Entry]) -> None:
    text = csv_head() + "".join(map(csv_line, entries))
    assert list(read_csv(physical(text))) == entries


@pytest.mark.parametrize("title", HOSTILE)
def test_no_cell_of_a_table_begins_like_a_formula(title: str) -> None:
    entry = Entry(root=title, path="x.safetensors", model_name=title, kind=title)
    cell = csv_line(entry).removeprefix('"')
    assert cell[0] not in "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
    assert list(read_csv(physical(csv_head() + csv_line(entry)))) == [entry]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_spreadsheets_may_use_their_own_separators_marks_and_order(separator: str) -> None:
    rows = [
        ["\ufeffSHA256", '"Path"', "note", "version_id"],
        [SHA.upper(), "a, b; c.sft", "mine", "5"],
        ["", "", "", ""],
        [SHA],
    ]
    lines = [
        separator.join(f'"{cell}"' if set(cell) & set(",;") else cell for cell in row) + "\n" for row in rows
    ]
    assert separator_of(lines[0].removeprefix("\ufeff")) == separator
    assert list(read_csv(lines)) == [Entry(sha256=SHA, path="a, b; c.sft", version_id=5), Entry(sha256=SHA)]


def test_mistakes_of_a_table_have_the_line_at_which_their_row_begins() -> None:
    lines = physical(
        "\r\npath,sha256,model_name\r\n"
        f'x.sft,{SHA},"two\nlines"\r\n'
        "../x.sft,nonsense,\r\n"
        f"\udcff.sft,{SHA},\r\n"
        f'x.sft,"{SHA}"x,\r\n'
        f"y.sft,{SHA},\r\n"
        'z.sft,"never closed\r\n'
    )
    assert [str(it) if isinstance(it, Mistake) else it.path for it in read_csv(lines)] == [
        "x.sft",
        "line 5: `path` leaves its root",
        "line 5: `sha256` is not the 64 hexadecimal digits of a SHA-256",
        "line 6: is not UTF-8",
        "line 7: has a quotation mark that is not closed, or something behind one",
        "y.sft",
        "line 9: has a quotation mark that is not closed, or something behind one",
    ]


def test_a_table_without_telling_names_is_none() -> None:
    assert separator_of("root,model_name\r\n") is None
    (mistake,) = read_csv(["\n", "root,model_name\n", "a,b\n"])
    assert str(mistake) == "line 2: has none of the names path, sha256, urls, version_id"
    assert list(read_csv(["\n"])) == []
