from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from hashtagd.catalog.catalog import Catalog
from hashtagd.core import schedule
from hashtagd.core.ports import Stopping
from hashtagd.core.troubles import Scope, Trouble, TryLater
from hashtagd.core.work import (
    Absent,
    Advance,
    Answered,
    Claim,
    Defer,
    Found,
    Outcome,
    Park,
    QuestionClaim,
    Restart,
    Settled,
    Stage,
    Subject,
)
from hashtagd.service.board import PAUSE_S, RootBoard
from hashtagd.service.leases import Leases
from hashtagd.service.works import ANSWERS_PER_COMMIT, FULL_REQUEST, NAP_S, AskWork, FileWork
from hashtagd.stages.ask import AskStage
from support.clock import FakeClock
from support.library import HEADER, ROOT, Library, card, sha256
from support.serving import Ears, for_a_person, later

Stageful = Callable[[Sequence[Claim]], Sequence[Outcome]]
SETTLED = Advance(facts=Settled(header=HEADER))


def all_settled(claims: Sequence[Claim]) -> list[Outcome]:
    return [SETTLED] * len(claims)


@dataclass
class Bench:
    """One work over a real catalog, and what it told."""

    catalog: Catalog
    clock: FakeClock
    ears: Ears
    library: Library
    board: RootBoard = field(init=False)
    leases: Leases = field(default_factory=Leases)
    ended: list[tuple[str, Outcome]] = field(default_factory=list)
    onward: int = 0
    rests: int = 0

    def __post_init__(self) -> None:
        self.board = RootBoard(clock=self.clock, changed=lambda _root, _trouble: None)

    def work(self, run: Stageful, stage: Stage = Stage.SETTLE, **changes: Any) -> FileWork:
        made: dict[str, Any] = {
            "name": f"{stage.value}-1",
            "stage": stage,
            "roots": [ROOT],
            "run": run,
            "catalog": self.catalog,
            "board": self.board,
            "leases": self.leases,
            "clock": self.clock,
            "chance": lambda: 0.0,
            "ended": lambda claim, outcome: self.ended.append((claim.place.relpath, outcome)),
            "bug": self.ears.bug,
            "onward": self.go_on,
            "rest": self.rest,
            "limit": 10,
            "big_bytes": 1 << 40,
        }
        return FileWork(**{**made, **changes})

    def asking(self, provider: Any, **changes: Any) -> AskWork:
        made: dict[str, Any] = {
            "provider": provider,
            "stage": AskStage(provider=provider, then=None, chance=lambda: 0.0),
            "roots": [ROOT, "resting"],
            "catalog": self.catalog,
            "board": self.board,
            "gates": self.catalog.gates({}, 6000),
            "leases": self.leases,
            "clock": self.clock,
            "chance": lambda: 0.0,
            "ended": lambda claim, outcome: self.ended.append((claim.key.hash, outcome)),
            "bug": self.ears.bug,
            "onward": self.go_on,
        }
        return AskWork(**{**made, **changes})

    def go_on(self) -> None:
        self.onward += 1

    def rest(self) -> None:
        self.rests += 1

    def claimable(self, stage: Stage = Stage.SETTLE) -> list[tuple[str, int]]:
        """Claim whatever can be claimed, and give path and attempts."""
        return [(claim.place.relpath, claim.attempts) for claim in self.library.claim(stage)]


@pytest.fixture
def bench(catalog: Catalog, clock: FakeClock, ears: Ears, library: Library) -> Bench:
    return Bench(catalog, clock, ears, library)


def test_due_files_are_brought_to_their_outcome_and_the_next_stage_is_called(bench: Bench) -> None:
    bench.library.note("a", "b")
    work = bench.work(all_settled)
    assert work.turn() == 0.0
    assert bench.ended == [("a", SETTLED), ("b", SETTLED)]
    assert (bench.onward, bench.rests, bench.leases.idle) == (1, 0, True)
    assert len(bench.claimable(Stage.DIGEST)) == 2


