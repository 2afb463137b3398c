"""Files as claims would have them, for those who only look: nothing is leased, nothing is charged."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, delete, or_, select, tuple_

from hashtagd.catalog.claims import claim_of, with_answers
from hashtagd.catalog.engine import Database
from hashtagd.catalog.rows import chunks
from hashtagd.catalog.tables import file, publication
from hashtagd.catalog.waking import wake_publish
from hashtagd.core.work import Claim, Publication, Stage


class Peeks:
    """What would be published, what was, and taking it back."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claims(self, ids: Sequence[int]) -> list[Claim]:
        """Read files with all that is known of them and written for them, in this order.

        Rows that another machine filled with nonsense, and those that are not there, are left out.
        """
        return self._database.read(lambda it, now: _claims(it, now, ids))

    def waiting_to_publish(self, roots: Sequence[str]) -> list[int]:
        """List the files of these roots that wait to be published, or swept, by root and path."""
        stages = (Stage.PUBLISH.value, Stage.SWEEP.value)
        return self._ids(file.c.root.in_(roots), file.c.stage.in_(stages), file.c.due_at.is_not(None))

    def published(self, roots: Sequence[str]) -> list[int]:
        """List the files of these roots that something lies beside, or should, by root and path.

        With those that are gone, as long as something written for them is known.
        """
        written = select(publication.c.file_id).where(publication.c.file_id == file.c.id).exists()
        hashed = and_(file.c.gone_at.is_(None), file.c.stage == Stage.PUBLISH.value)
        return self._ids(file.c.root.in_(roots), or_(written, hashed))

    def with_a_file(self, hashes: Sequence[str], roots: Sequence[str]) -> frozenset[str]:
        """Pick the hashes that a live file of these roots has."""
        return self._database.read(lambda it, _now: frozenset(_with_a_file(it, hashes, roots)))

    def withdraw(self, ids: Sequence[int]) -> None:
        """Make files due for publish, before what was written for them is removed.

        Killed after it, the next run writes again whatever was removed.
        """
        self._database.write(lambda it, now: wake_publish(it, now, ids))

    def forget(self, gone: Sequence[Publication]) -> None:
        """Drop the records of what does not lie on the disk any more. Repeats: nothing more happens."""
        self._database.write(lambda it, _now: _forget(it, gone))

    def _ids(self, *which: ColumnElement[bool]) -> list[int]:
        wanted = select(file.c.id).where(*which).order_by(file.c.root, file.c.relpath)
        return self._database.read(lambda it, _now: list(it.execute(wanted).scalars()))


def _claims(connection: Connection, now: datetime, ids: Sequence[int]) -> list[Claim]:
    found: dict[int, Claim] = {}
    for some in chunks(ids):
        for row in connection.execute(select(file).where(file.c.id.in_(some))).all():
            try:
                found[row.id] = claim_of(row)
            except (ValueError, TypeError):
                continue
    return with_answers(connection, now, [found[number] for number in ids if number in found])


def _with_a_file(connection: Connection, hashes: Sequence[str], roots: Sequence[str]) -> Iterator[str]:
    for some in chunks(hashes):
        live = select(file.c.sha256).where(
            file.c.sha256.in_(some), file.c.root.in_(roots), file.c.gone_at.is_(None)
        )
        yield from connection.execute(live.distinct()).scalars()


def _forget(connection: Connection, gone: Sequence[Publication]) -> None:
    key = tuple_(publication.c.root, publication.c.relpath, publication.c.writer)
    for some in chunks(sorted((it.place.root, it.place.relpath, it.writer) for it in gone)):
        connection.execute(delete(publication).where(key.in_(some)))
