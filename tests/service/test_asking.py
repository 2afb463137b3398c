"""Rounds of questions: when they go, how many they take, what stands in front, and what an outage leaves."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.questions import Wanted
from hashtagd.core import schedule
from hashtagd.core.chain import Chain
from hashtagd.core.ports import Stopping
from hashtagd.core.troubles import Scope, Trouble, TryLater
from hashtagd.core.work import (
    Absent,
    Advance,
    Answered,
    Defer,
    Found,
    HashKind,
    Outcome,
    Put,
    QuestionClaim,
    Stage,
    Subject,
)
from hashtagd.service.asking import ANSWERS_PER_COMMIT, FULL_REQUEST, AskWork, Line
from hashtagd.service.board import RootBoard
from hashtagd.service.leases import Leases
from hashtagd.service.works import NAP_S
from hashtagd.stages.ask import AskStage
from support.clock import FakeClock
from support.library import ROOT, Library, card, question, sha256
from support.serving import Ears, later


@dataclass
class Bench:
    """One asker over a real catalog, and what it told."""

    catalog: Catalog
    clock: FakeClock
    ears: Ears
    library: Library
    board: RootBoard = field(init=False)
    leases: Leases = field(default_factory=Leases)
    ended: list[tuple[str, Outcome]] = field(default_factory=list)
    onward: int = 0

    def __post_init__(self) -> None:
        self.board = RootBoard(clock=self.clock, changed=lambda _root, _trouble: None)

    def asking(self, provider: Any, **changes: Any) -> AskWork:
        kind, behind = changes.pop("kind", HashKind.SHA256), changes.pop("behind", None)
        made: dict[str, Any] = {
            "line": Line(provider=provider, kind=kind, behind=behind),
            "stage": AskStage(provider=provider, chain=Chain(), clock=self.clock, chance=lambda: 0.0),
            "roots": [ROOT, "resting"],
            "catalog": self.catalog,
            "board": self.board,
            "gates": self.catalog.gates({}, 6000),
            "leases": self.leases,
            "clock": self.clock,
            "chance": lambda: 0.0,
            "ended": lambda claim, outcome, _newer: self.ended.append((claim.key.hash, outcome)),
            "bug": self.ears.bug,
            "onward": self.go_on,
        }
        return AskWork(**{**made, **changes})

    def go_on(self) -> None:
        self.onward += 1


@pytest.fixture
def bench(catalog: Catalog, clock: FakeClock, ears: Ears, library: Library) -> Bench:
    return Bench(catalog, clock, ears, library)


@dataclass
class Oracle:
    """A provider that says what it is told to; `words` by hash, silence for all others."""

    words: dict[str, Any] = field(default_factory=dict)
    name: str = "civitai"
    origin: str | None = "https://oracle.example"
    batch_limit: int = 10_000
    slow: bool = False
    reads_headers: bool = True
    ends: Exception | None = None
    rounds: list[int] = field(default_factory=list)
    poison: str | None = None

    def ask(self, subjects: Sequence[Subject]) -> Iterator[tuple[str, Found | Absent | Trouble]]:
        self.rounds.append(len(subjects))
        hashes = [subject.hash for subject in subjects]
        for asked in hashes:
            if asked == self.poison:
                raise KeyError(asked)
            if asked in self.words:
                yield asked, self.words[asked]
        if self.ends is not None:
            raise self.ends


class _Unreadable(dict[str, Any]):
    """Words that break whoever looks for one."""

    def __contains__(self, key: object) -> bool:
        raise ValueError(key)


def hashed(bench: Bench, *names: str) -> list[str]:
    bench.library.note(*names)
    bench.library.settle()
    bench.library.digest()
    return [sha256(name) for name in names]


def test_a_round_asks_about_all_that_is_due_and_wakes_the_files(bench: Bench) -> None:
    one, two = hashed(bench, "a", "b")
    oracle = Oracle({one: Found(card=card()), two: Absent()})
    assert bench.asking(oracle).turn() == 0.0
    assert oracle.rounds == [2]
    assert {name for name, _ in bench.ended} == {one, two}
    assert len(bench.library.claim(Stage.PUBLISH)) == 2


def test_an_asker_with_nothing_due_sleeps_until_the_next_question(bench: Bench) -> None:
    (one,) = hashed(bench, "a")
    work = bench.asking(Oracle({one: Found(card=card())}))
    work.turn()
    assert work.turn() == pytest.approx(schedule.hit_again_s(0.0))
    assert bench.asking(Oracle(name="nobody")).turn() == float("inf")


def test_behind_a_closed_gate_nothing_is_claimed_and_the_first_round_is_one_probe(bench: Bench) -> None:
    """F46."""
    hashes = hashed(bench, "a", "b", "c")
    oracle = Oracle({it: Absent() for it in hashes})
    gates = bench.catalog.gates({}, 6000)
    work = bench.asking(oracle, gates=gates)
    gates.close(str(oracle.origin), later("outage", Scope.PROVIDER), 30.0)
    assert work.turn() == pytest.approx(30.0)
    assert oracle.rounds == []
    bench.clock.advance(30.0)
    assert work.turn() == 0.0
    assert oracle.rounds == [1]


def test_an_outage_in_the_middle_keeps_the_answers_and_gives_the_rest_back(bench: Bench) -> None:
    one, two = hashed(bench, "a", "b")
    oracle = Oracle({one: Found(card=card())}, ends=later("outage", Scope.PROVIDER))
    with pytest.raises(TryLater, match="outage"):
        bench.asking(oracle).turn()
    assert bench.catalog.waiting("civitai").due == 1
    assert [
        claim.key.hash for claim in bench.catalog.claim_questions(Wanted(provider="civitai", limit=9))
    ] == [two]
    assert bench.leases.idle


def test_a_stop_in_the_middle_of_a_round_gives_the_rest_back(bench: Bench) -> None:
    hashed(bench, "a")
    with pytest.raises(Stopping):
        bench.asking(Oracle(ends=Stopping())).turn()
    assert bench.catalog.waiting("civitai").due == 1


def test_a_hash_that_breaks_the_provider_does_not_take_the_others_with_it(bench: Bench) -> None:
    hashes = hashed(bench, *(f"f{number}" for number in range(8)))
    oracle = Oracle({it: Absent() for it in hashes}, poison=hashes[3])
    assert bench.asking(oracle).turn() == 0.0
    assert len(bench.ears.bugs) == 1
    assert bench.catalog.waiting("civitai").due == 0
    answered = {name for name, outcome in bench.ended if isinstance(outcome, Advance)}
    assert answered == set(hashes) - {hashes[3]}


def test_a_provider_that_always_breaks_is_not_asked_hundreds_of_times(bench: Bench) -> None:
    hashed(bench, *(f"f{number:03}" for number in range(300)))
    broken = Oracle(_Unreadable())
    assert bench.asking(broken).turn() == 0.0
    assert len(broken.rounds) <= 30
    assert len(bench.ears.bugs) <= 9
    assert bench.catalog.waiting("civitai").due == 0
    assert len(bench.ended) == 300
    for _, outcome in bench.ended:
        assert isinstance(outcome, Defer)
        assert outcome.trouble.kind == "bug"


def test_an_answer_that_the_catalog_cannot_keep_is_a_bug_of_that_hash_alone(bench: Bench) -> None:
    """F56."""
    one, two = hashed(bench, "a", "b")
    monster = Found(card=card(raw={"made": object()}))
    assert bench.asking(Oracle({one: monster, two: Absent()})).turn() == 0.0
    assert len(bench.ears.bugs) == 1
    assert [name for name, _ in bench.ended] == [two]
    assert bench.catalog.waiting("civitai").due == 0


def test_many_answers_are_committed_in_portions(bench: Bench) -> None:
    hashes = hashed(bench, *(f"f{number:03}" for number in range(ANSWERS_PER_COMMIT + 5)))
    bench.asking(Oracle({it: Absent() for it in hashes})).turn()
    assert len(bench.ended) == ANSWERS_PER_COMMIT + 5
    assert bench.onward == 2


def test_while_files_are_hashed_a_round_waits_for_company(bench: Bench) -> None:
    hashed(bench, "a")
    bench.library.note("still arriving")
    oracle = Oracle()
    work = bench.asking(oracle)
    assert work.turn() > 0
    assert oracle.rounds == []
    bench.clock.advance(2.0)
    assert work.turn() == 0.0
    assert oracle.rounds == [1]


@pytest.mark.parametrize("stage", [None, Stage.SETTLE, Stage.DIGEST])
def test_no_round_waits_for_the_files_of_roots_that_rest_or_are_not_ours(
    bench: Bench, stage: Stage | None
) -> None:
    (one,) = hashed(bench, "a")
    bench.library.note("on a disk that is away", root="resting")
    bench.library.note("of a root that the settings do not name any more", root="former")
    bench.board.pin("resting", later("root_away", Scope.ROOT), stage=stage)
    oracle = Oracle({one: Absent()})
    work = bench.asking(oracle)
    assert work.turn() == 0.0
    assert oracle.rounds == [1]
    bench.board.recovered("resting")
    bench.library.note("b")
    bench.library.settle()
    bench.library.digest()
    assert work.turn() > 0


def test_after_a_round_the_pauses_grow_while_hashing_goes_on(bench: Bench) -> None:
    hashed(bench, "a")
    bench.library.note("still arriving")
    work = bench.asking(Oracle({sha256("a"): Absent()}))
    bench.clock.advance(2.0)
    assert work.turn() == 0.0
    bench.library.settle()
    bench.library.digest(text="b")
    bench.library.note("and another")
    assert work.turn() == pytest.approx(4.0)


def test_while_more_is_coming_only_full_requests_go_out(bench: Bench) -> None:
    hashes = hashed(bench, *(f"f{number:03}" for number in range(FULL_REQUEST + 7)))
    bench.library.note("still arriving")
    bench.clock.advance(2.0)
    oracle = Oracle({it: Absent() for it in hashes})
    assert bench.asking(oracle).turn() == 0.0
    assert oracle.rounds == [FULL_REQUEST]


def test_a_provider_without_a_network_never_waits_for_company(bench: Bench) -> None:
    bench.library.note("a")
    bench.library.settle()
    bench.library.digest(provider="header")
    bench.library.note("still arriving")
    oracle = Oracle(name="header", origin=None)
    assert bench.asking(oracle).turn() == 0.0
    assert oracle.rounds == [1]


def test_a_stale_answer_is_not_told(bench: Bench, other: Catalog) -> None:
    """F74."""
    (one,) = hashed(bench, "a")

    class Slow(Oracle):
        def ask(self, subjects: Sequence[Subject]) -> Iterator[tuple[str, Found | Absent | Trouble]]:
            bench.clock.advance(schedule.LEASE_S + 1)
            taken = other.claim_questions(Wanted(provider="civitai", limit=9))
            other.apply_answers([(taken[0], Advance(facts=Answered(answer=Absent(), again_in_s=9.0)))])
            return super().ask(subjects)

    bench.asking(Slow({one: Found(card=card())})).turn()
    assert bench.ended == []


def test_questions_that_another_machine_took_first_make_no_lane_spin(bench: Bench) -> None:
    hashed(bench, "a")

    class Beaten:
        def __getattr__(self, name: str) -> Any:
            return getattr(bench.catalog, name)

        def claim_questions(self, *_which: object) -> list[QuestionClaim]:
            return []

    assert bench.asking(Oracle(), catalog=Beaten()).turn() == NAP_S


def in_background(bench: Bench, *names: str) -> None:
    """Bring files so far that only the question about their tensors is left."""
    hashed(bench, *names)
    for claim in bench.catalog.claim_questions(Wanted(provider="civitai", limit=99)):
        put = question(next(it for it in names if sha256(it) == claim.key.hash), kind=HashKind.TENSORS)
        then = (Put(key=put, background=True),)
        facts = Answered(answer=Absent(), again_in_s=9e5, then=then)
        bench.catalog.apply_answers([(claim, Advance(facts=facts))])


def test_behind_first_answers_one_question_goes_at_a_time_and_only_when_none_of_them_is_due(
    bench: Bench,
) -> None:
    in_background(bench, "a", "b")
    oracle = Oracle({question(it, kind=HashKind.TENSORS).hash: Absent() for it in ("a", "b")})
    work = bench.asking(oracle, kind=HashKind.TENSORS, behind="civitai")
    hashed(bench, "new")
    assert work.turn() > NAP_S
    assert oracle.rounds == []
    absent = Advance(facts=Answered(answer=Absent(), again_in_s=9e5))
    bench.catalog.apply_answers([(claim, absent) for claim in bench.library.ask()])
    assert work.turn() == 0.0
    assert oracle.rounds == [1]


def test_questions_in_the_background_leave_half_of_the_budget(bench: Bench) -> None:
    in_background(bench, "a")
    gates = bench.catalog.gates({}, 10)
    oracle = Oracle({question("a", kind=HashKind.TENSORS).hash: Absent()})
    work = bench.asking(oracle, kind=HashKind.TENSORS, behind="civitai", gates=gates)
    for _ in range(5):
        gates.admit(str(oracle.origin))
    assert work.turn() == pytest.approx(6.0)
    bench.clock.advance(6.0)
    assert work.turn() == 0.0


def test_a_slow_provider_is_asked_at_once_although_more_is_coming(bench: Bench) -> None:
    (one,) = hashed(bench, "a")
    bench.library.note("still arriving")
    oracle = Oracle({one: Absent()}, slow=True)
    assert bench.asking(oracle).turn() == 0.0
    assert oracle.rounds == [1]
