"""The lane that tells programs, with scripted programs and a clock that the test moves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from hashtagd.core.place import Place
from hashtagd.core.troubles import TryLater
from hashtagd.core.work import Advance, Claim, Defer, Outcome, Publication, Published, Restart, Settled, Stage
from hashtagd.nudges import News, Unreachable, Unusable
from hashtagd.service.nudging import Nudger
from hashtagd.service.posts import MOST_WAITING
from support.clock import FakeClock
from support.library import BUSY, HEADER, place, sha256, stamp_of
from support.serving import Ears, TickingPause, later

WROTE = Advance(facts=Published(publications=(), wrote=True))


@dataclass
class Scripted:
    """A program that does as it is told, and notes what it was asked."""

    name: str = "program"
    there: bool = True
    met: bool = True
    fails: Exception | None = None
    asked: int = 0
    told: list[str] = field(default_factory=list)
    looked: int = 0
    takes: Callable[[], None] = lambda: None

    def present(self) -> bool:
        self._ask()
        return self.there

    def tell(self, news: News) -> bool:
        self._ask()
        self.told.append(Path(news.path).name)
        return self.met

    def look_around(self) -> None:
        self._ask()
        self.looked += 1

    def _ask(self) -> None:
        self.asked += 1
        self.takes()
        if self.fails is not None:
            raise self.fails


@dataclass
class Disk:
    """Says where files lie."""

    away: TryLater | None = None

    def locate(self, where: Place) -> Path:
        if self.away is not None:
            raise self.away
        return Path("/models") / where.root / where.relpath


@dataclass
class Known:
    """What the catalog knows of the files that were published, by number."""

    by_id: dict[int, Claim] = field(default_factory=dict)
    away: TryLater | None = None

    def claims(self, ids: Sequence[int]) -> list[Claim]:
        if self.away is not None:
            raise self.away
        return [self.by_id[it] for it in ids if it in self.by_id]

    def published(self, roots: Sequence[str]) -> list[int]:
        assert roots == ["loras"]
        return list(self.by_id)


@dataclass
class Bench:
    programs: list[Scripted]
    clock: FakeClock
    known: Known = field(default_factory=Known)
    ears: Ears = field(default_factory=Ears)
    disk: Disk = field(default_factory=Disk)
    pause: TickingPause = field(default_factory=TickingPause)
    nudger: Nudger = field(init=False)

    def __post_init__(self) -> None:
        self.nudger = Nudger(
            programs=self.programs,
            files=self.known,
            roots=["loras"],
            locator=self.disk,
            clock=self.clock,
            pause=self.pause,
            tell=self.ears.tell,
        )

    def publish(self, *names: str) -> None:
        for name in names:
            numbers = {it.place.relpath: it.file_id for it in self.known.by_id.values()}
            self.take(replace(claim(name), file_id=numbers.get(name, len(numbers) + 1)))

    def take(self, published: Claim, outcome: Outcome = WROTE) -> None:
        self.known.by_id[published.file_id] = published
        self.nudger.take(published, outcome)

    def live(self, seconds: float) -> None:
        """Let so much time pass, with a turn whenever the lane would have one."""
        ends_s = self.clock.monotonic_s() + seconds
        while (wait_s := self.nudger.turn()) <= ends_s - self.clock.monotonic_s():
            self.clock.advance(wait_s)
        self.clock.advance(ends_s - self.clock.monotonic_s())


def claim(name: str, *publications: Publication) -> Claim:
    now = FakeClock().now()
    return Claim(
        file_id=1,
        fence=1,
        stage=Stage.PUBLISH,
        place=place(name),
        stamp=stamp_of(name),
        attempts=1,
        still_since=now,
        first_seen_at=now,
        header=HEADER,
        publications=publications,
    )


def bench(*programs: Scripted) -> Bench:
    return Bench(list(programs), FakeClock())


def written(relpath: str) -> Publication:
    return Publication(writer="w", place=place(relpath), intended_sha256=None, written_sha256=sha256("x"))


@pytest.mark.parametrize(
    "outcome,publications,is_news",
    [
        (WROTE, (), True),
        (Advance(facts=Published(publications=(written("new.json"),))), (written("old.json"),), True),
        (Advance(facts=Published(publications=(written("x.json"),))), (written("x.json"),), False),
        (Advance(facts=Published(publications=())), (written("x.json"),), False),
        (Advance(facts=Settled(header=HEADER)), (), False),
        (Defer(trouble=BUSY, wait_s=1.0), (), False),
        (Restart(stamp=stamp_of("x")), (), False),
    ],
)
def test_only_what_lies_beside_a_file_anew_is_told(
    outcome: Outcome,
    publications: tuple[Publication, ...],
    is_news: bool,  # noqa: FBT001 - a column of the table above
) -> None:
    seen = bench(Scripted())
    seen.take(claim("x", *publications), outcome)
    seen.nudger.turn()
    assert seen.programs[0].told == (["x"] if is_news else [])


def test_without_programs_there_is_no_lane_and_nothing_is_kept() -> None:
    seen = bench()
    seen.publish("a")
    assert seen.nudger.works == ()
    assert (seen.nudger.idle, seen.nudger.turn()) == (True, float("inf"))


def test_every_program_is_told_once_of_each_file_in_order() -> None:
    seen = bench(Scripted(), Scripted("other"))
    assert seen.nudger.works == (seen.nudger,)
    seen.publish("a", "b", "a")
    assert not seen.nudger.idle
    assert seen.nudger.turn() == float("inf")
    assert [program.told for program in seen.programs] == [["b", "a"], ["b", "a"]]
    assert seen.nudger.idle
    assert seen.ears.events == []


def test_a_program_that_is_there_is_believed_for_ten_minutes() -> None:
    seen = bench(Scripted())
    for _ in range(10):
        seen.publish("a")
        seen.live(90)
    assert (len(seen.programs[0].told), seen.programs[0].asked) == (10, 12)


def flood(seen: Bench) -> list[str]:
    """Publish five files more than may wait."""
    for number in range(MOST_WAITING + 5):
        seen.take(replace(claim(str(number)), file_id=number))
    return [str(number) for number in range(MOST_WAITING + 5)]


def test_of_a_flood_the_newest_are_told_some_in_each_turn_and_what_was_dropped_in_the_end() -> None:
    seen = bench(Scripted())
    names = flood(seen)
    assert seen.nudger.turn() == 0.0
    assert seen.programs[0].told[0] == "5"
    assert len(seen.programs[0].told) == 50
    seen.live(1)
    assert seen.programs[0].told == names[5:]
    assert seen.programs[0].looked == 1
    seen.live(10)
    assert seen.programs[0].told == names[5:] + names
    seen.live(86_400)
    assert len(seen.programs[0].told) == 2 * len(names) - 5


def test_a_server_that_is_not_there_costs_one_connection_a_minute_then_fewer_then_none() -> None:
    seen = bench(Scripted(fails=Unreachable("nobody")), Scripted("other", fails=Unreachable("nobody")))

    def asked() -> int:
        return sum(program.asked for program in seen.programs)

    seen.publish("a")
    seen.live(59)
    assert asked() == 1
    for minute in range(180):
        before = asked()
        seen.publish(f"{minute}")
        seen.live(60)
        assert asked() - before <= 1
    assert asked() <= 16
    assert len(seen.ears.of("nudge_failed")) <= 6
    at_rest = bench(Scripted(fails=Unreachable("nobody")))
    at_rest.publish("a")
    at_rest.live(86_400)
    assert at_rest.programs[0].asked <= 3 + 24
    assert len(at_rest.ears.of("nudge_failed")) == 1


@pytest.mark.parametrize(
    "away", [Scripted(fails=Unreachable("nobody")), Scripted(fails=Unusable("x")), Scripted(there=False)]
)
def test_a_program_that_was_away_for_long_is_told_of_everything_within_an_hour(away: Scripted) -> None:
    seen = bench(away)
    seen.publish("a", "b")
    seen.live(5 * 3600)
    seen.publish("c")
    seen.live(3600)
    away.told.clear()
    away.fails, away.there = None, True
    seen.live(3700)
    assert away.told == ["a", "b", "c"]
    asked = away.asked
    seen.live(86_400)
    assert away.asked == asked, "an idle daemon asks nobody"


def test_a_program_that_goes_away_while_it_is_told_of_everything_hears_it_from_the_start() -> None:
    away = Scripted(there=False)
    seen = bench(away)
    seen.publish("a", "b", "c")
    seen.live(600)
    away.there = True
    away.takes = lambda: setattr(away, "fails", Unusable("busy") if "a" in away.told else None)
    seen.live(5 * 3600)
    assert set(away.told) == {"a"}
    away.takes, away.fails = (lambda: None), None
    away.told.clear()
    seen.live(2 * 3600)
    assert sorted(set(away.told)) == ["a", "b", "c"]


def test_of_everything_only_files_that_it_knows_count_and_none_is_waited_for() -> None:
    """Most of a library may lie where the program does not look."""
    away = Scripted(there=False, met=False)
    seen = bench(away)
    seen.publish(*(str(number) for number in range(200)))
    seen.live(600)
    away.there = True
    seen.live(3700)
    assert (len(away.told), away.looked) == (200, 1)


def test_a_file_that_is_read_anew_or_gone_meanwhile_is_not_told() -> None:
    seen = bench(Scripted())
    seen.publish("a", "b", "c")
    seen.known.by_id[1] = replace(seen.known.by_id[1], stage=Stage.SETTLE)
    del seen.known.by_id[2]
    seen.live(1)
    assert seen.programs[0].told == ["c"]


def test_while_the_catalog_is_away_nothing_is_lost() -> None:
    seen = bench(Scripted())
    seen.publish("a")
    seen.known.away = later()
    with pytest.raises(TryLater):
        seen.nudger.turn()
    seen.known.away = None
    seen.live(1)
    assert seen.programs[0].told == ["a"]


def test_a_server_that_comes_back_soon_is_told_what_it_missed() -> None:
    seen = bench(Scripted(fails=Unreachable("nobody")))
    seen.publish("a", "b")
    seen.live(30)
    assert seen.nudger.idle  # nothing that a run which ends by itself should wait for
    seen.programs[0].fails = None
    seen.live(60)
    assert sorted(seen.programs[0].told) == ["a", "b"]
    assert len(seen.ears.events) == 1


def test_a_program_that_is_not_installed_is_asked_rarely_and_never_mentioned() -> None:
    seen = bench(Scripted(there=False), Scripted("other"))
    for _ in range(20):
        seen.publish("a")
        seen.live(30)
    assert seen.programs[0].told == []
    assert seen.programs[0].asked == 4
    assert len(seen.programs[1].told) == 20
    assert seen.ears.events == []


def test_a_program_that_fails_is_left_alone_the_others_go_on_and_the_log_has_one_line() -> None:
    seen = bench(Scripted(fails=Unusable("no answer in time")), Scripted("other"))
    seen.publish(*"abcdefgh")
    seen.live(59)
    assert (seen.programs[0].asked, len(seen.programs[1].told)) == (1, 8)
    assert seen.ears.events == [
        ("nudge_failed", {"program": "program", "what": "no answer in time", "rests_s": 60})
    ]


def test_another_reason_is_logged_but_not_within_a_minute() -> None:
    seen = bench(Scripted(fails=Unusable("one")))
    seen.publish("a")
    seen.live(59)
    seen.programs[0].fails = Unusable("two")
    seen.live(200)
    seen.programs[0].fails = Unusable("one")
    assert [values["what"] for values in seen.ears.of("nudge_failed")] == ["one", "two"]


def test_a_program_that_is_late_once_is_busy_and_gets_a_moment_that_a_run_waits_for() -> None:
    busy = Scripted()
    seen = bench(busy)
    seen.publish(*"abcdef")
    busy.takes = lambda: setattr(busy, "fails", Unusable("no answer in time") if busy.asked == 4 else None)
    seen.nudger.turn()
    assert (busy.told, seen.nudger.idle) == (["a", "b"], False)
    assert [it["rests_s"] for it in seen.ears.of("nudge_failed")] == [5]
    seen.live(4)
    assert busy.asked == 4
    seen.live(2)
    assert busy.told == ["a", "b", "d", "e", "f", "c"]
    assert seen.nudger.idle


def test_one_that_stays_late_is_left_alone_like_any_other() -> None:
    busy = Scripted()
    seen = bench(busy)
    seen.publish("a")
    seen.live(1)
    busy.fails = Unusable("no answer in time")
    seen.publish("b")
    seen.live(6)
    assert seen.nudger.idle
    asked = busy.asked
    seen.live(58)
    assert busy.asked == asked


def test_a_failure_after_an_answer_starts_with_a_short_rest_again() -> None:
    seen = bench(Scripted(fails=Unusable("x")))
    seen.publish("a")
    seen.live(100)
    seen.programs[0].fails = None
    seen.live(200)
    seen.programs[0].fails = Unusable("x")
    seen.publish("b")
    seen.nudger.turn()
    seen.programs[0].fails = None
    seen.live(60)
    assert seen.programs[0].told == ["a", "b"]


def test_a_program_that_has_not_met_a_file_looks_around_and_is_told_once_more() -> None:
    seen = bench(Scripted(met=False))
    seen.publish("a", "b")
    seen.live(1)
    assert not seen.nudger.idle
    assert (seen.programs[0].told, seen.programs[0].looked) == (["a", "b"], 1)
    seen.live(3600)
    assert (seen.programs[0].told, seen.programs[0].looked) == (["a", "b", "a", "b"], 1)
    assert seen.nudger.idle


def test_what_came_after_it_looked_waits_until_it_may_look_again() -> None:
    seen = bench(Scripted(met=False))
    seen.publish("a")
    seen.live(10)
    seen.publish("b")
    seen.live(20)
    assert (seen.programs[0].told, seen.programs[0].looked) == (["a", "a", "b"], 1)
    seen.live(60)
    assert (seen.programs[0].told, seen.programs[0].looked) == (["a", "a", "b", "b", "b"], 2)


def test_newer_word_of_a_file_takes_the_place_of_what_waits() -> None:
    seen = bench(Scripted(met=False))
    seen.programs[0].takes = lambda: seen.publish("a") if seen.programs[0].asked == 2 else None
    seen.publish("a")
    seen.live(3600)
    assert seen.programs[0].told == ["a", "a", "a"]


def test_a_run_that_ends_waits_some_seconds_and_no_longer() -> None:
    seen = bench(Scripted())
    seen.publish("a")
    seen.clock.advance(14)
    assert not seen.nudger.idle
    seen.clock.advance(2)
    assert seen.nudger.idle


def test_a_run_that_ends_waits_as_long_as_programs_take_in_what_they_are_told() -> None:
    slow = Scripted()
    seen = bench(slow)
    slow.takes = lambda: seen.clock.advance(1)
    seen.publish("a", "b", *(str(number) for number in range(20)))
    while len(slow.told) < 22:
        seen.clock.advance(min(seen.nudger.turn(), 5))
        assert seen.nudger.idle == (len(slow.told) == 22)


def test_a_program_that_takes_long_for_a_file_has_twice_as_long_to_itself() -> None:
    """LoRA Manager saves its whole cache for each file that is new to it, behind the answer."""
    slow = Scripted()
    seen = bench(slow, Scripted("other"))
    seen.publish("a", "b")
    slow.takes = lambda: seen.clock.advance(0.15 if slow.asked == 1 else 1.0)
    assert seen.nudger.turn() == pytest.approx(2.3)
    assert (slow.told, seen.programs[1].told) == (["a"], ["a", "b"])
    seen.live(2.2)
    assert slow.told == ["a"]
    seen.live(0.2)
    assert slow.told == ["a", "b"]
    quick = bench(Scripted())
    quick.programs[0].takes = lambda: quick.clock.advance(0.05)
    quick.publish(*"abcdef")
    quick.nudger.turn()
    assert quick.programs[0].told == list("abcdef")


def test_a_disk_that_went_away_and_a_stop_leave_nothing_to_tell() -> None:
    seen = bench(Scripted())
    seen.disk.away = later()
    seen.publish("a")
    seen.live(1)
    seen.disk.away = None
    seen.publish("b")
    seen.pause.stopping = True
    seen.nudger.turn()
    assert seen.programs[0].told == []
    seen.pause.stopping = False
    seen.nudger.turn()
    assert seen.programs[0].told == ["b"]


def test_news_of_a_file_name_the_place_as_the_root_is_spelled() -> None:
    told: list[News] = []
    program = Scripted()
    seen = bench(program)
    program.tell = lambda news: bool(told.append(news)) or True  # type: ignore[method-assign] # to see it whole
    seen.take(replace(claim("s/x.safetensors"), card=None))
    seen.nudger.turn()
    assert [(it.path, it.size_bytes, it.stem, it.facts) for it in told] == [
        ("/models/loras/s/x.safetensors", 1000, "x", {})
    ]
