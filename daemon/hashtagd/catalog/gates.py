"""Gates: one per origin, open or closed until a moment, with the request budget that machines share.

An outage belongs to the origin, not to the thousands of rows that wait for it: they stay due, it closes.
A commit for each request would be most of the work of a run that fetches a picture for every file; so a
process takes what a large budget grants in a second at once, and only looks at the gate until that is spent.
"""

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, select, update

from hashtagd.catalog.engine import Database
from hashtagd.catalog.rows import Record, insert_absent
from hashtagd.catalog.tables import gate
from hashtagd.core import schedule
from hashtagd.core.ports import Admitted, Closed
from hashtagd.core.troubles import Trouble, trouble_from_json

#: how long the request that tries an origin after an outage may take before another may try
_PROBE: Final = timedelta(seconds=60)
_MINUTE_S: Final = 60.0
#: requests taken in advance are worth nothing after this time: the bucket has filled up again without them
_RESERVE_KEPT: Final = timedelta(minutes=1)
#: who comes back at the very moment that was named is not sent away for the last digit
_ROUNDING: Final = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class GateState:
    """One gate as reports show it."""

    origin: str
    open: bool
    opens_at: datetime | None
    failures: int
    trouble: Trouble | None


class Gates:
    """The gatekeeper of `core.ports`, kept in the catalog.

    Args:
        database: the store.
        chance: a random number in [0, 1), so that machines do not probe in step.
        budgets: requests a minute, by origin; as many may go at once after a quiet minute.
        default_rpm: requests a minute for every other origin.
    """

    def __init__(
        self, database: Database, *, chance: Callable[[], float], budgets: Mapping[str, int], default_rpm: int
    ) -> None:
        self._database = database
        self._chance = chance
        self._budgets = dict(budgets)
        self._default_rpm = default_rpm
        self._reserve = _Reserve()

    def look(self, origin: str, *, background: bool = False) -> Admitted | Closed:
        """Tell whether a request could go now, without spending anything.

        Background questions leave half of the budget to those that somebody waits for.
        """
        kept = min(self._rpm(origin) / 2, self._rpm(origin) - 1) if background else 0.0
        return self._local(
            self._database.read(
                lambda it, now: self._judge(
                    _row(it, origin), origin, now, self._reserve.left(origin, now) - kept
                )
            )
        )

    def admit(self, origin: str) -> Admitted | Closed:
        """Spend one request of the budget, or say when to come back.

        After an outage one request goes as the probe; the others wait for its success, a minute at most.
        What is reserved is lost with the process: at most what the budget grants in a second.
        """
        if self._reserve.holds(origin) and self._database.read(
            lambda it, now: self._spend_reserved(it, origin, now)
        ):
            return Admitted()
        verdict, reserved, now = self._database.write(lambda it, now: self._admit(it, origin, now))
        self._reserve.add(origin, reserved, now)
        return self._local(verdict)

    def succeeded(self, origin: str) -> None:
        """Note a proper answer. One that was under way when the gate was closed does not open it."""
        row = self._database.read(lambda it, _now: _row(it, origin))
        if row is not None and row.failures > 0:
            self._database.write(lambda it, now: _open(it, origin, now))

    def close(self, origin: str, trouble: Trouble, wait_s: float | None = None) -> datetime:
        """Close the gate for `wait_s`, or by the number of outages in a row; returns when it opens.

        Several requests that fail together are one outage: it never becomes shorter, and counts once.
        """
        opens_at = self._database.write(lambda it, now: self._close(it, origin, now, trouble, wait_s))
        return self._database.local(opens_at)

    def list(self) -> Sequence[GateState]:
        """List every gate, by origin."""
        return self._database.read(states)

    def _local(self, verdict: Admitted | Closed) -> Admitted | Closed:
        """Say it in the time of this process: that is how long its lanes wait."""
        if isinstance(verdict, Admitted):
            return verdict
        return replace(verdict, opens_at=self._database.local(verdict.opens_at))

    def _spend_reserved(self, connection: Connection, origin: str, now: datetime) -> bool:
        """Look at the gate as any machine may have left it: with an outage all that was reserved is void."""
        row = _row(connection, origin)
        if row is None or row.failures > 0:
            self._reserve.drop(origin)
            return False
        return self._reserve.spend(origin, now)

    def _admit(
        self, connection: Connection, origin: str, now: datetime
    ) -> tuple[Admitted | Closed, int, datetime]:
        """Give the verdict, how many further requests were taken with it, and when."""
        row = self._locked(connection, origin, now)
        verdict = self._judge(row, origin, now)
        if isinstance(verdict, Closed):
            return verdict, 0, now
        there = self._tokens(row, origin, now)
        most = 1 if verdict.probe else max(int(self._rpm(origin) / _MINUTE_S), 1)
        taken = min(max(math.floor(there + _ROUNDING), 1), most)
        spent = {"tokens": max(there - taken, 0.0), "refilled_at": now}
        probe = {"probe_until": now + _PROBE} if verdict.probe else {}
        _change(connection, origin, spent | probe)
        return verdict, taken - 1, now

    def _close(
        self, connection: Connection, origin: str, now: datetime, trouble: Trouble, wait_s: float | None
    ) -> datetime:
        row = self._locked(connection, origin, now)
        same_outage = row.opens_at is not None and row.opens_at > now
        failures = row.failures + (0 if same_outage else 1)
        if wait_s is None:
            wait_s = schedule.gate_wait_s(failures, self._chance())
        opens_at = now + timedelta(seconds=wait_s)
        if same_outage and row.opens_at >= opens_at:
            already: datetime = row.opens_at
            return already
        values = {
            "opens_at": opens_at,
            "failures": failures,
            "trouble": trouble.to_json(),
            "probe_until": None,
        }
        _change(connection, origin, values)
        return opens_at

    def _judge(
        self, row: Record | None, origin: str, now: datetime, reserved: float = 0.0
    ) -> Admitted | Closed:
        if row is None:
            return Admitted()
        for shut_until in (row.opens_at, row.probe_until):
            if shut_until is not None and shut_until > now:
                return Closed(opens_at=shut_until, trouble=_trouble(row))
        missing = 1 - self._tokens(row, origin, now) - reserved
        if missing > _ROUNDING:
            return Closed(opens_at=now + timedelta(seconds=missing * _MINUTE_S / self._rpm(origin)))
        return Admitted(probe=row.failures > 0)

    def _locked(self, connection: Connection, origin: str, now: datetime) -> Record:
        full = {"origin": origin, "failures": 0, "tokens": float(self._rpm(origin)), "refilled_at": now}
        insert_absent(connection, gate, [full])
        return connection.execute(select(gate).where(gate.c.origin == origin).with_for_update()).one()

    def _tokens(self, row: Record, origin: str, now: datetime) -> float:
        """Refill the bucket; a clock that went back refills nothing."""
        rpm = self._rpm(origin)
        since_s = max((now - row.refilled_at).total_seconds(), 0.0)
        filled: float = min(row.tokens + since_s * rpm / _MINUTE_S, float(rpm))
        return filled

    def _rpm(self, origin: str) -> int:
        return max(self._budgets.get(origin, self._default_rpm), 1)


