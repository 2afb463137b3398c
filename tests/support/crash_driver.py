"""One file's life in one thread, so that it can be killed at a chosen call: the real service, turned by hand.

As a script it is a mould: everything is imported once, and each line of JSON on its input makes a fork that
lives one life. The fork waits at a gate (a FIFO) until strace is attached. Waits take no time: the clock is
moved to the next moment at which something is due.
"""

import contextlib
import gc
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn, Self

from sqlalchemy import Connection, Engine, event
from sqlalchemy.pool import Pool

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.engine import READS
from hashtagd.cli.context import Context
from hashtagd.core.troubles import Trouble
from hashtagd.service.assemble import Process, Service, assemble
from hashtagd.service.clock import StopPause, SystemClock
from hashtagd.service.lanes import IDLE_S, REST_S, Work
from hashtagd.service.roots import plan_roots

#: more turns than any life here takes
_MOST_TURNS = 400
_STEP_S = 0.05
#: how a life ends otherwise than by a signal
LIVED, STUCK, LEASES_LEFT, BROKE = 0, 3, 4, 5


class SkippingClock(SystemClock):
    """The machine's clock, some time ahead, and further with each skip."""

    def __init__(self, ahead_s: float) -> None:
        self._ahead_s = ahead_s

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._ahead_s)

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self._ahead_s

    def skip(self, seconds: float) -> None:
        self._ahead_s += seconds


class NeverStops(StopPause):
    """A pause that takes no time."""

    def __init__(self, clock: SkippingClock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, seconds: float) -> bool:
        self._clock.skip(seconds)
        return False


class CommitKiller:
    """Ends the process right before or right after its n-th writing commit; counts them otherwise."""

    def __init__(self, number: int | None, moment: str) -> None:
        self.count = 0
        self._number = number
        self._moment = moment
        self._at_next_return = False
        event.listen(Engine, "commit", self._committing)
        event.listen(Pool, "checkin", self._returned)

    def _committing(self, connection: Connection) -> None:
        if connection.get_execution_options().get(READS):
            return
        self.count += 1
        if self.count == self._number:
            if self._moment == "before":
                die()
            self._at_next_return = True

    def _returned(self, *_: object) -> None:
        if self._at_next_return:
            die()


def die() -> NoReturn:
    """End as by `kill -9`."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise SystemError("still alive")


class TurnedService:
    """The real service, its works turned one after another by whoever calls."""

    def __init__(
        self, config: Path, environ: dict[str, str], ahead_s: float = 0.0, *, once: bool = True
    ) -> None:
        self.clock = SkippingClock(ahead_s)
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.bugs: list[str] = []
        self._context = Context(config=config, volume=None, environ=environ)
        self._once = once
        self.service: Service

    @contextlib.contextmanager
    def running(self) -> Iterator[Self]:
        """Lock the state folder, open the catalog, be ready to turn."""
        context = self._context
        process = Process(
            plan=plan_roots(context.loaded, (), environ=context.environ, state_folder=context.state_folder),
            environ=context.environ,
            folder=context.lock_folder,
            clock=self.clock,
            pause=NeverStops(self.clock),
            tell=lambda event, **values: self.told.append((event, values)),
            bug=lambda lane, error: self.bugs.append(f"{lane}: {''.join(traceback.format_exception(error))}"),
            once=self._once,
        )
        with assemble(context.loaded, process) as self.service:
            yield self

    @property
    def catalog(self) -> Catalog:
        return self.service._catalog

    @property
    def finished(self) -> bool:
        return self.service._judge.finished()

    def turn(self, most_s: float = IDLE_S) -> float:
        """Let every work do what is due now; returns the seconds until a row is due, `most_s` at most.

        That some look again in a moment, at roots and at what other processes wrote, is left out, or an hour
        would be a thousand turns.
        """
        scanned = any(event == "root_scanned" for event, _ in self.told)
        waits_s = {work.name: self._turn(work) for work in self.service.works}
        looking = ("catalog", "watch", "scout") if scanned else ("catalog", "watch")
        return min(most_s, *(wait_s for name, wait_s in waits_s.items() if not name.startswith(looking)))

    def _turn(self, work: Work) -> float:
        try:
            return work.turn()
        except Trouble as trouble:  # as a lane does
            self.told.append(("lane_waited", {"kind": trouble.kind, "what": trouble.what}))
            return getattr(trouble, "after_s", None) or REST_S


def live(wish: dict[str, Any]) -> int:
    """Live one life: until nothing is due."""
    killer = CommitKiller(wish.get("commit"), wish.get("moment", "before"))
    turned = TurnedService(Path(wish["config"]), wish["environ"], wish.get("ahead_s", 0.0))
    with turned.running():
        ended = LEASES_LEFT if turned.catalog.owners() else _turn_to_the_end(turned)
    _report(wish, commits=killer.count, told=turned.told, bugs=turned.bugs)
    return ended if not turned.bugs else BROKE


def _turn_to_the_end(turned: TurnedService) -> int:
    for _ in range(_MOST_TURNS):
        wait_s = turned.turn()
        if wait_s > 0:
            if turned.finished:
                return LIVED
            turned.clock.skip(wait_s + _STEP_S)
    return STUCK


def _report(wish: dict[str, Any], **facts: object) -> None:
    if "report" in wish:
        Path(wish["report"]).write_text(json.dumps(facts), encoding="utf-8")


def _fork(wish: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = BROKE
    try:
        with open(wish["gate"], "rb") as gate:  # noqa: PTH123 - opens when the other side does
            gate.read()
        status = live(wish)
    except BaseException:  # noqa: BLE001 - the fork must never come back into the mould's loop
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(status)


def main() -> None:
    """Make one fork for each line, one after another; tell its pid and how it ended."""
    _warm_up()
    for line in sys.stdin:
        pid = _fork(json.loads(line))
        print(pid, flush=True)  # noqa: T201 - the protocol
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the protocol


def _warm_up() -> None:
    """Import what the first request would import."""
    import sqlite3  # noqa: F401, PLC0415 - loaded in the mould, used in the forks

    import httpx  # noqa: PLC0415 - same

    httpx.Client(trust_env=False).close()
    # what is here stays: forks need neither count nor copy it
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    main()
