"""The thread that asks the catalog, turn by turn."""

import threading
from dataclasses import dataclass, field

import pytest

from hashtagd.catalog.catalog import Catalog
from hashtagd.core import schedule
from hashtagd.core.work import Stage
from hashtagd.service.catalog_watch import (
    REST_S,
    SILENT_S,
    TIDY_FIRST_S,
    TIDY_S,
    TRIM_AGAIN_S,
    CatalogWatch,
)
from hashtagd.service.leases import Leases
from support.clock import FakeClock
from support.library import ROOT, Library


@dataclass
class House:
    """A watch over a real catalog."""

    catalog: Catalog
    clock: FakeClock
    leases: Leases = field(default_factory=Leases)
    woken: int = 0
    #: when memory was given back
    trimmed_s: list[float] = field(default_factory=list)
    tidied: int = 0

    def __post_init__(self) -> None:
        self.watch = CatalogWatch(
            catalog=self.catalog,
            leases=self.leases,
            clock=self.clock,
            wake=self._wake,
            trim=lambda: self.trimmed_s.append(self.clock.monotonic_s()),
            tidy=self._tidy,
        )

    def _wake(self) -> None:
        self.woken += 1

    def _tidy(self) -> None:
        self.tidied += 1

    def pass_by(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.watch.turn()


@pytest.fixture
def house(catalog: Catalog, clock: FakeClock) -> House:
    return House(catalog, clock)


def test_a_commit_of_another_process_wakes_the_lanes_once(house: House, library: Library) -> None:
    house.watch.turn()
    assert house.woken == 1, "the first turn learns the token, and wakes everybody"
    house.watch.turn()
    assert house.woken == 1
    library.note("from the command line")
    house.watch.turn()
    house.watch.turn()
    assert house.woken == 2


def test_a_machine_that_slept_wakes_its_lanes(house: House) -> None:
    """Waits are measured by a clock that stands still meanwhile, due times by one that goes on."""
    house.watch.turn()
    for seconds in (8 * 3600.0, -3600.0):
        before = house.woken
        house.pass_by(2.0)
        assert house.woken == before
        house.clock.jump(seconds)
        house.pass_by(2.0)
        assert house.woken == before + 1


@pytest.mark.parametrize("ahead_s", [60.0, 8 * 3600.0, 10 * 365 * 86_400.0])
def test_what_was_noted_by_a_clock_that_was_ahead_is_due_when_it_is_set_right(
    house: House, library: Library, ahead_s: float
) -> None:
    """One that shows local time for UTC, until the network is there; or any other."""
    house.pass_by(2.0)
    house.clock.jump(ahead_s)
    house.pass_by(2.0)
    library.note("early")
    house.pass_by(2.0)
    house.clock.jump(-ahead_s)
    house.pass_by(2.0)
    (claim,) = library.claim(Stage.SETTLE)
    assert claim.place.relpath == "early"
    # since when it rests was noted by that clock, too
    assert claim.still_since <= house.clock.now()


def test_leases_are_renewed_while_work_goes_on(house: House, library: Library, other: Catalog) -> None:
    library.note("long")
    claims = library.claim(Stage.SETTLE)
    with house.leases.hold_files(claims):
        for _ in range(5):
            house.pass_by(schedule.RENEW_S)
        assert other.claim(Stage.SETTLE, [ROOT], 9) == []


def test_memory_is_given_back_once_after_the_last_commit(house: House, library: Library) -> None:
    house.watch.turn()
    house.pass_by(REST_S - 1)
    library.note("while it was about to rest")
    house.watch.turn()
    changed_s = house.clock.monotonic_s()
    house.pass_by(REST_S)
    house.pass_by(10 * REST_S)
    assert house.trimmed_s == [changed_s + REST_S]


def test_memory_is_given_back_after_tidying_and_every_quarter_of_an_hour_at_rest(house: House) -> None:
    """What lanes ask at rest takes memory, too, and commits nothing."""
    house.watch.turn()
    house.pass_by(REST_S)
    assert len(house.trimmed_s) == 1
    house.pass_by(TIDY_FIRST_S)
    assert (house.tidied, len(house.trimmed_s)) == (1, 2)
    house.pass_by(TRIM_AGAIN_S - 1.0)
    assert len(house.trimmed_s) == 2
    house.pass_by(1.0)
    assert len(house.trimmed_s) == 3


def test_the_catalog_is_tidied_now_and_then(house: House) -> None:
    house.pass_by(TIDY_FIRST_S)
    house.pass_by(TIDY_S - 1)
    assert house.tidied == 1
    house.pass_by(1)
    assert house.tidied == 2


def test_whoever_waits_for_the_database_answers_for_the_silence(house: House) -> None:
    """Locked by another program, its turn taken by a lane: the database keeps us waiting either way."""
    gone, asked = threading.Event(), threading.Event()

    def hang() -> None:
        def body(*_given: object) -> None:
            asked.set()
            gone.wait()

        house.catalog.database.write(body)

    house.watch.turn()
    house.clock.advance(SILENT_S + 1)
    assert not house.watch.answers
    thread = threading.Thread(target=hang)
    thread.start()
    try:
        assert asked.wait(30)
        assert house.watch.answers
        trouble = house.watch.trouble
        assert trouble is not None
        assert trouble.kind == "catalog_silent"
    finally:
        gone.set()
        thread.join()
    assert not house.watch.answers
    house.watch.turn()
    assert house.watch.answers
    assert house.watch.trouble is None