class _Reserve:
    """Requests that were taken out of the budget before they were needed, by origin."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: dict[str, tuple[int, datetime]] = {}

    def holds(self, origin: str) -> bool:
        """Tell whether there are any, fresh or not."""
        return origin in self._taken

    def left(self, origin: str, now: datetime) -> int:
        """Count those that still are worth something; a clock that went back makes them worth nothing."""
        count, taken_at = self._taken.get(origin, (0, now))
        return count if now - _RESERVE_KEPT < taken_at <= now else 0

    def add(self, origin: str, count: int, now: datetime) -> None:
        """Keep some more, taken now."""
        with self._lock:
            kept = count + self.left(origin, now)
            if kept:
                self._taken[origin] = (kept, now)
            else:
                self._taken.pop(origin, None)

    def spend(self, origin: str, now: datetime) -> bool:
        """Take one out, if there is one."""
        with self._lock:
            left = self.left(origin, now)
            if left > 1:
                self._taken[origin] = (left - 1, self._taken[origin][1])
            else:
                self._taken.pop(origin, None)
            return left > 0

    def drop(self, origin: str) -> None:
        """Give them up."""
        with self._lock:
            self._taken.pop(origin, None)


def states(connection: Connection, now: datetime) -> Sequence[GateState]:
    """Read every gate, by origin."""
    return [
        GateState(
            origin=row.origin,
            open=row.opens_at is None or row.opens_at <= now,
            opens_at=row.opens_at,
            failures=row.failures,
            trouble=_trouble(row),
        )
        for row in connection.execute(select(gate).order_by(gate.c.origin))
    ]


def _row(connection: Connection, origin: str) -> Record | None:
    return connection.execute(select(gate).where(gate.c.origin == origin)).first()


def _open(connection: Connection, origin: str, now: datetime) -> None:
    row = connection.execute(select(gate).where(gate.c.origin == origin).with_for_update()).one()
    if row.opens_at is None or row.opens_at <= now:
        _change(connection, origin, {"opens_at": None, "failures": 0, "trouble": None, "probe_until": None})


def _change(connection: Connection, origin: str, values: Mapping[str, Any]) -> None:
    connection.execute(update(gate).where(gate.c.origin == origin).values(**values))


def _trouble(row: Record) -> Trouble | None:
    return None if row.trouble is None else trouble_from_json(row.trouble)
