from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.gates import Gates
from hashtagd.core.troubles import Scope, Trouble
from hashtagd.core.work import (
    Absent,
    Advance,
    Answered,
    Defer,
    Found,
    HashKind,
    Published,
    Stage,
    Subject,
)
from hashtagd.service.asking import Line
from hashtagd.service.once import ARRIVING_S, GATE_PATIENCE_S, OnceJudge
from support.clock import FakeClock
from support.library import BUSY, ROOT, Library, card, put, question
from support.serving import later
from support.wishing import end, wish

SITE = "https://site.example"
ARCHIVE = "https://archive.example"
OUTAGE = later("outage", Scope.PROVIDER)
INCOMPLETE = later("incomplete", Scope.FILE)


@dataclass(frozen=True)
class Asked:
    """A provider as far as the judge looks at it."""

    name: str
    origin: str | None
    slow: bool = False
    reads_headers: bool = True
    batch_limit: int = 1

    def ask(self, subjects: Sequence[Subject]) -> Iterator[tuple[str, Found | Absent | Trouble]]:
        raise AssertionError(subjects)


@dataclass
class Court:
    """A judge, and what it is told."""

    catalog: Catalog
    clock: FakeClock
    quiet: bool = True
    background: bool = False
    fetches: bool = True
    resting: dict[Stage, set[str]] = field(default_factory=dict)
    asked: int = 0

    @property
    def gates(self) -> Gates:
        return self.catalog.gates({SITE: 60, ARCHIVE: 2}, 60)

    @property
    def judge(self) -> OnceJudge:
        return OnceJudge(
            catalog=self.catalog,
            gates=self.gates,
            lines=[
                Line(provider=Asked("civitai", SITE)),
                Line(provider=Asked("archive", ARCHIVE, slow=True)),
                Line(provider=Asked("header", None)),
                Line(provider=Asked("civitai", SITE), kind=HashKind.TENSORS, behind="civitai"),
            ],
            background=self.background,
            roots=[ROOT],
            clock=self.clock,
            resting=lambda stage: self.resting.get(stage, set()),
            quiet=self.is_quiet,
            fetches=self.fetches,
        )

    def is_quiet(self) -> bool:
        self.asked += 1
        return self.quiet


@pytest.fixture
def court(catalog: Catalog, clock: FakeClock) -> Court:
    return Court(catalog, clock)


def test_an_empty_library_is_done_at_once(court: Court) -> None:
    assert court.judge.finished()
    assert court.asked == 2


def test_nobody_is_done_while_a_scout_looks(court: Court) -> None:
    court.quiet = False
    assert not court.judge.finished()


def test_a_file_is_waited_for_through_all_of_its_stages(court: Court, library: Library) -> None:
    library.note("a")
    assert not court.judge.finished()
    claim = library.claim_one(Stage.SETTLE)
    assert not court.judge.finished()
    court.catalog.apply([(claim, Defer(trouble=None, wait_s=10.0))])
    assert not court.judge.finished()
    court.clock.advance(10.0)
    library.settle()
    assert not court.judge.finished()
    library.digest()
    assert not court.judge.finished()
    library.answer(card())
    assert not court.judge.finished()
    library.publish()
    assert court.judge.finished()
    assert court.judge.judge().growing == 0


def test_a_copy_that_still_arrives_is_waited_for_and_one_that_died_is_reported(
    court: Court, library: Library
) -> None:
    library.note("half")
    claim = library.claim_one(Stage.SETTLE)
    court.catalog.apply([(claim, Defer(trouble=INCOMPLETE, wait_s=3600.0))])
    verdict = court.judge.judge()
    assert (verdict.finished, verdict.growing, verdict.stalled) == (False, 1, 0)
    court.clock.advance(ARRIVING_S)
    verdict = court.judge.judge()
    assert (verdict.finished, verdict.growing, verdict.stalled) == (True, 0, 1)


@pytest.mark.parametrize("stage", [Stage.SETTLE, None])
def test_files_of_a_root_that_rests_are_not_waited_for(
    court: Court, library: Library, stage: Stage | None
) -> None:
    """F78."""
    library.note("a")
    court.resting = {it: {ROOT} for it in Stage if stage in (None, it)}
    verdict = court.judge.judge()
    assert verdict.finished
    assert verdict.growing == 0


def test_a_gate_that_opens_in_a_moment_is_waited_for(court: Court, library: Library) -> None:
    library.note("a")
    library.settle()
    library.digest()
    court.gates.close(SITE, OUTAGE, GATE_PATIENCE_S)
    verdict = court.judge.judge()
    assert (verdict.finished, verdict.questions_waiting) == (False, 1)


