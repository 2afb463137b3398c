"""How a fetched file enters the catalog: hashed already, known already, due to be published at once."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, and_, select

from hashtagd.catalog.answers import volunteer
from hashtagd.catalog.claims import is_free
from hashtagd.catalog.folders import distrust_folders
from hashtagd.catalog.notes import is_same
from hashtagd.catalog.outcomes import answered_hashes, patience_s, question_row
from hashtagd.catalog.rows import (
    NO_FACTS,
    NO_LEASE,
    NO_TROUBLE,
    Record,
    digests_of,
    digests_values,
    header_of,
    insert_absent,
    place_of,
    stamp_of,
    stamp_values,
    write_rows,
)
from hashtagd.catalog.stories import Story, write_stories
from hashtagd.catalog.tables import file, question
from hashtagd.catalog.transfer_table import transfer
from hashtagd.core import schedule
from hashtagd.core.place import Place, Stamp
from hashtagd.core.transfer import Fetched, TransferClaim
from hashtagd.core.work import Answered, Found, HashKind, Put, QuestionKey, Stage

#: when a model that was known before it was here is asked about: no jitter is needed, they are few
_AGAIN_S: Final = schedule.hit_again_s(0.0)


def land(connection: Connection, now: datetime, landed: Sequence[tuple[TransferClaim, Fetched]]) -> None:
    """Put fetched files into the catalog, with the answers that were given about them before.

    A place at which something else lies by now is left to the scan.
    """
    for claim, fetched in landed:
        place = claim.wanted.place
        distrust_folders(connection, {(place.root, place.folder)})
        if not _enter(connection, now, place, fetched):
            continue
        insert_absent(connection, question, [question_row(put, now) for put in fetched.questions])
        sha256, card = fetched.digests.sha256, claim.wanted.card
        if card is not None and claim.wanted.sha256 == sha256:
            key = QuestionKey(hash_kind=HashKind.SHA256, hash=sha256, provider=card.provider)
            # last: it makes the file due at once
            said = Answered(answer=Found(card=card), again_in_s=_AGAIN_S)
            volunteer(connection, now, Put(key=key), said)


def land_twin(connection: Connection, now: datetime, source: Place, twin: Place, stamp: Stamp) -> bool:
    """Put a file into the catalog that was made out of one that is known: hashed already, due at once.

    Returns whether it was: neither the source nor the twin may be another than whoever made it saw.
    """
    at_source = select(file).where(file.c.root == source.root, file.c.relpath == source.relpath)
    row = connection.execute(at_source.where(file.c.gone_at.is_(None))).first()
    digests = None if row is None else digests_of(row)
    if row is None or digests is None or row.size_bytes != stamp.size_bytes:
        return False
    distrust_folders(connection, {(twin.root, twin.folder)})
    fetched = Fetched(stamp=stamp, digests=digests, header=header_of(row))
    return _enter(connection, now, twin, fetched, story="file_linked")


def unpublished(connection: Connection, now: datetime, roots: Sequence[str]) -> list[Place]:
    """List where fetched files lie that could be published now and never were, by root and path.

    Whoever fetched them was killed before. What may be what kills is not among them.
    """
    same = and_(file.c.root == transfer.c.root, file.c.relpath == transfer.c.relpath)
    waits = and_(
        file.c.root.in_(roots),
        file.c.gone_at.is_(None),
        file.c.stage == Stage.PUBLISH.value,
        file.c.published_at.is_(None),
        file.c.due_at <= now,
        file.c.attempts < schedule.MAX_ATTEMPTS,
        is_free(file, now),
    )
    rows = connection.execute(
        select(file.c.root, file.c.relpath)
        .join(transfer, same)
        .where(waits, transfer.c.done_at.is_not(None))
        .distinct()
        .order_by(file.c.root, file.c.relpath)
    )
    return [place_of(row) for row in rows]


def _enter(
    connection: Connection, now: datetime, place: Place, fetched: Fetched, *, story: str = "file_fetched"
) -> bool:
    """Write the file's row; returns whether the fetched bytes still lie there, as far as anybody knows."""
    entry = _entry(connection, now, fetched)
    new = {
        "root": place.root,
        "relpath": place.relpath,
        "folder": place.folder,
        "name": place.name,
        "folded": place.relpath.casefold(),
        "first_seen_at": now,
    }
    # the new row first: another machine may note the very file at this moment
    insert_absent(connection, file, [{**new, **entry}])
    at_place = select(file).where(file.c.root == place.root, file.c.relpath == place.relpath)
    row = connection.execute(at_place.with_for_update()).one()
    is_back = row.gone_at is not None
    if not is_back and not is_same(stamp_of(row), fetched.stamp):
        return False
    if is_back or not _knows(row, fetched):
        write_rows(connection, file, [(row.id, {**entry, **_anew(row, fetched, now)})])
    write_stories(connection, now, [Story(name=story, file_id=row.id)])
    return True


def _entry(connection: Connection, now: datetime, fetched: Fetched) -> dict[str, Any]:
    """Give what a file row holds of fetched bytes, whatever it held before."""
    sha256 = fetched.digests.sha256
    is_answered = sha256 in answered_hashes(connection, [sha256])
    wait_s = patience_s(fetched.questions, is_answered=is_answered)
    return {
        **NO_FACTS,
        **stamp_values(fetched.stamp),
        **digests_values(fetched.digests),
        "header": None if fetched.header is None else fetched.header.to_json(),
        "stage": Stage.PUBLISH.value,
        "due_at": now + timedelta(seconds=wait_s),
        "still_since": now,
    }


def _knows(row: Record, fetched: Fetched) -> bool:
    """Tell whether the row of a live file says of these bytes what is to be said: it was there before."""
    known = (row.stage, row.sha256)
    return known == (Stage.PUBLISH.value, fetched.digests.sha256)


def _anew(row: Record, fetched: Fetched, now: datetime) -> dict[str, Any]:
    """Let a row begin with the fetched bytes; whoever is at it comes too late with what he found."""
    return {
        **NO_LEASE,
        **NO_TROUBLE,
        "fence": row.fence + 1,
        "gone_at": None,
        "republish": False,
        "first_seen_at": row.first_seen_at if row.gone_at is None else now,
        # numbers that were not trusted in this root prove nothing now
        "inode": row.inode and fetched.stamp.inode,
    }
