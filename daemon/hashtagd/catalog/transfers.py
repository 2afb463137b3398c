"""Transfers in the catalog: wanted, claimed, under way, ended. One transaction each, as everywhere here."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, delete, or_, select, tuple_, update

from hashtagd.catalog.claims import held_rows
from hashtagd.catalog.engine import Database
from hashtagd.catalog.landing import land, land_twin, unpublished
from hashtagd.catalog.rows import (
    NO_LEASE,
    NO_TROUBLE,
    Record,
    chunks,
    insert_absent,
    place_of,
    write_rows,
)
from hashtagd.catalog.transfer_claims import (
    DueTransfer,
    due,
    may_take,
    next_due,
    parts,
    planned,
    put_off,
    take,
)
from hashtagd.catalog.transfer_rows import TransferRow, rows_of, wanted_values
from hashtagd.catalog.transfer_table import transfer
from hashtagd.core.place import Place, Stamp
from hashtagd.core.transfer import Begun, Fetched, TransferClaim, TransferOutcome, Wanted
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Defer, Release

__all__ = ["DueTransfer", "TransferRow", "Transfers"]

#: how long a transfer that ended is listed, and how long it is kept
_SHOWN: Final = timedelta(days=1)
_KEPT: Final = timedelta(days=30)
#: what is read for people: documents of sites, which are most of a row, are nothing that they are shown
_SEEN: Final = [column for column in transfer.c if column.name not in ("card", "raw", "sources", "begun")]
#: what a wish that is wished again starts with
_ANEW: Final[Mapping[str, Any]] = {**NO_LEASE, **NO_TROUBLE, "unended": 0, "bytes_done": 0}


class Transfers:
    """The verbs of transfers.

    Args:
        database: connected and migrated.
        owner: the name under which this process holds leases.
    """

    def __init__(self, database: Database, owner: str) -> None:
        self._database = database
        self._owner = owner

    def want(self, wanted: Sequence[Wanted]) -> list[int]:
        """Ask for files; returns the number of the transfer of each, in order.

        Repeats: a place that is waited for already keeps its transfer, which is tried again now, with the new
        sources and hash; one that somebody fetches right now is left as it is. Of two wishes for one place
        the last counts.

        Raises:
            AskOperator: scope `file`: no catalog can keep a path; none of them is fetched.
        """
        return self._database.write(lambda it, now: _want(it, now, wanted))

    def claim(
        self, roots: Sequence[str], limit: int, *, only: Collection[int] | None = None
    ) -> list[TransferClaim]:
        """Lease due transfers into these roots, those that have waited longest first.

        Args:
            roots: their names.
            limit: at most so many.
            only: none but those of these numbers.
        """
        for some in parts(only):
            if self._may_take(planned(roots, some)):
                return self._take(planned(roots, some), limit)
        return []

    def _may_take(self, some: ColumnElement[bool]) -> bool:
        """Look without taking the lock of writers: an idle lane costs no write."""
        return self._database.read(lambda it, now: may_take(it, now, self._owner, some) is not None)

    def _take(self, some: ColumnElement[bool], limit: int) -> list[TransferClaim]:
        return self._database.write(lambda it, now: take(it, now, self._owner, some, limit))

    def due(self, roots: Sequence[str], only: Collection[int] | None) -> list[DueTransfer]:
        """List those that could be claimed now, with where they would come from; nothing is leased."""
        return self._database.read(lambda it, now: due(it, now, roots, only))

    def put_off(self, waits: Sequence[tuple[DueTransfer, float, Trouble | None]]) -> int:
        """Let transfers wait so many seconds, and say why, in one transaction; returns how many.

        One that somebody claimed, or wished for anew, since it was listed is left alone.
        """
        return self._database.write(lambda it, now: put_off(it, now, waits)) if waits else 0

    def progress(self, claim: TransferClaim, bytes_done: int, begun: Begun | None) -> bool:
        """Keep how far a transfer is; returns whether its claim still holds."""
        values = {"bytes_done": bytes_done, "begun": None if begun is None else asdict(begun)}
        mine = and_(
            transfer.c.id == claim.transfer_id,
            transfer.c.fence == claim.fence,
            transfer.c.lease_owner.is_not(None),
        )
        moved = update(transfer).where(mine).values(**values)
        return self._database.write(lambda it, _now: it.execute(moved).rowcount == 1)

    def apply(self, results: Sequence[tuple[TransferClaim, TransferOutcome]]) -> list[bool]:
        """Write outcomes in one transaction; tells for each whether its claim still held."""
        return self._database.write(lambda it, now: _apply(it, now, results))

    def cancel(self, ids: Collection[int]) -> int:
        """Take wishes back, also those that are being fetched: whoever fetches them ends at his next word.

        Returns how many there were. What was fetched of them stays where it is.
        """
        which = and_(transfer.c.id.in_(ids), transfer.c.done_at.is_(None))
        return self._database.write(lambda it, _now: it.execute(delete(transfer).where(which)).rowcount)

    def rows(self, ids: Collection[int] | None = None) -> list[TransferRow]:
        """List transfers, the oldest first; None: those that did not end, and those that ended today."""
        local = self._database.local
        return self._database.read(lambda it, now: rows_of(_records(it, now, ids), now, local))

    def next_due(self, roots: Sequence[str], *, only: Collection[int] | None = None) -> datetime | None:
        """Find when the next one can be claimed, by our clock; None when none is planned."""
        due_at = self._database.read(lambda it, _now: next_due(it, roots, only))
        return None if due_at is None else self._database.local(due_at)

    def twin_made(self, source: Place, twin: Place, stamp: Stamp) -> bool:
        """Take note of a file that was made out of a known one, link or copy; returns whether it could be.

        Where it could not, the scan will find it.
        """
        return self._database.write(lambda it, now: land_twin(it, now, source, twin, stamp))

    def unpublished(self, roots: Sequence[str]) -> list[Place]:
        """List where fetched files of these roots lie that nobody has come to publish."""
        return self._database.read(lambda it, now: unpublished(it, now, roots))

    def retry(self, places: Collection[Place] | None = None) -> int:
        """Try again now what is parked or waits with a trouble; None: everything. Returns how many."""
        return self._database.write(lambda it, now: _retry(it, now, places))

    def trim(self) -> int:
        """Forget transfers that ended long ago. Writes only if there are any."""
        if not self._database.read(
            lambda it, now: it.execute(select(transfer.c.id).where(_old(now)).limit(1)).all()
        ):
            return 0
        return self._database.write(lambda it, now: it.execute(delete(transfer).where(_old(now))).rowcount)


def _want(connection: Connection, now: datetime, wanted: Sequence[Wanted]) -> list[int]:
    found: dict[Place, Record] = {}
    # again for what somebody else ended between the two statements
    while absent := [one for one in wanted if one.place not in found]:
        rows = [{**wanted_values(one), "wanted_at": now, "due_at": now} for one in absent]
        insert_absent(connection, transfer, rows)
        for some in chunks(absent):
            found |= _waited_for(connection, [one.place for one in some])
    changes = [
        (row.id, {**wanted_values(one), **_ANEW, "fence": row.fence + 1, "due_at": now})
        for one in wanted
        if (row := found[one.place]).lease_until is None or row.lease_until <= now
    ]
    write_rows(connection, transfer, changes)
    return [found[one.place].id for one in wanted]


def _waited_for(connection: Connection, places: Collection[Place]) -> dict[Place, Record]:
    wanted = select(transfer).where(transfer.c.done_at.is_(None), _at(places)).order_by(transfer.c.id)
    return {place_of(row): row for row in connection.execute(wanted.with_for_update())}


def _at(places: Collection[Place]) -> ColumnElement[bool]:
    return tuple_(transfer.c.root, transfer.c.relpath).in_([(it.root, it.relpath) for it in places])


def _apply(
    connection: Connection, now: datetime, results: Sequence[tuple[TransferClaim, TransferOutcome]]
) -> list[bool]:
    fences = {claim.transfer_id: claim.fence for claim, _ in results}
    held = held_rows(connection, transfer, fences, (transfer.c.attempts,))
    changes, landed, applied = [], [], []
    for claim, outcome in results:
        row = held.pop(claim.transfer_id, None)
        applied.append(row is not None)
        if row is None:
            continue
        changes.append((row.id, {**NO_LEASE, "unended": 0, **_ended(now, row, outcome)}))
        if isinstance(outcome, Fetched):
            landed.append((claim, outcome))
    write_rows(connection, transfer, changes)
    land(connection, now, landed)
    return applied


def _ended(now: datetime, row: Record, outcome: TransferOutcome) -> dict[str, Any]:
    match outcome:
        case Fetched():
            size_bytes = outcome.stamp.size_bytes
            known = {"sha256": outcome.digests.sha256, "size_bytes": size_bytes, "bytes_done": size_bytes}
            spent = {"card": None, "raw": None, "begun": None}
            return {**NO_TROUBLE, **known, **spent, "done_at": now, "due_at": None}
        case Defer():
            trouble = None if outcome.trouble is None else outcome.trouble.to_json()
            return {"due_at": now + timedelta(seconds=outcome.wait_s), "trouble": trouble}
        case Release():
            return {"attempts": max(row.attempts - 1, 0)}
        case _:  # Park
            return _parked(now, outcome.trouble)


def _parked(now: datetime, trouble: Trouble) -> dict[str, Any]:
    return {"due_at": None, "parked_at": now, "trouble": trouble.to_json()}


def _records(connection: Connection, now: datetime, ids: Collection[int] | None) -> Sequence[Record]:
    recent = or_(transfer.c.done_at.is_(None), transfer.c.done_at > now - _SHOWN)
    return [
        row
        for some in parts(ids)
        for row in connection.execute(
            select(*_SEEN).where(recent if some is None else transfer.c.id.in_(some)).order_by(transfer.c.id)
        )
    ]


def _retry(connection: Connection, now: datetime, places: Collection[Place] | None) -> int:
    stuck = and_(
        transfer.c.trouble.is_not(None), transfer.c.done_at.is_(None), transfer.c.lease_owner.is_(None)
    )
    again = update(transfer).where(stuck).values(**NO_TROUBLE, unended=0, due_at=now)
    if places is None:
        return connection.execute(again).rowcount
    return sum(connection.execute(again.where(_at(some))).rowcount for some in chunks(sorted(places)))


def _old(now: datetime) -> ColumnElement[bool]:
    return transfer.c.done_at < now - _KEPT
