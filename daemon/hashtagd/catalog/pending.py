"""What is still to be done for files, row by row: for a run that ends when nothing is left."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, func, or_, select, update

from hashtagd.catalog.engine import Database
from hashtagd.catalog.rows import chunks, place_of
from hashtagd.catalog.tables import file
from hashtagd.core import schedule
from hashtagd.core.place import Place
from hashtagd.core.troubles import Trouble, trouble_from_json
from hashtagd.core.work import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingFile:
    """One row that is due now or at some time."""

    file_id: int
    root: str
    #: `publish` also for what is swept: it is done by the same lanes
    stage: Stage
    #: by the clock of this process
    due_at: datetime
    still_since: datetime
    #: why it waits; None for plain waiting
    trouble: Trouble | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What waits for one stage."""

    stage: str
    due: int
    #: by the clock of this process; None: nothing is due
    oldest_due_at: datetime | None


def pending_files(database: Database, roots: Sequence[str]) -> list[PendingFile]:
    """List the live files of these roots that are due or deferred, leased ones included.

    Files that are gone are listed where what lies beside them is swept in a moment.
    """
    listed = (file.c.id, file.c.root, file.c.stage, file.c.due_at, file.c.still_since, file.c.trouble)

    def body(connection: Connection, now: datetime) -> list[PendingFile]:
        soon = now + timedelta(seconds=schedule.SWEEP_AFTER_S)
        swept = and_(file.c.stage == Stage.SWEEP.value, file.c.due_at <= soon)
        wanted = (
            select(*listed)
            .where(or_(file.c.gone_at.is_(None), swept), file.c.due_at.is_not(None), file.c.root.in_(roots))
            .order_by(file.c.due_at)
        )
        return [
            PendingFile(
                file_id=row.id,
                root=row.root,
                stage=Stage.PUBLISH if row.stage == Stage.SWEEP.value else Stage(row.stage),
                due_at=database.local(row.due_at),
                still_since=row.still_since,
                trouble=None if row.trouble is None else trouble_from_json(row.trouble),
            )
            for row in connection.execute(wanted)
        ]

    return database.read(body)


def queues(database: Database, roots: Sequence[str]) -> list[Queue]:
    """Count what is due now of each stage, in the order of a file's life, and since when."""
    counted = func.count(), func.min(file.c.due_at)

    def body(connection: Connection, now: datetime) -> list[Queue]:
        due = select(file.c.stage, *counted).where(file.c.due_at <= now, file.c.root.in_(roots))
        found = {row[0]: row for row in connection.execute(due.group_by(file.c.stage))}
        return [
            Queue(
                stage=stage.value,
                due=found[stage.value][1] if stage.value in found else 0,
                oldest_due_at=database.local(found[stage.value][2]) if stage.value in found else None,
            )
            for stage in Stage
        ]

    return database.read(body)


def publish_now(database: Database, file_ids: Sequence[int]) -> None:
    """Make files that wait for their first answer, or to be swept, due now."""

    def body(connection: Connection, now: datetime) -> None:
        for some in chunks(file_ids):
            connection.execute(
                update(file)
                .where(
                    file.c.id.in_(some),
                    file.c.stage.in_([Stage.PUBLISH.value, Stage.SWEEP.value]),
                    file.c.due_at > now,
                )
                .values(due_at=now)
            )

    database.write(body)


def parked_files(database: Database, root: str) -> list[tuple[Place, str]]:
    """List the parked files of a root with the kind of their trouble."""
    wanted = select(file.c.root, file.c.relpath, file.c.trouble).where(
        file.c.root == root, file.c.parked_at.is_not(None)
    )

    def body(connection: Connection, _now: datetime) -> list[tuple[Place, str]]:
        found: list[tuple[Place, str]] = []
        for row in connection.execute(wanted):
            with suppress(ValueError):  # a path that leads out of its root is another machine's nonsense
                found.append((place_of(row), row.trouble["kind"]))
        return found

    return database.read(body)
