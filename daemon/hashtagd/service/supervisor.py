"""The main thread: start everything in order, keep it going, stop in time.

Alive is narrower than well: systemd's watchdog is fed while this loop turns and the catalog gives an answer
of any kind, or is silent because its database is. So nothing in this loop looks at a disk or asks a database:
threads of their own do (`catalog_watch`, `hinting`), and this loop tells how they are. A hung network disk, a
locked catalog or a closed gate makes the daemon unwell, and a restart would heal none of them.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hashtagd.core.ports import Clock
from hashtagd.core.troubles import Trouble
from hashtagd.service.board import RootBoard
from hashtagd.service.catalog_watch import CatalogWatch
from hashtagd.service.clock import StopPause
from hashtagd.service.health import Health, examine
from hashtagd.service.lanes import Lane, Tell
from hashtagd.service.presence import Presence
from hashtagd.service.systemd import Notifier
from hashtagd.system.patience import in_time
from hashtagd.watch.observer import Observer

#: how often the loop turns when nothing wakes it, and when nobody works either
TICK_S, REST_TICK_S = 1.0, 5.0
#: how often a run that ends by itself looks whether it is done; a long look waits so many times its length
ONCE_TICK_S, ONCE_TIMES_LOOK = 0.25, 4
#: how long lanes may take to finish or give back before they are abandoned
GRACE_S = 15.0
#: how long a run that is to end by itself waits for a catalog that does not answer
CATALOG_PATIENCE_S = 60.0
#: watches of a large library take some seconds; a disk that hangs in the middle of it is not waited for
ARMED_WITHIN_S = 120.0
#: troubles of the catalog that only a new process can heal
_RESTART_KINDS = frozenset({"catalog_replaced"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """Everything the supervisor starts, feeds and stops."""

    catalog: CatalogWatch
    observer: Observer
    #: those that look after catalog and observer included
    lanes: Sequence[Lane]
    board: RootBoard
    presence: Presence
    notifier: Notifier
    clock: Clock
    pause: StopPause
    tell: Tell
    #: why hashing waits on purpose; None: it does not
    paused: Callable[[], str | None] = lambda: None
    #: when it did so last (monotonic)
    resumed_s: Callable[[], float] = lambda: float("-inf")
    #: says which disks do not answer; looks at none
    notice_silence: Callable[[], None] = lambda: None


class Supervisor:
    """Runs a crew until it is asked to stop, a lane dies, or `finished` says so.

    Args:
        finished: asked once a tick; for `run --once`. None: run until stopped.
        handover: asked once a tick; True: another round takes over, in this process.
        status_line: one line in words for systemd.
    """

    def __init__(
        self,
        crew: Crew,
        *,
        died: threading.Event,
        finished: Callable[[], bool] | None = None,
        handover: Callable[[], bool] = lambda: False,
        status_line: Callable[[], str],
    ) -> None:
        self._crew = crew
        self._died = died
        self._finished = finished
        self._handover = handover
        self._handing_over = False
        self._status_line = status_line
        self._looked_for_s = 0.0
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
            in_time(crew.observer.start, ARMED_WITHIN_S)
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
                crew.pause.rest(self.wait_s())
        finally:
            self._drain()
        return not self._died.is_set()

    def tick(self) -> None:
        """Do what is due again and again: say how everything is."""
        crew = self._crew
        self._note_catalog(crew.catalog.trouble)
        crew.notice_silence()
        self.health = health = examine(
            crew.lanes,
            crew.board.troubles(),
            self._catalog_trouble,
            crew.clock,
            paused=crew.paused(),
            resumed_s=crew.resumed_s(),
        )
        polled = self._tell_polled()
        crew.presence.tell(
            health, {**polled, **crew.board.troubles()}, crew.observer.modes(), crew.board.remarks()
        )
        self._feed_watchdog(health)

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

    def wait_s(self) -> float:
        """Say when to tick again if nobody rings: seldom while nobody works, for each wake-up costs power."""
        if self._finished is not None:
            return max(ONCE_TICK_S, ONCE_TIMES_LOOK * self._looked_for_s)
        if not self._crew.catalog.at_rest:
            return TICK_S
        # the service manager must not wait longer than it was promised
        return min(REST_TICK_S, (self._crew.notifier.watchdog_interval_s or float("inf")) / 6)

    def _is_finished(self) -> bool:
        if self._finished is None:
            return False
        if self._catalog_trouble is not None:
            if self._crew.clock.monotonic_s() - self._crew.catalog.well_s > CATALOG_PATIENCE_S:
                raise self._catalog_trouble
            return False
        began_s = self._crew.clock.monotonic_s()
        try:
            return self._finished()
        except Trouble as trouble:
            self._note_catalog(trouble)
            return False
        finally:
            self._looked_for_s = self._crew.clock.monotonic_s() - began_s

    def _note_catalog(self, trouble: Trouble | None) -> None:
        known = self._catalog_trouble
        self._catalog_trouble = trouble
        if trouble is None:
            return
        if known is None or known.kind != trouble.kind:
            self._crew.tell(
                "catalog_failed", kind=trouble.kind, what=trouble.what, does=trouble.does, you=trouble.you
            )
        if trouble.kind in _RESTART_KINDS:
            self._died.set()
            self._crew.pause.ring()

    def _feed_watchdog(self, health: Health) -> None:
        notifier, now_s = self._crew.notifier, self._crew.clock.monotonic_s()
        interval_s = notifier.watchdog_interval_s
        due = interval_s is not None and now_s - self._fed_s >= interval_s / 3
        if due and self._crew.catalog.answers:
            self._fed_s = now_s
            notifier.watchdog()
        if notifier.enabled:
            line = self._status_line() if health.well else "; ".join(health.reasons)[:200]
            if line != self._last_status:
                self._last_status = line
                notifier.status(line)

    def _drain(self) -> None:
        crew = self._crew
        if self._handing_over:
            crew.notifier.reloading(crew.clock.monotonic_s())
        else:
            crew.notifier.stopping()
        crew.pause.stop()
        for lane in crew.lanes:
            lane.wake()
        deadline_s = crew.clock.monotonic_s() + GRACE_S
        stuck = [
            lane for lane in crew.lanes if not lane.join(max(0.0, deadline_s - crew.clock.monotonic_s()))
        ]
        crew.observer.stop()
        crew.notifier.close()
        crew.presence.end(crew.board.troubles(), crew.board.remarks())
        crew.tell("daemon_stopped", stuck_lanes=[lane.work.name for lane in stuck])
