"""The real clock and the real pause; the only place that reads the time of the machine."""

import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from queue import Empty, SimpleQueue


class SystemClock:
    """Implements `core.ports.Clock` with the machine's clocks."""

    def now(self) -> datetime:
        """Give the wall clock: aware, UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Give a clock that never jumps, for waits and deadlines."""
        return time.monotonic()


class StopPause:
    """Implements `core.ports.Pause`; one object serves all threads of a process."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        # unlike an event, it may be put into by a signal handler that interrupts who waits for it
        self._bell: SimpleQueue[None] = SimpleQueue()

    @property
    def stopping(self) -> bool:
        """Tell whether `stop` was called."""
        return self._stop.is_set()

    def stop(self) -> None:
        """End all waits, now and later; may be called from a signal handler, and more than once."""
        self._stop.set()
        self.ring()

    def ring(self) -> None:
        """End the `rest` that goes on, or the next one; may be called from a signal handler."""
        if self._bell.empty():
            self._bell.put(None)

    def rest(self, seconds: float) -> None:
        """Wait for a ring, a stop, or so long; for one thread alone."""
        if self._stop.is_set():
            return
        with suppress(Empty):
            self._bell.get(timeout=seconds)
            while True:
                self._bell.get_nowait()

    def wait(self, seconds: float) -> bool:
        """Wait; returns True at once when a stop is (or gets) requested, else False after the time."""
        # a wait beyond the platform's limit would raise
        return self._stop.wait(min(max(seconds, 0.0), threading.TIMEOUT_MAX))
