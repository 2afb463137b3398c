from dataclasses import dataclass, field

import pytest

from hashtagd.core.troubles import Scope, Trouble
from hashtagd.service.health import LANE_DEADLINE_S, Health, examine
from hashtagd.service.lanes import Lane, Pulse, bug_trouble
from support.clock import FakeClock
from support.serving import later


@dataclass
class Named:
    name: str


@dataclass
class StubLane:
    """What the report looks at of a lane."""

    name: str = "digest-1"
    alive: bool = True
    pulse: Pulse = field(default_factory=lambda: Pulse(beat_s=1000.0))

    @property
    def work(self) -> Named:
        return Named(self.name)


def ask(
    *lanes: StubLane,
    roots: dict[str, Trouble] | None = None,
    catalog: Trouble | None = None,
    after_s: float = 0.0,
) -> Health:
    clock = FakeClock()
    clock.advance(after_s)
    asked: list[Lane] = list(lanes)  # type: ignore[misc] # stubs with the same surface
    return examine(asked, roots or {}, catalog, clock)


def test_resting_lanes_are_well_however_long_they_rest() -> None:
    assert ask(StubLane(pulse=Pulse(beat_s=0.0, resting=True)), after_s=1e6) == Health(well=True, reasons=())


def test_a_lane_that_hangs_makes_the_daemon_unwell_in_time() -> None:
    """F85."""
    lane = StubLane(pulse=Pulse(beat_s=1000.0, resting=False))
    assert ask(lane, after_s=LANE_DEADLINE_S).well
    health = ask(lane, after_s=LANE_DEADLINE_S + 1)
    assert health.reasons == ("lane digest-1 has been busy with one batch for 901 s",)


def test_a_lane_that_ended_is_not_well() -> None:
    assert ask(StubLane(alive=False)).reasons == ("lane digest-1 has ended",)


def test_a_bug_shows_until_the_lane_works_again() -> None:
    lane = StubLane()
    lane.pulse.last_trouble = bug_trouble(KeyError("x"))
    assert "bug" in ask(lane).reasons[0]
    lane.pulse.last_trouble = later("outage", Scope.PROVIDER)
    assert ask(lane).well


@pytest.mark.parametrize("count", [1, 2])
def test_the_catalog_and_the_roots_have_their_say_once(count: int) -> None:
    broken = [StubLane() for _ in range(count)]
    for lane in broken:
        lane.pulse.last_trouble = bug_trouble(KeyError("x"))
    health = ask(*broken, roots={"loras": later()}, catalog=later("catalog_away", Scope.DAEMON))
    assert health.reasons[0] == "it is catalog_away"
    assert health.reasons[-1] == "root loras: it is away"
    assert len(health.reasons) == 3
