"""Claiming questions: which are due, which may join a round, and what the provider may look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, func, null, or_, select, update

from hashtagd.catalog.asked import HAS_A_FILE
from hashtagd.catalog.claims import claimable_at, is_free, lease_values
from hashtagd.catalog.outcomes import question_row
from hashtagd.catalog.rows import TENSORS_ASKED, Record, chunks, digests_of, header_of, insert_absent
from hashtagd.catalog.tables import file, question
from hashtagd.core import schedule
from hashtagd.core.chain import Chain
from hashtagd.core.digests import Digests
from hashtagd.core.work import HashKind, Put, QuestionClaim, QuestionKey, Subject, Waiting

#: what tells a provider of a file, besides its header
_DESCRIBED: Final = (
    *(file.c.sha256, file.c.tensors_sha256, file.c.blake3, file.c.crc32),
    file.c.size_bytes,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which questions to lease for a round."""

    provider: str
    kind: HashKind = HashKind.SHA256
    limit: int
    #: whether the provider looks at what files say of themselves
    headers: bool = True


def waiting(connection: Connection, now: datetime, provider: str, kind: HashKind) -> Waiting:
    """Count the questions that could be claimed now because they are due."""
    due, oldest_due_at = connection.execute(
        select(func.count(), func.min(question.c.due_at)).where(
            question.c.due_at <= now, _askable(provider, kind, now)
        )
    ).one()
    return Waiting(due=due, oldest_due_at=oldest_due_at)


def next_question_due(connection: Connection, provider: str, kind: HashKind) -> datetime | None:
    """Find when the next question can be claimed; None when none is planned.

    Lanes that have nothing to do ask this all day long, so neither half walks over all questions.
    """
    free = select(question.c.due_at).where(_is_to(provider, kind), HAS_A_FILE)
    free = free.where(question.c.due_at.is_not(None), question.c.lease_until.is_(None))
    held = select(func.min(claimable_at(question))).where(_is_to(provider, kind), HAS_A_FILE)
    held = held.where(question.c.lease_until.is_not(None))
    halves = (free.order_by(question.c.due_at).limit(1), held)
    found = (connection.execute(it).scalar_one_or_none() for it in halves)
    return min((at for at in found if at is not None), default=None)


def take_questions(
    connection: Connection, now: datetime, *, owner: str, wanted: Wanted
) -> list[QuestionClaim]:
    """Lease questions for one round: the due ones first, then those that may be pulled in."""
    chosen = (
        select(question.c.id)
        .where(question.c.pull_at <= now, _askable(wanted.provider, wanted.kind, now))
        .order_by(question.c.due_at, question.c.id)
        .limit(wanted.limit)
        .with_for_update(skip_locked=True)
        .cte("chosen")
    )
    rows = connection.execute(
        update(question)
        .where(question.c.id.in_(select(chosen.c.id)))
        .values(**lease_values(question, owner, now))
        .returning(question)
    ).all()
    subjects = _subjects(connection, rows, wanted)
    ordered = sorted(rows, key=lambda row: (row.due_at, row.id))
    return [_claim(row, subjects[row.id]) for row in ordered if row.id in subjects]


def is_any_missing(connection: Connection, chain: Chain) -> bool:
    """Tell whether there is a hash that nobody was asked about, without the lock of writers."""
    return any(
        connection.execute(_unasked(put.key.provider).limit(1)).first() is not None for put in chain.first("")
    )


def put_missing(connection: Connection, now: datetime, chain: Chain) -> int:
    """Put the first questions about the bytes of every live file; returns how many hashes lacked one."""
    lacking: set[str] = set()
    for number, sample in enumerate(chain.first("")):
        hashes = list(connection.execute(_unasked(sample.key.provider)).scalars())
        lacking.update(hashes)
        put_questions(connection, now, [chain.first(it)[number] for it in hashes])
    return len(lacking)


