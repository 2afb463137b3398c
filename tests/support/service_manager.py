"""A service manager that listens on a real notify socket, and judges as systemd does."""

import socket
import threading
import time
from itertools import pairwise
from types import TracebackType
from typing import Self

#: how long a receive waits before it looks whether it shall end
_LOOK_S = 0.2


class Manager:
    """Hears everything at once, as systemd does, and keeps when it came; a context manager.

    Args:
        name: in the abstract name space; of this test alone.
    """

    def __init__(self, name: str) -> None:
        self.address = f"@{name}"
        self._heard: list[tuple[float, str]] = []
        self._ended = threading.Event()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + name)
        self._socket.settimeout(_LOOK_S)
        self._thread = threading.Thread(target=self._listen)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()

    def hears(self) -> list[str]:
        """Give all that was said so far."""
        return [line for _, line in list(self._heard)]

    def forget(self) -> None:
        """Begin anew."""
        self._heard.clear()

    def longest_silence_s(self, since_s: float) -> float:
        """Give the longest time between two signs of life from a monotonic moment until now.

        A manager kills the service as soon as this is more than its `WatchdogSec=`.
        """
        signs = [at_s for at_s, line in list(self._heard) if line == "WATCHDOG=1" and at_s >= since_s]
        moments = [since_s, *signs, time.monotonic()]
        return max(later - earlier for earlier, later in pairwise(moments))

    def _listen(self) -> None:
        while not self._ended.is_set():
            try:
                said = self._socket.recv(4096)
            except TimeoutError:
                continue
            now_s = time.monotonic()
            self._heard += [(now_s, line) for line in said.decode().splitlines()]
