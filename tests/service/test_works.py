from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from hashtagd.catalog.catalog import Catalog
from hashtagd.core import schedule
from hashtagd.core.ports import Stopping
from hashtagd.core.troubles import Scope, TryLater
from hashtagd.core.work import (
    Advance,
    Claim,
    Defer,
    Outcome,
    Park,
    Restart,
    Settled,
    Stage,
)
from hashtagd.service.board import PAUSE_S, RootBoard
from hashtagd.service.leases import Leases
from hashtagd.service.works import NAP_S, FileWork
from support.clock import FakeClock
from support.library import HEADER, ROOT, Library, card
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