def puts_passed_on(connection: Connection, now: datetime, chain: Chain) -> list[Put]:
    """List the questions to the next ones about what a provider does not know, or is silent about for a week.

    Only those that were never put: to a provider that the settings named later, and behind a site that is
    away. The silent one stays due: its word counts whenever it comes.
    """
    silent_since = now - timedelta(seconds=schedule.SILENCE_S)
    unanswered = and_(question.c.verdict.is_(None), question.c.due_at <= silent_since)
    passed = select(question.c.hash, question.c.provider).where(
        question.c.hash_kind == HashKind.SHA256.value,
        or_(question.c.verdict == "absent", unanswered),
        HAS_A_FILE,
    )
    rows = connection.execute(passed).all()
    there = {
        (row.hash, row.provider)
        for some in chunks(sorted({row.hash for row in rows}))
        for row in connection.execute(
            select(question.c.hash, question.c.provider).where(
                question.c.hash.in_(some), question.c.hash_kind == HashKind.SHA256.value
            )
        )
    }
    puts = (put for row in rows for put in chain.after(row.provider, Digests(sha256=row.hash)))
    return [put for put in puts if (put.key.hash, put.key.provider) not in there]


def put_questions(connection: Connection, now: datetime, puts: Sequence[Put]) -> int:
    """Put questions; those that were put before stay as they are. Returns how many were named."""
    for some in chunks(puts):
        insert_absent(connection, question, [question_row(put, now) for put in some])
    return len(puts)


def _unasked(provider: str) -> Select[Any]:
    asked = select(question.c.id).where(
        question.c.hash == file.c.sha256,
        question.c.hash_kind == HashKind.SHA256.value,
        question.c.provider == provider,
    )
    return (
        select(file.c.sha256)
        .where(file.c.sha256.is_not(None), file.c.gone_at.is_(None), ~asked.exists())
        .distinct()
        .order_by(file.c.sha256)
    )


def _askable(provider: str, kind: HashKind, now: datetime) -> ColumnElement[bool]:
    return and_(_is_to(provider, kind), is_free(question, now), HAS_A_FILE)


def _is_to(provider: str, kind: HashKind) -> ColumnElement[bool]:
    return and_(question.c.provider == provider, question.c.hash_kind == kind.value)


def _subjects(connection: Connection, rows: Sequence[Record], wanted: Wanted) -> dict[int, Subject]:
    """Describe each question's bytes by any file that has them."""
    column = file.c.sha256 if wanted.kind is HashKind.SHA256 else TENSORS_ASKED
    by_hash = {row.hash: row for row in rows}
    subjects: dict[int, Subject] = {}
    for hashes in chunks(sorted(by_hash)):
        for found in connection.execute(_files_of(column, hashes, headers=wanted.headers)):
            asked = by_hash[found.asked_hash]
            subject = _subject(found, asked)
            if subject is not None:
                subjects.setdefault(asked.id, subject)
    return subjects


def _files_of(column: ColumnElement[str], hashes: Sequence[str], *, headers: bool) -> Select[Any]:
    header = file.c.header if headers else null().label("header")
    return (
        select(*_DESCRIBED, header, column.label("asked_hash"))
        .where(column.in_(hashes), file.c.gone_at.is_(None))
        .order_by(file.c.sha256.is_(None), file.c.id)  # one that was read is described best
    )


def _subject(row: Record, asked: Record) -> Subject | None:
    try:
        digests = digests_of(row)
        header = header_of(row)
    except (ValueError, TypeError):
        return None  # another machine wrote nonsense; the lease ends by itself
    return Subject(
        hash=asked.hash,
        digests=digests,
        header=header,
        size_bytes=row.size_bytes,
        times_absent=asked.times_absent,
        version_id=asked.version_id,
    )


def _claim(row: Record, subject: Subject) -> QuestionClaim:
    return QuestionClaim(
        question_id=row.id,
        fence=row.fence,
        key=QuestionKey(hash_kind=HashKind(row.hash_kind), hash=row.hash, provider=row.provider),
        subject=subject,
        times_answered=row.times_answered,
        times_absent=row.times_absent,
        answered_at=row.answered_at,
    )