def test_with_nothing_due_a_lane_gives_memory_back_and_sleeps_until_something_is(bench: Bench) -> None:
    work = bench.work(all_settled)
    assert work.turn() == float("inf")
    assert bench.rests == 1
    bench.library.note("a")
    claim = bench.library.claim_one(Stage.SETTLE)
    bench.catalog.apply([(claim, Defer(trouble=None, wait_s=40.0))])
    assert work.turn() == pytest.approx(40.0)


def test_a_row_that_another_clock_calls_due_does_not_make_the_lane_spin(bench: Bench) -> None:
    """F88."""
    bench.library.note("a")
    claim = bench.library.claim_one(Stage.SETTLE)
    bench.catalog.apply([(claim, Defer(trouble=None, wait_s=300.0))])
    ahead = FakeClock(bench.clock.now())
    ahead.advance(600.0)
    assert bench.work(all_settled, clock=ahead).turn() == NAP_S


def test_a_big_file_is_worked_on_alone(bench: Bench) -> None:
    batches: list[int] = []

    def run(claims: Sequence[Claim]) -> list[Outcome]:
        batches.append(len(claims))
        return all_settled(claims)

    bench.library.note("a", "b", "c")
    bench.work(run, big_bytes=1).turn()
    assert batches == [1, 1, 1]


def test_a_trouble_midway_gives_back_what_has_no_outcome_yet(bench: Bench) -> None:
    ran: list[str] = []

    def run(claims: Sequence[Claim]) -> list[Outcome]:
        ran.extend(claim.place.relpath for claim in claims)
        if len(ran) > 1:
            raise later("exhausted", Scope.DAEMON)
        return all_settled(claims)

    bench.library.note("a", "b", "c")
    with pytest.raises(TryLater, match="exhausted"):
        bench.work(run, big_bytes=1).turn()
    assert [name for name, _ in bench.ended] == ["a"]
    assert bench.claimable() == [("b", 1), ("c", 1)]
    assert bench.leases.idle


def test_a_stop_midway_gives_the_claims_and_their_attempts_back(bench: Bench) -> None:
    """F84."""

    def run(_claims: Sequence[Claim]) -> list[Outcome]:
        raise Stopping

    bench.library.note("a")
    with pytest.raises(Stopping):
        bench.work(run).turn()
    assert bench.claimable() == [("a", 1)]


def test_a_bug_defers_the_file_that_met_it_and_nobody_else(bench: Bench) -> None:
    def run(claims: Sequence[Claim]) -> list[Outcome]:
        if any(claim.place.relpath == "bad" for claim in claims):
            raise KeyError("bad")
        return all_settled(claims)

    bench.library.note("a", "bad", "z")
    bench.work(run).turn()
    assert [name for name, outcome in bench.ended if outcome is SETTLED] == ["a", "z"]
    assert [lane for lane, _ in bench.ears.bugs] == ["settle-1"]
    assert bench.claimable() == []
    bench.clock.advance(schedule.file_retry_wait_s(1, 0.0))
    assert bench.claimable() == [("bad", 2)]


def test_an_outcome_that_the_catalog_cannot_keep_is_a_bug_of_that_file_alone(bench: Bench) -> None:
    def run(claims: Sequence[Claim]) -> list[Outcome]:
        return [
            Restart(stamp=replace(claim.stamp, size_bytes=1 << 80))
            if claim.place.relpath == "bad"
            else SETTLED
            for claim in claims
        ]

    bench.library.note("a", "bad")
    assert bench.work(run).turn() == 0.0
    assert [name for name, _ in bench.ended] == ["a"]
    assert len(bench.ears.bugs) == 1
    assert bench.work(run).turn() > 0


@pytest.mark.parametrize("stage", [Stage.DIGEST, Stage.PUBLISH])
def test_a_file_that_never_comes_to_an_outcome_is_parked_in_the_end(bench: Bench, stage: Stage) -> None:
    bench.library.note("a")
    bench.library.settle()
    if stage is Stage.PUBLISH:
        bench.library.digest()
        bench.library.answer(card())
    for _ in range(schedule.MAX_ATTEMPTS):
        bench.library.claim_one(stage)
        bench.clock.advance(schedule.LEASE_S + 1)

    def run(_claims: Sequence[Claim]) -> list[Outcome]:
        raise AssertionError("it is not tried once more")

    bench.work(run, stage).turn()
    assert [type(outcome) for _, outcome in bench.ended] == [Park]
    assert bench.library.state("a") == "parked"


