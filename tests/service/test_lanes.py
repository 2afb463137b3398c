import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from hashtagd.core.ports import Stopping
from hashtagd.core.troubles import Scope
from hashtagd.service.clock import StopPause
from hashtagd.service.lanes import (
    REST_S,
    UNDISTURBED_S,
    Lane,
    bug_trouble,
    in_batches,
    run_guarded,
    stream_guarded,
    survived,
)
from support.clock import FakeClock
from support.serving import Ears, TickingPause, later

Step = Callable[[], float]


@dataclass
class Script:
    """A work whose turns are written down; after the last one it stops the lane."""

    pause: TickingPause | StopPause
    steps: list[Step]
    name: str = "scripted-1"
    turned: int = 0
    lane: list[Lane] = field(default_factory=list)

    def turn(self) -> float:
        self.turned += 1
        if self.turned > len(self.steps):
            self.stop()
            return 0.0
        return self.steps[self.turned - 1]()

    def stop(self) -> None:
        if isinstance(self.pause, StopPause):
            self.pause.stop()
        else:
            self.pause.stopping = True


def gives(seconds: float) -> Step:
    return lambda: seconds


def raises(error: Exception) -> Step:
    def step() -> float:
        raise error

    return step


@dataclass
class Stand:
    """A lane around a script, run in this thread."""

    ears: Ears
    clock: FakeClock
    pause: TickingPause = field(default_factory=TickingPause)
    died: int = 0

    def lane(self, *steps: Step) -> Lane:
        script = Script(self.pause, list(steps))
        lane = Lane(
            work=script,
            clock=self.clock,
            pause=self.pause,
            tell=self.ears.tell,
            bug=self.ears.bug,
            died=self.die,
        )
        script.lane.append(lane)
        return lane

    def die(self) -> None:
        self.died += 1

    def run(self, *steps: Step) -> Lane:
        lane = self.lane(*steps)
        lane.start()
        assert lane.join(5.0)
        return lane


@pytest.fixture
def stand(ears: Ears, clock: FakeClock) -> Stand:
    return Stand(ears, clock)


def test_a_lane_turns_at_once_while_there_is_work(stand: Stand) -> None:
    lane = stand.run(gives(0.0), gives(0.0), gives(0.0))
    assert lane.pulse.turns == 4
    assert stand.died == 0
    assert not lane.alive


def test_a_lane_with_nothing_due_sleeps_until_it_is_woken(stand: Stand) -> None:
    asleep = threading.Event()

    def sleep() -> float:
        asleep.set()
        return float("inf")

    lane = stand.lane(sleep)
    lane.start()
    assert asleep.wait(5.0)
    assert not lane.join(0.0)
    lane.wake()
    assert lane.join(5.0)
    assert lane.pulse.turns == 2


def test_a_wake_up_during_a_turn_is_not_lost(stand: Stand) -> None:
    lanes: list[Lane] = []

    def noted_meanwhile() -> float:
        lanes[0].wake()
        return float("inf")

    lanes.append(stand.lane(noted_meanwhile))
    lanes[0].start()
    assert lanes[0].join(5.0)


def test_the_trouble_of_a_lane_is_told_once_a_minute_until_it_changes(stand: Stand) -> None:
    away, busy = later("away", Scope.DAEMON, 0.01), later("busy", Scope.DAEMON, 0.01)
    lane = stand.run(raises(away), raises(away), raises(busy), gives(0.0), raises(busy), gives(0.0))
    assert [values["kind"] for values in stand.ears.of("lane_waited")] == ["away", "busy"]
    assert stand.ears.of("lane_waited")[0] == {
        "lane": "scripted-1",
        "kind": "away",
        "what": "it is away",
        "does": "waits",
        "you": "wait",
    }
    assert lane.pulse.last_trouble is None


def test_giving_claims_back_wakes_a_lane_and_does_not_let_it_spin(stand: Stand) -> None:
    lanes: list[Lane] = []

    def give_back() -> float:
        lanes[0].wake()
        raise later("away", Scope.DAEMON)

    lanes.append(stand.lane(give_back, give_back))
    lanes[0].start()
    assert lanes[0].join(5.0)
    assert stand.pause.waits_s == [UNDISTURBED_S, UNDISTURBED_S]


def test_a_bug_costs_a_rest_and_not_the_lane(stand: Stand) -> None:
    broken = KeyError("shape")

    def wakes_itself() -> float:
        lanes[0].wake()
        raise broken

    lanes = [stand.lane(wakes_itself, gives(0.0))]
    lanes[0].start()
    assert lanes[0].join(5.0)
    assert stand.ears.bugs == [("scripted-1", broken)]
    assert lanes[0].pulse.bugs == 1
    assert lanes[0].pulse.last_trouble is None
    assert stand.died == 0


def test_the_text_of_a_bug_stays_in_the_log() -> None:
    trouble = bug_trouble(KeyError("a secret"))
    assert "secret" not in str(trouble)
    assert trouble.kind == "bug"
    assert "KeyError" in trouble.what


def test_a_stop_in_the_middle_of_a_turn_ends_the_lane_in_order(stand: Stand) -> None:
    def stop() -> float:
        stand.pause.stopping = True
        raise Stopping

    lane = stand.run(stop)
    assert lane.pulse.turns == 1
    assert (stand.ears.bugs, stand.died) == ([], 0)


def test_a_stop_during_the_rest_after_a_trouble_is_not_slept_through(stand: Stand) -> None:
    stand.pause.stop_after = 1
    lane = stand.run(raises(later("away", Scope.DAEMON, 1e9)))
    assert lane.pulse.turns == 1


