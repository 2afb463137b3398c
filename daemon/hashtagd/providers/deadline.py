"""One deadline for a whole exchange, looked at by every single wait of its connection."""

import contextlib
import threading
from collections.abc import Iterator

import httpcore

from hashtagd.core.ports import Clock


class Timer(threading.local):
    """The deadline of the exchange that this thread is in."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ends_s: float | None = None

    @contextlib.contextmanager
    def running(self, total_s: float) -> Iterator[None]:
        """Let what happens inside take so long, all in all."""
        self._ends_s = self._clock.monotonic_s() + total_s
        try:
            yield
        finally:
            self._ends_s = None

    def restart(self, total_s: float) -> None:
        """Let what is left of the exchange take so long from now on."""
        self._ends_s = self._clock.monotonic_s() + total_s

    def clip(self, timeout_s: float | None, error: type[httpcore.TimeoutException]) -> float | None:
        """Shorten a wait to what is left of the whole.

        Raises:
            httpcore.TimeoutException: nothing is left.
        """
        if self._ends_s is None:
            return timeout_s
        left_s = self._ends_s - self._clock.monotonic_s()
        if left_s <= 0:
            raise error("the whole exchange took too long")
        return left_s if timeout_s is None else min(timeout_s, left_s)
