"""What this run did, counted: requests per origin, bytes hashed, artifacts written."""

import threading
from collections import Counter
from datetime import datetime

from hashtagd.core.ports import Admitted, Closed, Gatekeeper
from hashtagd.core.troubles import Trouble


class Tally:
    """Counters that every lane may add to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._sums: Counter[str] = Counter()
        self._limited: Counter[str] = Counter()

    def requested(self, origin: str) -> None:
        """Count one request."""
        with self._lock:
            self._requests[origin] += 1

    def limited(self, origin: str) -> None:
        """Count one answer that said we ask too often."""
        with self._lock:
            self._limited[origin] += 1

    @property
    def rate_limited(self) -> dict[str, int]:
        """Such answers by origin; every origin that was asked is there."""
        with self._lock:
            return {origin: self._limited[origin] for origin in sorted(self._requests)}

    def add(self, name: str, amount: int) -> None:
        """Add to a named sum, for example `bytes_hashed`."""
        with self._lock:
            self._sums[name] += amount

    def sum(self, name: str) -> int:
        """Give a named sum, 0 when nothing was added."""
        with self._lock:
            return self._sums[name]

    @property
    def requests(self) -> dict[str, int]:
        """Requests by origin."""
        with self._lock:
            return dict(sorted(self._requests.items()))


class CountingGates:
    """A gatekeeper that counts what it admits."""

    def __init__(self, gates: Gatekeeper, tally: Tally) -> None:
        self._gates = gates
        self._tally = tally

    def look(self, origin: str, *, background: bool = False) -> Admitted | Closed:
        """Pass on; a look is no request."""
        return self._gates.look(origin, background=background)

    def admit(self, origin: str) -> Admitted | Closed:
        """Pass on and count."""
        verdict = self._gates.admit(origin)
        if isinstance(verdict, Admitted):
            self._tally.requested(origin)
        return verdict

    def succeeded(self, origin: str) -> None:
        """Pass on."""
        self._gates.succeeded(origin)

    def close(self, origin: str, trouble: Trouble, wait_s: float | None = None) -> datetime:
        """Pass on, and count where the reason is that we ask too often."""
        if trouble.kind == "rate_limited":
            self._tally.limited(origin)
        return self._gates.close(origin, trouble, wait_s)
