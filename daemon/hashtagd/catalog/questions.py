"""Claiming questions: which are due, which may join a round, and what the provider may look at."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, true, update

from hashtagd.catalog.claims import claimable_at, is_free, lease_values
from hashtagd.catalog.outcomes import question_row
from hashtagd.catalog.rows import Record, chunks, digests_of, header_of, insert_absent
from hashtagd.catalog.tables import file, question
from hashtagd.core.work import HashKind, QuestionClaim, QuestionKey, Subject, Waiting

#: a question nobody has a file for is kept, but not asked
_HAS_A_FILE = or_(
    *(
        and_(
            question.c.hash_kind == kind.value,
            select(file.c.id).where(column == question.c.hash, file.c.gone_at.is_(None)).exists(),
        )
        for kind, column in ((HashKind.SHA256, file.c.sha256), (HashKind.TENSORS, file.c.tensors_sha256))
    )
)


def waiting(connection: Connection, now: datetime, provider: str, *, background: bool) -> Waiting:
    """Count the questions that could be claimed now because they are due."""
    due, oldest_due_at = connection.execute(
        select(func.count(), func.min(question.c.due_at)).where(
            question.c.due_at <= now, _askable(provider, now, background=background)
        )
    ).one()
    return Waiting(due=due, oldest_due_at=oldest_due_at)


def next_question_due(connection: Connection, provider: str, *, background: bool) -> datetime | None:
    """Find when the next question can be claimed; None when none is planned."""
    return connection.execute(
        select(func.min(claimable_at(question))).where(
            question.c.due_at.is_not(None),
            question.c.provider == provider,
            _class(background=background),
            _HAS_A_FILE,
        )
    ).scalar_one()


def take_questions(
    connection: Connection, now: datetime, *, owner: str, provider: str, limit: int, background: bool
) -> list[QuestionClaim]:
    """Lease questions for one round: the due ones, first answers first, then those that may be pulled in."""
    chosen = (
        select(question.c.id)
        .where(question.c.pull_at <= now, _askable(provider, now, background=background))
        .order_by(question.c.background, question.c.due_at, question.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("chosen")
    )
    rows = connection.execute(
        update(question)
        .where(question.c.id.in_(select(chosen.c.id)))
        .values(**lease_values(question, owner, now))
        .returning(question)
    ).all()
    subjects = _subjects(connection, rows)
    ordered = sorted(rows, key=lambda row: (row.background, row.due_at, row.id))
    return [_claim(row, subjects[row.id]) for row in ordered if row.id in subjects]


def is_any_missing(connection: Connection, provider: str) -> bool:
    """Tell whether there is a hash that this provider was never asked about, without the lock of writers."""
    return connection.execute(_unasked(provider).limit(1)).first() is not None


def put_missing(connection: Connection, now: datetime, provider: str) -> int:
    """Put the first question about the bytes of every live file to a provider; returns how many were put."""
    hashes = list(connection.execute(_unasked(provider)).scalars())
    keys = (QuestionKey(hash_kind=HashKind.SHA256, hash=it, provider=provider) for it in hashes)
    for some in chunks(keys):
        insert_absent(connection, question, [question_row(key, now) for key in some])
    return len(hashes)


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


def _askable(provider: str, now: datetime, *, background: bool) -> ColumnElement[bool]:
    return and_(
        question.c.provider == provider, _class(background=background), is_free(question, now), _HAS_A_FILE
    )


def _class(*, background: bool) -> ColumnElement[bool]:
    return true() if background else question.c.background.is_(False)


def _subjects(connection: Connection, rows: Sequence[Record]) -> dict[int, Subject]:
    """Describe each question's bytes by any file that has them."""
    subjects: dict[int, Subject] = {}
    for kind, column in ((HashKind.SHA256, file.c.sha256), (HashKind.TENSORS, file.c.tensors_sha256)):
        by_hash = {row.hash: row.id for row in rows if row.hash_kind == kind.value}
        for hashes in chunks(sorted(by_hash)):
            for found in connection.execute(_files_of(column, hashes)):
                subject = _subject(found)
                if subject is not None:
                    subjects.setdefault(by_hash[found.asked_hash], subject)
    return subjects


def _files_of(column: ColumnElement[str], hashes: Sequence[str]) -> Select[Any]:
    return (
        select(file, column.label("asked_hash"))
        .where(column.in_(hashes), file.c.gone_at.is_(None))
        .order_by(file.c.id)
    )


def _subject(row: Record) -> Subject | None:
    try:
        digests = digests_of(row)
        header = header_of(row)
    except (ValueError, TypeError):
        return None  # another machine wrote nonsense; the lease ends by itself
    return None if digests is None else Subject(digests=digests, header=header, size_bytes=row.size_bytes)


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
