import threading
from collections.abc import Iterator

import pytest

from hashtagd.core.ports import Stopping
from hashtagd.service.clock import StopPause
from hashtagd.service.heeding import heeding


def test_everything_comes_in_order() -> None:
    assert list(heeding([1, None, 3], StopPause())) == [1, None, 3]


def test_what_broke_the_work_reaches_whoever_waits() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    came = heeding(broken(), StopPause())
    assert next(came) == 1
    with pytest.raises(ValueError, match="broken"):
        next(came)


def test_a_stop_waits_for_no_item() -> None:
    pause, free = StopPause(), threading.Event()

    def slow() -> Iterator[int]:
        yield 1
        free.wait()
        yield 2

    came = heeding(slow(), pause)
    assert next(came) == 1
    pause.stop()
    with pytest.raises(Stopping):
        next(came)
    free.set()


def test_nothing_more_is_made_for_who_has_left() -> None:
    made: list[int] = []
    gate = threading.Semaphore(1)

    def some() -> Iterator[int]:
        for number in range(100):
            gate.acquire()
            made.append(number)
            yield number

    came = heeding(some(), StopPause())
    assert next(came) == 0
    came.close()
    gate.release(100)
    while any(thread.name == "asking" for thread in threading.enumerate()):
        threading.Event().wait(0.01)
    assert len(made) <= 2
