"""Brings files in this very process: for `hashtagd get` and `restore` where no daemon runs.

The same rows, leases, gates and stages as the daemon's, so either may go on where the other ended.
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Final

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.transfers import TransferRow
from hashtagd.core import schedule
from hashtagd.core.ports import Stopping
from hashtagd.core.transfer import Fetched, TransferClaim, TransferOutcome
from hashtagd.core.work import Stage
from hashtagd.service import parts
from hashtagd.service.clock import StopPause
from hashtagd.service.downloads import Downloads, Listeners
from hashtagd.service.lanes import Lane, Tell, Work
from hashtagd.service.leases import Leases
from hashtagd.service.providers import Providers
from hashtagd.service.roots import RootPlan
from hashtagd.service.stories import tell_transfer
from hashtagd.service.writing import Writing
from hashtagd.watch.roots import Roots

#: how often whoever watches is told how far it is
TICK_S: Final = 0.25
#: a download that waits for longer than this is left to the daemon, or to the next call
PATIENCE_S: Final = 8.0
#: how long lanes may take to give back what they hold
_GRACE_S: Final = 15.0
_PUBLISHED_AT_ONCE: Final = 16

#: takes the rows, and by their number how many bytes are here, which is fresher than what the rows say
Watch = Callable[[Sequence[TransferRow], Mapping[int, int]], None]


class Fetching:
    """Brings the transfers of these numbers to an end, and publishes what came.

    Args:
        outside: the network and the settings.
        catalog: where the transfers are.
        plan: the roots.
        only: the numbers.
    """

    def __init__(
        self, outside: parts.Outside, *, catalog: Catalog, plan: RootPlan, only: Collection[int], tell: Tell
    ) -> None:
        self._outside = outside
        self._catalog = catalog
        self._only = frozenset(only)
        self._tell = tell
        self._roots = Roots(plan.folders)
        self._plan = plan
        self._leases = Leases()
        self._bytes: dict[int, int] = {}
        self._landed: list[TransferClaim] = []
        self._lock = threading.Lock()
        #: ends the lanes, and nothing else of this process
        self._lanes_pause = StopPause()
        self._renewed_s = outside.clock.monotonic_s()

    def run(self, watch: Watch) -> list[TransferRow]:
        """Work until each is done, parked, or waits for long; returns the rows as they are then.

        Raises:
            Trouble: scope `daemon`: the catalog cannot be used.
            Stopping: a stop was requested; what came is kept.
        """
        with ExitStack() as stack:
            providers = Providers(parts.make_providers(self._outside))
            stack.callback(providers.close)
            downloads = self._downloads(providers)
            stack.callback(downloads.close)
            lanes = [self._lane(work) for work in downloads.works[: len(self._only)]]
            stack.callback(self._end, lanes)
            for lane in lanes:
                lane.start()
            self._watch(watch, lanes)
        self.publish()
        return self._catalog.transfers.rows(self._only)

    def publish(self) -> None:
        """Write beside what came; what cannot be written now is left to the daemon."""
        with self._lock:
            places = [claim.wanted.place for claim in self._landed]
        if not places:
            return
        with ExitStack() as stack:
            fetcher = parts.make_fetcher(self._outside)
            stack.callback(fetcher.close)
            writing = Writing(
                writers=parts.make_writers(self._outside.loaded),
                folders=self._plan.folders,
                fetcher=fetcher,
                roots=self._roots,
                catalog=self._catalog,
                clock=self._outside.clock,
                pause=self._outside.pause,
            )
            stage, roots = writing.publish(), list(self._roots.folders)
            while claims := self._catalog.claim(Stage.PUBLISH, roots, _PUBLISHED_AT_ONCE, only=places):
                self._catalog.apply(list(zip(claims, stage.run(claims), strict=True)))

    def _watch(self, watch: Watch, lanes: Sequence[Lane]) -> None:
        clock, pause = self._outside.clock, self._outside.pause
        while True:
            rows = self._catalog.transfers.rows(self._only)
            watch(rows, dict(self._bytes))
            if all(rests(row, clock.now()) for row in rows) and self._leases.idle:
                return
            if not all(lane.alive for lane in lanes):
                raise RuntimeError("a lane of downloads broke")
            if pause.wait(TICK_S):
                raise Stopping
            if clock.monotonic_s() - self._renewed_s >= schedule.RENEW_S:
                self._renewed_s = clock.monotonic_s()
                self._leases.renew(self._catalog)

    def _end(self, lanes: Sequence[Lane]) -> None:
        self._lanes_pause.stop()
        for lane in lanes:
            lane.wake()
        for lane in lanes:
            lane.join(_GRACE_S)

    def _downloads(self, providers: Providers) -> Downloads:
        return Downloads(
            self._outside,
            catalog=self._catalog,
            roots=self._roots,
            chain=providers.chain,
            leases=self._leases,
            listeners=Listeners(
                ended=self._ended,
                bug=lambda lane, error: self._tell("bug_met", lane=lane, exc_info=error),
                onward=lambda: None,
                seen=self._seen,
            ),
            only=self._only,
        )

    def _lane(self, work: Work) -> Lane:
        return Lane(
            work=work,
            clock=self._outside.clock,
            pause=self._lanes_pause,
            tell=self._tell,
            bug=lambda lane, error: self._tell("bug_met", lane=lane, exc_info=error),
            died=lambda: None,
        )

    def _seen(self, claim: TransferClaim, bytes_done: int) -> None:
        self._bytes[claim.transfer_id] = bytes_done

    def _ended(self, claim: TransferClaim, outcome: TransferOutcome) -> None:
        tell_transfer(self._tell, claim, outcome)
        if isinstance(outcome, Fetched):
            with self._lock:
                self._landed.append(claim)


def rests(row: TransferRow, now: datetime) -> bool:
    """Tell whether a transfer has come to an end, or to a wait that is too long to stand by."""
    if row.state in ("done", "parked"):
        return True
    if row.state != "waiting" or row.trouble is None or row.due_at is None:
        return False
    return row.due_at > now + timedelta(seconds=PATIENCE_S)
