import gc
import weakref
from collections.abc import Callable, Iterator

import pytest

from hashtagd.service.memory import share_one_arena, trimmer


class Library:
    """A C library that notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.options: list[tuple[int, int]] = []

    def malloc_trim(self, kept_bytes: int) -> int:
        self.asked.append(kept_bytes)
        return 1

    def mallopt(self, option: int, value: int) -> int:
        self.options.append((option, value))
        return 1


class Ring:
    """Something that only a collection can free."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def _without_collections() -> Iterator[None]:
    gc.disable()
    yield
    gc.unfreeze()
    gc.enable()


def frees(trim: Callable[[], None]) -> bool:
    ring = weakref.ref(Ring())
    assert ring() is not None
    trim()
    return ring() is None


@pytest.mark.usefixtures("_without_collections")
def test_what_nobody_holds_is_freed_first_and_goes_back_to_the_system_then() -> None:
    library = Library()
    assert frees(trimmer(library))
    assert library.asked == [0]


@pytest.mark.usefixtures("_without_collections")
def test_a_c_library_that_cannot_give_back_is_not_asked() -> None:
    assert frees(trimmer(object()))


@pytest.mark.usefixtures("_without_collections")
def test_the_library_of_this_process_is_used_unless_another_is_given() -> None:
    assert frees(trimmer())


@pytest.mark.usefixtures("_without_collections")
def test_what_is_there_at_the_first_call_is_looked_through_once() -> None:
    trim = trimmer(object())
    trim()
    frozen, looked_through = gc.get_freeze_count(), len(gc.get_objects())
    assert frozen > 10 * looked_through
    held = [Ring() for _ in range(1000)]
    trim()
    assert gc.get_freeze_count() == frozen
    assert len(gc.get_objects()) >= looked_through + len(held)
    held.clear()
    trim()
    assert len(gc.get_objects()) < looked_through + 500


def test_threads_share_one_arena() -> None:
    library = Library()
    share_one_arena(library)
    assert library.options == [(-8, 1)]


def test_a_c_library_without_arenas_is_left_alone() -> None:
    share_one_arena(object())
