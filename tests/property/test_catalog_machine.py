"""Random lives of files in a catalog: whatever happens in whatever order, the invariants hold."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, select

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.tables import file, publication, question
from hashtagd.catalog.transfer_table import transfer
from hashtagd.core import schedule
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
    Publication,
    Published,
    QuestionClaim,
    QuestionKey,
    Release,
    Restart,
    Settled,
    Stage,
    Swept,
)
from support.clock import FakeClock
from support.library import BROKEN, BUSY, ROOT, Library, card, digests, place, put, sha256
from support.library import question as ask_about
from support.transfer_lives import NAMES, TransferLife, content, stamp

OWNERS = ("one", "two")
CHORES = ("retry", "tidy", "rehash", "refresh", "crash", "stop")
VERSIONS = st.integers(min_value=0, max_value=3)


class Life(TransferLife):
    """Two processes on one catalog; the address is set by the test."""

    url: str | None = None

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        #: claims that were not ended, good or not
        self.held: list[Claim] = []
        self.asked: list[QuestionClaim] = []
        #: the newest fence of each row
        self.fences: dict[int, int] = {}

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
            connection.execute(transfer.delete())

        self.catalog.database.write(body)

    def teardown(self) -> None:
        try:
            if hasattr(self, "catalog"):
                self.end_when_nothing_disturbs()
        finally:
            self.stack.close()

    @rule(
        name=st.sampled_from(NAMES),
        other=st.sampled_from(NAMES),
        version=VERSIONS,
        act=st.sampled_from(["write", "write", "delete", "move"]),
        seen=st.booleans(),
        who=st.integers(0, 1),
    )
    def disturb(  # noqa: PLR0917 - hypothesis passes by name
        self,
        name: str,
        other: str,
        version: int,
        act: str,
        seen: bool,  # noqa: FBT001 - hypothesis passes by name
        who: int,
    ) -> None:
        """Something happens on the disk, and is seen or not."""
        if act == "write":
            self.disk[name] = version
        elif act == "delete":
            self.disk.pop(name, None)
        elif name in self.disk:
            self.disk[other] = self.disk.pop(name)
        if seen:
            self.look(self.processes[who])

    def look(self, library: Library) -> None:
        library.catalog.note(
            library.saw(it, stamp(self.disk[it]) if it in self.disk else None) for it in NAMES
        )

    @rule(
        name=st.sampled_from(NAMES),
        version=VERSIONS,
        who=st.integers(0, 1),
        limit=st.integers(1, 4),
        late=st.booleans(),
    )
    def claim(self, name: str, version: int, who: int, limit: int, late: bool) -> None:  # noqa: FBT001 - same
        """Write a file, see it, claim what is due of every stage; `late`: after every lease has ended."""
        self.disk.setdefault(name, version)
        self.look(self.processes[who])
        if late:
            self.clock.advance(schedule.LEASE_S + 1)
        for stage in Stage:
            leased = {
                row.id
                for row in self.rows()
                if row.lease_owner is not None and row.lease_until > self.clock.now()
            }
            for it in self.processes[who].claim(stage, limit=limit):
                assert it.stage is stage or (stage, it.stage) == (Stage.PUBLISH, Stage.SWEEP)
                assert it.fence > self.fences.get(it.file_id, -1), "a fence never comes twice"
                assert it.file_id not in leased, "one valid claim a row"
                self.fences[it.file_id] = it.fence
                self.held.append(it)

    @rule(
        ends=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 11)), min_size=1, max_size=5),
        version=VERSIONS,
    )
    def apply(self, ends: list[tuple[int, int]], version: int) -> None:
        """End some of the claims that anybody ever got, good ones or not, mostly well."""
        for which, choice in ends:
            if self.held:
                self.apply_one(self.held.pop(which % len(self.held)), choice, version)

    def apply_one(self, done: Claim, choice: int, version: int) -> None:
        before = self.row(done.file_id)
        (applied,) = self.catalog.apply([(done, self.outcome(done, choice, version))])
        is_current = before is not None and before.fence == done.fence and before.lease_owner is not None
        assert applied is is_current
        assert self.catalog.apply([(done, Release())]) == [False], "a claim ends once"
        if not applied:
            assert self.row(done.file_id) == before, "a stale fence changes nothing"

    def outcome(self, done: Claim, choice: int, version: int) -> Outcome:
        text = content(done.stamp.size_bytes - 100)
        work: dict[Stage, Outcome] = {
            Stage.SETTLE: Advance(facts=Settled(header=None)),
            Stage.DIGEST: Advance(facts=Digested(digests=digests(text), questions=put(ask_about(text)))),
            Stage.PUBLISH: Advance(facts=Published(publications=self.artifacts(done))),
            Stage.SWEEP: Advance(facts=Swept(publications=())),
        }
        other: list[Outcome] = [
            Defer(trouble=BUSY, wait_s=30.0),
            Release(),
            Park(trouble=BROKEN),
            Restart(stamp=stamp(version)),
            Forget(),
        ]
        return other[choice] if choice < len(other) else work[done.stage]

    @staticmethod
    def artifacts(done: Claim) -> tuple[Publication, ...]:
        """Say what lies beside a file once it is published."""
        if done.digests is None:
            return ()
        beside = place(done.place.relpath + ".json")
        made = sha256(f"of {done.digests.sha256}")
        return (
            Publication(
                writer="json",
                place=beside,
                intended_sha256=None,
                written_sha256=made,
                written_for=done.digests.sha256,
            ),
        )

    @rule(who=st.integers(0, 1), kind=st.sampled_from(HashKind))
    def ask(self, who: int, kind: HashKind) -> None:
        self.asked += self.processes[who].ask(kind=kind)

    @rule(choice=st.integers(0, 5), which=st.integers(0, 9))
    def answer(self, choice: int, which: int) -> None:
        if not self.asked:
            return
        done = self.asked.pop(which % len(self.asked))
        tensors = QuestionKey(
            hash_kind=HashKind.TENSORS, hash=done.subject.digests.tensors_sha256 or "", provider="civitai"
        )
        outcome: Outcome = [
            Advance(facts=Answered(answer=Found(card=card("One")), again_in_s=900.0)),
            Advance(facts=Answered(answer=Found(card=card("Two")), again_in_s=900.0)),
            Advance(facts=Answered(answer=Absent(), again_in_s=900.0, then=put(tensors))),
            Defer(trouble=BUSY, wait_s=30.0),
            Park(trouble=BROKEN),
            Release(),
        ][choice]
        self.catalog.apply_answers([(done, outcome)])

    @rule(seconds=st.sampled_from([1.0, 30.0, 4000.0, -3.2e8, 3.2e8, -3600.0]))
    def wait(self, seconds: float) -> None:
        """Time passes; or the wall clock goes wrong, and whoever starts next heals what it did."""
        if abs(seconds) < 3600:
            self.clock.advance(seconds)
            return
        self.clock.jump(seconds)
        self.catalog.pull_back_absurd()

    @rule()
    def renew(self) -> None:
        self.catalog.renew(self.held, self.asked, self.fetchers.held)

    @rule(
        chore=st.sampled_from(["retry", "tidy", "rehash", "refresh", "crash", "stop"]), who=st.integers(0, 1)
    )
    def chores(self, chore: str, who: int) -> None:
        catalog = self.catalog
        if chore == "retry":
            catalog.retry()
            catalog.transfers.retry()
        elif chore == "tidy":
            catalog.purge_gone()
            catalog.trim_events()
            catalog.transfers.trim()
        elif chore == "rehash":
            catalog.rehash([ROOT])
        elif chore == "refresh":
            catalog.ask_again()
            catalog.wake_publish([ROOT])
        else:
            catalog.release_own(OWNERS if chore == "stop" else [OWNERS[who]])

    def row(self, file_id: int) -> Any:
        return self.catalog.database.read(
            lambda it, _now: it.execute(select(file).where(file.c.id == file_id)).first()
        )

    @invariant()
    def every_row_is_in_order(self) -> None:
        latest = self.clock.now().timestamp() + schedule.LONGEST_WAIT_S
        for row in self.rows():
            assert (row.lease_owner is None) == (row.lease_until is None)
            if row.gone_at is None:
                done = row.stage == Stage.PUBLISH.value and row.published_at is not None
                assert row.due_at is not None or row.parked_at is not None or done, "a live row is never lost"
            else:
                assert row.parked_at is None
                assert row.due_at is None or row.stage == Stage.SWEEP.value, "what is gone is only swept"
            if row.sha256 is not None:
                known = sha256(content(row.size_bytes - 100))
                assert row.sha256 == known, "no hash outlives its bytes"
            assert row.due_at is None or row.due_at.timestamp() <= latest, "nothing waits for ever"

    def rows(self) -> list[Any]:
        if not hasattr(self, "catalog"):
            return []
        return list(self.catalog.database.read(lambda it, _now: it.execute(select(file)).all()))

    @rule(who=st.integers(0, 1))
    def work(self, who: int) -> None:
        """Bring what is due one round further, as an undisturbed lane does."""
        library = self.processes[who]
        for stage in Stage:
            for claim in library.claim(stage):
                self.fences[claim.file_id] = claim.fence
                seen = self.disk.get(claim.place.relpath)
                outcome = self.outcome(claim, 11, 0)
                if claim.stage is Stage.SWEEP:
                    if seen is not None:
                        outcome = Advance(facts=Swept(publications=claim.publications))
                elif seen is None:
                    outcome = Forget()
                elif stamp(seen) != claim.stamp:
                    outcome = Restart(stamp=stamp(seen))
                assert library.catalog.apply([(claim, outcome)]) == [True]

    def end_when_nothing_disturbs(self) -> None:
        """Leave the machines alone: whatever lies on the disk ends published with the hash of its bytes."""
        library = self.processes[0]
        self.clock.advance(2 * 86400.0)  # a clock that went back leaves rows due in some hours
        self.look(library)
        self.finish_transfers()
        self.look(library)
        library.catalog.retry()
        for _ in range(6):
            self.clock.advance(120)
            self.work(0)
        for name, version in self.disk.items():
            (row,) = library.catalog.reports.show(place(name))
            assert row.sha256 == sha256(content(version))
            assert row.published_at is not None
        assert library.catalog.scans.count_files(ROOT) == len(self.disk)
        assert self.left_behind() == set(), "what a gone file left is swept"

    def left_behind(self) -> set[str]:
        """Name the artifacts that are recorded beside files that are not there."""
        wanted = select(publication.c.relpath).join(file, file.c.id == publication.c.file_id)
        gone = wanted.where(file.c.gone_at.is_not(None))
        return set(self.catalog.database.read(lambda it, _now: it.execute(gone).scalars().all()))


def memory_folder() -> str | None:
    """Give a folder in memory where there is one: the disk is not what is tested."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a random folder is made in it


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_random_lives_keep_every_invariant_on_sqlite() -> None:
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=30,
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
            max_examples=6,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
