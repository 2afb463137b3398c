import os
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hashtagd.catalog.catalog import Catalog
from hashtagd.core.place import Place
from hashtagd.core.troubles import Scope, TryLater
from hashtagd.core.work import Stage
from hashtagd.service.board import PAUSE_S, RootBoard
from hashtagd.service.scout import CHECK_S, SILENT_S, ScoutWork
from hashtagd.watch.hints import Hints
from hashtagd.watch.roots import RootFolder, Roots
from support.clock import FakeClock
from support.hanging import Hang
from support.safetensors import write
from support.serving import Ears, TickingPause, for_a_person, later


@dataclass
class Watch:
    """A scout over real folders."""

    catalog: Catalog
    clock: FakeClock
    ears: Ears
    folder: Path
    noted: int = 0
    rearmed: list[str] = field(default_factory=list)
    board: RootBoard = field(init=False)
    scout: ScoutWork = field(init=False)

    def __post_init__(self) -> None:
        self.board = RootBoard(clock=self.clock, changed=lambda _root, _trouble: None)
        self.scout = self.make()

    def make(self, **changes: Any) -> ScoutWork:
        folders = [RootFolder(name="loras", path=self.folder, scan_interval_s=900.0)]
        made: dict[str, Any] = {
            "name": "scout-1",
            "folders": folders,
            "roots": Roots(folders),
            "catalog": self.catalog,
            "board": self.board,
            "clock": self.clock,
            "pause": TickingPause(),
            "chance": lambda: 0.0,
            "tell": self.ears.tell,
            "noted": self.note,
            "rearm": self.rearmed.append,
        }
        return ScoutWork(**{**made, **changes})

    def note(self) -> None:
        self.noted += 1

    def known(self) -> set[str]:
        return {
            f"{folder}/{name}".lstrip("/")
            for folder in self.catalog.scans.folder_digests("loras")
            for name in self.catalog.scans.files_in("loras", folder)
        }

    def later(self, seconds: float = CHECK_S) -> None:
        self.clock.advance(seconds)
        self.scout.turn()


def hint(*relpaths: str, folders: tuple[str, ...] = (), scan: bool = False, root: str = "loras") -> Hints:
    return Hints(
        places=frozenset(Place(root=root, relpath=it) for it in relpaths),
        folders=frozenset((root, it) for it in folders),
        scan_roots=frozenset({root} if scan else ()),
    )


@pytest.fixture
def watch(catalog: Catalog, clock: FakeClock, ears: Ears, tmp_path: Path) -> Watch:
    folder = tmp_path / "loras"
    write(folder / "old.safetensors")
    return Watch(catalog, clock, ears, folder)


def walks(watch: Watch) -> int:
    """Count the scans of whole roots."""
    return len(watch.ears.of("root_scanned")) + len(watch.ears.of("root_unchanged"))


def test_a_scan_that_finds_the_same_numbers_is_told_of_more_quietly(watch: Watch) -> None:
    for _ in range(3):
        watch.later(900 * 1.3)
    write(watch.folder / "another.safetensors")
    watch.later(900 * 1.3)
    assert (len(watch.ears.of("root_scanned")), len(watch.ears.of("root_unchanged"))) == (2, 2)


def test_the_first_turn_scans_and_the_next_one_does_not(watch: Watch) -> None:
    assert not watch.scout.idle
    assert watch.scout.turn() == CHECK_S
    assert watch.known() == {"old.safetensors"}
    assert watch.scout.idle
    assert watch.noted == 1
    watch.later()
    assert walks(watch) == 1
    watch.later(900 * 0.75)
    assert walks(watch) == 2
    assert watch.noted == 1


