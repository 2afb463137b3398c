"""Hints on their way from a real observer to a real scout."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hashtagd.catalog.catalog import Catalog
from hashtagd.service.board import RootBoard
from hashtagd.service.clock import StopPause
from hashtagd.service.hinting import HintWork
from hashtagd.service.scout import ScoutWork
from hashtagd.watch.observer import Observer
from hashtagd.watch.roots import RootFolder, Roots
from support.clock import FakeClock
from support.library import ROOT
from support.safetensors import write
from support.serving import Ears


class House:
    """One root that is watched."""

    def __init__(self, folder: Path, catalog: Catalog, clock: FakeClock, ears: Ears) -> None:
        self.loras = folder / "loras"
        self.loras.mkdir()
        folders = [RootFolder(name=ROOT, path=self.loras)]
        roots = Roots(folders)
        self.came = threading.Event()
        self.hinted = 0
        self.observer = Observer(roots, clock, self.came.set)
        self.scout = ScoutWork(
            name="scout-1",
            folders=folders,
            roots=roots,
            catalog=catalog,
            board=RootBoard(clock=clock, changed=lambda _root, _trouble: None),
            clock=clock,
            pause=StopPause(),
            chance=lambda: 0.0,
            tell=ears.tell,
            noted=lambda: None,
            rearm=self.observer.rearm,
        )
        self.work = HintWork(self.observer, [self.scout], self._hint)

    def _hint(self) -> None:
        self.hinted += 1


@pytest.fixture
def house(tmp_path: Path, catalog: Catalog, clock: FakeClock, ears: Ears) -> Iterator[House]:
    made = House(tmp_path, catalog, clock, ears)
    made.observer.start()
    yield made
    made.observer.stop()


def test_what_a_hint_points_at_reaches_the_scout(house: House) -> None:
    house.scout.turn()
    house.work.turn()
    assert house.scout.idle
    assert house.work.idle
    house.came.clear()
    hinted = house.hinted
    write(house.loras / "new.safetensors")
    assert house.came.wait(30)
    assert not house.work.idle, "a run must not end while a hint is on its way"
    house.work.turn()
    assert house.work.idle
    assert not house.scout.idle
    assert house.hinted == hinted + 1


def test_where_nothing_happened_no_scout_is_woken(house: House) -> None:
    house.work.turn()
    hinted = house.hinted
    house.work.turn()
    assert house.hinted == hinted
