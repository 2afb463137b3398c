"""The header judged by its bytes: whole, unfinished, no model at all; and hostile ones within bounds."""

import json
import struct
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagd.core.header import Header, Incomplete, NeedMore, NotAModel, Verdict, Whole, judge
from support.safetensors import build, frame, lora, make_safetensors

MIB = 1 << 20
CAP = 16 * MIB


def verdict_of(content: bytes, size_bytes: int | None = None) -> Verdict:
    """Ask as the stage does: 8 bytes first, then as many as it wants."""
    size = len(content) if size_bytes is None else size_bytes
    wanted = 8
    for _ in range(3):
        verdict = judge(content[:wanted], size)
        if not isinstance(verdict, NeedMore):
            return verdict
        assert min(wanted, len(content)) < verdict.prefix_bytes <= size
        wanted = verdict.prefix_bytes
    raise AssertionError("it never had enough")


def header_of(content: bytes) -> Header:
    verdict = verdict_of(content)
    assert isinstance(verdict, Whole)
    assert verdict.header is not None
    return verdict.header


def rule_of(header: object, data_bytes: int = 0) -> str:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    verdict = verdict_of(frame(text, bytes(data_bytes)))
    assert isinstance(verdict, NotAModel), verdict
    return verdict.rule


def test_the_first_eight_bytes_tell_how_much_is_needed() -> None:
    content = lora(1)
    (length,) = struct.unpack("<Q", content[:8])
    assert judge(b"", len(content)) == NeedMore(prefix_bytes=8)
    assert judge(content[:8], len(content)) == NeedMore(prefix_bytes=8 + length)


def test_a_whole_lora_gives_its_facts() -> None:
    header = header_of(lora(1, title="Made up"))
    assert header.tensor_count == 3
    assert header.metadata["modelspec.title"] == "Made up"
    assert (header.family, header.kind, header.rank) == ("SDXL", "LORA", 4)
    assert header.length_bytes == struct.unpack("<Q", lora(1, title="Made up")[:8])[0]


def test_a_header_survives_the_way_through_json() -> None:
    header = header_of(lora(2))
    assert Header.from_json(json.loads(json.dumps(header.to_json()))) == header


def test_a_header_stored_before_ranks_were_kept_is_still_read() -> None:
    stored = header_of(lora(2)).to_json()
    del stored["rank"]
    assert Header.from_json(stored).rank is None


@pytest.mark.parametrize("cut", range(200))
def test_a_file_cut_anywhere_is_unfinished(cut: int) -> None:
    """F22."""
    content = build(metadata={"title": "x" * 100}, data=b"y" * 100)
    verdict = verdict_of(content[:cut])
    assert isinstance(verdict, Incomplete)
    assert verdict.present_bytes == cut
    (length,) = struct.unpack("<Q", content[:8])
    assert verdict.declared_bytes == (None if cut < 8 + length else len(content))


def test_reserved_space_that_is_still_zero_is_unfinished() -> None:
    """F28."""
    assert verdict_of(bytes(64), size_bytes=1 << 30) == Incomplete(present_bytes=1 << 30, declared_bytes=None)


def test_a_header_with_a_hole_in_it_is_unfinished() -> None:
    """F28: a downloader with several connections filled the second part first."""
    content = bytearray(build(metadata={"title": "x" * 100}))
    content[40:80] = bytes(40)
    assert verdict_of(bytes(content)) == Incomplete(present_bytes=len(content), declared_bytes=None)


@pytest.mark.parametrize("length", [100_000_001, 1 << 31, 1 << 63, (1 << 64) - 1])
def test_a_length_beyond_the_format_is_no_model(length: int) -> None:
    """F23: and never a reason to read that much."""
    content = struct.pack("<Q", length) + bytes(range(128, 228))
    assert judge(content[:8], len(content)) == NeedMore(prefix_bytes=len(content))
    verdict = verdict_of(content)
    assert isinstance(verdict, NotAModel)
    assert verdict.looks_like is None


