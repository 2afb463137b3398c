"""How a fetched file enters the catalog: hashed already, known already, due to be published at once."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, select

from hashtagd.catalog.answers import found_values
from hashtagd.catalog.folders import distrust_folders
from hashtagd.catalog.outcomes import question_row
from hashtagd.catalog.rows import (
    NO_FACTS,
    NO_LEASE,
    NO_TROUBLE,
    Record,
    digests_values,
    insert_absent,
    stamp_of,
    stamp_values,
    write_rows,
)
from hashtagd.catalog.stories import Story, write_stories
from hashtagd.catalog.tables import file, question
from hashtagd.core import schedule
from hashtagd.core.card import Card
from hashtagd.core.place import Place
from hashtagd.core.transfer import Fetched, TransferClaim
from hashtagd.core.work import HashKind, Stage

#: so much later than it was promised, a known model is asked about again: no jitter is needed, they are few
_AGAIN_S: Final = schedule.hit_again_s(0.0)


def land(connection: Connection, now: datetime, landed: Sequence[tuple[TransferClaim, Fetched]]) -> None:
    """Put fetched files into the catalog, with the answers that were given about them before.

    A place at which something else lies by now is left to the scan.
    """
    for claim, fetched in landed:
        place = claim.wanted.place
        row = connection.execute(
            select(file).where(file.c.root == place.root, file.c.relpath == place.relpath).with_for_update()
        ).one_or_none()
        if row is not None and row.gone_at is None and stamp_of(row) != fetched.stamp:
            continue
        is_known = _answer(connection, now, claim, fetched)
        due_at = now if is_known else now + timedelta(seconds=schedule.FIRST_ANSWER_PATIENCE_S)
        entry = _entry(now, due_at, fetched)
        _enter(connection, now, claim.wanted.place, row, entry)
        distrust_folders(connection, {(place.root, place.folder)})


def _entry(now: datetime, due_at: datetime, fetched: Fetched) -> dict[str, Any]:
    """Give what a file row holds of fetched bytes, whatever it held before."""
    return {
        **NO_FACTS,
        **stamp_values(fetched.stamp),
        **digests_values(fetched.digests),
        "header": None if fetched.header is None else fetched.header.to_json(),
        "stage": Stage.PUBLISH.value,
        "due_at": due_at,
        "still_since": now,
    }


def _enter(
    connection: Connection, now: datetime, place: Place, row: Record | None, entry: dict[str, Any]
) -> None:
    if row is None:
        named = {"root": place.root, "relpath": place.relpath, "folder": place.folder, "name": place.name}
        new = {**named, **entry, "folded": place.relpath.casefold(), "first_seen_at": now}
        insert_absent(connection, file, [new])
    else:
        known = {} if row.gone_at is None else {"first_seen_at": now}
        # whoever looked at it meanwhile comes too late with what he found
        again = {**NO_LEASE, **NO_TROUBLE, "fence": row.fence + 1, "gone_at": None, "republish": False}
        write_rows(connection, file, [(row.id, {**entry, **again, **known})])
    at_place = select(file.c.id).where(file.c.root == place.root, file.c.relpath == place.relpath)
    file_id = connection.execute(at_place).scalar_one()
    write_stories(connection, now, [Story(name="file_fetched", file_id=file_id)])


def _answer(connection: Connection, now: datetime, claim: TransferClaim, fetched: Fetched) -> bool:
    """Keep what is known of the bytes; returns whether anything is."""
    sha256, card = fetched.digests.sha256, claim.wanted.card
    insert_absent(connection, question, [question_row(put, now) for put in fetched.questions])
    if card is None or claim.wanted.sha256 != sha256:
        return False
    key = {"hash_kind": HashKind.SHA256.value, "hash": sha256, "provider": card.provider}
    insert_absent(connection, question, [{**key, "background": False, "due_at": now, "pull_at": now}])
    row = connection.execute(select(question).filter_by(**key).with_for_update()).one()
    if row.verdict is None:
        write_rows(connection, question, [(row.id, _said(now, row, card))])
    return True


def _said(now: datetime, row: Record, card: Card) -> dict[str, Any]:
    due_at = now + timedelta(seconds=_AGAIN_S)
    return {
        **NO_LEASE,
        **NO_TROUBLE,
        **found_values(card, None),
        "fence": row.fence + 1,
        "answered_at": now,
        "due_at": due_at,
        "pull_at": due_at - timedelta(seconds=schedule.pull_in_s(_AGAIN_S)),
        "interval_s": _AGAIN_S,
    }