def test_behind_a_gate_that_stays_closed_files_are_published_with_what_they_say_themselves(
    court: Court, library: Library
) -> None:
    """F36."""
    library.note("a")
    library.settle()
    library.digest()
    court.gates.close(SITE, OUTAGE, 900.0)
    assert not court.judge.finished()
    assert [claim.place.relpath for claim in library.publish()] == ["a"]
    verdict = court.judge.judge()
    assert court.judge.finished()
    assert verdict.gates[SITE].opens_at == court.clock.now() + timedelta(seconds=900)
    assert verdict.questions_waiting == 1


def test_a_gate_nobody_waits_for_holds_nobody_up(court: Court, library: Library) -> None:
    library.publish_whole("a", card())
    court.gates.close(SITE, OUTAGE, 900.0)
    verdict = court.judge.judge()
    assert (verdict.finished, verdict.questions_waiting) == (True, 0)


def test_a_budget_that_is_used_up_is_only_a_matter_of_patience(court: Court, library: Library) -> None:
    library.note("a")
    library.settle()
    library.digest()
    for _ in range(60):
        court.gates.admit(SITE)
    verdict = court.judge.judge()
    assert (verdict.finished, verdict.gates) == (False, {})


def test_a_picture_that_comes_later_does_not_hold_the_run_up(court: Court, library: Library) -> None:
    library.note("a")
    library.settle()
    library.digest()
    library.answer(card())
    claim = library.claim_one(Stage.PUBLISH)
    published = Published(publications=(), again_in_s=300.0, trouble=BUSY)
    court.catalog.apply([(claim, Advance(facts=published))])
    verdict = court.judge.judge()
    assert (verdict.finished, verdict.growing) == (True, 1)


def test_a_file_that_waits_for_its_answer_is_waited_for_while_somebody_can_be_asked(
    court: Court, library: Library
) -> None:
    library.note("a", "b")
    library.settle()
    library.digest()
    (one, two) = library.ask()
    found = Advance(facts=Answered(answer=Found(card=card()), again_in_s=9e5))
    court.catalog.apply_answers([(one, found), (two, Defer(trouble=BUSY, wait_s=5400.0))])
    library.publish()
    assert not court.judge.finished()
    court.clock.advance(60.0)
    library.publish()
    assert court.judge.finished()


def unknown(library: Library, name: str, *kinds: tuple[str, HashKind]) -> None:
    """Bring a file so far that only background questions are left."""
    library.note(name)
    library.settle()
    library.digest()
    (claim,) = library.ask()
    then = tuple(replace(it, background=True) for it in put(*(question(name, *kind) for kind in kinds)))
    absent = Advance(facts=Answered(answer=Absent(), again_in_s=9e5, then=then))
    library.catalog.apply_answers([(claim, absent)])
    library.clock.advance(2.0)
    library.publish()


def test_a_slow_provider_is_waited_for_as_far_as_its_budget_goes_at_once(
    court: Court, library: Library
) -> None:
    unknown(library, "a", ("archive", HashKind.SHA256))
    assert not court.judge.finished()
    for _ in range(2):
        court.gates.admit(ARCHIVE)
    assert court.judge.finished()
    court.background = True
    assert not court.judge.finished()


def test_a_slow_provider_that_is_away_is_no_reason_to_come_back(court: Court, library: Library) -> None:
    unknown(library, "a", ("archive", HashKind.SHA256))
    court.gates.close(ARCHIVE, OUTAGE, 1500.0)
    verdict = court.judge.judge()
    assert (verdict.finished, verdict.gates, verdict.questions_waiting) == (True, {}, 0)


@pytest.mark.parametrize("background", [False, True])
def test_questions_about_tensors_are_waited_for_only_on_request(
    court: Court, library: Library, *, background: bool
) -> None:
    unknown(library, "a", ("civitai", HashKind.TENSORS))
    court.background = background
    assert court.judge.finished() is not background


def test_a_download_that_is_due_is_waited_for_where_it_is_fetched(court: Court, library: Library) -> None:
    library.catalog.transfers.want([wish()])
    assert not court.judge.finished()
    court.fetches = False
    assert court.judge.finished(), "a rehearsal fetches nothing"


def test_a_download_that_waits_is_left_for_later(court: Court, library: Library) -> None:
    library.catalog.transfers.want([wish()])
    end(library, Defer(trouble=OUTAGE, wait_s=60.0))
    assert court.judge.finished()
