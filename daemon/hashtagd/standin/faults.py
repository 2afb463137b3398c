"""What the stand-in does wrong when it is told to."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to fail."""

    status: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b'{"error":"made to fail"}'
    content_type: str = "application/json; charset=utf-8"
    #: answer properly, but close the connection after half of the body
    cut: bool = False
    #: close the connection without a word
    hang_up: bool = False
    #: answer properly, but this much later
    delay_s: float = 0.0

    @property
    def answers_instead(self) -> bool:
        """Tell whether the fault replaces the answer; else it only spoils it."""
        return not (self.cut or self.hang_up or self.delay_s)


class Script:
    """The faults to come, in the order they were asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._steps: list[tuple[str | None, Fault, int | None]] = []

    def add(self, fault: Fault, *, route: str | None, times: int | None) -> None:
        """Fail the next `times` requests (None: until cleared) of this route (None: of any)."""
        with self._lock:
            self._steps.append((route, fault, times))

    def clear(self) -> None:
        """Behave again."""
        with self._lock:
            self._steps.clear()

    def take(self, route: str) -> Fault | None:
        """Give the fault for one request, and count it."""
        with self._lock:
            for index, (wanted, fault, times) in enumerate(self._steps):
                if wanted not in (None, route):
                    continue
                if times is not None and times <= 1:
                    del self._steps[index]
                elif times is not None:
                    self._steps[index] = (wanted, fault, times - 1)
                return fault
        return None