def test_a_header_between_our_cap_and_the_format_s_is_not_read() -> None:
    """F23."""
    for length in (CAP + 1, 100_000_000):
        start = struct.pack("<Q", length)
        assert judge(start, 8 + length) == Whole(header=None)
        assert judge(start, 7 + length) == Incomplete(present_bytes=7 + length, declared_bytes=None)
    assert judge(struct.pack("<Q", CAP), CAP + 8) == NeedMore(prefix_bytes=CAP + 8)


@pytest.mark.parametrize(
    "content,kind",
    [
        (b"<!DOCTYPE html><html><body>Log in</body></html>", "an HTML page"),
        (b'{"error": "Unauthorized", "message": "log in"}', "a JSON document"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer"),
        (b"PK\x03\x04\x14\x00\x00\x00" + b"x" * 40, "a zip archive"),
        (b"PK\x03\x04\x00\x00\x08\x08" + b"archive/data.pkl" + b"x" * 40, "a PyTorch checkpoint"),
        (b"\x80\x02}q\x00(X\x05\x00\x00\x00" + b"x" * 40, "a pickle"),
        (b"GGUF\x03\x00\x00\x00" + bytes(40), "a GGUF model"),
        (b"404\n", "a text file"),
    ],
)
def test_something_else_under_this_name_is_recognised(content: bytes, kind: str) -> None:
    """F27."""
    verdict = verdict_of(content)
    assert isinstance(verdict, NotAModel)
    assert verdict.looks_like is not None
    assert verdict.looks_like.startswith(kind)


def test_only_512_bytes_are_wanted_for_the_guess() -> None:
    assert judge(b"<!doctyp", 1 << 30) == NeedMore(prefix_bytes=512)


def test_bytes_after_the_last_tensor_are_refused() -> None:
    verdict = verdict_of(build() + b"\0" * 1_500)
    assert verdict == NotAModel(rule="1,500 bytes follow the last tensor")


@pytest.mark.parametrize("padding", [b" ", b"       ", b"\0\0\0", b" \0 ", b"\n"])
def test_padding_after_the_json_is_tolerated(padding: bytes) -> None:
    assert verdict_of(frame(b'{"__metadata__":{"a":"b"}}' + padding)) == Whole(
        header=Header(length_bytes=26 + len(padding), tensor_count=0, metadata={"a": "b"})
    )


def tensor(begin: object = 0, end: object = 8, *, dtype: object = "F32", shape: object = (2,)) -> object:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    "header,data_bytes,words",
    [
        ({"a": tensor(), "b": tensor(4, 12)}, 12, "tensor 'b' overlaps"),
        ({"a": tensor(), "b": tensor(0, 8)}, 8, "tensor 'b' overlaps"),
        ({"a": tensor(), "b": tensor(12, 20)}, 20, "tensor 'b' leaves a hole"),
        ({"a": tensor(4, 12)}, 12, "tensor 'a' leaves a hole"),
        ({"a": tensor(-8, 0)}, 0, "negative"),
        ({"a": tensor(8, 0)}, 8, "begin before"),
        ({"a": tensor(0.0, 8)}, 8, "not whole"),
        ({"a": tensor(False, 8)}, 8, "not whole"),  # noqa: FBT003 - JSON's false is what is tested
        ({"a": tensor(0, 1 << 64)}, 8, "beyond 64 bits"),
        ({"a": tensor(shape=[-2, -1])}, 8, "negative"),
        ({"a": tensor(shape=["2"])}, 8, "not whole"),
        ({"a": tensor(shape=[1 << 63, 4])}, 8, "shape beyond 64 bits"),
        ({"a": tensor(shape=[1 << 63, 4, 0])}, 0, "shape beyond 64 bits"),
        ({"a": tensor(shape=[3])}, 8, "size of its shape"),
        ({"a": tensor(dtype="F4", shape=[3], end=1)}, 1, "size of its shape"),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4, 8]}}, 8, "begin before"),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": []}}, 8, "begin before"),
        ({"a": {"dtype": "F32", "shape": [2]}}, 8, "must have"),
        ({"a": tensor(dtype=7)}, 8, "must have"),
        ({"a": tensor(dtype=["F32"])}, 8, "must have"),
        ({"a": 1}, 0, "must have"),
        (tensor(), 8, "must map names"),
    ],
)
def test_a_broken_layout_is_refused_with_its_rule(header: object, data_bytes: int, words: str) -> None:
    """F25."""
    assert words in rule_of(header, data_bytes)


