"""Claiming transfers: the right to fetch one file until the lease ends."""

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, func, select, true, update

from hashtagd.catalog.claims import ALONE_FROM, claimable_at, is_free, lease_values
from hashtagd.catalog.failures import unreadable
from hashtagd.catalog.rows import NO_LEASE, Record, chunks, write_rows
from hashtagd.catalog.transfer_rows import claim_of, sources_of
from hashtagd.catalog.transfer_table import transfer
from hashtagd.core.card import DownloadUrl
from hashtagd.core.transfer import TransferClaim
from hashtagd.core.troubles import Trouble


def parts(only: Collection[int] | None) -> Iterable[Collection[int] | None]:
    """Cut into what one statement can name, in the given order: those that come first are looked at first."""
    return [None] if only is None else chunks(only)


def next_due(connection: Connection, roots: Sequence[str], only: Collection[int] | None) -> datetime | None:
    """Find when the next one can be claimed; None when none is planned."""
    found: list[datetime | None] = [
        connection.execute(select(func.min(claimable_at(transfer))).where(planned(roots, some))).scalar_one()
        for some in parts(only)
    ]
    return min((due_at for due_at in found if due_at is not None), default=None)


def planned(roots: Sequence[str], only: Collection[int] | None) -> ColumnElement[bool]:
    """Say which rows will be due some day."""
    among = true() if only is None else transfer.c.id.in_(only)
    return and_(transfer.c.due_at.is_not(None), transfer.c.root.in_(roots), among)


@dataclass(frozen=True, slots=True, kw_only=True)
class DueTransfer:
    """One that could be claimed, and where it would come from."""

    transfer_id: int
    fence: int
    sources: tuple[DownloadUrl, ...]


def due(
    connection: Connection, now: datetime, roots: Sequence[str], only: Collection[int] | None
) -> list[DueTransfer]:
    """List what could be claimed now; what another machine filled with nonsense is left to the claim."""
    found = []
    for some in parts(only):
        which = _free(planned(roots, some), now)
        columns = (transfer.c.id, transfer.c.fence, transfer.c.sources)
        for row in connection.execute(select(*columns).where(which).order_by(transfer.c.id)):
            with suppress(TypeError):
                sources = sources_of(row.sources)
                found.append(DueTransfer(transfer_id=row.id, fence=row.fence, sources=sources))
    return found


def put_off(
    connection: Connection, now: datetime, waits: Sequence[tuple[DueTransfer, float, Trouble | None]]
) -> int:
    """Let rows wait that are as they were when they were listed; returns how many."""
    fences = {row.transfer_id: row.fence for row, _, _ in waits}
    same: set[int] = set()
    for ids in chunks(sorted(fences)):
        which = and_(transfer.c.id.in_(ids), transfer.c.due_at <= now, is_free(transfer, now))
        rows = connection.execute(
            select(transfer.c.id, transfer.c.fence).where(which).order_by(transfer.c.id).with_for_update()
        )
        same |= {row.id for row in rows if row.fence == fences[row.id]}
    changes = [
        (
            row.transfer_id,
            {
                "due_at": now + timedelta(seconds=wait_s),
                "trouble": None if trouble is None else trouble.to_json(),
            },
        )
        for row, wait_s, trouble in waits
        if row.transfer_id in same
    ]
    write_rows(connection, transfer, changes)
    return len(changes)


def _free(some: ColumnElement[bool], now: datetime) -> ColumnElement[bool]:
    return and_(some, transfer.c.due_at <= now, is_free(transfer, now))


def may_take(
    connection: Connection, now: datetime, owner: str, some: ColumnElement[bool]
) -> ColumnElement[bool] | None:
    """Say which of some rows this process may claim now; None: none of them. Only looks.

    What may kill the process waits for the others, and then is alone: else those that come beside it would be
    charged with its deaths again and again.
    """
    free = _free(some, now)
    suspect = transfer.c.unended >= ALONE_FROM
    mine = and_(transfer.c.lease_owner == owner, transfer.c.lease_until > now)
    held = connection.execute(select(func.max(transfer.c.unended)).where(mine)).scalar_one()
    if held is not None and held > ALONE_FROM:  # its own claim is counted
        return None
    if _is_any(connection, and_(free, ~suspect)):
        return and_(free, ~suspect)
    alone = and_(free, suspect)
    return alone if held is None and _is_any(connection, alone) else None


def take(
    connection: Connection, now: datetime, owner: str, some: ColumnElement[bool], limit: int
) -> list[TransferClaim]:
    """Lease due rows; the attempt is charged."""
    which = may_take(connection, now, owner, some)
    if which is None:
        return []
    first = select(transfer.c.unended).where(which).limit(1)
    is_suspect = connection.execute(first).scalar_one() >= ALONE_FROM
    rows = _lease(connection, now, owner, which, 1 if is_suspect else limit)
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
        .values(**lease_values(transfer, owner, now), unended=transfer.c.unended + 1)
        .returning(transfer)
    ).all()


def _read(connection: Connection, now: datetime, row: Record) -> TransferClaim | None:
    """Read a claimed row; one that another machine filled with nonsense is parked, not obeyed."""
    try:
        return claim_of(row)
    except (ValueError, TypeError):
        trouble = unreadable().to_json()
        values = {**NO_LEASE, "due_at": None, "parked_at": now, "trouble": trouble}
        write_rows(connection, transfer, [(row.id, values)])
        return None


def _is_any(connection: Connection, which: ColumnElement[bool]) -> bool:
    return connection.execute(select(transfer.c.id).where(which).limit(1)).first() is not None
