"""What the owner decides: which version a file is, what stays as it is, of which updates not to tell.

The owner's word belongs to the bytes, so it survives a rename, a refresh, a rescan and a second download.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, select

from hashtagd.catalog.answers import found_values
from hashtagd.catalog.engine import Database
from hashtagd.catalog.rows import (
    NO_LEASE,
    NO_TROUBLE,
    OWNER,
    Record,
    insert_absent,
    insert_or_update,
    write_rows,
)
from hashtagd.catalog.stories import Story, write_stories
from hashtagd.catalog.tables import file, ignored_update, pin, question
from hashtagd.catalog.waking import wake_publish
from hashtagd.core.card import Card
from hashtagd.core.work import HashKind


class Wishes:
    """The verbs of the owner; each is one transaction, and makes the files due that it concerns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def match(self, sha256: str, card: Card, *, again_in_s: float) -> None:
        """Keep that these bytes are this version, whatever a site says.

        Args:
            sha256: of the file.
            card: what is known of the version; at least its number.
            again_in_s: when to ask the site about the version; 0 where it could not be asked yet.

        Repeats: the last word counts.
        """
        self._database.write(lambda it, now: _match(it, now, sha256, card, again_in_s))

    def match_later(self, sha256: str, version_id: int) -> None:
        """Keep that these bytes are this version; it counts from when the site tells what the version is."""
        self._database.write(lambda it, now: _match_later(it, now, sha256, version_id))

    def unmatch(self, sha256: str) -> bool:
        """Take the owner's word back; returns whether there was one."""
        return self._database.write(lambda it, now: _unmatch(it, now, sha256))

    def lock(self, sha256: str, values: Mapping[str, Any]) -> None:
        """Keep these values of fields, by name, from now on. Repeats: the new values count."""
        self._database.write(lambda it, now: _lock(it, now, sha256, values))

    def unlock(self, sha256: str, fields: Sequence[str] | None) -> list[str]:
        """Let go of fields (None: of all); returns the names of those that were locked."""
        return self._database.write(lambda it, now: _unlock(it, now, sha256, fields))

    def locked(self, sha256: str) -> list[str]:
        """Name the locked fields."""
        wanted = select(pin.c.field).where(pin.c.sha256 == sha256).order_by(pin.c.field)
        return self._database.read(lambda it, _now: list(it.execute(wanted).scalars()))

    def ignore_updates(self, model_id: int, *, ignore: bool) -> None:
        """Tell no more of newer versions of this model, or tell again."""
        self._database.write(lambda it, now: _ignore(it, now, model_id, ignore=ignore))


def _match(connection: Connection, now: datetime, sha256: str, card: Card, again_in_s: float) -> None:
    row = _word(connection, now, sha256)
    due_at = now + timedelta(seconds=again_in_s)
    values = {
        **NO_LEASE,
        **NO_TROUBLE,
        **found_values(card, None),
        "fence": row.fence + 1,  # what was asked about an earlier word does not count
        "answered_at": now,
        "due_at": due_at,
        "pull_at": due_at,
    }
    write_rows(connection, question, [(row.id, values)])
    _tell(connection, now, sha256, "owner_matched", {"version_id": card.version_id})


def _match_later(connection: Connection, now: datetime, sha256: str, version_id: int) -> None:
    row = _word(connection, now, sha256)
    values = {
        **NO_LEASE,
        **NO_TROUBLE,
        "fence": row.fence + 1,
        "version_id": version_id,
        "due_at": now,
        "pull_at": now,
    }
    write_rows(connection, question, [(row.id, values)])
    write_stories(
        connection, now, [Story(name="owner_matched", hash=sha256, detail={"version_id": version_id})]
    )


def _word(connection: Connection, now: datetime, sha256: str) -> Record:
    """Lock the row of the owner's word, made if there is none."""
    key = {"hash_kind": HashKind.SHA256.value, "hash": sha256, "provider": OWNER}
    insert_absent(connection, question, [{**key, "background": True, "due_at": now, "pull_at": now}])
    return connection.execute(select(question).filter_by(**key).with_for_update()).one()


def _unmatch(connection: Connection, now: datetime, sha256: str) -> bool:
    theirs = delete(question).where(question.c.provider == OWNER, question.c.hash == sha256)
    there = connection.execute(theirs).rowcount > 0
    if there:
        _tell(connection, now, sha256, "owner_unmatched", {})
    return there


def _lock(connection: Connection, now: datetime, sha256: str, values: Mapping[str, Any]) -> None:
    rows = [
        {"sha256": sha256, "field": name, "value": value, "folded": _folded(value), "pinned_at": now}
        for name, value in values.items()
    ]
    insert_or_update(connection, pin, rows, ("value", "folded", "pinned_at"))
    _tell(connection, now, sha256, "fields_locked", {"fields": sorted(values)})


def _folded(value: object) -> str:
    words = value if isinstance(value, list | tuple) else [value]
    return "\n".join(word for word in words if isinstance(word, str)).casefold()


def _unlock(connection: Connection, now: datetime, sha256: str, fields: Sequence[str] | None) -> list[str]:
    which = pin.c.sha256 == sha256 if fields is None else (pin.c.sha256 == sha256) & pin.c.field.in_(fields)
    gone = sorted(connection.execute(delete(pin).where(which).returning(pin.c.field)).scalars())
    if gone:
        _tell(connection, now, sha256, "fields_unlocked", {"fields": gone})
    return gone


def _ignore(connection: Connection, now: datetime, model_id: int, *, ignore: bool) -> None:
    if ignore:
        insert_absent(connection, ignored_update, [{"model_id": model_id, "ignored_at": now}])
    else:
        connection.execute(delete(ignored_update).where(ignored_update.c.model_id == model_id))


def _tell(connection: Connection, now: datetime, sha256: str, name: str, detail: Mapping[str, Any]) -> None:
    write_stories(connection, now, [Story(name=name, hash=sha256, detail=dict(detail))])
    ids = connection.execute(
        select(file.c.id).where(file.c.sha256 == sha256, file.c.gone_at.is_(None)).order_by(file.c.id)
    ).scalars()
    wake_publish(connection, now, list(ids))
