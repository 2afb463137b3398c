"""Brings hints from the watchers to the scouts, on a thread of its own.

To look after watches means to look at disks. One that hangs holds up this thread at most: then nobody is
hinted at anything, and the scans find it.
"""

from collections.abc import Callable, Sequence
from typing import Final

from hashtagd.service.scout import ScoutWork
from hashtagd.watch.observer import Observer

#: how often dead watchers and refused watches are looked for
CHECK_S: Final = 5.0


class HintWork:
    """Looks after the observer, and passes on what it saw; a lane's work like any other.

    Args:
        hinted: called when a scout has something to look at.
    """

    name = "watch"

    def __init__(
        self, observer: Observer, scouts: Sequence[ScoutWork], hinted: Callable[[], None] = lambda: None
    ) -> None:
        self._observer = observer
        self._scouts = scouts
        self._hinted = hinted
        self._at_work = False

    @property
    def idle(self) -> bool:
        """Tell whether no hint is on its way to a scout."""
        return not self._at_work and not self._observer.has_hints

    def turn(self) -> float:
        """Pass on what came."""
        self._at_work = True
        try:
            self._observer.check()
            hints = self._observer.drain()
            for scout in self._scouts:
                scout.take(hints)
        finally:
            self._at_work = False
        if hints:
            self._hinted()
        return CHECK_S
