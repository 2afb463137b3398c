"""Making files due for publish, whoever asks for it."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, case, literal, update

from hashtagd.catalog.rows import chunks
from hashtagd.catalog.tables import file
from hashtagd.catalog.types import UtcDateTime
from hashtagd.core.work import Stage


def wake_publish(connection: Connection, at: datetime, ids: Sequence[int]) -> None:
    """Make files due for publish; one that is being published right now is published once more after that.

    A file that is due earlier stays so.
    """
    moment = literal(at, UtcDateTime())
    due_at = case((file.c.due_at < moment, file.c.due_at), else_=moment)
    for some in chunks(ids):
        connection.execute(
            update(file)
            .where(file.c.id.in_(some), file.c.stage == Stage.PUBLISH.value, file.c.gone_at.is_(None))
            .values(
                due_at=case((file.c.lease_owner.is_(None), due_at), else_=file.c.due_at),
                republish=file.c.lease_owner.is_not(None),
                attempts=case((file.c.lease_owner.is_(None), 0), else_=file.c.attempts),
                parked_at=None,
            )
        )
