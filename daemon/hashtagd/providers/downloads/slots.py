"""How many files may come from one host at once."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from hashtagd.core.ports import Pause, Stopping

#: how often somebody who waits for a slot looks whether a stop is wanted
_LOOK_S: Final = 0.5


class Slots:
    """Lets so many in for each origin; the others wait.

    Args:
        most: for each origin.
        pause: the wish to stop ends the waiting.
    """

    def __init__(self, most: int, pause: Pause) -> None:
        self._most = most
        self._pause = pause
        self._taken: Counter[str] = Counter()
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, origin: str) -> Iterator[None]:
        """Hold one slot of an origin inside the block.

        Raises:
            Stopping: a stop was requested before there was a free one.
        """
        with self._changed:
            while self._taken[origin] >= self._most:
                if self._pause.stopping:
                    raise Stopping
                self._changed.wait(_LOOK_S)
            self._taken[origin] += 1
        try:
            yield
        finally:
            with self._changed:
                self._taken[origin] -= 1
                if not self._taken[origin]:
                    del self._taken[origin]
                self._changed.notify_all()
