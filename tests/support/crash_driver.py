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
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

from sqlalchemy import Connection, Engine, event
from sqlalchemy.pool import Pool

from hashtagd.catalog.engine import READS
from hashtagd.cli.context import Context
from hashtagd.service.assemble import Process, Service, assemble
from hashtagd.service.clock import StopPause, SystemClock
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
    raise AssertionError("still alive")


def live(wish: dict[str, Any]) -> int:
    """Live one life: until nothing is due."""
    environ: dict[str, str] = wish["environ"]
    killer = CommitKiller(wish.get("commit"), wish.get("moment", "before"))
    clock = SkippingClock(wish.get("ahead_s", 0.0))
    context = Context(config=Path(wish["config"]), volume=None, environ=environ)
    told: list[str] = []
    bugs: list[str] = []
    process = Process(
        plan=plan_roots(context.loaded, (), environ=environ, state_folder=context.state_folder),
        environ=environ,
        folder=context.lock_folder,
        clock=clock,
        pause=NeverStops(clock),
        tell=lambda event, **values: told.append(f"{event} {values}"),
        bug=lambda lane, error: bugs.append(f"{lane}: {''.join(traceback.format_exception(error))}"),
        once=True,
    )
    with assemble(context.loaded, process) as service:
        leases_left = service._catalog.owners()
        ended = LEASES_LEFT if leases_left else _turn(service, clock)
    _report(wish, commits=killer.count, told=told, bugs=bugs)
    return ended if not bugs else BROKE


def _turn(service: Service, clock: SkippingClock) -> int:
    for _ in range(_MOST_TURNS):
        waits_s = [work.turn() for work in service.works]
        if min(waits_s) > 0:
            if service._judge.finished():
                return LIVED
            clock.skip(min(waits_s) + _STEP_S)
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
