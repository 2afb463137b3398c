"""What files leave behind: artifacts to sweep, and names that another model may use now."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from os.path import splitext
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, select, tuple_, update

from hashtagd.catalog.rows import Record, chunks
from hashtagd.catalog.tables import file, publication
from hashtagd.catalog.waking import wake_publish
from hashtagd.core import schedule
from hashtagd.core.work import Stage

_heir: Final = file.alias("heir")

#: a live file with the same bytes waits to be published: it may want to take over what lies there
_HAS_AN_HEIR: Final[ColumnElement[bool]] = (
    select(_heir.c.id)
    .where(
        _heir.c.sha256 == file.c.sha256,
        _heir.c.gone_at.is_(None),
        _heir.c.published_at.is_(None),
        _heir.c.due_at.is_not(None),
    )
    .exists()
)


def leave(connection: Connection, now: datetime, lost: Sequence[Record]) -> None:
    """Plan what follows when files are marked gone (rows as they were, with id, root, folder and name)."""
    _plan_sweeps(connection, now, [row.id for row in lost])
    _wake_namesakes(connection, now, {(row.root, row.folder, _stem(row.name)) for row in lost})


def wake_lookalikes(connection: Connection, now: datetime, swept: Sequence[Record]) -> None:
    """Publish those files again whose names differ in letter case and extension only: a picture may be gone.

    Args:
        connection: of a writing transaction.
        now: when they are due.
        swept: rows of files whose artifacts were removed, with root, folder and name.
    """
    names = {(row.root, row.folder, _stem(row.name).casefold()) for row in swept}
    folders = {(root, folder) for root, folder, _ in names}
    woken: list[int] = []
    for some in chunks(sorted(folders)):
        there = connection.execute(
            select(file.c.id, file.c.root, file.c.folder, file.c.name).where(
                tuple_(file.c.root, file.c.folder).in_(some), file.c.gone_at.is_(None)
            )
        )
        woken += [row.id for row in there if (row.root, row.folder, _stem(row.name).casefold()) in names]
    wake_publish(connection, now, sorted(woken))


def put_off_sweeps(connection: Connection, now: datetime, due: ColumnElement[bool]) -> None:
    """Let those of the due sweeps wait whose artifacts may yet be wanted elsewhere."""
    connection.execute(
        update(file)
        .where(and_(due, file.c.stage == Stage.SWEEP.value, _HAS_AN_HEIR))
        .values(due_at=now + timedelta(seconds=schedule.SWEEP_AGAIN_S))
    )


def _plan_sweeps(connection: Connection, now: datetime, ids: Sequence[int]) -> None:
    written = select(publication.c.file_id).where(publication.c.file_id == file.c.id).exists()
    for some in chunks(ids):
        connection.execute(
            update(file)
            .where(file.c.id.in_(some), written)
            .values(
                stage=Stage.SWEEP.value,
                due_at=now + timedelta(seconds=schedule.SWEEP_AFTER_S),
            )
        )


def _wake_namesakes(connection: Connection, now: datetime, stems: Collection[tuple[str, str, str]]) -> None:
    """Publish those files again that could have no sidecars as long as another had the same name."""
    folders = {(root, folder) for root, folder, _ in stems}
    woken: list[int] = []
    for some in chunks(sorted(folders)):
        waiting = connection.execute(
            select(file.c.id, file.c.root, file.c.folder, file.c.name).where(
                tuple_(file.c.root, file.c.folder).in_(some),
                file.c.gone_at.is_(None),
                # without a trouble of its own a file has its sidecars: the other one had none
                file.c.trouble.is_not(None),
            )
        )
        woken += [row.id for row in waiting if (row.root, row.folder, _stem(row.name)) in stems]
    wake_publish(connection, now, sorted(woken))


def _stem(name: str) -> str:
    return splitext(name)[0]  # noqa: PTH122 - a name, not a path on this machine
