"""The ask stage: put a round of questions to one provider and turn what it says into outcomes.

Silence is no answer: what the provider did not speak about stays due, and nothing is ever called unknown
because a site was down.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from hashtagd.core import schedule
from hashtagd.core.card import Card
from hashtagd.core.chain import Chain
from hashtagd.core.joining import GONE
from hashtagd.core.ports import Clock, Provider, Stopping
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
    Put,
    QuestionClaim,
    Release,
)


class AskStage:
    """Asks one provider of the chain.

    Args:
        provider: whom to ask.
        chain: says who is asked next about what this one calls Absent.
        clock: tells how long until an early access ends.
        chance: a random number in [0, 1), so that machines do not ask in step.
    """

    def __init__(
        self, *, provider: Provider, chain: Chain, clock: Clock, chance: Callable[[], float]
    ) -> None:
        self._provider = provider
        self._chain = chain
        self._clock = clock
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
            return Defer(trouble=answer, wait_s=answer.after_s or self._miss_again_s(claim))
        if isinstance(answer, Trouble):
            return Park(trouble=answer)
        if isinstance(answer, Found):
            facts = Answered(
                answer=answer,
                again_in_s=self._hit_again_s(answer.card),
                then=self._elsewhere(claim, answer.card),
            )
        else:
            facts = Answered(answer=answer, again_in_s=self._miss_again_s(claim), then=self._then(claim))
        return Advance(facts=facts)

    def _hit_again_s(self, card: Card) -> float:
        """Ask monthly, and when an early access ends: then there is something to download."""
        again_s = schedule.hit_again_s(self._chance())
        if card.early_access_ends_at is None:
            return again_s
        ends_in_s = (datetime.fromisoformat(card.early_access_ends_at) - self._clock.now()).total_seconds()
        return min(again_s, max(ends_in_s, 0.0) + schedule.after_early_access_s(self._chance()))

    def _miss_again_s(self, claim: QuestionClaim) -> float:
        if self._provider.origin is None:
            # what a file says of itself changes only with its bytes, and then it has another hash
            return schedule.hit_again_s(self._chance())
        if claim.key.hash_kind is HashKind.TENSORS:
            return schedule.second_chance_again_s(self._chance())
        return schedule.miss_again_s(claim.times_absent + 1, self._chance())

    def _then(self, claim: QuestionClaim) -> tuple[Put, ...]:
        digests = claim.subject.digests
        if digests is None or claim.key.hash_kind is HashKind.TENSORS:
            return ()
        return self._chain.after(self._provider.name, digests)

    def _elsewhere(self, claim: QuestionClaim, card: Card) -> tuple[Put, ...]:
        if card.availability not in GONE or claim.key.hash_kind is HashKind.TENSORS:
            return ()
        return self._chain.elsewhere(self._provider.name, claim.key.hash)

    def _unanswered(self, claim: QuestionClaim) -> Outcome:
        """Treat a stream that ended without a word about this hash: ask again on the schedule of misses."""
        trouble = TryLater(
            f"{self._provider.name} answered without a word about this hash",
            does="hashtagd counts that as no answer and asks again later",
            you="nothing; `hashtagd retry` asks at once",
            scope=Scope.FILE,
            kind="no_answer",
        )
        return Defer(trouble=trouble, wait_s=self._miss_again_s(claim))
