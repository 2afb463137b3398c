"""What the lanes of providers do: ask questions in rounds, the ones that somebody waits for first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hashtagd.catalog.answers import Kept
from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.questions import Wanted
from hashtagd.core import schedule
from hashtagd.core.card import Update
from hashtagd.core.ports import Clock, Closed, Gatekeeper, Provider, Stopping
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Defer, HashKind, Outcome, QuestionClaim, Release, Stage
from hashtagd.service.board import RootBoard
from hashtagd.service.lanes import bug_trouble, run_guarded, stream_guarded
from hashtagd.service.leases import Leases
from hashtagd.service.works import NAP_S, seconds_until
from hashtagd.stages.ask import AskStage

#: how many answers are committed together; each holds the site's whole document
ANSWERS_PER_COMMIT: Final = 25
#: how many hashes the sites take in one request
FULL_REQUEST: Final = 100
#: how long questions in the background stay away when those in front of them are due
_BEHIND_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of questions: those of one kind to one provider."""

    provider: Provider
    kind: HashKind = HashKind.SHA256
    #: the provider whose own questions come first, on the same budget; None: nobody stands in front
    behind: str | None = None

    @property
    def name(self) -> str:
        """The name of the lane."""
        return f"ask-{self.provider.name}" + ("" if self.kind is HashKind.SHA256 else f"-{self.kind.value}")

    @property
    def collects(self) -> bool:
        """Tell whether one request can carry many questions, so that waiting for company saves some."""
        return self.provider.origin is not None and not self.provider.slow and self.behind is None


class AskWork:
    """Rounds of questions to one provider.

    Args:
        line: which questions, and who stands in front of them.
        roots: the roots whose files this process hashes: a round waits for their company, and no others'.
    """

    def __init__(
        self,
        *,
        line: Line,
        stage: AskStage,
        roots: Sequence[str],
        catalog: Catalog,
        board: RootBoard,
        gates: Gatekeeper,
        leases: Leases,
        clock: Clock,
        chance: Callable[[], float],
        ended: Callable[[QuestionClaim, Outcome, Update | None], None],
        bug: Callable[[str, Exception], None],
        onward: Callable[[], None],
    ) -> None:
        self.name = line.name
        self._line = line
        self._provider = line.provider
        self._stage = stage
        self._roots = list(roots)
        self._catalog = catalog
        self._board = board
        self._gates = gates
        self._leases = leases
        self._clock = clock
        self._chance = chance
        self._ended = ended
        self._bug = bug
        self._onward = onward
        self._last_round_s: float | None = None
        self._rounds_in_a_row = 0

    def turn(self) -> float:
        """Ask one round when it is time for one."""
        name, kind = self._provider.name, self._line.kind
        if self._line.behind is not None and self._catalog.waiting(self._line.behind).due:
            return _BEHIND_S  # the commit of the last of them wakes this lane
        waiting = self._catalog.waiting(name, kind)
        if waiting.due == 0 or waiting.oldest_due_at is None:
            self._rounds_in_a_row = 0
            return self._until(self._catalog.next_question_due(name, kind))
        origin, background = self._provider.origin, self._line.behind is not None
        gate = self._gates.look(origin, background=background) if origin else None
        if isinstance(gate, Closed):
            return self._until(gate.opens_at)
        wait_s = self._collect_s(waiting.due, waiting.oldest_due_at)
        if wait_s > 0:
            return wait_s
        probe = gate is not None and gate.probe
        # a slow provider is asked one by one: nobody holds questions that its budget reaches in minutes only
        alone = probe or background or self._provider.slow
        limit = 1 if alone else self._size(waiting.due)
        with self._leases.at_work():
            headers = self._provider.reads_headers
            claims = self._catalog.claim_questions(
                Wanted(provider=name, kind=kind, limit=limit, headers=headers)
            )
            if claims:
                self._round(claims)
                return 0.0
        return NAP_S  # another machine was faster

    def _size(self, due: int) -> int:
        """Say how many to take: while more are coming only full requests, the rest joins the next round."""
        if not self._line.collects or due < FULL_REQUEST or not self._digesting():
            return self._provider.batch_limit
        return min(due - due % FULL_REQUEST, self._provider.batch_limit)

    def _digesting(self) -> bool:
        """Tell whether more hashes are on their way here; a root that rests brings none."""
        settling = self._board.open_roots(self._roots, Stage.SETTLE)
        roots = self._board.open_roots(settling, Stage.DIGEST)
        return bool(roots) and self._catalog.digesting(roots)

    def _until(self, moment: datetime | None) -> float:
        wait_s = seconds_until(moment, self._clock)
        return float("inf") if wait_s is None else max(NAP_S, wait_s)

    def _collect_s(self, due: int, oldest_due_at: datetime) -> float:
        if not self._line.collects:
            return 0.0
        now_s = self._clock.monotonic_s()
        digesting = self._digesting()
        if not digesting:
            self._rounds_in_a_row = 0
        return schedule.round_wait_s(
            waiting=due,
            oldest_wait_s=(self._clock.now() - oldest_due_at).total_seconds(),
            digesting=digesting,
            since_last_round_s=None if self._last_round_s is None else now_s - self._last_round_s,
            rounds_in_a_row=self._rounds_in_a_row,
        )

    def _round(self, claims: Sequence[QuestionClaim]) -> None:
        done: list[tuple[QuestionClaim, Outcome]] = []
        left = {claim.question_id: claim for claim in claims}
        with self._leases.hold_questions(claims):
            try:
                for claim, outcome in stream_guarded(self._stage.run, claims, self._met_bug, self._put_off):
                    done.append((claim, outcome))
                    left.pop(claim.question_id, None)
                    if len(done) >= ANSWERS_PER_COMMIT:
                        self._commit(done)
            except (Trouble, Stopping):
                done.extend((claim, Release()) for claim in left.values())
                raise
            finally:
                # also when the stream broke: what was answered before is kept
                self._commit(done)
                self._last_round_s = self._clock.monotonic_s()
                self._rounds_in_a_row += 1

    def _met_bug(self, claim: QuestionClaim, error: Exception) -> Outcome:
        self._bug(self.name, error)
        return self._put_off(claim, error)

    def _put_off(self, claim: QuestionClaim, error: Exception) -> Outcome:
        """Ask later, without a word in the log: the bug stands there already."""
        return Defer(
            trouble=bug_trouble(error),
            wait_s=schedule.miss_again_s(claim.times_absent + 1, self._chance()),
        )

    def _commit(self, done: list[tuple[QuestionClaim, Outcome]]) -> None:
        results = list(done)
        held = run_guarded(self._catalog.apply_answers, results, self._not_kept)
        for (claim, outcome), kept in zip(results, held, strict=True):
            if kept:
                self._ended(claim, outcome, kept.newer)
        done.clear()
        self._onward()

    def _not_kept(self, result: tuple[QuestionClaim, Outcome], error: Exception) -> Kept:
        """Keep a bug in place of an answer that the catalog cannot take."""
        claim = result[0]
        self._catalog.apply_answers([(claim, self._met_bug(claim, error))])
        return Kept(held=False)
