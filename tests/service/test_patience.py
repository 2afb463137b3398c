import threading
from pathlib import Path

import pytest

from hashtagd.system.patience import all_in_time, in_time, silent_among
from support.daemon_process import until
from support.hanging import Hang


def test_what_ends_in_time_is_done() -> None:
    done: list[str] = []
    assert in_time(lambda: done.append("looked"), 60.0)
    assert done == ["looked"]


def test_what_never_answers_is_left_behind() -> None:
    answer = threading.Event()
    assert not in_time(lambda: answer.wait() and None, 0.01)
    answer.set()


def test_what_goes_wrong_in_time_is_told() -> None:
    def look() -> None:
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        in_time(look, 60.0)


def test_many_that_hang_are_waited_for_side_by_side() -> None:
    """One after the other this would take minutes, and the limit of a test ends it."""
    answer = threading.Event()
    done: list[str] = []
    looks = [*[answer.wait] * 200, lambda: done.append("looked")]
    assert all_in_time(looks, 2.0) == [*[False] * 200, True]
    answer.set()


def test_a_folder_that_hangs_is_waited_for_once_and_answers_when_it_does(tmp_path: Path) -> None:
    """Were it waited for each time, this would take ten minutes, and the limit of a test ends it."""
    hang = Hang()
    far = hang.path(tmp_path / "far")
    (tmp_path / "near").mkdir()
    (tmp_path / "far").mkdir()
    folders = [far, tmp_path / "near", tmp_path / "none", far]
    before = set(threading.enumerate())
    assert all(silent_among(folders, 1.0) == {far} for _ in range(600))
    assert len([it for it in threading.enumerate() if it.name == "look" and it not in before]) == 1
    hang.over.set()
    until(lambda: silent_among(folders, 1.0) == set())
    assert silent_among([far]) == set()


def test_more_folders_than_a_process_may_have_threads_are_looked_at(tmp_path: Path) -> None:
    hang = Hang()
    folders = [tmp_path / str(number) for number in range(2000)]
    before = set(threading.enumerate())

    def begun() -> int:
        return len([it for it in threading.enumerate() if it.name == "look" and it not in before])

    most = 0

    def look(_folder: Path) -> None:
        nonlocal most
        most = max(most, begun())

    assert silent_among(folders, 60.0, look) == set()
    assert most == 1
    far = hang.path(tmp_path / "far")
    assert silent_among([*folders, far], 1.0) == {far}
    assert begun() < 40
    hang.over.set()
    until(lambda: silent_among([far]) == set())


def test_a_folder_that_another_thread_finds_to_answer_meanwhile_is_no_trouble(tmp_path: Path) -> None:
    """The scouts of several devices ask about what links in all their roots lead to."""
    near, far = Hang(), Hang()
    first, second = near.path(tmp_path / "near"), far.path(tmp_path / "far")
    found: list[set[Path]] = []
    one = threading.Thread(target=lambda: found.append(silent_among([first], 60.0)))
    both = threading.Thread(target=lambda: found.append(silent_among([second, first], 60.0)))
    one.start()
    assert near.met.wait(30)
    both.start()
    assert far.met.wait(30)
    near.over.set()
    one.join()
    assert found == [set()]
    far.over.set()
    both.join()
    assert found == [set(), set()]
