"""What the lanes of downloads do: bring one file after the other."""

import threading
from collections.abc import Callable, Collection, Sequence
from typing import Final

from hashtagd.catalog.catalog import Catalog
from hashtagd.core import schedule
from hashtagd.core.ports import Clock, Stopping
from hashtagd.core.transfer import Begun, TransferClaim, TransferOutcome
from hashtagd.core.troubles import AskOperator, Scope, Trouble
from hashtagd.core.work import Defer, Park, Release
from hashtagd.service.lanes import bug_trouble, run_guarded
from hashtagd.service.leases import Leases
from hashtagd.service.putting_off import PuttingOff
from hashtagd.service.works import NAP_S, seconds_until
from hashtagd.stages.download import DownloadStage, LostError

#: how often the catalog is told how far a file is: each time is a commit
TOLD_EVERY_S: Final = 1.0


class ProgressNote:
    """Keeps in the catalog how far each transfer is, about once a second; for several threads.

    Args:
        seen: told every time, for whoever draws.
    """

    def __init__(
        self, catalog: Catalog, clock: Clock, seen: Callable[[TransferClaim, int], None] | None = None
    ) -> None:
        self._catalog = catalog
        self._clock = clock
        self._seen = seen
        self._lock = threading.Lock()
        self._told_s: dict[int, float] = {}

    def __call__(self, claim: TransferClaim, bytes_done: int, begun: Begun | None) -> bool:
        """Keep it, if it is time; returns whether the claim still holds, as far as is known."""
        if self._seen is not None:
            self._seen(claim, bytes_done)
        now_s = self._clock.monotonic_s()
        with self._lock:
            told_s = self._told_s.get(claim.transfer_id)
            if told_s is not None and now_s - told_s < TOLD_EVERY_S:
                return True
            self._told_s[claim.transfer_id] = now_s
        return self._catalog.transfers.progress(claim, bytes_done, begun)

    def forget(self, claim: TransferClaim) -> None:
        """Let the next word about a transfer be kept at once."""
        with self._lock:
            self._told_s.pop(claim.transfer_id, None)


class TransferWork:
    """Brings files into the roots of this process, one at a time.

    Args:
        only: none but the transfers of these numbers; None: all.
        ended: told of each outcome that was committed.
        onward: called after a commit, so that the next stage looks for work.
        putting_off: asked after each outcome who fares no better.
    """

    def __init__(
        self,
        *,
        name: str,
        roots: Sequence[str],
        stage: DownloadStage,
        note: ProgressNote,
        catalog: Catalog,
        leases: Leases,
        clock: Clock,
        chance: Callable[[], float],
        ended: Callable[[TransferClaim, TransferOutcome], None],
        bug: Callable[[str, Exception], None],
        onward: Callable[[], None],
        putting_off: PuttingOff,
        only: Collection[int] | None = None,
    ) -> None:
        self.name = name
        self._roots = list(roots)
        self._stage = stage
        self._note = note
        self._catalog = catalog
        self._leases = leases
        self._clock = clock
        self._chance = chance
        self._ended = ended
        self._bug = bug
        self._onward = onward
        self._putting_off = putting_off
        self._only = only

    def turn(self) -> float:
        """Claim one transfer and bring it to an outcome."""
        with self._leases.at_work():
            only = None if self._only is None else list(self._only)  # it may grow
            claims = self._catalog.transfers.claim(self._roots, 1, only=only)
            for claim in claims:
                self._bring(claim, only)
        if claims:
            return 0.0
        due_at = self._catalog.transfers.next_due(self._roots, only=only)
        wait_s = seconds_until(due_at, self._clock)
        return float("inf") if wait_s is None else max(NAP_S, wait_s)

    def _bring(self, claim: TransferClaim, only: Collection[int] | None) -> None:
        self._note.forget(claim)
        with self._leases.hold_transfer(claim):
            try:
                outcomes = run_guarded(lambda some: [self._run(it) for it in some], [claim], self._met_bug)
            except LostError:
                return
            except (Trouble, Stopping):
                self._catalog.transfers.apply([(claim, Release())])
                raise
            applied = self._catalog.transfers.apply([(claim, outcomes[0])])
        if all(applied):
            self._ended(claim, outcomes[0])
            self._putting_off.after(claim, outcomes[0], only)
        self._onward()

    def _run(self, claim: TransferClaim) -> TransferOutcome:
        if claim.unended > schedule.MAX_ATTEMPTS:
            return Park(trouble=_worn_out())
        return self._stage.run(claim)

    def _met_bug(self, claim: TransferClaim, error: Exception) -> TransferOutcome:
        if isinstance(error, LostError):
            raise error
        self._bug(self.name, error)
        wait_s = schedule.file_retry_wait_s(claim.attempts, self._chance())
        return Defer(trouble=bug_trouble(error), wait_s=wait_s)


def _worn_out() -> AskOperator:
    return AskOperator(
        f"the process died {schedule.MAX_ATTEMPTS} times while this file was fetched",
        does="hashtagd leaves this download alone and goes on with the others; what came is kept",
        you="look into the system's log for what killed it (no memory left?), then `hashtagd retry`",
        scope=Scope.FILE,
        kind="worn_out",
    )