def test_a_lane_that_breaks_itself_is_told_of_and_asks_for_a_restart(stand: Stand) -> None:
    def mute(_event: str, /, **_values: object) -> None:
        raise OSError("no log")

    lane = Lane(
        work=Script(stand.pause, [raises(later("away", Scope.DAEMON))]),
        clock=stand.clock,
        pause=stand.pause,
        tell=mute,
        bug=stand.ears.bug,
        died=stand.die,
    )
    lane.start()
    assert lane.join(5.0)
    assert stand.died == 1
    assert [type(error) for _, error in stand.ears.bugs] == [OSError]


def test_a_lane_in_a_turn_is_not_resting(stand: Stand) -> None:
    seen: list[bool] = []
    lanes: list[Lane] = []

    def look() -> float:
        stand.clock.advance(5.0)
        seen.append(lanes[0].pulse.resting)
        return 0.0

    lanes.append(stand.lane(look))
    assert lanes[0].pulse.resting
    lanes[0].start()
    assert lanes[0].join(5.0)
    assert seen == [False]
    assert lanes[0].pulse.beat_s == stand.clock.monotonic_s()


def test_big_claims_are_alone_and_small_ones_share_in_order() -> None:
    claims = [1, 2, 90, 91, 3, 4, 5]
    assert in_batches(claims, lambda claim: claim >= 90, 2) == [[1, 2], [90], [91], [3, 4], [5]]
    assert in_batches([], bool, 2) == []


def test_in_a_batch_only_the_poisonous_claim_pays() -> None:
    def run(claims: Sequence[int]) -> list[str]:
        if 13 in claims:
            raise KeyError(13)
        return [f"did {claim}" for claim in claims]

    assert run_guarded(run, [12, 13, 14], lambda claim, error: f"{claim} met {type(error).__name__}") == [
        "did 12",
        "13 met KeyError",
        "did 14",
    ]
    assert run_guarded(run, [], lambda claim, _error: str(claim)) == []


@pytest.mark.parametrize("error", [later(), Stopping()])
def test_troubles_and_stops_are_no_bugs(error: Exception) -> None:
    def run(_claims: Sequence[int]) -> list[str]:
        raise error

    def stream(_claims: Sequence[int]) -> Iterator[tuple[int, str]]:
        yield 1, "did"
        raise error

    with pytest.raises(type(error)):
        run_guarded(run, [1, 2], lambda claim, _error: str(claim))
    with pytest.raises(type(error)):
        list(
            stream_guarded(stream, [1, 2], lambda claim, _error: str(claim), lambda claim, _error: str(claim))
        )


@pytest.mark.parametrize("poison", [0, 5, 15])
def test_in_a_stream_the_poisonous_claim_is_found_in_few_rounds(poison: int) -> None:
    rounds: list[int] = []

    def run(claims: Sequence[list[int]]) -> Iterator[tuple[list[int], str]]:
        rounds.append(len(claims))
        for claim in claims:
            if claim == [poison]:
                raise KeyError(poison)
        yield from ((claim, "did") for claim in claims)

    claims = [[number] for number in range(16)]
    done = list(stream_guarded(run, claims, lambda _claim, _error: "bug", lambda _claim, _error: "put off"))
    assert sorted(claim[0] for claim, _ in done) == list(range(16))
    assert [claim for claim, said in done if said == "bug"] == [[poison]]
    assert len(rounds) <= 9


def test_what_was_streamed_before_a_bug_is_not_run_again() -> None:
    asked: list[str] = []

    def run(claims: Sequence[str]) -> Iterator[tuple[str, str]]:
        asked.extend(claims)
        for claim in claims:
            if claim == "bad":
                raise KeyError(claim)
            yield claim, "did"

    done = list(
        stream_guarded(
            run, ["first", "bad", "last"], lambda _claim, _error: "bug", lambda _claim, _error: "put off"
        )
    )
    assert asked.count("first") == 1
    assert done == [("first", "did"), ("bad", "bug"), ("last", "did")]


def test_where_every_claim_is_poisonous_the_rest_is_put_off_after_a_few_rounds() -> None:
    rounds: list[int] = []

    def run(claims: Sequence[int]) -> Iterator[tuple[int, str]]:
        rounds.append(len(claims))
        if claims:
            raise KeyError(claims[0])
        yield 0, "never"

    told: list[int] = []

    def met_bug(claim: int, _error: Exception) -> str:
        told.append(claim)
        return "bug"

    done = list(stream_guarded(run, range(10_000), met_bug, lambda _claim, _error: "put off"))
    assert sorted(claim for claim, _ in done) == list(range(10_000))
    assert [said for _, said in done].count("bug") == len(told) == 9
    assert len(rounds) <= 40


def test_a_stream_that_breaks_after_its_last_claim_is_told_as_a_bug_of_the_lane() -> None:
    def run(claims: Sequence[str]) -> Iterator[tuple[str, str]]:
        yield from ((claim, "did") for claim in claims)
        raise KeyError("late")

    with pytest.raises(KeyError):
        list(stream_guarded(run, ["x"], lambda _claim, _error: "bug", lambda _claim, _error: "put off"))


def test_a_bug_of_the_main_loop_asks_for_a_restart_and_a_trouble_goes_up() -> None:
    told: list[Exception] = []
    assert survived(lambda: True, told.append)
    assert not survived(raises_bool(KeyError("x")), told.append)
    assert [type(error) for error in told] == [KeyError]
    with pytest.raises(type(later())):
        survived(raises_bool(later()), told.append)


def raises_bool(error: Exception) -> Callable[[], bool]:
    def body() -> bool:
        raise error

    return body


def test_the_rest_after_a_trouble_is_longer_than_what_no_wake_up_disturbs() -> None:
    assert REST_S > UNDISTURBED_S
