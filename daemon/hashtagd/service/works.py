"""What the lanes of disks do: settle, digest and publish files."""

from collections.abc import Callable, Sequence
from datetime import datetime

from hashtagd.catalog.catalog import Catalog
from hashtagd.core import schedule
from hashtagd.core.ports import Clock, Stopping
from hashtagd.core.troubles import AskOperator, Scope, Trouble
from hashtagd.core.work import Advance, Claim, Defer, Outcome, Park, Release, Stage
from hashtagd.service.board import PAUSE_S, RootBoard
from hashtagd.service.lanes import bug_trouble, in_batches, run_guarded
from hashtagd.service.leases import Leases

#: the shortest sleep of a lane that found nothing to do
NAP_S = 0.05


class FileWork:
    """One stage for the files of the roots on one device.

    Args:
        run: the stage.
        ended: told of each outcome that was committed.
        onward: called after a commit, so that the next stage looks for work.
        rest: called when there is nothing to do, so that the stage can give memory back.
        limit: how many rows one claim takes.
        big_bytes: files of at least this size are run alone, so that their outcome is not held up by others.
    """

    def __init__(
        self,
        *,
        name: str,
        stage: Stage,
        roots: Sequence[str],
        run: Callable[[Sequence[Claim]], Sequence[Outcome]],
        catalog: Catalog,
        board: RootBoard,
        leases: Leases,
        clock: Clock,
        chance: Callable[[], float],
        ended: Callable[[Claim, Outcome], None],
        bug: Callable[[str, Exception], None],
        onward: Callable[[], None],
        rest: Callable[[], None],
        limit: int,
        big_bytes: int,
    ) -> None:
        self.name = name
        self._stage = stage
        self._roots = list(roots)
        self._run = run
        self._catalog = catalog
        self._board = board
        self._leases = leases
        self._clock = clock
        self._chance = chance
        self._ended = ended
        self._bug = bug
        self._onward = onward
        self._rest = rest
        self._limit = limit
        self._big_bytes = big_bytes

    def turn(self) -> float:
        """Claim a handful of rows and bring each to an outcome."""
        roots = self._board.open_roots(self._roots, self._stage)
        with self._leases.at_work():
            claims = self._catalog.claim(self._stage, roots, self._limit) if roots else []
            if claims:
                self._work_through(claims)
                return 0.0
        self._board.nothing_due(roots, self._stage)
        self._rest()
        return self._sleep_s(roots)

    def _work_through(self, claims: Sequence[Claim]) -> None:
        left = list(claims)
        with self._leases.hold_files(claims):
            try:
                for batch in in_batches(
                    claims, lambda claim: claim.stamp.size_bytes >= self._big_bytes, self._limit
                ):
                    self._work(batch)
                    del left[: len(batch)]
            except (Trouble, Stopping):
                # to what was committed already this does nothing
                self._catalog.apply([(claim, Release()) for claim in left])
                raise

    def _work(self, batch: Sequence[Claim]) -> None:
        outcomes = [self._worn_out(claim) for claim in batch]
        fresh = [claim for claim, outcome in zip(batch, outcomes, strict=True) if outcome is None]
        ran = iter(run_guarded(self._run, fresh, self._met_bug) if fresh else [])
        results = [
            (claim, self._judged(claim, outcome if outcome is not None else next(ran)))
            for claim, outcome in zip(batch, outcomes, strict=True)
        ]
        held = run_guarded(self._catalog.apply, results, self._not_kept)
        for (claim, outcome), applied in zip(results, held, strict=True):
            if applied:
                self._ended(claim, outcome)
        self._onward()

    def _not_kept(self, result: tuple[Claim, Outcome], error: Exception) -> bool:
        """Keep a bug in place of an outcome that the catalog cannot take."""
        claim = result[0]
        self._catalog.apply([(claim, self._met_bug(claim, error))])
        return False

    def _worn_out(self, claim: Claim) -> Outcome | None:
        """Park a file that was claimed too often without any outcome: it may be what kills the process."""
        if claim.stage is Stage.SETTLE or claim.attempts <= schedule.MAX_ATTEMPTS:
            return None
        return Park(
            trouble=AskOperator(
                f"{claim.stage.value} failed {schedule.MAX_ATTEMPTS} times",
                does="hashtagd leaves this file alone and goes on with the others",
                you="look at `hashtagd show FILE`, then `hashtagd retry FILE`",
                scope=Scope.FILE,
                kind="worn_out",
            )
        )

    def _judged(self, claim: Claim, outcome: Outcome) -> Outcome:
        """Move a trouble of the whole root from the row to the board: the row is innocent and stays due."""
        trouble = getattr(outcome, "trouble", None)
        if (
            trouble is not None
            and trouble.scope is Scope.ROOT
            and isinstance(outcome, Defer | Release | Park)
        ):
            self._board.pin(claim.place.root, trouble, stage=self._stage, for_s=PAUSE_S)
            return Release(trouble=trouble)
        if isinstance(outcome, Advance):
            self._board.worked(claim.place.root, self._stage)
        return outcome

    def _met_bug(self, claim: Claim, error: Exception) -> Outcome:
        self._bug(self.name, error)
        return Defer(
            trouble=bug_trouble(error), wait_s=schedule.file_retry_wait_s(claim.attempts, self._chance())
        )

    def _sleep_s(self, roots: Sequence[str]) -> float:
        due_at = self._catalog.next_due([self._stage], roots) if roots else None
        waits = [seconds_until(due_at, self._clock), self._board.next_opening_s(self._stage)]
        # never 0: by the clock of a shared catalog the row may not be due yet
        return max(NAP_S, min((wait for wait in waits if wait is not None), default=float("inf")))


def seconds_until(moment: datetime | None, clock: Clock) -> float | None:
    """Give the seconds until a moment, at least 0; None when there is no moment."""
    return None if moment is None else max(0.0, (moment - clock.now()).total_seconds())
