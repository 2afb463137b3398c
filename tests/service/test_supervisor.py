import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from hashtagd.catalog.catalog import Catalog
from hashtagd.core.troubles import Scope, TryLater
from hashtagd.service.board import RootBoard
from hashtagd.service.catalog_watch import REST_S, SILENT_S, CatalogWatch
from hashtagd.service.clock import StopPause
from hashtagd.service.lanes import Lane
from hashtagd.service.leases import Leases
from hashtagd.service.presence import Presence, read_presence
from hashtagd.service.supervisor import (
    CATALOG_PATIENCE_S,
    ONCE_TICK_S,
    ONCE_TIMES_LOOK,
    REST_TICK_S,
    TICK_S,
    Crew,
    Supervisor,
)
from hashtagd.service.systemd import Notifier
from hashtagd.watch.observer import Observer
from hashtagd.watch.roots import RootFolder, Roots
from support.clock import FakeClock
from support.library import ROOT
from support.serving import Ears, later


class Flaky:
    """A catalog whose heartbeat can be made to fail."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.trouble: TryLater | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalog, name)

    def change_token(self) -> int:
        if self.trouble is not None:
            raise self.trouble
        return self._catalog.change_token()


@dataclass
class IdleWork:
    """A lane's work that only counts."""

    name: str = "digest-1"
    turned: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def turn(self) -> float:
        self.turned.release()
        return float("inf")


@dataclass
class House:
    """A supervisor with a real observer, catalog and manager's socket around one idle lane."""

    catalog: Flaky
    clock: FakeClock
    ears: Ears
    folder: Path
    manager: socket.socket
    address: str
    pause: StopPause = field(default_factory=StopPause)
    died: threading.Event = field(default_factory=threading.Event)
    work: Any = field(default_factory=IdleWork)
    #: what happens once in each tick
    each_tick: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        folders = [RootFolder(name=ROOT, path=self.folder / "loras")]
        roots = Roots(folders)
        self.board = RootBoard(clock=self.clock, changed=lambda _root, _trouble: None)
        self.observer = Observer(roots, self.clock, self.pause.ring)
        self.watch = CatalogWatch(
            catalog=self.catalog,  # type: ignore[arg-type] # the same surface
            leases=Leases(),
            clock=self.clock,
            wake=lambda: None,
            trim=lambda: None,
            tidy=lambda: None,
        )
        self.lane = Lane(
            work=self.work,
            clock=self.clock,
            pause=self.pause,
            tell=self.ears.tell,
            bug=self.ears.bug,
            died=self.died.set,
        )

    def supervisor(self, finished: Callable[[], bool] | None = None) -> Supervisor:
        watchdog_s = 60.0 if self.address else None
        self.notifier = Notifier(self.address or None, watchdog_interval_s=watchdog_s)
        self.crew = crew = Crew(
            catalog=self.watch,
            observer=self.observer,
            lanes=[self.lane],
            board=self.board,
            presence=Presence(self.folder, {"pid": 7}),
            notifier=self.notifier,
            clock=self.clock,
            pause=self.pause,
            tell=self.ears.tell,
            paused=self._tick,
        )
        return Supervisor(
            crew,
            died=self.died,
            finished=finished,
            status_line=lambda: "watching 1 roots",
        )

    def _tick(self) -> None:
        self.each_tick()

    def tick(self, supervisor: Supervisor) -> None:
        """Ask the catalog, as its own thread would, then tick."""
        self.watch.turn()
        supervisor.tick()

    def heard(self) -> list[str]:
        """Give all that the manager was told so far."""
        messages = []
        while True:
            try:
                messages.append(self.manager.recv(4096, socket.MSG_DONTWAIT).decode())
            except BlockingIOError:
                return messages

    def ticking(self, *steps: Callable[[], object]) -> Callable[[], bool]:
        """Do a step at the end of each tick, then finish."""
        left = [*steps]

        def finished() -> bool:
            if not left:
                return True
            left.pop(0)()
            self.pause.ring()
            return False

        return finished


