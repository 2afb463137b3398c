"""Transfers in the catalog: wanted, claimed, under way, ended. One transaction each, as everywhere here."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select, true, tuple_, update

from hashtagd.catalog.claims import ALONE_FROM, claimable_at, held_rows, is_free, lease_values
from hashtagd.catalog.engine import Database
from hashtagd.catalog.failures import unreadable
from hashtagd.catalog.landing import land
from hashtagd.catalog.rows import (
    NO_LEASE,
    NO_TROUBLE,
    Record,
    chunks,
    insert_absent,
    place_of,
    write_rows,
)
from hashtagd.catalog.transfer_rows import TransferRow, claim_of, rows_of, wanted_values
from hashtagd.catalog.transfer_table import transfer
from hashtagd.core.place import Place
from hashtagd.core.transfer import Begun, Fetched, TransferClaim, TransferOutcome, Wanted
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Defer, Release

__all__ = ["TransferRow", "Transfers"]

#: how long a transfer that ended is listed, and how long it is kept
_SHOWN: Final = timedelta(days=1)
_KEPT: Final = timedelta(days=30)
#: what is read for people: documents of sites, which are most of a row, are nothing that they are shown
_SEEN: Final = [column for column in transfer.c if column.name not in ("card", "raw", "sources", "begun")]
#: what a wish that is wished again starts with
_ANEW: Final[Mapping[str, Any]] = {**NO_LEASE, **NO_TROUBLE, "bytes_done": 0}


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
        for some in _parts(only):
            planned = _planned(roots, some)
            if self._is_free(planned):
                return self._take(planned, limit)
        return []

    def _is_free(self, planned: ColumnElement[bool]) -> bool:
        return self._database.read(lambda it, now: _is_any(it, _free(planned, now)))

    def _take(self, planned: ColumnElement[bool], limit: int) -> list[TransferClaim]:
        return self._database.write(lambda it, now: _take(it, now, self._owner, _free(planned, now), limit))

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
        due_at = self._database.read(lambda it, _now: _next_due(it, roots, only))
        return None if due_at is None else self._database.local(due_at)

    def retry(self, places: Collection[Place] | None = None) -> int:
        """Try again now what is parked or waits with a trouble; None: everything. Returns how many."""
        return self._database.write(lambda it, now: _retry(it, now, places))

    def trim(self) -> int:
        """Forget transfers that ended long ago. Writes only if there are any."""
        if not self._database.read(lambda it, now: _is_any(it, _old(now))):
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


def _parts(only: Collection[int] | None) -> Iterable[Collection[int] | None]:
    """Cut into what one statement can name, in the given order: those that come first are looked at first."""
    return [None] if only is None else chunks(only)


def _next_due(connection: Connection, roots: Sequence[str], only: Collection[int] | None) -> datetime | None:
    found: list[datetime | None] = [
        connection.execute(select(func.min(claimable_at(transfer))).where(_planned(roots, some))).scalar_one()
        for some in _parts(only)
    ]
    return min((due_at for due_at in found if due_at is not None), default=None)


def _planned(roots: Sequence[str], only: Collection[int] | None) -> ColumnElement[bool]:
    among = true() if only is None else transfer.c.id.in_(only)
    return and_(transfer.c.due_at.is_not(None), transfer.c.root.in_(roots), among)


def _free(planned: ColumnElement[bool], now: datetime) -> ColumnElement[bool]:
    return and_(planned, transfer.c.due_at <= now, is_free(transfer, now))


def _is_any(connection: Connection, which: ColumnElement[bool]) -> bool:
    return connection.execute(select(transfer.c.id).where(which).limit(1)).first() is not None


def _take(
    connection: Connection, now: datetime, owner: str, due: ColumnElement[bool], limit: int
) -> list[TransferClaim]:
    """Lease rows as files are: what may kill the process waits for the others and is taken alone."""
    suspect = transfer.c.attempts >= ALONE_FROM
    rows = _lease(connection, now, owner, and_(due, ~suspect), limit)
    rows = rows or _lease(connection, now, owner, and_(due, suspect), 1)
    ordered = sorted(rows, key=lambda row: (row.due_at, row.id))
    return [claim for row in ordered if (claim := _read(connection, now, row)) is not None]


def _lease(
    connection: Connection, now: datetime, owner: str, which: ColumnElement[bool], limit: int
) -> Sequence[Record]:
    due = (
        select(transfer.c.id)
        .where(which)
        .order_by(transfer.c.due_at, transfer.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    return connection.execute(
        update(transfer)
        .where(transfer.c.id.in_(select(due.c.id)))
        .values(**lease_values(transfer, owner, now))
        .returning(transfer)
    ).all()


def _read(connection: Connection, now: datetime, row: Record) -> TransferClaim | None:
    """Read a claimed row; one that another machine filled with nonsense is parked, not obeyed."""
    try:
        return claim_of(row, now)
    except (ValueError, TypeError):
        values = {**NO_LEASE, **_parked(now, unreadable())}
        write_rows(connection, transfer, [(row.id, values)])
        return None


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
        changes.append((row.id, {**NO_LEASE, **_ended(now, row, outcome)}))
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
        for some in _parts(ids)
        for row in connection.execute(
            select(*_SEEN).where(recent if some is None else transfer.c.id.in_(some)).order_by(transfer.c.id)
        )
    ]


def _retry(connection: Connection, now: datetime, places: Collection[Place] | None) -> int:
    stuck = and_(
        transfer.c.trouble.is_not(None), transfer.c.done_at.is_(None), transfer.c.lease_owner.is_(None)
    )
    again = update(transfer).where(stuck).values(**NO_TROUBLE, due_at=now)
    if places is None:
        return connection.execute(again).rowcount
    return sum(connection.execute(again.where(_at(some))).rowcount for some in chunks(sorted(places)))


def _old(now: datetime) -> ColumnElement[bool]:
    return transfer.c.done_at < now - _KEPT
