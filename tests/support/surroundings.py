"""Fakes of what the service hands to providers; each keeps what it was told."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from hashtagd.core.digests import Digests
from hashtagd.core.ports import Admitted, Closed
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Subject
from hashtagd.providers.surroundings import Surroundings

START = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)


class HandClock:
    """A clock that moves when it is told to."""

    def __init__(self, now: datetime = START) -> None:
        self.wall = now
        self.elapsed_s = 0.0

    def now(self) -> datetime:
        return self.wall + timedelta(seconds=self.elapsed_s)

    def monotonic_s(self) -> float:
        return self.elapsed_s


class RunningClock(HandClock):
    """A clock that runs, for deadlines of real connections."""

    def monotonic_s(self) -> float:
        return time.monotonic()


class QuickPause:
    """Waits take no time but move the clock."""

    def __init__(self, clock: HandClock) -> None:
        self._clock = clock
        self.waits_s: list[float] = []
        #: becomes true after so many waits; None: never
        self.stop_after: int | None = None

    @property
    def stopping(self) -> bool:
        return self.stop_after is not None and len(self.waits_s) >= self.stop_after

    def wait(self, seconds: float) -> bool:
        self.waits_s.append(seconds)
        self._clock.elapsed_s += seconds
        return self.stopping


class OpenGates:
    """Gates that remember who closed them; a budget may be set."""

    def __init__(self, clock: HandClock) -> None:
        self._clock = clock
        self._closed: dict[str, tuple[datetime, Trouble]] = {}
        self.admitted: list[str] = []
        self.closings: list[tuple[str, Trouble, float | None]] = []
        self.successes: list[str] = []
        #: seconds that the budget makes one request wait
        self.scarce_s = 0.0
        self._free_at: dict[str, datetime] = {}

    def look(self, origin: str, *, background: bool = False) -> Admitted | Closed:  # noqa: ARG002 - no budget here
        closed = self._closed.get(origin)
        if closed is not None and closed[0] > self._clock.now():
            return Closed(opens_at=closed[0], trouble=closed[1])
        return Admitted(probe=closed is not None)

    def admit(self, origin: str) -> Admitted | Closed:
        verdict = self.look(origin)
        if isinstance(verdict, Closed):
            return verdict
        free_at = self._free_at.get(origin, self._clock.now())
        if free_at > self._clock.now():
            return Closed(opens_at=free_at)
        self._free_at[origin] = self._clock.now() + timedelta(seconds=self.scarce_s)
        self.admitted.append(origin)
        return verdict

    def succeeded(self, origin: str) -> None:
        self._closed.pop(origin, None)
        self.successes.append(origin)

    def close(self, origin: str, trouble: Trouble, wait_s: float | None = None) -> datetime:
        self.closings.append((origin, trouble, wait_s))
        opens_at = self._clock.now() + timedelta(seconds=30.0 if wait_s is None else wait_s)
        self._closed[origin] = (opens_at, trouble)
        return opens_at


class World:
    """All of them together, and the `Surroundings` made of them."""

    def __init__(self, *, key: str | None = None, running: bool = False) -> None:
        self.clock = RunningClock() if running else HandClock()
        self.pause = QuickPause(self.clock)
        self.gates = OpenGates(self.clock)
        self.told: list[tuple[str, Mapping[str, object]]] = []
        self.surroundings = Surroundings(
            clock=self.clock,
            pause=self.pause,
            gatekeeper=self.gates,
            tell=lambda event, values: self.told.append((event, values)),
            key=None if key is None else SecretStr(key),
        )


def subject(sha256: str, *, tensors: str | None = None, size_bytes: int = 1_048_576) -> Subject:
    """Make the subject of a question about a file, or about its tensors where they are named."""
    return Subject(
        hash=tensors or sha256.lower(),
        digests=Digests(sha256=sha256.lower(), tensors_sha256=tensors),
        header=None,
        size_bytes=size_bytes,
    )


def sha(number: int) -> str:
    """Make a SHA-256 that is recognised in a failed test."""
    return f"{number:08x}" * 8
