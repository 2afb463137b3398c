"""The one thread of supervision that asks the catalog, so that the main loop never waits for a database.

A database that is locked, away, or takes requests and never answers holds this thread up for as long as it
likes; meanwhile the main loop turns, says what is wrong, and stops when it is told to.
"""

from collections.abc import Callable
from typing import Final

from hashtagd.catalog.catalog import Catalog
from hashtagd.core import schedule
from hashtagd.core.ports import Clock
from hashtagd.core.troubles import Scope, Trouble, TryLater
from hashtagd.service.leases import Leases

#: how often it is asked whether anybody committed something, and how often when nobody has for a while
ASK_S, REST_ASK_S = 1.0, 2.0
#: so long after the last commit the daemon is at rest
REST_S: Final = 5.0
#: how often memory is given back at rest: lanes ask now and then, and what that takes stays open
TRIM_AGAIN_S: Final = 900.0
#: how long after the start, and then how often, old events and long-gone files are dropped from the catalog
TIDY_FIRST_S, TIDY_S = 60.0, 3600.0
#: a wall clock that moved so much between two turns was set, or went on while the machine slept
JUMP_S: Final = 5.0
#: a database that said nothing for so long is told of; longer than SQLite waits for another program
SILENT_S: Final = 15.0


class CatalogWatch:
    """Wakes the lanes after commits, renews leases, tidies; a lane's work like any other.

    Args:
        wake: called after anybody, in any process, has committed something.
        trim: gives memory back to the system; called when there is nothing left to do.
        tidy: drops from the catalog what is old; called a minute after the start, and then once an hour.
    """

    name = "catalog"

    def __init__(
        self,
        *,
        catalog: Catalog,
        leases: Leases,
        clock: Clock,
        wake: Callable[[], None],
        trim: Callable[[], None],
        tidy: Callable[[], None],
    ) -> None:
        self._catalog = catalog
        self._leases = leases
        self._clock = clock
        self._wake = wake
        self._trim = trim
        self._tidy = tidy
        self._token: int | None = None
        #: when the last commit was seen, at first the start; None once the memory of that work was given back
        self._changed_s: float | None = clock.monotonic_s()
        self._trouble: Trouble | None = None
        self._renewed_s = self._answered_s = clock.monotonic_s()
        self._tidy_at_s = self._renewed_s + TIDY_FIRST_S
        self._trimmed_s = self._renewed_s
        #: between the wall clock and the one that waits are measured by, at the last turn
        self._offset_s = self._measure_offset_s()
        #: when the catalog last said that all is well
        self.well_s = self._answered_s

    @property
    def trouble(self) -> Trouble | None:
        """Tell what is wrong with the catalog; silence is a trouble, too."""
        silent_s = self._clock.monotonic_s() - self._answered_s
        return self._trouble if silent_s <= SILENT_S else _silent()

    @property
    def at_rest(self) -> bool:
        """Tell whether nobody has committed anything for a while, and all is well."""
        return self._changed_s is None and self._trouble is None

    @property
    def answers(self) -> bool:
        """Tell whether a new process would be no better off.

        True after an answer of any kind, and while the database is silent: it was asked, and a restart would
        not make it speak. False when this thread hangs anywhere else.
        """
        return self._clock.monotonic_s() - self._answered_s <= SILENT_S or self._catalog.database.is_asked

    def turn(self) -> float:
        """Ask once, and do what is due."""
        try:
            self._heed()
            self._trim_at_rest()
        except Trouble as trouble:
            self._trouble = trouble
            self._answered_s = self._clock.monotonic_s()
        else:
            self._trouble = None
            self._answered_s = self.well_s = self._clock.monotonic_s()
        return REST_ASK_S if self.at_rest else ASK_S

    def _heed(self) -> None:
        token = self._catalog.change_token()
        if token != self._token:
            self._token = token
            self._changed_s = self._clock.monotonic_s()
            self._wake()
        elif abs(moved_s := self._clock_moved_s()) >= JUMP_S:
            if moved_s < 0:  # what was noted meanwhile would wait for as long as the clock was ahead
                self._catalog.set_back(-moved_s)
            self._wake()
        if self._clock.monotonic_s() - self._renewed_s >= schedule.RENEW_S:
            self._renewed_s = self._clock.monotonic_s()
            self._leases.renew(self._catalog)
        if self._clock.monotonic_s() >= self._tidy_at_s:
            self._tidy_at_s = self._clock.monotonic_s() + TIDY_S
            self._tidy()
            self._trimmed_s = float("-inf")  # it reads much

    def _clock_moved_s(self) -> float:
        """Tell how far the clock was set, or for how long the machine slept: waits are too long then."""
        before_s, self._offset_s = self._offset_s, self._measure_offset_s()
        return self._offset_s - before_s

    def _measure_offset_s(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic_s()

    def _trim_at_rest(self) -> None:
        now_s = self._clock.monotonic_s()
        came_to_rest = self._changed_s is not None and now_s - self._changed_s >= REST_S
        if came_to_rest or (self._changed_s is None and now_s - self._trimmed_s >= TRIM_AGAIN_S):
            self._changed_s = None
            self._trimmed_s = now_s
            self._trim()


def _silent() -> TryLater:
    return TryLater(
        "the catalog's database does not answer",
        does="hashtagd waits for it; a new start would not help",
        you="see whether another program holds the file, or whether the server or its disk hangs",
        scope=Scope.DAEMON,
        kind="catalog_silent",
    )
