"""Claiming files: the right to do one stage for one file until the lease ends."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    true,
    tuple_,
    update,
)

from hashtagd.catalog.failures import unreadable
from hashtagd.catalog.leaving import put_off_sweeps
from hashtagd.catalog.rows import (
    HEADER_PROVIDER,
    NO_LEASE,
    Record,
    answers_by_hash,
    chunks,
    digests_of,
    header_of,
    keys_of,
    place_of,
    stamp_of,
    write_rows,
)
from hashtagd.catalog.shown import CARD_COLUMNS, pins_of, shown
from hashtagd.catalog.stories import Story, with_trouble, write_stories
from hashtagd.catalog.tables import file, question
from hashtagd.catalog.transfer_table import transfer
from hashtagd.catalog.written import with_written
from hashtagd.core import schedule
from hashtagd.core.place import Place
from hashtagd.core.transfer import TransferClaim
from hashtagd.core.work import Claim, QuestionClaim, Stage

#: from so many charged attempts on, a row is suspected of killing the process
ALONE_FROM: Final = 2
_LEASED: Final = (file, question, transfer)


def _names(stages: Collection[Stage]) -> list[str]:
    """Name what is claimed for these stages: who publishes also sweeps."""
    sweeping = {Stage.SWEEP} if Stage.PUBLISH in stages else set()
    return sorted(stage.value for stage in {*stages, *sweeping})


def due_files(
    stages: Collection[Stage], roots: Sequence[str], now: datetime, only: Collection[Place] | None = None
) -> ColumnElement[bool]:
    """Say which file rows may be claimed; `only`: none but those at these places."""
    places = [] if only is None else [(place.root, place.relpath) for place in only]
    return and_(
        true() if only is None else tuple_(file.c.root, file.c.relpath).in_(places),
        file.c.stage.in_(_names(stages)),
        file.c.root.in_(roots),
        file.c.due_at <= now,
        is_free(file, now),
    )


def is_free(table: Table, now: datetime) -> ColumnElement[bool]:
    """Say that nobody holds the row, or not any more."""
    return or_(table.c.lease_until.is_(None), table.c.lease_until <= now)


def is_anything_due(connection: Connection, now: datetime, stage: Stage, roots: Sequence[str]) -> bool:
    """Look without taking the lock of writers: an idle lane costs no write."""
    found = connection.execute(select(file.c.id).where(due_files([stage], roots, now)).limit(1)).first()
    return found is not None


def take_files(
    connection: Connection,
    now: datetime,
    *,
    owner: str,
    stage: Stage,
    roots: Sequence[str],
    limit: int,
    only: Collection[Place] | None = None,
) -> list[Claim]:
    """Lease due rows, those that have waited longest first; the attempt is charged.

    A row that was charged before without coming to an end may be what kills the process: it waits for the
    others and is then taken alone, so that no innocent is charged with it again and again. With files to be
    published come those to be swept.
    """
    if stage is Stage.SETTLE:  # its attempts are looks, and never park a file
        rows = _lease(connection, now, owner, due_files([stage], roots, now, only), limit)
    else:
        due, suspect = due_files([stage], roots, now, only), file.c.attempts >= ALONE_FROM
        if stage is Stage.PUBLISH:
            put_off_sweeps(connection, now, due)
        rows = _lease(connection, now, owner, and_(due, ~suspect), limit)
        rows = rows or _lease(connection, now, owner, and_(due, suspect), 1)
    ordered = sorted(rows, key=lambda row: (row.due_at, row.id))
    claims = [claim for row in ordered if (claim := _read(connection, now, row)) is not None]
    return with_answers(connection, now, claims) if stage is Stage.PUBLISH else claims


def _lease(
    connection: Connection, now: datetime, owner: str, which: ColumnElement[bool], limit: int
) -> Sequence[Record]:
    """Lease rows, chosen in a common table expression: PostgreSQL may run a bare subselect twice."""
    due = (
        select(file.c.id)
        .where(which)
        .order_by(file.c.due_at, file.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    return connection.execute(
        update(file)
        .where(file.c.id.in_(select(due.c.id)))
        .values(**lease_values(file, owner, now), republish=False)
        .returning(file)
    ).all()


def lease_values(table: Table, owner: str, now: datetime) -> dict[str, Any]:
    """Give what a claim changes: a new fence, an attempt, a lease."""
    return {
        "fence": table.c.fence + 1,
        "attempts": table.c.attempts + 1,
        "lease_owner": owner,
        "lease_until": now + timedelta(seconds=schedule.LEASE_S),
    }


def renew(
    connection: Connection,
    now: datetime,
    files: Sequence[Claim],
    questions: Sequence[QuestionClaim],
    transfers: Sequence[TransferClaim],
) -> None:
    """Lengthen leases whose fence still holds."""
    until = now + timedelta(seconds=schedule.LEASE_S)
    for table, held in (
        (file, [(claim.file_id, claim.fence) for claim in files]),
        (question, [(claim.question_id, claim.fence) for claim in questions]),
        (transfer, [(claim.transfer_id, claim.fence) for claim in transfers]),
    ):
        statement = (
            update(table)
            .where(
                table.c.id == bindparam("row_id"),
                table.c.fence == bindparam("row_fence"),
                table.c.lease_owner.is_not(None),
            )
            .values(lease_until=until)
        )
        if held:
            parameters = [{"row_id": row_id, "row_fence": fence} for row_id, fence in sorted(held)]
            connection.execute(statement, parameters)


def held_rows(
    connection: Connection, table: Table, wanted: Mapping[int, int], columns: Sequence[Any] = ()
) -> dict[int, Record]:
    """Lock the rows (id to fence) whose claims are still good; for the others a result comes too late.

    Returns these columns of each, besides id, fence and lease owner.
    """
    fields = (table.c.id, table.c.fence, table.c.lease_owner, *columns)
    held: dict[int, Record] = {}
    for ids in chunks(sorted(wanted)):
        rows = connection.execute(
            select(*fields).where(table.c.id.in_(ids)).order_by(table.c.id).with_for_update()
        )
        held |= {row.id: row for row in rows if row.lease_owner is not None and row.fence == wanted[row.id]}
    return held


def release(connection: Connection, owners: Sequence[str]) -> int:
    """End the leases of owners that are dead; what they tried stays charged. Returns how many there were."""
    ended = 0
    for table in _LEASED:
        ended += connection.execute(
            update(table).where(table.c.lease_owner.in_(owners)).values(**NO_LEASE)
        ).rowcount
    return ended


def lease_owners(connection: Connection) -> frozenset[str]:
    """List who holds leases, in time or not."""
    return frozenset(
        owner
        for table in _LEASED
        for owner in connection.execute(
            select(table.c.lease_owner).where(table.c.lease_owner.is_not(None)).distinct()
        ).scalars()
    )


def next_due(connection: Connection, stages: Collection[Stage], roots: Sequence[str]) -> datetime | None:
    """Find when the next of these rows can be claimed; None when none is planned."""
    return connection.execute(
        select(func.min(claimable_at(file))).where(
            file.c.due_at.is_not(None),
            file.c.stage.in_(_names(stages)),
            # else SQLite would find the rows by their root, and walk over a whole library
            file.c.root.concat("").in_(roots),
        )
    ).scalar_one()


def claimable_at(table: Table) -> ColumnElement[datetime]:
    """Say when a row can be claimed: when it is due, or when the lease on it ends."""
    return case((table.c.lease_until > table.c.due_at, table.c.lease_until), else_=table.c.due_at)


def is_digesting(connection: Connection, now: datetime, roots: Sequence[str]) -> bool:
    """Tell whether more hashes are on their way: files in settle or digest that are due or held."""
    stages = [Stage.SETTLE.value, Stage.DIGEST.value]
    busy = select(file.c.id).where(file.c.stage.in_(stages), file.c.due_at <= now, file.c.root.in_(roots))
    return connection.execute(busy.limit(1)).first() is not None


def claim_of(row: Record) -> Claim:
    """Read a row of `file` as a claim, without what was said of it and written for it.

    Raises:
        ValueError: another machine filled the row with nonsense; so does TypeError say.
    """
    return Claim(
        file_id=row.id,
        fence=row.fence,
        stage=Stage(row.stage),
        place=place_of(row),
        stamp=stamp_of(row),
        attempts=row.attempts,
        still_since=row.still_since,
        first_seen_at=row.first_seen_at,
        digests=digests_of(row),
        header=header_of(row),
    )


def _read(connection: Connection, now: datetime, row: Record) -> Claim | None:
    """Read a claimed row; one that another machine filled with nonsense is parked, not obeyed."""
    try:
        return claim_of(row)
    except (ValueError, TypeError):
        trouble = unreadable()
        # what is gone is not parked: nobody could wake it
        parked_at = None if row.gone_at is not None else now
        values = {**NO_LEASE, "due_at": None, "parked_at": parked_at, "trouble": trouble.to_json()}
        write_rows(connection, file, [(row.id, values)])
        write_stories(
            connection, now, [Story(name="file_parked", file_id=row.id, detail=with_trouble(trouble))]
        )
        return None


def with_answers(connection: Connection, now: datetime, claims: Sequence[Claim]) -> list[Claim]:
    """Fill claims of publish with what the providers said and what was written before."""
    keys = {claim.file_id: _keys(claim) for claim in claims}
    hashes = (value for some in keys.values() for _, value in some)
    said = answers_by_hash(connection, hashes, CARD_COLUMNS)
    pins = pins_of(connection, (claim.digests.sha256 for claim in claims if claim.digests is not None))
    return [
        _answered(
            claim,
            [row for key in keys[claim.file_id] for row in said.get(key, ()) if row.verdict is not None],
            {} if claim.digests is None else pins.get(claim.digests.sha256, {}),
            now,
        )
        for claim in with_written(connection, claims)
    ]


def _keys(claim: Claim) -> list[tuple[str, str]]:
    known = claim.digests
    return [] if known is None else keys_of(known.sha256, known.tensors_sha256)


def _answered(claim: Claim, rows: Sequence[Record], pins: dict[str, Any], now: datetime) -> Claim:
    seen = shown(rows, pins, now)
    # the file's own header is nobody who could say "not known"
    answered = any(row.provider != HEADER_PROVIDER for row in rows)
    return replace(
        claim, card=seen.card, locked=tuple(sorted(pins)), answered=answered, checked_at=seen.checked_at
    )