def test_a_disk_that_does_not_answer_is_told_of_and_not_waited_for_until_it_does(watch: Watch) -> None:
    hang = Hang()
    folders = [RootFolder(name="loras", path=hang.path(watch.folder))]
    scout = watch.make(folders=folders, roots=Roots(folders))
    scout.notice_silence()
    thread = threading.Thread(target=scout.turn)
    thread.start()
    try:
        assert hang.met.wait(30)
        watch.clock.advance(SILENT_S - 1)
        scout.notice_silence()
        assert (watch.board.troubles(), scout.idle) == ({}, False)
        watch.clock.advance(1)
        for _ in range(2):
            scout.notice_silence()
            assert watch.board.troubles()["loras"].kind == "root_silent"
            assert scout.idle
    finally:
        hang.over.set()
        thread.join()
    assert watch.board.troubles() == {}
    assert watch.known() == {"old.safetensors"}
    assert watch.rearmed == ["loras"]
    scout.notice_silence()
    assert watch.board.troubles() == {}


def test_a_hint_is_looked_at_and_noted(watch: Watch) -> None:
    watch.scout.turn()
    write(watch.folder / "new.safetensors", data=b"another")
    watch.scout.take(hint("new.safetensors", "missing.safetensors"))
    assert not watch.scout.idle
    watch.scout.turn()
    assert watch.known() == {"old.safetensors", "new.safetensors"}
    assert watch.scout.idle


def test_hints_about_other_devices_are_left_to_other_scouts(watch: Watch) -> None:
    watch.scout.turn()
    watch.scout.take(hint("x.safetensors", folders=("y",), scan=True, root="vae"))
    assert watch.scout.idle


def test_a_folder_that_came_is_scanned_alone(watch: Watch) -> None:
    watch.scout.turn()
    write(watch.folder / "sub" / "deep" / "in.safetensors", data=b"in")
    write(watch.folder / "beside.safetensors", data=b"beside")
    watch.scout.take(hint(folders=("sub",)))
    watch.scout.turn()
    assert watch.known() == {"old.safetensors", "sub/deep/in.safetensors"}


def test_lost_events_bring_a_scan_of_the_root(watch: Watch) -> None:
    """F01."""
    watch.scout.turn()
    write(watch.folder / "unseen.safetensors", data=b"unseen")
    watch.scout.take(hint(scan=True))
    watch.scout.turn()
    assert "unseen.safetensors" in watch.known()


def test_events_lost_while_a_scan_runs_bring_another_scan(watch: Watch) -> None:
    """F01. The walk may have passed the place already."""
    losses = iter([hint(scan=True)])

    def lose() -> None:
        for loss in losses:
            scout.take(loss)

    scout = watch.make(noted=lose)
    scout.turn()
    assert walks(watch) == 1
    assert not scout.idle
    scout.turn()
    assert walks(watch) == 2
    assert scout.idle
    scout.turn()
    assert walks(watch) == 2


def test_a_scan_asked_for_that_breaks_off_is_made_again(watch: Watch) -> None:
    watch.scout.turn()
    refusing = Refusing(watch.catalog, 0)
    scout = watch.make(catalog=refusing)
    scout.turn()
    write(watch.folder / "unseen.safetensors", data=b"unseen")
    refusing.times = 1
    scout.take(hint(scan=True))
    with pytest.raises(TryLater):
        scout.turn()
    assert not scout.idle
    scout.turn()
    assert "unseen.safetensors" in watch.known()


def test_a_root_in_mode_off_is_scanned_at_start_and_when_it_comes_back_only(watch: Watch) -> None:
    folders = [RootFolder(name="loras", path=watch.folder, scan_interval_s=900.0, watch="off")]
    watch.scout = watch.make(folders=folders, roots=Roots(folders))
    watch.scout.turn()
    assert watch.scout.idle
    for _ in range(3):
        watch.later(100_000.0)
    assert walks(watch) == 1
    away = watch.folder.with_name("away")
    watch.folder.rename(away)
    watch.later()
    away.rename(watch.folder)
    watch.later()
    assert walks(watch) == 2


