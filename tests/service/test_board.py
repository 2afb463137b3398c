import pytest

from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Stage
from hashtagd.service.board import PAUSE_S, RootBoard
from support.clock import FakeClock
from support.serving import for_a_person, later

Changes = list[tuple[str, str | None]]


@pytest.fixture
def changes() -> Changes:
    return []


@pytest.fixture
def board(clock: FakeClock, changes: Changes) -> RootBoard:
    def changed(root: str, trouble: Trouble | None) -> None:
        changes.append((root, trouble.kind if trouble else None))

    return RootBoard(clock=clock, changed=changed)


def test_a_root_that_is_away_rests_in_every_stage_and_alone(board: RootBoard) -> None:
    board.pin("loras", later())
    for stage in Stage:
        assert board.open_roots(["loras", "vae"], stage) == ["vae"]
        assert board.next_opening_s(stage) is None
    board.lift("loras")
    assert board.open_roots(["loras", "vae"], Stage.SETTLE) == ["loras", "vae"]


def test_a_full_disk_stops_publishing_only_and_for_a_time(board: RootBoard, clock: FakeClock) -> None:
    board.pin("loras", for_a_person(), stage=Stage.PUBLISH, for_s=PAUSE_S)
    assert board.open_roots(["loras"], Stage.DIGEST) == ["loras"]
    assert board.closed_roots(Stage.PUBLISH) == {"loras"}
    assert board.next_opening_s(Stage.PUBLISH) == PAUSE_S
    assert board.next_opening_s(Stage.DIGEST) is None
    clock.advance(PAUSE_S)
    assert board.open_roots(["loras"], Stage.PUBLISH) == ["loras"]


def test_a_pause_that_ran_out_is_nothing_to_wait_for(board: RootBoard, clock: FakeClock) -> None:
    board.pin("loras", for_a_person(), stage=Stage.PUBLISH, for_s=PAUSE_S)
    clock.advance(PAUSE_S + 1)
    assert board.next_opening_s(Stage.PUBLISH) is None


def test_a_pause_that_ran_out_is_called_off_once_nothing_is_left_to_try(
    board: RootBoard, clock: FakeClock, changes: Changes
) -> None:
    board.pin("loras", for_a_person(), stage=Stage.PUBLISH, for_s=PAUSE_S)
    board.nothing_due(["loras"], Stage.PUBLISH)
    assert "loras" in board.troubles()
    clock.advance(PAUSE_S)
    board.nothing_due(["vae"], Stage.PUBLISH)
    board.nothing_due(["loras"], Stage.DIGEST)
    assert "loras" in board.troubles()
    board.nothing_due(["loras"], Stage.PUBLISH)
    assert board.troubles() == {}
    assert changes == [("loras", "disk_full"), ("loras", None)]


def test_a_change_is_told_once_however_often_the_same_trouble_is_pinned(
    board: RootBoard, changes: Changes
) -> None:
    board.pin("loras", later())
    for _ in range(3):
        board.pin("loras", for_a_person(), stage=Stage.PUBLISH, for_s=PAUSE_S)
        board.pin("loras", later())
    assert changes == [("loras", "away"), ("loras", "disk_full")]
    board.pin("loras", later("unreadable"))
    assert changes[2:] == [("loras", "unreadable")]


def test_success_calls_the_notice_of_its_stage_off_and_tells_what_is_left(
    board: RootBoard, changes: Changes
) -> None:
    board.pin("loras", for_a_person(), stage=Stage.PUBLISH)
    board.pin("loras", later("busy"), stage=Stage.DIGEST)
    board.worked("loras", Stage.SETTLE)
    board.worked("loras", Stage.PUBLISH)
    board.worked("loras", Stage.PUBLISH)
    assert changes == [("loras", "disk_full"), ("loras", "busy"), ("loras", "busy")]
    assert board.troubles()["loras"].kind == "busy"


def test_a_root_that_came_back_starts_with_a_clean_board(board: RootBoard, changes: Changes) -> None:
    board.recovered("loras")
    board.pin("loras", later())
    board.pin("loras", later(), stage=Stage.SETTLE, for_s=PAUSE_S)
    board.pin("vae", later())
    board.recovered("loras")
    assert board.open_roots(["loras", "vae"], Stage.SETTLE) == ["loras"]
    assert changes[-1] == ("loras", None)


def test_of_several_troubles_the_first_is_shown(board: RootBoard) -> None:
    board.pin("loras", later("first"))
    board.pin("loras", later("second"), stage=Stage.PUBLISH)
    assert board.troubles()["loras"].kind == "first"


def test_whoever_waits_hears_of_each_notice_that_is_gone_also_where_another_one_stays(
    clock: FakeClock,
) -> None:
    heard: list[str] = []
    board = RootBoard(
        clock=clock, changed=lambda _root, _trouble: None, called_off=lambda: heard.append("called off")
    )
    board.pin("loras", for_a_person(), stage=Stage.PUBLISH, for_s=PAUSE_S)
    board.pin("loras", later())
    assert heard == []
    board.lift("loras")
    assert len(heard) == 1
    assert "loras" in board.troubles()
    board.lift("loras")
    assert len(heard) == 1, "there was nothing to call off"
    board.worked("loras", Stage.PUBLISH)
    assert len(heard) == 2
