"""The ask stage: Found, Absent, troubles of one hash, silence, and a stream that breaks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagd.core import schedule
from hashtagd.core.card import Availability, Card, Confidence
from hashtagd.core.chain import Chain, Link
from hashtagd.core.digests import Digests
from hashtagd.core.ports import Stopping
from hashtagd.core.troubles import AskOperator, GiveUp, Scope, Trouble, TryLater
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
    QuestionKey,
    Release,
    Subject,
)
from hashtagd.stages.ask import AskStage
from support.clock import FakeClock

CARD = Card(
    provider="oracle", by="sha256", confidence=Confidence.EXACT, availability=Availability.PUBLIC, model_id=1
)
OUTAGE = TryLater("away", does="waits", you="wait", scope=Scope.PROVIDER, kind="outage")
BUSY = TryLater("busy", does="waits", you="wait", scope=Scope.FILE, kind="busy", after_s=7.0)
REFUSED = GiveUp("refused", does="stops", you="nothing", scope=Scope.FILE, kind="refused")
NO_KEY = AskOperator("no key", does="stops", you="set a key", scope=Scope.FILE, kind="no_key")

ONE = Chain((Link(name="oracle"),))
TWO = Chain((Link(name="oracle"), Link(name="next")))

Word = Found | Absent | Trouble


@dataclass
class Oracle:
    """Speaks a script, and breaks at its end if it is told to."""

    script: Sequence[tuple[str, Word]] = ()
    breaks: Exception | None = None
    name: str = "oracle"
    origin: str | None = "https://oracle.example"
    slow: bool = False
    reads_headers: bool = True
    batch_limit: int = 100
    asked: list[Subject] = field(default_factory=list)

    def ask(self, subjects: Sequence[Subject]) -> Iterator[tuple[str, Word]]:
        self.asked.extend(subjects)
        yield from self.script
        if self.breaks is not None:
            raise self.breaks


def sha(number: int) -> str:
    return f"{number:064x}"


def claim(number: int, *, times_absent: int = 0, kind: HashKind = HashKind.SHA256) -> QuestionClaim:
    return QuestionClaim(
        question_id=number,
        fence=1,
        key=QuestionKey(hash_kind=kind, hash=sha(number), provider="oracle"),
        subject=Subject(
            hash=sha(number),
            digests=Digests(sha256=sha(number), tensors_sha256=sha(900 + number)),
            header=None,
            size_bytes=1,
        ),
        times_answered=times_absent,
        times_absent=times_absent,
        answered_at=datetime(2026, 1, 1, tzinfo=UTC) if times_absent else None,
    )


def asking(oracle: Oracle, chain: Chain = TWO, chance: float = 0.0) -> AskStage:
    return AskStage(provider=oracle, chain=chain, clock=FakeClock(), chance=lambda: chance)


def outcomes(oracle: Oracle, *claims: QuestionClaim, chain: Chain = TWO) -> dict[int, Outcome]:
    stage = asking(oracle, chain)
    return {asked.question_id: outcome for asked, outcome in stage.run(claims)}


def answered(outcome: Outcome) -> Answered:
    assert isinstance(outcome, Advance)
    assert isinstance(outcome.facts, Answered)
    return outcome.facts


def test_a_model_that_is_found_is_asked_about_again_in_a_month_and_nobody_else_is_asked() -> None:
    oracle = Oracle([(sha(1), Found(card=CARD))])
    facts = answered(outcomes(oracle, claim(1))[1])
    assert facts == Answered(answer=Found(card=CARD), again_in_s=schedule.hit_again_s(0.0))
    assert [subject.hash for subject in oracle.asked] == [sha(1)]


@pytest.mark.parametrize("times_absent", [0, 1, 5, 50])
def test_a_miss_puts_the_question_to_the_next_provider_and_is_repeated_rarer_and_rarer(
    times_absent: int,
) -> None:
    oracle = Oracle([(sha(1), Absent())])
    facts = answered(outcomes(oracle, claim(1, times_absent=times_absent))[1])
    assert facts.again_in_s == schedule.miss_again_s(times_absent + 1, 0.0)
    assert facts.then == (Put(key=QuestionKey(hash_kind=HashKind.SHA256, hash=sha(1), provider="next")),)


def test_after_the_last_provider_nobody_is_asked() -> None:
    assert answered(outcomes(Oracle([(sha(1), Absent())]), claim(1), chain=ONE)[1]).then == ()


def test_a_miss_of_the_tensors_puts_no_question_to_the_chain() -> None:
    oracle = Oracle([(sha(1), Absent())])
    assert answered(outcomes(oracle, claim(1, kind=HashKind.TENSORS))[1]).then == ()


@pytest.mark.parametrize("word", [Absent(), Found(card=CARD)])
def test_what_a_file_says_of_itself_is_not_asked_every_day(word: Word) -> None:
    oracle = Oracle([(sha(1), word)], origin=None)
    assert answered(outcomes(oracle, claim(1))[1]).again_in_s == schedule.hit_again_s(0.0)


def test_a_trouble_of_one_hash_concerns_that_hash() -> None:
    script: list[tuple[str, Word]] = [
        (sha(1), REFUSED),
        (sha(2), BUSY),
        (sha(3), OUTAGE),
        (sha(4), NO_KEY),
        (sha(5), Absent()),
    ]
    found = outcomes(Oracle(script), *(claim(number) for number in range(1, 6)))
    assert found[1] == Park(trouble=REFUSED)
    assert found[2] == Defer(trouble=BUSY, wait_s=7.0)
    assert found[3] == Defer(trouble=OUTAGE, wait_s=schedule.miss_again_s(1, 0.0))
    assert found[4] == Park(trouble=NO_KEY)
    assert isinstance(found[5], Advance)


def test_silence_is_no_answer() -> None:
    outcome = outcomes(Oracle(), claim(1, times_absent=2))[1]
    assert isinstance(outcome, Defer)
    assert outcome.trouble is not None
    assert outcome.trouble.kind == "no_answer"
    assert outcome.wait_s == schedule.miss_again_s(3, 0.0)


def test_words_about_hashes_nobody_asked_for_and_second_words_are_passed_over() -> None:
    """F62."""
    script: list[tuple[str, Word]] = [(sha(9), Found(card=CARD)), (sha(1), Absent()), (sha(1), REFUSED)]
    found = outcomes(Oracle(script), claim(1))
    assert list(found) == [1]
    assert isinstance(found[1], Advance)


@pytest.mark.parametrize("error", [OUTAGE, NO_KEY, Stopping()])
def test_when_the_stream_breaks_what_was_said_counts_and_the_rest_stays_due(error: Exception) -> None:
    stage = asking(Oracle([(sha(1), Absent())], breaks=error), ONE)
    stream = stage.run([claim(1), claim(2), claim(3)])
    assert isinstance(next(stream)[1], Advance)
    assert [next(stream), next(stream)] == [(claim(2), Release()), (claim(3), Release())]
    with pytest.raises(type(error)):
        next(stream)


def test_a_bug_is_not_taken_for_silence() -> None:
    with pytest.raises(KeyError):
        outcomes(Oracle(breaks=KeyError("x")), claim(1))


WORDS = st.sampled_from([Found(card=CARD), Absent(), BUSY, REFUSED])


@given(
    st.lists(st.tuples(st.integers(0, 9), WORDS), max_size=20),
    st.sets(st.integers(0, 9), max_size=8),
    st.sampled_from([None, OUTAGE]),
)
def test_every_claim_gets_exactly_one_outcome_whatever_is_said_in_whatever_order(
    script: list[tuple[int, Word]], asked: set[int], breaks: Trouble | None
) -> None:
    oracle = Oracle([(sha(number), word) for number, word in script], breaks)
    stage = asking(oracle, chance=0.5)
    came: list[int] = []
    try:
        for result, outcome in stage.run([claim(number) for number in sorted(asked)]):
            came.append(result.question_id)
            spoken = result.question_id in {number for number, _ in script}
            assert spoken or not isinstance(outcome, Advance)
    except TryLater:
        assert breaks is not None
    assert sorted(came) == sorted(asked)