class Refusing:
    """A catalog that is away for its next notes."""

    def __init__(self, catalog: Catalog, times: int) -> None:
        self._catalog = catalog
        self.times = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalog, name)

    def note(self, sightings: Any) -> Any:
        if self.times:
            self.times -= 1
            raise later("catalog_away", Scope.DAEMON)
        return self._catalog.note(sightings)


def test_hints_survive_a_catalog_that_is_away(watch: Watch) -> None:
    watch.scout.turn()
    write(watch.folder / "new.safetensors", data=b"new")
    write(watch.folder / "sub" / "in.safetensors", data=b"in")
    scout = watch.make(catalog=Refusing(watch.catalog, 2))
    with pytest.raises(TryLater):
        scout.turn()
    scout.take(hint("new.safetensors", folders=("sub",)))
    with pytest.raises(TryLater):
        scout.turn()
    assert not scout.idle
    scout.turn()
    assert watch.known() == {"old.safetensors", "new.safetensors", "sub/in.safetensors"}


def test_a_root_that_goes_is_not_an_empty_root_and_rests_until_it_is_back(watch: Watch) -> None:
    """F06."""
    watch.scout.turn()
    away = watch.folder.with_name("away")
    watch.folder.rename(away)
    watch.scout.take(hint("old.safetensors", folders=("sub",)))
    watch.later()
    assert watch.known() == {"old.safetensors"}
    assert watch.board.troubles()["loras"].kind == "root_away"
    assert watch.board.closed_roots(Stage.SETTLE) == {"loras"}
    assert watch.ears.of("look_failed")[0]["path"] == "old.safetensors"
    away.rename(watch.folder)
    watch.board.pin("loras", later(), stage=Stage.SETTLE, for_s=PAUSE_S)
    watch.later()
    assert watch.board.troubles() == {}
    assert watch.rearmed[-1] == "loras"
    assert walks(watch) == 2


def test_a_root_that_is_away_from_the_start_holds_nobody_up(watch: Watch) -> None:
    shutil.rmtree(watch.folder)
    watch.scout.turn()
    assert watch.scout.idle
    assert walks(watch) == 0
    watch.folder.mkdir()
    watch.later()
    assert walks(watch) == 1
    assert watch.scout.idle


def test_a_root_that_is_away_for_a_moment_between_two_checks_does_not_rest_until_the_next_scan(
    watch: Watch, tmp_path: Path
) -> None:
    watch.scout.turn()
    write(watch.folder / "new.safetensors", data=b"another")
    watch.folder.rename(tmp_path / "aside")
    watch.scout.take(hint("new.safetensors"))
    watch.later(CHECK_S / 5)
    assert watch.board.troubles()["loras"].kind == "root_away"
    (tmp_path / "aside").rename(watch.folder)
    watch.later()
    assert watch.board.troubles() == {}
    assert watch.known() == {"old.safetensors", "new.safetensors"}


def test_another_folder_that_a_hint_meets_in_place_of_a_root_is_judged_before_it_is_scanned(
    watch: Watch, tmp_path: Path
) -> None:
    watch.scout.turn()
    watch.folder.rename(tmp_path / "aside")
    watch.folder.write_bytes(b"")
    watch.scout.take(hint("new.safetensors"))
    watch.later(CHECK_S / 5)
    assert watch.board.troubles()["loras"].kind == "root_no_folder"
    assert walks(watch) == 1
    watch.folder.unlink()
    (tmp_path / "aside").rename(watch.folder)
    watch.later()
    assert watch.board.troubles() == {}
    assert watch.known() == {"old.safetensors"}


def test_a_root_that_a_lane_saw_first_is_watched_again(watch: Watch) -> None:
    folders = [RootFolder(name="loras", path=watch.folder)]
    roots = Roots(folders)
    scout = watch.make(folders=folders, roots=roots)
    assert roots.locate(Place(root="loras", relpath="old.safetensors")).exists()
    scout.turn()
    assert watch.rearmed == ["loras"]