def test_settling_never_parks_for_attempts(bench: Bench) -> None:
    bench.library.note("a")
    for _ in range(schedule.MAX_ATTEMPTS + 1):
        bench.library.claim_one(Stage.SETTLE)
        bench.clock.advance(schedule.LEASE_S + 1)
    bench.work(all_settled).turn()
    assert bench.ended == [("a", SETTLED)]


def test_a_trouble_of_the_root_rests_the_root_and_spares_the_file(bench: Bench) -> None:
    """F78."""
    full = for_a_person()
    bench.library.note("a", "b")
    work = bench.work(lambda claims: [Defer(trouble=full, wait_s=999.0)] * len(claims))
    assert work.turn() == 0.0
    assert bench.board.closed_roots(Stage.SETTLE) == {ROOT}
    assert work.turn() == pytest.approx(PAUSE_S)
    bench.clock.advance(PAUSE_S)
    assert bench.claimable() == [("a", 1), ("b", 1)]


def test_success_after_the_pause_calls_the_notice_off(bench: Bench) -> None:
    bench.library.note("a")
    bench.board.pin(ROOT, for_a_person(), stage=Stage.SETTLE, for_s=PAUSE_S)
    bench.clock.advance(PAUSE_S)
    bench.work(all_settled).turn()
    assert bench.board.troubles() == {}


def test_a_deferred_file_is_no_proof_that_the_root_is_well(bench: Bench) -> None:
    bench.library.note("a")
    bench.board.pin(ROOT, for_a_person(), stage=Stage.SETTLE, for_s=PAUSE_S)
    bench.clock.advance(PAUSE_S)
    bench.work(lambda _claims: [Defer(trouble=None, wait_s=9.0)]).turn()
    assert ROOT in bench.board.troubles()


def test_when_the_file_that_met_a_full_disk_is_gone_the_lane_neither_spins_nor_complains(
    bench: Bench,
) -> None:
    bench.board.pin(ROOT, for_a_person(), stage=Stage.SETTLE, for_s=PAUSE_S)
    bench.clock.advance(PAUSE_S + 1)
    assert bench.work(all_settled).turn() == float("inf")
    assert bench.board.troubles() == {}


def test_an_outcome_whose_fence_is_old_is_not_told(bench: Bench) -> None:
    """F74."""
    bench.library.note("a")

    def run(claims: Sequence[Claim]) -> list[Outcome]:
        bench.library.lose("a")
        return all_settled(claims)

    bench.work(run).turn()
    assert bench.ended == []


# ---- questions


@dataclass
class Oracle:
    """A provider that says what it is told to; `words` by hash, silence for all others."""

    words: dict[str, Any] = field(default_factory=dict)
    name: str = "civitai"
    origin: str | None = "https://oracle.example"
    batch_limit: int = 10_000
    ends: Exception | None = None
    rounds: list[int] = field(default_factory=list)
    poison: str | None = None

    def ask(self, subjects: Sequence[Subject]) -> Iterator[tuple[str, Found | Absent | Trouble]]:
        self.rounds.append(len(subjects))
        hashes = [subject.digests.sha256 for subject in subjects]
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
    assert len(bench.claimable(Stage.PUBLISH)) == 2


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
    assert [claim.key.hash for claim in bench.catalog.claim_questions("civitai", 9)] == [two]
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
            taken = other.claim_questions("civitai", 9)
            other.apply_answers([(taken[0], Advance(facts=Answered(answer=Absent(), again_in_s=9.0)))])
            return super().ask(subjects)

    bench.asking(Slow({one: Found(card=card())})).turn()
    assert bench.ended == []


def test_questions_that_another_machine_took_first_make_no_lane_spin(bench: Bench) -> None:
    hashed(bench, "a")

    class Beaten:
        def __getattr__(self, name: str) -> Any:
            return getattr(bench.catalog, name)

        def claim_questions(self, _provider: str, _limit: int) -> list[QuestionClaim]:
            return []

    assert bench.asking(Oracle(), catalog=Beaten()).turn() == NAP_S
