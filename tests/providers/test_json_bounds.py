"""JSON of strangers: what a parser would be paid for it is bounded before it is parsed."""

import json
import tracemalloc

import pytest

from hashtagd.providers.bodies import SpoiledBody, parse_json

MIB = 1024 * 1024
LONGEST = 16 * MIB


def filled(pattern: bytes, opening: bytes = b"[", closing: bytes = b"0]") -> bytes:
    """Make a document as long as any answer may be."""
    return opening + pattern * (LONGEST // len(pattern)) + closing


@pytest.mark.parametrize(
    "pattern",
    [b"{},", b"[],", b'{"a":[{}]},', b"1,", b'"ab",', b'"",', b'"\\\\",', b'"\\"",', b"1.5,", b'["],[",{}],'],
)
def test_a_bomb_of_values_is_refused_before_it_costs_memory(pattern: bytes) -> None:
    body = filled(pattern)
    tracemalloc.start()
    try:
        with pytest.raises(SpoiledBody, match="too many") as caught:
            parse_json(body)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert not caught.value.cut  # the second time it would be the same
    assert peak_bytes < 100 * MIB


def test_brackets_and_commas_of_prose_are_no_values() -> None:
    prose = '{{{masterpiece}}}, [[[best "quality"]]], \\ ' * 40_000
    assert parse_json(json.dumps([prose]).encode()) == [prose]


def test_the_densest_honest_answer_is_read() -> None:
    rows = [{"hash": f"{number:064X}", "modelVersionId": number, "modelId": 7} for number in range(40_000)]
    assert parse_json(json.dumps(rows).encode()) == rows