def test_the_reason_why_a_root_is_away_is_the_latest(watch: Watch) -> None:
    shutil.rmtree(watch.folder)
    watch.scout.turn()
    watch.folder.write_bytes(b"")
    watch.later()
    assert watch.board.troubles()["loras"].kind == "root_no_folder"


def test_roots_are_checked_every_few_seconds_and_not_at_every_wake_up(watch: Watch) -> None:
    watch.scout.turn()
    shutil.rmtree(watch.folder)
    watch.scout.turn()
    assert watch.board.troubles() == {}
    watch.later()
    assert "loras" in watch.board.troubles()


def test_an_emptied_root_is_looked_at_soon_again_and_told_of_once(watch: Watch) -> None:
    watch.scout.turn()
    (watch.folder / "old.safetensors").unlink()
    watch.later(900.0)
    assert watch.board.troubles()["loras"].scope is Scope.ROOT
    told = len(watch.ears.events)
    for _ in range(3):
        watch.later()
    assert len(watch.ears.events) == told
    assert watch.known() == {"old.safetensors"}
    write(watch.folder / "old.safetensors")
    watch.later()
    assert watch.board.troubles() == {}
    assert len(watch.ears.events) == told + 1


def test_a_scan_leaves_a_full_disk_on_the_board(watch: Watch) -> None:
    watch.scout.turn()
    watch.board.pin("loras", for_a_person(), stage=Stage.PUBLISH, for_s=PAUSE_S)
    watch.later(900.0)
    assert watch.board.troubles()["loras"].kind == "disk_full"


def test_a_mount_whose_inodes_all_moved_is_distrusted_and_nothing_is_read_again(
    watch: Watch, tmp_path: Path
) -> None:
    for number in range(40):
        write(watch.folder / f"many{number}.safetensors", data=b"%d" % number)
    watch.scout.turn()
    copies = tmp_path / "copies"
    shutil.copytree(watch.folder, copies)
    for path in copies.iterdir():
        original = watch.folder / path.name
        os.utime(path, ns=(original.stat().st_atime_ns, original.stat().st_mtime_ns))
    for path in copies.iterdir():
        path.replace(watch.folder / path.name)
    watch.later(900.0)
    assert len(watch.ears.of("root_inodes_distrusted")) == 1
    assert watch.noted == 1
    watch.later(900.0)
    assert len(watch.ears.of("root_inodes_distrusted")) == 1


def test_while_a_scout_looks_it_is_not_idle(watch: Watch) -> None:
    seen: list[bool] = []
    scouts: list[ScoutWork] = []
    scouts.append(watch.make(noted=lambda: seen.append(scouts[0].idle)))
    scouts[0].turn()
    write(watch.folder / "new.safetensors", data=b"new")
    scouts[0].take(hint("new.safetensors"))
    scouts[0].turn()
    assert seen == [False, False]


def test_what_a_scan_meets_inside_a_root_is_remarked_on_and_holds_nothing_up(watch: Watch) -> None:
    """F18: a name that is no text is skipped, and said so."""
    write(watch.folder / "a.safetensors", data=b"a")
    odd = os.fsencode(watch.folder) + b"/\xff.safetensors"
    Path(os.fsdecode(odd)).write_bytes(b"x")
    watch.scout.turn()
    assert [trouble.kind for trouble in watch.board.remarks()["loras"]] == ["unspeakable_name"]
    assert watch.board.troubles() == {}
    assert watch.known() == {"a.safetensors", "old.safetensors"}
    Path(os.fsdecode(odd)).unlink()
    watch.later(2_000.0)
    assert watch.board.remarks() == {}


def test_a_scan_hands_over_the_folders_of_unfinished_files(watch: Watch) -> None:
    """F87."""
    handed: list[tuple[str, frozenset[str]]] = []
    (watch.folder / "a").mkdir()
    (watch.folder / "a" / ".hashtagd-1").touch()
    watch.scout = watch.make(leftovers=lambda root, folders: handed.append((root.name, folders)))
    watch.scout.turn()
    watch.later()
    assert handed == [("loras", frozenset({"a"}))]