#: what a hanging thread of a test waits for
GONE = threading.Event()


@contextmanager
def hanging(work: Callable[[], object]) -> Iterator[None]:
    """Let a thread be at some work for the time of the block."""
    GONE.clear()
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        GONE.set()
        thread.join()


@pytest.fixture
def house(
    catalog: Catalog, clock: FakeClock, ears: Ears, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[House]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loras").mkdir()
    address = f"\0hashtagd-supervisor-{os.getpid()}-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        house = House(Flaky(catalog), clock, ears, tmp_path, manager, "@" + address[1:])
        yield house
        house.notifier.close()


def test_a_run_that_is_done_starts_and_ends_everything_in_order(house: House) -> None:
    assert house.supervisor(house.ticking()).run()
    assert house.heard() == ["READY=1", "WATCHDOG=1", "STATUS=watching 1 roots", "STOPPING=1"]
    assert house.ears.names() == ["daemon_started", "daemon_stopped"]
    assert house.ears.of("daemon_stopped") == [{"stuck_lanes": []}]
    assert not house.lane.alive
    assert house.pause.stopping
    assert house.work.turned.acquire(timeout=0)


def test_a_stop_ends_a_daemon(house: House) -> None:
    """F84."""
    thread = threading.Thread(target=house.supervisor().run)
    thread.start()
    assert house.work.turned.acquire(timeout=5)
    house.pause.stop()
    thread.join(5)
    assert not thread.is_alive()


def test_a_lane_that_died_ends_the_run_and_asks_for_a_restart(house: House) -> None:
    house.died.set()
    assert not house.supervisor().run()


def test_a_catalog_that_is_away_is_told_once_and_the_watchdog_is_fed_all_the_same(house: House) -> None:
    """F75."""

    def go_away() -> None:
        house.catalog.trouble = later("catalog_away", Scope.DAEMON)

    def come_back() -> None:
        house.catalog.trouble = None

    supervisor = house.supervisor()
    house.tick(supervisor)
    go_away()
    for _ in range(3):
        house.clock.advance(20.0)
        house.tick(supervisor)
    assert house.heard().count("WATCHDOG=1") == 4
    assert len(house.ears.of("catalog_failed")) == 1
    assert read_presence(house.folder)["well"] is False
    come_back()
    house.tick(supervisor)
    assert "it is catalog_away" not in read_presence(house.folder)["reasons"]


def test_a_database_that_is_silent_is_told_of_and_the_watchdog_is_fed_all_the_same(
    house: House, catalog: Catalog
) -> None:
    supervisor = house.supervisor()
    house.tick(supervisor)
    house.heard()
    with hanging(lambda: catalog.database.read(lambda _connection, _now: GONE.wait())):
        house.clock.advance(SILENT_S + 20.0)
        supervisor.tick()
        assert [line for line in house.heard() if line.startswith("WATCHDOG")] == ["WATCHDOG=1"]
        assert [it["kind"] for it in house.ears.of("catalog_failed")] == ["catalog_silent"]
        assert "does not answer" in str(read_presence(house.folder)["reasons"])
    house.tick(supervisor)
    assert "does not answer" not in str(read_presence(house.folder)["reasons"])


def test_the_watchdog_starves_when_the_thread_that_asks_the_catalog_hangs_elsewhere(house: House) -> None:
    """Nobody waits for the database, and no answer comes: that is ours, and a restart heals it."""
    supervisor = house.supervisor()
    house.tick(supervisor)
    house.heard()
    house.clock.advance(SILENT_S + 20.0)
    supervisor.tick()
    assert "WATCHDOG=1" not in house.heard()
    house.tick(supervisor)
    assert "WATCHDOG=1" in house.heard()


def test_it_ticks_seldom_when_nobody_has_committed_for_a_while_and_feeds_the_watchdog_in_time(
    house: House,
) -> None:
    supervisor = house.supervisor()
    house.watch.turn()
    assert supervisor.wait_s() == TICK_S
    house.clock.advance(REST_S)
    house.watch.turn()
    assert supervisor.wait_s() == REST_TICK_S
    house.notifier = Notifier(house.address, watchdog_interval_s=6.0)
    hurried = Supervisor(
        replace(house.crew, notifier=house.notifier), died=house.died, status_line=lambda: "well"
    )
    assert hurried.wait_s() == 1.0
    house.catalog.trouble = later("catalog_away", Scope.DAEMON)
    house.watch.turn()
    assert supervisor.wait_s() == TICK_S


def test_a_run_that_ends_by_itself_looks_often_whether_it_is_done_and_not_most_of_the_time(
    house: House,
) -> None:
    def finished() -> bool:
        """Take as long as a look at a large library."""
        house.clock.advance(2.0)
        return True

    supervisor = house.supervisor(finished)
    house.clock.advance(REST_S)
    house.watch.turn()
    assert supervisor.wait_s() == ONCE_TICK_S
    supervisor.run()
    assert supervisor.wait_s() == 2.0 * ONCE_TIMES_LOOK


def test_a_catalog_that_was_replaced_asks_for_a_restart(house: House) -> None:
    """F66."""
    house.catalog.trouble = later("catalog_replaced", Scope.DAEMON)
    house.watch.turn()
    assert not house.supervisor().run()


def test_a_run_that_ends_by_itself_waits_for_the_catalog_but_not_for_ever(house: House) -> None:
    asked: list[bool] = []

    def finished() -> bool:
        asked.append(True)
        house.pause.ring()
        if len(asked) == 1:
            raise later("catalog_busy", Scope.DAEMON)
        house.catalog.trouble = later("catalog_away", Scope.DAEMON)
        house.watch.turn()
        return False

    def pass_by() -> None:
        house.pause.ring()
        house.clock.advance(CATALOG_PATIENCE_S / 4)
        house.watch.turn()

    house.each_tick = pass_by
    with pytest.raises(TryLater, match="catalog_away"):
        house.supervisor(finished).run()
    assert len(asked) == 2
    assert [values["kind"] for values in house.ears.of("catalog_failed")] == ["catalog_busy", "catalog_away"]


def test_a_stuck_lane_is_named_and_does_not_hold_up_the_end(house: House) -> None:
    """F85."""
    release = threading.Event()
    began = threading.Event()

    def hang() -> float:
        began.set()
        release.wait()
        return 0.0

    house.work.turn = hang

    class Impatient(FakeClock):
        def monotonic_s(self) -> float:
            self.advance(20.0)
            return super().monotonic_s()

    house.clock = Impatient()
    try:
        assert house.supervisor(lambda: began.wait(5)).run()
        assert house.ears.of("daemon_stopped") == [{"stuck_lanes": ["digest-1"]}]
    finally:
        release.set()
    assert house.lane.join(5)


def test_a_root_that_must_be_polled_is_told_once_and_shown(house: House) -> None:
    """F08."""

    class Poor:
        def __getattr__(self, name: str) -> Any:
            return getattr(house_observer, name)

        def troubles(self) -> dict[str, TryLater]:
            return {ROOT: later("watch_limit")}

    house_observer = house.observer
    house.observer = Poor()  # type: ignore[assignment] # the same surface
    supervisor = house.supervisor()
    supervisor.tick()
    supervisor.tick()
    assert house.ears.of("root_polled") == [
        {"root": ROOT, "kind": "watch_limit", "what": "it is watch_limit", "you": "wait"}
    ]
    assert read_presence(house.folder)["roots"][ROOT]["kind"] == "watch_limit"


def test_an_unwell_daemon_says_why_in_its_status_line(house: House) -> None:
    supervisor = house.supervisor()
    supervisor.tick()
    supervisor.tick()
    # the lane was never started here
    assert house.heard() == ["WATCHDOG=1", "STATUS=lane digest-1 has ended"]


def test_without_a_manager_nothing_is_said(house: House) -> None:
    house.address = ""
    house.supervisor(house.ticking()).run()
    assert house.heard() == []
