"""Blocks on their way to several takers: each gets all of them in order, and nobody runs ahead."""

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashtagd.stages.conveyor import Conveyor, Take
from hashtagd.stages.crew import Crew

_SIZE = 16


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    made = Crew("carrying")
    yield made
    made.close()


def blocks(count: int) -> list[memoryview]:
    return [memoryview(bytearray(_SIZE)) for _ in range(count)]


def give(conveyor: Conveyor, data: bytes, offset: int) -> None:
    block = conveyor.free()
    block[: len(data)] = data
    conveyor.give(block, len(data), offset)


def into(got: list[tuple[bytes, int]]) -> Take:
    return lambda data, offset: got.append((bytes(data), offset))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=_SIZE), max_size=30), st.integers(1, 3), st.integers(1, 4))
def test_every_taker_gets_every_byte_in_order(crew: Crew, data: list[bytes], takers: int, count: int) -> None:
    got: list[list[tuple[bytes, int]]] = [[] for _ in range(takers)]
    conveyor = Conveyor(crew, [into(each) for each in got], blocks(count))
    given_: list[tuple[bytes, int]] = []
    for piece in data:
        given_.append((piece, len(given_)))
        give(conveyor, *given_[-1])
    conveyor.settle()
    assert got == [given_] * takers
    conveyor.keep(conveyor.free())
    conveyor.close()
    conveyor.close()
    assert not conveyor.is_broken


def test_whoever_gives_is_only_so_many_blocks_ahead_of_the_slowest(crew: Crew) -> None:
    """P10."""
    go, got = threading.Event(), list[tuple[bytes, int]]()

    def slow(data: memoryview, offset: int) -> None:
        go.wait(10)
        got.append((bytes(data), offset))

    conveyor = Conveyor(crew, [slow, into([])], blocks(3))
    for number in range(3):
        give(conveyor, b"x", number)
    waiting = threading.Thread(target=give, args=(conveyor, b"y", 3))
    waiting.start()
    # the quick taker is done with all of them, and still there is no room
    assert conveyor._free.empty()
    assert waiting.is_alive()
    go.set()
    waiting.join(10)
    conveyor.settle()
    assert [offset for _, offset in got] == [0, 1, 2, 3]
    conveyor.close()


@pytest.mark.parametrize("fails_at", [0, 2])
def test_what_a_taker_raises_reaches_whoever_gives_and_holds_up_nobody(crew: Crew, fails_at: int) -> None:
    """F80: the others get all that was given; nothing waits for the one that ended."""
    got: list[tuple[bytes, int]] = []

    def fail(_data: memoryview, offset: int) -> None:
        if offset >= fails_at:
            raise OSError(offset, "no")

    conveyor = Conveyor(crew, [fail, into(got)], blocks(2))
    given_: list[int] = []

    def give_on() -> None:
        for number in range(50):
            give(conveyor, b"z", number)
            given_.append(number)

    with pytest.raises(OSError, match="no") as caught:
        give_on()
    assert caught.value.errno == fails_at
    assert conveyor.is_broken
    for _ in range(3):
        with pytest.raises(OSError, match="no"):
            conveyor.free()
    with pytest.raises(OSError, match="no"):
        conveyor.settle()
    conveyor.close()
    assert [offset for _, offset in got] == given_


def test_what_a_taker_raises_at_the_very_end_is_told_by_settle(crew: Crew) -> None:
    """F80."""

    def fail(_data: memoryview, _offset: int) -> None:
        raise MemoryError

    conveyor = Conveyor(crew, [fail], blocks(4))
    give(conveyor, b"x", 0)
    with pytest.raises(MemoryError):
        conveyor.settle()
    conveyor.close()