def test_an_unknown_type_of_number_is_no_mistake() -> None:
    """F25: formats grow; the sizes still have to fit together."""
    content = frame(json.dumps({"a": tensor(0, 5, dtype="F5_NEW", shape=[8])}).encode(), bytes(5))
    assert header_of(content).tensor_count == 1


def test_a_shape_of_a_million_numbers_ends_at_the_first_overflow() -> None:
    """F25."""
    shape = [(1 << 64) - 1] * 10_000
    assert "beyond 64 bits" in rule_of({"a": tensor(shape=shape)}, 8)


def test_tensors_may_stand_in_any_order_and_be_empty() -> None:
    header = {
        "b": tensor(8, 16),
        "none": tensor(8, 8, shape=[0, 4]),
        "a": tensor(),
        "last": tensor(16, 16, shape=[0]),
    }
    assert header_of(frame(json.dumps(header).encode(), bytes(16))).tensor_count == 4


@given(
    st.dictionaries(
        st.text(max_size=8).filter(lambda name: name != "__metadata__"),
        st.tuples(
            st.sampled_from(["F32", "F16", "U8", "I64", "BOOL"]), st.lists(st.integers(0, 4), max_size=3)
        ),
        max_size=6,
    ),
    st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=4) | st.none(),
)
def test_every_valid_file_is_whole_and_one_byte_less_or_more_is_not(
    made: dict[str, tuple[str, list[int]]], metadata: dict[str, str] | None
) -> None:
    tensors = {name: (dtype, tuple(shape)) for name, (dtype, shape) in made.items()}
    content = make_safetensors(tensors=tensors, metadata=metadata)
    assert header_of(content).tensor_count == len(tensors)
    assert isinstance(verdict_of(content, len(content) - 1), Incomplete)
    assert isinstance(verdict_of(content + b"x"), NotAModel)


@given(st.binary(max_size=200), st.integers(0, 1 << 40))
def test_any_bytes_get_a_verdict(content: bytes, more_bytes: int) -> None:
    """F24."""
    for raw in (content, frame(content), frame(b"{" + content + b"}")):
        assert judge(raw, len(raw) + more_bytes) == judge(raw, len(raw) + more_bytes)
        assert judge(raw, len(raw)) is not None


# ---- hostile text


