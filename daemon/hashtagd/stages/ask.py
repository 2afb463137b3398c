"""The ask stage: put a round of questions to one provider and turn what it says into outcomes.

Silence is no answer: what the provider did not speak about stays due, and nothing is ever called unknown
because a site was down.
"""

from collections.abc import Callable, Iterator, Sequence

from hashtagd.core import schedule
from hashtagd.core.ports import Provider, Stopping
from hashtagd.core.troubles import Scope, Trouble, TryLater
from hashtagd.core.work import (
    Absent,
    Advance,
    Answered,
    Defer,
    Found,
    HashKind,
    Outcome,
    Park,
    QuestionClaim,
    QuestionKey,
    Release,
)


class AskStage:
    """Asks one provider of the chain.

    Args:
        provider: whom to ask.
        then: the provider that is asked next about what this one calls Absent; None at the end of the chain.
        chance: a random number in [0, 1), so that machines do not ask in step.
    """

    def __init__(self, *, provider: Provider, then: str | None, chance: Callable[[], float]) -> None:
        self._provider = provider
        self._then = then
        self._chance = chance

    def run(self, claims: Sequence[QuestionClaim]) -> Iterator[tuple[QuestionClaim, Outcome]]:
        """Ask about all claims in one round; outcomes come as soon as the provider speaks.

        Every claim gets exactly one outcome, also when the stream breaks.

        Raises:
            Trouble: what broke the stream, after the claims that got no answer were released.
            Stopping: a stop was requested, after the same.
        """
        waiting = {claim.key.hash: claim for claim in claims}
        subjects = [claim.subject for claim in claims]
        try:
            for asked_hash, answer in self._provider.ask(subjects):
                claim = waiting.pop(asked_hash, None)
                if claim is not None:
                    yield claim, self._outcome(claim, answer)
        except (Trouble, Stopping):
            yield from ((claim, Release()) for claim in waiting.values())
            raise
        yield from ((claim, self._unanswered(claim)) for claim in waiting.values())

    def _outcome(self, claim: QuestionClaim, answer: Found | Absent | Trouble) -> Outcome:
        if isinstance(answer, TryLater):
            return Defer(trouble=answer, wait_s=answer.after_s or self._again_s(claim, absent=True))
        if isinstance(answer, Trouble):
            return Park(trouble=answer)
        absent = isinstance(answer, Absent)
        return Advance(
            facts=Answered(
                answer=answer,
                again_in_s=self._again_s(claim, absent=absent),
                then=self._next_question(claim) if absent else None,
            )
        )

    def _again_s(self, claim: QuestionClaim, *, absent: bool) -> float:
        if self._provider.origin is None:
            # what a file says of itself changes only with its bytes, and then it has another hash
            return schedule.hit_again_s(self._chance())
        if absent:
            return schedule.miss_again_s(claim.times_absent + 1, self._chance())
        return schedule.hit_again_s(self._chance())

    def _next_question(self, claim: QuestionClaim) -> QuestionKey | None:
        if self._then is None or claim.key.hash_kind is not HashKind.SHA256:
            return None
        return QuestionKey(hash_kind=HashKind.SHA256, hash=claim.key.hash, provider=self._then)

    def _unanswered(self, claim: QuestionClaim) -> Outcome:
        """Treat a stream that ended without a word about this hash: ask again on the schedule of misses."""
        trouble = TryLater(
            f"{self._provider.name} answered without a word about this hash",
            does="hashtagd counts that as no answer and asks again later",
            you="nothing; `hashtagd retry` asks at once",
            scope=Scope.FILE,
            kind="no_answer",
        )
        return Defer(trouble=trouble, wait_s=self._again_s(claim, absent=True))
