"""Transfers in the catalog: wanted, claimed, under way, ended. One transaction each, as everywhere here."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, delete, func, select, tuple_, update

from hashtagd.catalog.claims import claimable_at, held_rows, is_free, lease_values
from hashtagd.catalog.engine import Database
from hashtagd.catalog.landing import land
from hashtagd.catalog.rows import (
    NO_LEASE,
    NO_TROUBLE,
    Record,
    card_of,
    chunks,
    insert_absent,
    place_of,
    write_rows,
)
from hashtagd.catalog.storable import storable_json
from hashtagd.catalog.transfer_table import transfer
from hashtagd.core.card import DownloadUrl
from hashtagd.core.place import Place
from hashtagd.core.transfer import Begun, Fetched, TransferClaim, TransferOutcome, Wanted
from hashtagd.core.work import Defer, Park, Release

#: which rows, as of a moment
_When = Callable[[datetime], ColumnElement[bool]]

#: how long a transfer that ended is shown
_KEPT: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRow:
    """One transfer as people see it."""

    transfer_id: int
    place: Place
    sha256: str | None
    size_bytes: int | None
    bytes_done: int
    #: `waiting`, `fetching`, `parked`, `done`
    state: str
    due_at: datetime | None
    trouble: Mapping[str, Any] | None
    done_at: datetime | None


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
        sources and hash; one that somebody fetches right now is left as it is.
        """
        return self._database.write(lambda it, now: _want(it, now, wanted))

    def claim(
        self, roots: Sequence[str], limit: int, *, only: Collection[int] | None = None
    ) -> list[TransferClaim]:
        """Lease due transfers into these roots, those that have waited longest first.

        Args:
            roots: their names.
            limit: at most so many.
            only: none but those of these numbers; of those that come first, where there are very many.
        """
        for some in _parts(only):
            if self._is_any(_due(roots, some)):
                return self._take(_due(roots, some), limit)
        return []

    def _is_any(self, which: _When) -> bool:
        return self._database.read(lambda it, now: _is_any(it, which(now)))

    def _take(self, which: _When, limit: int) -> list[TransferClaim]:
        return self._database.write(lambda it, now: _take(it, now, self._owner, which(now), limit))

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
        return self._database.read(lambda it, now: _rows(it, now, ids))

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
    rows = [{**_values(one), "wanted_at": now, "due_at": now} for one in wanted]
    insert_absent(connection, transfer, rows)
    found: dict[Place, Record] = {}
    for some in chunks(wanted):
        open_ones = select(transfer).where(transfer.c.done_at.is_(None), _at([one.place for one in some]))
        found |= {place_of(row): row for row in connection.execute(open_ones.with_for_update())}
    changes = [
        (found[one.place].id, {**_values(one), **NO_TROUBLE, "due_at": now, "bytes_done": 0})
        for one in wanted
        if found[one.place].lease_owner is None
    ]
    write_rows(connection, transfer, changes)
    return [found[one.place].id for one in wanted]


def _values(wanted: Wanted) -> dict[str, Any]:
    data = None if wanted.card is None else storable_json(wanted.card.to_json())
    return {
        "root": wanted.place.root,
        "relpath": wanted.place.relpath,
        "sha256": wanted.sha256,
        "size_bytes": wanted.size_bytes,
        "sources": [asdict(source) for source in wanted.sources],
        "raw": None if data is None else data.pop("raw"),
        "card": data,
    }


def _at(places: Collection[Place]) -> ColumnElement[bool]:
    return tuple_(transfer.c.root, transfer.c.relpath).in_([(it.root, it.relpath) for it in places])


def _among(only: Collection[int] | None) -> ColumnElement[bool]:
    return transfer.c.id.is_not(None) if only is None else transfer.c.id.in_(only)


def _parts(only: Collection[int] | None) -> Iterable[Collection[int] | None]:
    """Cut into what one statement can name."""
    return [None] if only is None else chunks(only)


def _due(roots: Sequence[str], only: Collection[int] | None) -> _When:
    def at(now: datetime) -> ColumnElement[bool]:
        due = transfer.c.due_at <= now
        return and_(due, transfer.c.root.in_(roots), _among(only), is_free(transfer, now))

    return at


def _is_any(connection: Connection, which: ColumnElement[bool]) -> bool:
    return connection.execute(select(transfer.c.id).where(which).limit(1)).first() is not None


def _next_due(connection: Connection, roots: Sequence[str], only: Collection[int] | None) -> datetime | None:
    planned = and_(transfer.c.due_at.is_not(None), transfer.c.root.in_(roots))
    soonest = select(func.min(claimable_at(transfer)))
    found: list[datetime | None] = [
        connection.execute(soonest.where(planned, _among(some))).scalar_one() for some in _parts(only)
    ]
    return min(filter(None, found), default=None)


def _take(
    connection: Connection, now: datetime, owner: str, which: ColumnElement[bool], limit: int
) -> list[TransferClaim]:
    due = (
        select(transfer.c.id)
        .where(which)
        .order_by(transfer.c.due_at, transfer.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    rows = connection.execute(
        update(transfer)
        .where(transfer.c.id.in_(select(due.c.id)))
        .values(**lease_values(transfer, owner, now))
        .returning(transfer)
    ).all()
    return [_claim_of(row) for row in sorted(rows, key=lambda row: row.id)]


def _claim_of(row: Record) -> TransferClaim:
    return TransferClaim(
        transfer_id=row.id,
        fence=row.fence,
        attempts=row.attempts,
        wanted=Wanted(
            place=place_of(row),
            sha256=row.sha256,
            size_bytes=row.size_bytes,
            sources=tuple(DownloadUrl(**source) for source in row.sources),
            card=card_of(row.card, row.raw),
        ),
        begun=None if row.begun is None else Begun(**row.begun),
    )


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
            done = {"done_at": now, "due_at": None, "bytes_done": size_bytes, "size_bytes": size_bytes}
            return {**NO_TROUBLE, **done, "card": None, "raw": None, "begun": None}
        case Defer():
            trouble = None if outcome.trouble is None else outcome.trouble.to_json()
            return {"due_at": now + timedelta(seconds=outcome.wait_s), "trouble": trouble}
        case Release():
            return {"attempts": max(row.attempts - 1, 0)}
        case Park():
            return {"due_at": None, "parked_at": now, "trouble": outcome.trouble.to_json()}


#: what `_rows` reads: documents of sites, which are most of a row, are nothing that people are shown
_SHOWN: Final = [column for column in transfer.c if column.name not in ("card", "raw", "sources", "begun")]


def _rows(connection: Connection, now: datetime, ids: Collection[int] | None) -> list[TransferRow]:
    recent = transfer.c.done_at.is_(None) | (transfer.c.done_at > now - timedelta(days=1))
    found = (
        row
        for some in _parts(None if ids is None else sorted(ids))
        for row in connection.execute(
            select(*_SHOWN).where(recent if some is None else _among(some)).order_by(transfer.c.id)
        )
    )
    return [
        TransferRow(
            transfer_id=row.id,
            place=place_of(row),
            sha256=row.sha256,
            size_bytes=row.size_bytes,
            bytes_done=row.bytes_done,
            state=_state(row, now),
            due_at=row.due_at,
            trouble=row.trouble,
            done_at=row.done_at,
        )
        for row in found
    ]


def _state(row: Record, now: datetime) -> str:
    if row.done_at is not None:
        return "done"
    if row.parked_at is not None:
        return "parked"
    return "fetching" if row.lease_until is not None and row.lease_until > now else "waiting"


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
