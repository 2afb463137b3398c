"""The main thread: start everything in order, keep it going once a second, stop in time.

Alive is narrower than well: systemd's watchdog is fed while this loop turns and the catalog gives an answer
of any kind. A hung network disk or a closed gate makes the daemon unwell, and a restart would heal neither.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hashtagd.catalog.catalog import Catalog
from hashtagd.core import schedule
from hashtagd.core.ports import Clock
from hashtagd.core.troubles import Trouble
from hashtagd.service.board import RootBoard
from hashtagd.service.clock import StopPause
from hashtagd.service.health import Health, examine
from hashtagd.service.lanes import Lane, Tell
from hashtagd.service.leases import Leases
from hashtagd.service.presence import Presence
from hashtagd.service.scout import ScoutWork
from hashtagd.service.systemd import Notifier
from hashtagd.watch.observer import Observer

#: how often the loop turns when nothing wakes it
TICK_S = 1.0
#: so long after the last commit the daemon is at rest
REST_S = 5.0
#: how long lanes may take to finish or give back before they are abandoned
GRACE_S = 15.0
#: how long after the start, and then how often, old events and long-gone files are dropped from the catalog
TIDY_FIRST_S, TIDY_S = 60.0, 3600.0
#: how long a run that is to end by itself waits for a catalog that does not answer
CATALOG_PATIENCE_S = 60.0
#: troubles of the catalog that only a new process can heal
_RESTART_KINDS = frozenset({"catalog_replaced"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """Everything the supervisor starts, feeds and stops."""

    catalog: Catalog
    observer: Observer
    scouts: Sequence[ScoutWork]
    lanes: Sequence[Lane]
    board: RootBoard
    leases: Leases
    presence: Presence
    notifier: Notifier
    clock: Clock
    pause: StopPause
    tell: Tell
    #: why hashing waits on purpose; None: it does not
    paused: Callable[[], str | None] = lambda: None


class Supervisor:
    """Runs a crew until it is asked to stop, a lane dies, or `finished` says so.

    Args:
        finished: asked once a tick; for `run --once`. None: run until stopped.
        handover: asked once a tick; True: another round takes over, in this process.
        status_line: one line in words for systemd.
        trim: gives memory back to the system; called when there is nothing left to do.
        tidy: drops from the catalog what is old; called a minute after the start, and then once an hour.
    """

    def __init__(
        self,
        crew: Crew,
        *,
        wake: threading.Event,
        died: threading.Event,
        finished: Callable[[], bool] | None = None,
        handover: Callable[[], bool] = lambda: False,
        status_line: Callable[[], str],
        trim: Callable[[], None],
        tidy: Callable[[], None],
    ) -> None:
        self._crew = crew
        self._wake = wake
        self._died = died
        self._finished = finished
        self._handover = handover
        self._handing_over = False
        self._status_line = status_line
        self._trim = trim
        self._tidy = tidy
        self._token: int | None = None
        #: when the last commit was seen; None once the memory of that work was given back
        self._changed_s: float | None = None
        self._renewed_s = self._catalog_answered_s = crew.clock.monotonic_s()
        self._tidy_at_s = self._renewed_s + TIDY_FIRST_S
        self._fed_s = float("-inf")
        self._last_status = ""
        self._polled: dict[str, str] = {}
        self._catalog_trouble: Trouble | None = None
        #: as of the last tick; None before the first
        self.health: Health | None = None

    def run(self) -> bool:
        """Work until the end; returns False when a lane died and the process should be restarted.

        Raises:
            Trouble: scope `daemon`: the catalog stayed away, and this run was to end by itself.
        """
        crew = self._crew
        try:
            # observe first, scan then: what arrives in between is seen twice, not never
            crew.observer.start()
            crew.notifier.ready()
            for lane in crew.lanes:
                lane.start()
            crew.tell("daemon_started", lanes=len(crew.lanes))
            while not (crew.pause.stopping or self._died.is_set()):
                self.tick()
                if self._is_finished():
                    break
                if self._handover():
                    self._handing_over = True
                    break
                self._wake.wait(TICK_S)
                self._wake.clear()
        finally:
            self._drain()
        return not self._died.is_set()

    def tick(self) -> None:
        """Do what is due once a second: hints, wake-ups, leases, health."""
        crew = self._crew
        self._pass_hints()
        try:
            self._heed_catalog()
            self._catalog_trouble = None
            self._catalog_answered_s = crew.clock.monotonic_s()
        except Trouble as trouble:
            # away counts as an answer: a restart would not bring the database back
            self._note_catalog(trouble)
        self.health = health = examine(
            crew.lanes, crew.board.troubles(), self._catalog_trouble, crew.clock, paused=crew.paused()
        )
        polled = self._tell_polled()
        crew.presence.tell(
            health, {**polled, **crew.board.troubles()}, crew.observer.modes(), crew.board.remarks()
        )
        self._feed_watchdog(health)
        self._trim_at_rest()

    def _trim_at_rest(self) -> None:
        if self._changed_s is not None and self._crew.clock.monotonic_s() - self._changed_s >= REST_S:
            self._changed_s = None
            self._trim()

    def _tell_polled(self) -> dict[str, Trouble]:
        """Log once why a root is polled that should be watched; returns all such roots."""
        polled = self._crew.observer.troubles()
        for name, trouble in polled.items():
            if self._polled.get(name) != trouble.what:
                self._crew.tell(
                    "root_polled", root=name, kind=trouble.kind, what=trouble.what, you=trouble.you
                )
        self._polled = {name: trouble.what for name, trouble in polled.items()}
        return polled

    def _is_finished(self) -> bool:
        if self._finished is None:
            return False
        if self._catalog_trouble is not None:
            if self._crew.clock.monotonic_s() - self._catalog_answered_s > CATALOG_PATIENCE_S:
                raise self._catalog_trouble
            return False
        try:
            return self._finished()
        except Trouble as trouble:
            self._note_catalog(trouble)
            return False

    def _note_catalog(self, trouble: Trouble) -> None:
        known = self._catalog_trouble
        self._catalog_trouble = trouble
        if known is None or known.kind != trouble.kind:
            self._crew.tell(
                "catalog_failed", kind=trouble.kind, what=trouble.what, does=trouble.does, you=trouble.you
            )
        if trouble.kind in _RESTART_KINDS:
            self._died.set()
            self._wake.set()

    def _pass_hints(self) -> None:
        self._crew.observer.check()
        hints = self._crew.observer.drain()
        for scout in self._crew.scouts:
            scout.take(hints)
        if hints:
            self._wake_lanes(prefix="scout")

    def _heed_catalog(self) -> None:
        crew = self._crew
        token = crew.catalog.change_token()
        if token != self._token:
            self._token = token
            self._changed_s = crew.clock.monotonic_s()
            self._wake_lanes()
        if crew.clock.monotonic_s() - self._renewed_s >= schedule.RENEW_S:
            self._renewed_s = crew.clock.monotonic_s()
            crew.leases.renew(crew.catalog)
        if crew.clock.monotonic_s() >= self._tidy_at_s:
            self._tidy_at_s = crew.clock.monotonic_s() + TIDY_S
            self._tidy()

    def _feed_watchdog(self, health: Health) -> None:
        notifier, now_s = self._crew.notifier, self._crew.clock.monotonic_s()
        interval_s = notifier.watchdog_interval_s
        if interval_s is not None and now_s - self._fed_s >= interval_s / 3:
            self._fed_s = now_s
            notifier.watchdog()
        if notifier.enabled:
            line = self._status_line() if health.well else "; ".join(health.reasons)[:200]
            if line != self._last_status:
                self._last_status = line
                notifier.status(line)

    def _wake_lanes(self, prefix: str = "") -> None:
        for lane in self._crew.lanes:
            if lane.work.name.startswith(prefix):
                lane.wake()

    def _drain(self) -> None:
        crew = self._crew
        if self._handing_over:
            crew.notifier.reloading(crew.clock.monotonic_s())
        else:
            crew.notifier.stopping()
        crew.pause.stop()
        self._wake_lanes()
        deadline_s = crew.clock.monotonic_s() + GRACE_S
        stuck = [
            lane for lane in crew.lanes if not lane.join(max(0.0, deadline_s - crew.clock.monotonic_s()))
        ]
        crew.observer.stop()
        crew.notifier.close()
        crew.presence.end(crew.board.troubles(), crew.board.remarks())
        crew.tell("daemon_stopped", stuck_lanes=[lane.work.name for lane in stuck])
