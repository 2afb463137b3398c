"""Waking rows by hand or by rule (`retry`, `refresh`, `rescan --rehash`, wrong clocks); forgetting."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, delete, or_, select, true, tuple_, update

from hashtagd.catalog.asked import HAS_A_FILE
from hashtagd.catalog.rows import ABOUT_FILE, NO_FACTS, NO_LEASE, NO_TROUBLE, chunks
from hashtagd.catalog.tables import file, gate, question
from hashtagd.catalog.transfer_table import transfer
from hashtagd.catalog.waking import wake_publish
from hashtagd.core import schedule
from hashtagd.core.place import Place
from hashtagd.core.work import HashKind, Stage

_LONGEST: Final = timedelta(seconds=schedule.LONGEST_WAIT_S)
#: a lease is never renewed for longer than this
_LONGEST_LEASE: Final = timedelta(seconds=2 * schedule.LEASE_S)
#: most waits of files are shorter
_SHORT: Final = timedelta(hours=1)
_GONE_KEPT: Final = timedelta(seconds=schedule.GONE_KEPT_S)


def retry(connection: Connection, now: datetime, places: Sequence[Place] | None) -> int:
    """Make parked rows and rows with a trouble due now; without places also open every gate.

    Returns how many files were woken.
    """
    fresh = {**NO_TROUBLE, "due_at": now}
    if places is None:
        _retry_questions(connection, now, true())
        connection.execute(update(gate).values(opens_at=None, failures=0, trouble=None, probe_until=None))
        return connection.execute(update(file).where(_stuck_file()).values(**fresh)).rowcount
    woken = 0
    for some in chunks(sorted(set(places))):
        there = tuple_(file.c.root, file.c.relpath).in_([(place.root, place.relpath) for place in some])
        _retry_questions(connection, now, select(file.c.id).where(there, ABOUT_FILE).exists())
        woken += connection.execute(update(file).where(_stuck_file(), there).values(**fresh)).rowcount
    return woken


def rehash(connection: Connection, now: datetime, roots: Sequence[str]) -> int:
    """Forget the hashes of every live file of these roots: each is read once more. Returns how many."""
    return connection.execute(
        update(file)
        .where(file.c.root.in_(roots), file.c.gone_at.is_(None))
        .values(
            **NO_FACTS,
            **NO_LEASE,
            **NO_TROUBLE,
            stage=Stage.SETTLE.value,
            fence=file.c.fence + 1,
            due_at=now,
            republish=False,
        )
    ).rowcount


def publish_again(connection: Connection, now: datetime, roots: Sequence[str]) -> int:
    """Make every hashed file of these roots due for publish: the writers changed. Returns how many."""
    ids = connection.execute(
        select(file.c.id)
        .where(file.c.root.in_(roots), file.c.stage == Stage.PUBLISH.value, file.c.gone_at.is_(None))
        .order_by(file.c.id)
    ).scalars()
    woken = list(ids)
    wake_publish(connection, now, woken)
    return len(woken)


def ask_again(connection: Connection, now: datetime, hashes: Sequence[str] | None) -> int:
    """Make questions that are worth asking due now, answered ones too. Returns how many.

    None: all, but for those about tensors: each costs a request of its own, and few of them ever change.
    """
    free = and_(
        HAS_A_FILE,
        question.c.lease_owner.is_(None),
        or_(question.c.due_at.is_not(None), question.c.parked_at.is_not(None)),
    )
    again = update(question).where(free).values(**NO_TROUBLE, due_at=now, pull_at=now)
    if hashes is None:
        return connection.execute(again.where(question.c.hash_kind == HashKind.SHA256.value)).rowcount
    return sum(
        connection.execute(again.where(question.c.hash.in_(some))).rowcount
        for some in chunks(sorted(set(hashes)))
    )


def absurd_times(now: datetime) -> list[tuple[Any, ColumnElement[bool], dict[str, Any]]]:
    """List (table, which rows, new values) for times that only a wrong clock can have written."""
    late, held = now + _LONGEST, now + _LONGEST_LEASE
    unsettled = file.c.stage == Stage.SETTLE.value
    return [
        (file, and_(unsettled, file.c.still_since > held), {"still_since": now}),
        (file, file.c.due_at > late, {"due_at": now}),
        (file, file.c.lease_until > held, {"lease_until": now}),
        (question, question.c.due_at > late, {"due_at": now, "pull_at": now}),
        (question, question.c.lease_until > held, {"lease_until": now}),
        (transfer, transfer.c.due_at > late, {"due_at": now}),
        (transfer, transfer.c.lease_until > held, {"lease_until": now}),
        (transfer, transfer.c.done_at > late, {"done_at": now}),
        (gate, gate.c.opens_at > late, {"opens_at": None}),
        (gate, gate.c.probe_until > held, {"probe_until": None}),
        (gate, gate.c.refilled_at > held, {"refilled_at": now}),
    ]


def has_absurd_times(connection: Connection, now: datetime) -> bool:
    """Tell whether there is anything to pull back, without the lock of writers."""
    return any(
        connection.execute(select(table).where(which).limit(1)).first() is not None
        for table, which, _ in absurd_times(now)
    )


def pull_back(connection: Connection, now: datetime) -> int:
    """Pull such times back to now. Returns how many rows had one."""
    return _apply(connection, absurd_times(now))


def set_back(connection: Connection, now: datetime, by: timedelta) -> None:
    """Pull back what a clock put off that was ahead and has just been set back.

    What would have been due within that time by the right clock is asked for early, this once.
    """
    ahead = now + by
    due = {"due_at": now}
    rules: list[tuple[Any, ColumnElement[bool], dict[str, Any]]] = [
        *absurd_times(now),
        (file, and_(file.c.stage == Stage.SETTLE.value, file.c.still_since > now), {"still_since": now}),
        # these wait for minutes; questions wait for days as well, and those that do stay where they are
        (file, file.c.due_at.between(now, ahead + _SHORT), due),
        (question, question.c.due_at.between(now, ahead + _SHORT), {**due, "pull_at": now}),
        (transfer, transfer.c.due_at.between(now, ahead + _SHORT), due),
    ]
    gates = connection.execute(select(gate.c.origin, gate.c.opens_at).where(gate.c.opens_at > now)).all()
    for origin, opens_at in gates:
        connection.execute(update(gate).where(gate.c.origin == origin).values(opens_at=opens_at - by))
    _apply(connection, rules)


def _apply(connection: Connection, rules: Sequence[tuple[Any, ColumnElement[bool], dict[str, Any]]]) -> int:
    return sum(
        connection.execute(update(table).where(which).values(**values)).rowcount
        for table, which, values in rules
    )


def has_old_gone(connection: Connection, now: datetime) -> bool:
    """Tell whether a file was gone for so long that it may be forgotten."""
    return connection.execute(select(file.c.id).where(_long_gone(now)).limit(1)).first() is not None


def purge_gone(connection: Connection, now: datetime) -> int:
    """Forget files that were gone for long, with their events and publications. Returns how many."""
    return connection.execute(delete(file).where(_long_gone(now))).rowcount


def _long_gone(now: datetime) -> ColumnElement[bool]:
    return file.c.gone_at <= now - _GONE_KEPT


def _stuck_file() -> ColumnElement[bool]:
    return and_(file.c.trouble.is_not(None), file.c.gone_at.is_(None), file.c.lease_owner.is_(None))


def _retry_questions(connection: Connection, now: datetime, which: ColumnElement[bool]) -> None:
    connection.execute(
        update(question)
        .where(question.c.trouble.is_not(None), question.c.lease_owner.is_(None), which)
        .values(**NO_TROUBLE, due_at=now, pull_at=now)
    )