@pytest.mark.parametrize(
    "text,words",
    [
        (b"[]", "begin with '{'"),
        (b"\xef\xbb\xbf{}", "begin with '{'"),
        ('{"a":1}'.encode("utf-16-le"), "JSON"),
        (b' {"__metadata__":{}}', "begin with '{'"),
        (b'{"__metadata__":{"a":"\xff"}}', "UTF-8"),
        (b'{"__metadata__":{"a":NaN}}', "NaN"),
        (b'{"__metadata__":{"a":-Infinity}}', "Infinity"),
        (b'{"__metadata__":{"a":' + b"9" * 5_000 + b"}}", "JSON"),
        (b'{"__metadata__":{"a":"b","a":"c"}}', "twice"),
        (b'{"a":{},"a":{}}', "twice"),
        (b'{"a":', "brackets do not match"),
        (b'{"a"}', "JSON"),
        (b"{}{}", "JSON"),
        (b'{"a":"unterminated}', "JSON"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too deeply"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "too deeply"),
    ],
)
def test_hostile_text_is_refused_by_a_rule(text: bytes, words: str) -> None:
    """F24."""
    assert words in rule_of(text)


def test_brackets_and_quotes_inside_strings_are_only_text() -> None:
    """F24: counting must not be fooled by escapes, in either direction."""
    value = '[[[[{{{{ \\" \\\\ " ]' * 50
    assert header_of(build(metadata={"a": value, "b": "\\"})).metadata == {"a": value, "b": "\\"}


def _pairs(opening: bytes, item: bytes, closing: bytes) -> Callable[[], bytes]:
    """Fill the longest header that is parsed with one thing repeated."""
    room = CAP - len(opening) - len(closing)
    return lambda: opening + item * (room // len(item)) + closing


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(_pairs(b'{"a":', b"[]", b"}"), id="lists"),
        pytest.param(_pairs(b'{"a":[', b"{},", b"{}]}"), id="objects"),
        pytest.param(_pairs(b'{"a":[', b"1234,", b"1]}"), id="numbers"),
        pytest.param(_pairs(b'{"a":[', b'"",', b'""]}'), id="strings"),
        pytest.param(_pairs(b'{"a":"', b'\\"', b'"}'), id="escaped quotes"),
        pytest.param(_pairs(b'{"a":"', b"\\\\", b'"}'), id="backslashes"),
        pytest.param(_pairs(b'{"', b'{"', b"}"), id="openings"),
        pytest.param(_pairs(b'{"a":[', b"9" * 4_200 + b",", b"1]}"), id="long numbers"),
        pytest.param(_pairs(b'{"a":', b"[", b"}"), id="depth"),
        pytest.param(_pairs(b"{", b" ", b"}"), id="spaces"),
    ],
)
def test_the_largest_hostile_header_is_judged_within_64_mib(make: Callable[[], bytes]) -> None:
    """F24: memory is counted; a parser left alone takes gigabytes for some of these."""
    content = frame(make())
    tracemalloc.start()
    try:
        verdict = judge(content, len(content))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(verdict, NotAModel | Whole)
    assert peak_bytes < 64 * MIB


def test_thousands_of_lists_within_the_bounds_are_still_parsed() -> None:
    header = {f"w{i}": tensor(i * 8, i * 8 + 8) for i in range(3_000)}
    assert header_of(frame(json.dumps(header).encode(), bytes(24_000))).tensor_count == 3_000


# ---- metadata


def test_metadata_that_is_not_text_is_kept_as_its_json() -> None:
    """F26."""
    made = {"n": 1, "list": ["ä", None], "object": {"a": True}, "null": None, "text": "t"}
    kept = header_of(build(metadata=made)).metadata
    assert kept == {"n": "1", "list": '["ä", null]', "object": '{"a": true}', "null": "null", "text": "t"}


@pytest.mark.parametrize("metadata", [[1], "text", 3, None])
def test_metadata_that_is_no_object_is_left_out(metadata: object) -> None:
    """F26."""
    assert header_of(frame(json.dumps({"__metadata__": metadata}).encode())).metadata == {}


def test_html_and_escape_codes_are_kept_as_data() -> None:
    """F26."""
    made = {"<script>": "<b>\x1b[31m\u202egnp</b>"}
    assert header_of(build(metadata=made)).metadata == made


def test_what_no_store_can_hold_is_taken_out() -> None:
    """F57: NUL and lone surrogates; a pair of surrogates is a character and stays."""
    text = b'{"__metadata__":{"a\\u0000":"x\\u0000\\ud800y\\ud83d\\ude00"}}'
    assert header_of(frame(text)).metadata == {"a": "xy\N{GRINNING FACE}"}


def test_long_values_are_dropped_and_long_pictures_sooner() -> None:
    """F26."""
    limit = 256 * 1024
    made = {
        "kept": "x" * (limit - 4),
        "long": "x" * limit,
        "wide": "ä" * (limit // 2 + 1),
        "ssmd_cover_images": "x" * 5_000,
        "modelspec.thumbnail": "x" * 5_000,
        "modelspec.preview_image": "small",
    }
    assert set(header_of(build(metadata=made)).metadata) == {"kept", "modelspec.preview_image"}


def test_all_values_together_are_at_most_a_mebibyte() -> None:
    """F26."""
    kept = header_of(build(metadata={f"key{i}": "x" * 200_000 for i in range(8)} | {"last": "y"})).metadata
    assert list(kept) == [f"key{i}" for i in range(5)] + ["last"]
    assert sum(len(key) + len(value) for key, value in kept.items()) <= MIB
