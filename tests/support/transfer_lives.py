"""Random lives of transfers: rules and invariants that the catalog's state machine inherits."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import Table, select

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.tables import file
from hashtagd.catalog.transfer_table import transfer
from hashtagd.core import schedule
from hashtagd.core.place import Stamp
from hashtagd.core.transfer import Begun, Fetched, TransferClaim, TransferOutcome, Wanted
from hashtagd.core.work import Defer, Park, Release
from support.clock import FakeClock
from support.library import BROKEN, BUSY, ROOT, Library, card, digests, place, put, sha256
from support.library import question as ask_about
from support.wishing import SOURCE

NAMES = ("a", "b", "d/a", "d/c")
#: contents that files may have
VERSIONS = 4


def stamp(version: int) -> Stamp:
    """Make the stamp of one of a few contents, so that moves and returns happen."""
    return Stamp(size_bytes=100 + version, mtime_ns=1000 + version, inode=10 + version)


def content(version: int) -> str:
    """Give the text whose hashes a content has."""
    return f"content {version}"


@dataclass
class Fetchers:
    """What those who fetch hold in their memory."""

    #: claims that were not ended, good or not
    held: list[TransferClaim] = field(default_factory=list)
    #: the newest fence of each row
    fences: dict[int, int] = field(default_factory=dict)


class TransferLife(RuleBasedStateMachine):
    """The part of a catalog's random life that is about transfers."""

    clock: FakeClock
    catalog: Catalog
    processes: list[Library]
    #: the disk: what lies where
    disk: dict[str, int]
    _VERSION_OF: ClassVar[dict[str, int]] = {sha256(content(it)): it for it in range(VERSIONS)}

    def __init__(self) -> None:
        super().__init__()
        self.disk = {}
        self.fetchers = Fetchers()

    @rule(
        names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=3),
        version=st.integers(0, VERSIONS - 1),
        knows=st.sampled_from(["nothing", "hash", "card"]),
        who=st.integers(0, 1),
    )
    def want(self, names: list[str], version: int, knows: str, who: int) -> None:
        wanted = [
            Wanted(
                place=place(name),
                sha256=None if knows == "nothing" else sha256(content(version)),
                size_bytes=None,
                sources=(SOURCE,),
                card=card(f"Of {version}") if knows == "card" else None,
            )
            for name in names
        ]
        before = {row.id: row for row in self.transfer_rows()}
        numbers = self.processes[who].catalog.transfers.want(wanted)
        for name, number in zip(names, numbers, strict=True):
            row = self.row_in(transfer, number)
            assert (row.relpath, row.done_at) == (name, None)
            known = before.get(number)
            if known is not None and known.lease_until is not None and known.lease_until > self.clock.now():
                assert row == known, "what is being fetched is left as it is"
            else:
                assert (row.sha256, row.due_at) == (wanted[0].sha256, self.clock.now())

    @rule(
        name=st.sampled_from(NAMES),
        version=st.integers(0, VERSIONS - 1),
        who=st.integers(0, 1),
        limit=st.integers(1, 3),
        late=st.booleans(),
    )
    def claim_transfers(self, name: str, version: int, who: int, limit: int, late: bool) -> None:  # noqa: FBT001 - hypothesis passes by name
        """Wish for a file, and claim what is due; `late`: after every lease has ended."""
        self.want([name], version, "hash", who)
        if late:
            self.clock.advance(schedule.LEASE_S + 1)
        self.take_transfers(who, limit)

    def take_transfers(self, who: int, limit: int) -> list[TransferClaim]:
        now = self.clock.now()
        leased = {row.id for row in self.transfer_rows() if row.lease_until and row.lease_until > now}
        claims = self.processes[who].catalog.transfers.claim([ROOT], limit)
        for it in claims:
            assert it.fence > self.fetchers.fences.get(it.transfer_id, -1), "a fence never comes twice"
            assert it.transfer_id not in leased, "one valid claim a row"
            self.fetchers.fences[it.transfer_id] = it.fence
        self.fetchers.held += claims
        return claims

    @rule(bytes_done=st.integers(0, 99))
    def progress(self, bytes_done: int) -> None:
        """Let everybody who fetches, or believes that he does, tell how far he is."""
        for claim in self.fetchers.held:
            before = self.row_in(transfer, claim.transfer_id)
            begun = Begun(url=SOURCE.url, etag=None)
            holds = self.catalog.transfers.progress(claim, bytes_done, begun)
            assert holds is self.is_current(claim, before)
            after = self.row_in(transfer, claim.transfer_id)
            if holds:
                assert after.bytes_done == bytes_done
            else:
                assert after == before, "a stale fence changes nothing"

    @rule(
        ends=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6)), min_size=1, max_size=3),
        version=st.integers(0, VERSIONS - 1),
    )
    def end_transfers(self, ends: list[tuple[int, int]], version: int) -> None:
        """End some of the claims that anybody ever got, good ones or not, mostly well."""
        held = self.fetchers.held
        for which, choice in ends:
            if held:
                self.end_transfer(held.pop(which % len(held)), choice, version)

    def end_transfer(self, done: TransferClaim, choice: int, version: int = 0) -> None:
        outcome = self.transfer_outcome(done, choice, version)
        before, file_before = self.row_in(transfer, done.transfer_id), self.file_at(done)
        (applied,) = self.catalog.transfers.apply([(done, outcome)])
        assert applied is self.is_current(done, before)
        assert self.catalog.transfers.apply([(done, Release())]) == [False], "a claim ends once"
        if not applied:
            assert self.row_in(transfer, done.transfer_id) == before, "a stale fence changes nothing"
            assert self.file_at(done) == file_before
        elif isinstance(outcome, Fetched):
            self.check_landed(done, outcome, file_before)

    def transfer_outcome(self, done: TransferClaim, choice: int, version: int) -> TransferOutcome:
        other: list[TransferOutcome] = [
            Defer(trouble=BUSY, wait_s=30.0),
            Release(),
            Park(trouble=BROKEN),
        ]
        if choice < len(other):
            return other[choice]
        wanted, name = done.wanted.sha256, done.wanted.place.relpath
        version = version if wanted is None else self._VERSION_OF[wanted]
        # nothing that lies there is ever replaced; what is the wanted file already is found there
        if self.disk.setdefault(name, version) != version:
            return Park(trouble=BROKEN)
        text = content(version)
        return Fetched(stamp=stamp(version), digests=digests(text), questions=put(ask_about(text)))

    def check_landed(self, done: TransferClaim, outcome: Fetched, before: Any) -> None:
        row = self.file_at(done)
        seen = Stamp(size_bytes=row.size_bytes, mtime_ns=row.mtime_ns, inode=row.inode)
        assert row.gone_at is None
        if seen != outcome.stamp:
            assert row == before, "what else lies there by now is left to the scan"
        else:
            assert row.sha256 == outcome.digests.sha256, "what landed is known by its hash"
            assert row.published_at is not None or row.due_at is not None

    @staticmethod
    def is_current(claim: TransferClaim, row: Any) -> bool:
        return row is not None and row.fence == claim.fence and row.lease_owner is not None

    @rule(which=st.integers(0, 9))
    def cancel(self, which: int) -> None:
        rows = self.transfer_rows()
        if rows:
            row = rows[which % len(rows)]
            assert self.catalog.transfers.cancel([row.id]) == (row.done_at is None)

    @invariant()
    def every_transfer_is_in_order(self) -> None:
        latest = self.clock.now().timestamp() + schedule.LONGEST_WAIT_S if hasattr(self, "clock") else 0
        rows = self.transfer_rows()
        for row in rows:
            assert (row.lease_owner is None) == (row.lease_until is None)
            ways = [row.due_at is not None, row.parked_at is not None, row.done_at is not None]
            assert sum(ways) == 1, "it is due, parked or done"
            assert row.lease_owner is None or row.due_at is not None
            assert row.due_at is None or row.due_at.timestamp() <= latest, "nothing waits for ever"
        places = Counter((row.root, row.relpath) for row in rows if row.done_at is None)
        assert all(number == 1 for number in places.values()), "one unfinished row a place"

    def finish_transfers(self) -> None:
        """Leave the fetchers alone: each wish ends, but where another file lies."""
        self.catalog.transfers.retry()
        while claims := self.take_transfers(0, 9):
            for claim in claims:
                self.fetchers.held.remove(claim)
                self.end_transfer(claim, 9)
        for row in self.transfer_rows():
            assert row.due_at is None
            if row.parked_at is not None:
                assert self.disk[row.relpath] != self._VERSION_OF.get(row.sha256, 0)

    def transfer_rows(self) -> list[Any]:
        if not hasattr(self, "catalog"):
            return []
        wanted = select(transfer).order_by(transfer.c.id)
        return list(self.catalog.database.read(lambda it, _now: it.execute(wanted).all()))

    def row_in(self, table: Table, row_id: int) -> Any:
        wanted = select(table).where(table.c.id == row_id)
        return self.catalog.database.read(lambda it, _now: it.execute(wanted).first())

    def file_at(self, claim: TransferClaim) -> Any:
        at = claim.wanted.place
        wanted = select(file).where(file.c.root == at.root, file.c.relpath == at.relpath)
        return self.catalog.database.read(lambda it, _now: it.execute(wanted).first())
