"""Random lives of files in a catalog: whatever happens in whatever order, the invariants hold."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, select

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.tables import file, question
from hashtagd.core import schedule
from hashtagd.core.place import Stamp
from hashtagd.core.work import (
    Absent,
    Advance,
    Answered,
    Claim,
    Defer,
    Digested,
    Forget,
    Found,
    HashKind,
    Outcome,
    Park,
    Published,
    QuestionClaim,
    QuestionKey,
    Release,
    Restart,
    Settled,
    Stage,
)
from support.clock import FakeClock
from support.library import BROKEN, BUSY, ROOT, Library, card, digests, place, sha256
from support.library import question as ask_about

NAMES = ("a", "b", "d/a", "d/c")
OWNERS = ("one", "two")
VERSIONS = st.integers(min_value=0, max_value=3)


def stamp(version: int) -> Stamp:
    """Make the stamp of one of a few contents, so that moves and returns happen."""
    return Stamp(size_bytes=100 + version, mtime_ns=1000 + version, inode=10 + version)


class Life(RuleBasedStateMachine):
    """Two processes on one catalog; the address is set by the test."""

    url: str | None = None

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        #: the disk: what lies where
        self.disk: dict[str, int] = {}
        #: what each content was hashed as: (version, hash)
        self.fences: dict[int, int] = {}

    claims = Bundle("claims")
    questions = Bundle("questions")

    @initialize()
    def start(self) -> None:
        self.clock = FakeClock()
        url = self.url
        if url is None:
            folder = self.stack.enter_context(tempfile.TemporaryDirectory(dir=memory_folder()))
            url = f"sqlite:///{folder}/c.db"
        self.processes = [Library(self.open(url, owner), self.clock) for owner in OWNERS]
        self.catalog = self.processes[0].catalog
        self.wipe()

    def open(self, url: str, owner: str) -> Catalog:
        catalog = Catalog.open(url, clock=self.clock, owner=owner, chance=lambda: 0.5, database_clock=False)
        self.stack.callback(catalog.close)
        return catalog

    def wipe(self) -> None:
        """Begin with an empty store: on a server all examples share one schema."""

        def body(connection: Connection, _now: object) -> None:
            connection.execute(file.delete())
            connection.execute(question.delete())

        self.catalog.database.write(body)

    def teardown(self) -> None:
        self.stack.close()

    @rule(name=st.sampled_from(NAMES), version=VERSIONS)
    def write(self, name: str, version: int) -> None:
        self.disk[name] = version

    @rule(name=st.sampled_from(NAMES))
    def delete(self, name: str) -> None:
        self.disk.pop(name, None)

    @rule(old=st.sampled_from(NAMES), new=st.sampled_from(NAMES))
    def move(self, old: str, new: str) -> None:
        if old in self.disk and old != new:
            self.disk[new] = self.disk.pop(old)

    @rule(names=st.sets(st.sampled_from(NAMES)), who=st.integers(0, 1))
    def note(self, names: set[str], who: int) -> None:
        library = self.processes[who]
        looks = [library.saw(it, stamp(self.disk[it]) if it in self.disk else None) for it in sorted(names)]
        library.catalog.note(looks)

    @rule(target=claims, stage=st.sampled_from(Stage), who=st.integers(0, 1), limit=st.integers(1, 4))
    def claim(self, stage: Stage, who: int, limit: int) -> object:
        held = self.processes[who].claim(stage, limit=limit)
        for it in held:
            assert it.stage is stage
            assert it.fence > self.fences.get(it.file_id, -1), "a fence never comes twice"
            self.fences[it.file_id] = it.fence
        return multiple(*held)

    @rule(done=consumes(claims), choice=st.integers(0, 7), version=VERSIONS)
    def apply(self, done: Claim, choice: int, version: int) -> None:
        before = self.row(done.file_id)
        (applied,) = self.catalog.apply([(done, self.outcome(done, choice, version))])
        is_current = before is not None and before.fence == done.fence and before.lease_owner is not None
        assert applied is is_current
        if not applied:
            assert self.row(done.file_id) == before, "a stale fence changes nothing"

    def outcome(self, done: Claim, choice: int, version: int) -> Outcome:
        text = f"content {done.stamp.size_bytes - 100}"
        work: dict[Stage, Outcome] = {
            Stage.SETTLE: Advance(facts=Settled(header=None)),
            Stage.DIGEST: Advance(facts=Digested(digests=digests(text), question=ask_about(text))),
            Stage.PUBLISH: Advance(facts=Published(publications=())),
        }
        other: list[Outcome] = [
            Defer(trouble=BUSY, wait_s=30.0),
            Release(),
            Park(trouble=BROKEN),
            Restart(stamp=stamp(version)),
            Forget(),
        ]
        return other[choice] if choice < len(other) else work[done.stage]

    @rule(target=questions, who=st.integers(0, 1), background=st.booleans())
    def ask(self, who: int, background: bool) -> object:  # noqa: FBT001 - hypothesis passes by name
        return multiple(*self.processes[who].ask(background=background))

    @rule(done=consumes(questions), choice=st.integers(0, 5))
    def answer(self, done: QuestionClaim, choice: int) -> None:
        tensors = QuestionKey(
            hash_kind=HashKind.TENSORS, hash=done.subject.digests.tensors_sha256 or "", provider="civitai"
        )
        outcome: Outcome = [
            Advance(facts=Answered(answer=Found(card=card("One")), again_in_s=900.0)),
            Advance(facts=Answered(answer=Found(card=card("Two")), again_in_s=900.0)),
            Advance(facts=Answered(answer=Absent(), again_in_s=900.0, then=tensors)),
            Defer(trouble=BUSY, wait_s=30.0),
            Park(trouble=BROKEN),
            Release(),
        ][choice]
        self.catalog.apply_answers([(done, outcome)])

    @rule(seconds=st.sampled_from([1.0, 30.0, 61.0, 4000.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([-3.2e8, 3.2e8, -3600.0]))
    def jump(self, seconds: float) -> None:
        """The wall clock goes wrong, and whoever starts next heals what it did."""
        self.clock.jump(seconds)
        self.catalog.pull_back_absurd()

    @rule(who=st.integers(0, 1))
    def crash(self, who: int) -> None:
        self.catalog.release_own([OWNERS[who]])

    @rule(kept=consumes(claims))
    def renew(self, kept: Claim) -> None:
        self.catalog.renew([kept])

    @rule()
    def retry(self) -> None:
        self.catalog.retry()

    @rule()
    def tidy(self) -> None:
        self.catalog.purge_gone()
        self.catalog.trim_events()

    @rule()
    def rehash(self) -> None:
        self.catalog.rehash([ROOT])

    @rule()
    def refresh(self) -> None:
        self.catalog.ask_again()
        self.catalog.wake_publish([ROOT])

    def row(self, file_id: int) -> object:
        return self.catalog.database.read(
            lambda it, _now: it.execute(select(file).where(file.c.id == file_id)).first()
        )

    @invariant()
    def every_live_row_is_due_leased_parked_or_published(self) -> None:
        for row in self.rows():
            held = row.lease_owner is not None
            assert held == (row.lease_until is not None)
            if row.gone_at is None:
                done = row.stage == Stage.PUBLISH.value and row.published_at is not None
                assert row.due_at is not None or row.parked_at is not None or done
            else:
                assert (row.due_at, row.lease_owner, row.parked_at) == (None, None, None)

    @invariant()
    def no_hash_outlives_its_bytes(self) -> None:
        for row in self.rows():
            if row.sha256 is not None:
                assert row.sha256 == sha256(f"content {row.size_bytes - 100}")

    @invariant()
    def nothing_waits_longer_than_the_longest_wait(self) -> None:
        latest = self.clock.now().timestamp() + schedule.LONGEST_WAIT_S
        for row in self.rows():
            assert row.due_at is None or row.due_at.timestamp() <= latest

    def rows(self) -> list[object]:
        if not hasattr(self, "catalog"):
            return []
        return list(self.catalog.database.read(lambda it, _now: it.execute(select(file)).all()))

    @rule()
    def everything_ends_when_nothing_disturbs(self) -> None:
        """Leave the machines alone: whatever lies on the disk ends published with the hash of its bytes."""
        library = self.processes[0]
        self.clock.advance(schedule.LEASE_S + 1)
        library.catalog.note(
            library.saw(it, stamp(self.disk[it]) if it in self.disk else None) for it in NAMES
        )
        library.catalog.retry()
        for _ in range(6):
            self.clock.advance(120)
            for stage in Stage:
                for claim in library.claim(stage):
                    seen = self.disk.get(claim.place.relpath)
                    outcome = self.outcome(claim, 9, 0)
                    if seen is None:
                        outcome = Forget()
                    elif stamp(seen) != claim.stamp:
                        outcome = Restart(stamp=stamp(seen))
                    assert library.catalog.apply([(claim, outcome)]) == [True]
        for name, version in self.disk.items():
            (row,) = library.catalog.reports.show(place(name))
            assert row.sha256 == sha256(f"content {version}")
            assert row.published_at is not None
        assert library.catalog.count_files(ROOT) == len(self.disk)


def memory_folder() -> str | None:
    """Give a folder in memory where there is one: the disk is not what is tested."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a random folder is made in it


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_random_lives_keep_every_invariant_on_sqlite() -> None:
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_random_lives_keep_every_invariant_on_postgresql(postgres_url: str) -> None:
    class Shared(Life):
        url = postgres_url

    run_state_machine_as_test(
        Shared,
        settings=settings(
            max_examples=10,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
