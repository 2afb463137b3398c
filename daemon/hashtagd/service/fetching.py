"""Brings files in this very process: for `hashtagd get` and `restore` where no daemon runs.

The same rows, leases, gates and stages as the daemon's, so either may go on where the other ended.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Final

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.transfers import TransferRow
from hashtagd.core import schedule
from hashtagd.core.place import Place
from hashtagd.core.ports import Stopping
from hashtagd.core.transfer import Fetched, TransferClaim, TransferOutcome
from hashtagd.service import parts
from hashtagd.service.clock import StopPause
from hashtagd.service.downloads import Downloads, Listeners
from hashtagd.service.lanes import Lane, Tell, Work
from hashtagd.service.leases import Leases
from hashtagd.service.nudging import Nudger
from hashtagd.service.providers import Providers
from hashtagd.service.publishing_landed import PublishingLanded
from hashtagd.service.roots import RootPlan
from hashtagd.service.stories import tell_transfer
from hashtagd.watch.roots import Roots

#: how often whoever watches is told how far it is
TICK_S: Final = 0.25
#: a download that waits for longer than this is left to the daemon, or to the next call
PATIENCE_S: Final = 8.0
#: how long lanes may take to give back what they hold
_GRACE_S: Final = 15.0
#: looking at thousands of rows takes a while, and takes it from the lanes
_LOOKING_SHARE: Final = 4

#: takes the rows, and by their number how many bytes are here, which is fresher than what the rows say
Watch = Callable[[Sequence[TransferRow], Mapping[int, int]], None]


class Following:
    """What the rows of transfers were at the last look.

    Args:
        only: their numbers; more may be added.
    """

    def __init__(self, catalog: Catalog, only: Collection[int]) -> None:
        self._catalog = catalog
        self._only = only
        self._rows: dict[int, TransferRow] = {}
        self._rested: set[int] = set()
        self._ended = False
        #: those that were not done; changed in one step, so other threads may read it
        self.open: list[int] = []

    def end(self) -> None:
        """Let nothing more be claimed."""
        self._ended = True
        self.open[:] = []

    def look(self, now: datetime) -> list[TransferRow]:
        """Read those that were not done, and give all; what is done stays so."""
        open_ones = [it for it in self._only if it not in self._rows or self._rows[it].state != "done"]
        # of very many only the first are claimed: those that were not tried yet
        self.open[:] = [] if self._ended else sorted(open_ones, key=self._rested.__contains__)
        for row in self._catalog.transfers.rows(open_ones):
            self._rows[row.transfer_id] = row
            if _rests(row, now):
                self._rested.add(row.transfer_id)
        return list(self._rows.values())

    @property
    def all_rest(self) -> bool:
        """Tell whether each has come to an end, or once to a wait that is too long to stand by.

        Once: of thousands that wait for one host, some are due again before the last has been tried.
        """
        return all(number in self._rested for number in self._rows)


class Fetching:
    """Brings the transfers of these numbers to an end, and publishes what came.

    Args:
        outside: the network and the settings.
        catalog: where the transfers are.
        plan: the roots.
        only: the numbers; more may be added while it runs.
        coming: tells whether more may be added.
        made: files that are there already and shall be published.
    """

    def __init__(
        self,
        outside: parts.Outside,
        *,
        catalog: Catalog,
        plan: RootPlan,
        only: Collection[int],
        tell: Tell,
        coming: Callable[[], bool] = lambda: False,
        made: Collection[Place] = (),
    ) -> None:
        self._outside = outside
        self._catalog = catalog
        self._only = only
        self._coming = coming
        self._tell = tell
        self._roots = Roots(plan.folders)
        self._leases = Leases()
        self._bytes: dict[int, int] = {}
        self._following = Following(catalog, only)
        #: ends the lanes, and nothing else of this process
        self._lanes_pause = StopPause()
        self._nudger = Nudger(
            programs=parts.make_programs(outside.loaded, outside.clock),
            files=catalog.peeks,
            roots=list(self._roots.folders),
            locator=self._roots,
            clock=outside.clock,
            pause=self._lanes_pause,
            tell=tell,
        )
        self._publishing = PublishingLanded(
            outside,
            catalog=catalog,
            plan=plan,
            roots=self._roots,
            leases=self._leases,
            ended=self._nudger.take,
        )
        for place in made:
            self._publishing.landed(place)
        self._renewed_s = outside.clock.monotonic_s()

    def run(self, watch: Watch) -> list[TransferRow]:
        """Work until each is done, parked, or waits for long; returns the rows as they are then.

        Raises:
            Trouble: scope `daemon`: the catalog cannot be used.
            Stopping: a stop was requested; what came is kept.
        """
        with ExitStack() as stack:
            stack.callback(self._publishing.close)
            providers = Providers(parts.make_providers(self._outside))
            stack.callback(providers.close)
            downloads = self._downloads(providers)
            stack.callback(downloads.close)
            works: list[Work] = [*downloads.works, self._publishing, *self._nudger.works]
            lanes = [self._lane(work) for work in works]
            stack.callback(self._end, lanes)
            for lane in lanes:
                lane.start()
            self._watch(watch, lanes)
        return self._catalog.transfers.rows(list(self._only))

    def _watch(self, watch: Watch, lanes: Sequence[Lane]) -> None:
        clock, pause = self._outside.clock, self._outside.pause
        while True:
            began_s = clock.monotonic_s()
            more = self._coming()
            rows = self._following.look(clock.now())
            watch(rows, dict(self._bytes))
            if not more and self._following.all_rest:
                self._following.end()  # else there would always be something due again
                # in this order: lanes that are not at work have told of all that landed
                if self._leases.idle and self._publishing.ended and self._nudger.idle:
                    return
            for lane in lanes:
                lane.wake()
            if not all(lane.alive for lane in lanes):
                raise RuntimeError("a lane of downloads broke")
            spent_s = clock.monotonic_s() - began_s
            if pause.wait(max(TICK_S, _LOOKING_SHARE * spent_s)):
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
            only=self._following.open,
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
            self._publishing.landed(claim.wanted.place)


def _rests(row: TransferRow, now: datetime) -> bool:
    """Tell whether a transfer has come to an end, or to a wait that is too long to stand by."""
    if row.state in ("done", "parked"):
        return True
    if row.state != "waiting" or row.trouble is None or row.due_at is None:
        return False
    return row.due_at > now + timedelta(seconds=PATIENCE_S)
