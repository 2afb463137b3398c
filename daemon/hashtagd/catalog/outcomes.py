"""`apply`: how the outcomes of file claims change rows. A result that comes too late changes nothing."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, select

from hashtagd.catalog.claims import held_rows
from hashtagd.catalog.folders import distrust_folders
from hashtagd.catalog.leaving import leave, wake_lookalikes
from hashtagd.catalog.moves import Known, carried
from hashtagd.catalog.notes import IMPATIENCE, gone_values, restart_values
from hashtagd.catalog.publications import publication_row, settle_publications
from hashtagd.catalog.rows import (
    NO_LEASE,
    NO_TROUBLE,
    Record,
    chunks,
    digests_values,
    insert_absent,
    write_rows,
)
from hashtagd.catalog.stories import Story, with_trouble, write_stories
from hashtagd.catalog.tables import file, question
from hashtagd.core import schedule
from hashtagd.core.work import (
    Advance,
    Claim,
    Defer,
    Digested,
    Forget,
    HashKind,
    Outcome,
    Park,
    Publication,
    Published,
    Put,
    Release,
    Restart,
    Settled,
    Stage,
    Swept,
)

#: how long a file that was seen changing rests before the next look, where the root's setting is not known
DEFAULT_QUIET_S: Final = 10.0

#: what outcomes ask of a row; headers are large and stay where they are
_NEEDED: Final = (
    *(file.c.attempts, file.c.republish, file.c.root, file.c.folder, file.c.name, file.c.sha256),
    file.c.gone_at,
)


@dataclass(slots=True)
class _Batch:
    """The writes of one batch of outcomes."""

    now: datetime
    quiet_s: Mapping[str, float]
    #: hashes that somebody has answered for
    answered: frozenset[str]
    #: bytes that may have come from another place
    elsewhere: Known
    changes: list[tuple[int, Mapping[str, Any]]] = field(default_factory=list)
    stories: list[Story] = field(default_factory=list)
    #: by file: everything that is on disk for it
    publications: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    #: what was written for other files and is not on disk any more
    removed: list[Publication] = field(default_factory=list)
    #: rows that are marked gone here
    lost: list[Record] = field(default_factory=list)
    #: rows that are gone and whose artifacts were removed
    swept: list[Record] = field(default_factory=list)
    #: (root, folder) whose rows differ now from what a scan saw
    folders: set[tuple[str, str]] = field(default_factory=set)
    questions: list[dict[str, Any]] = field(default_factory=list)

    def after(self, wait_s: float) -> datetime:
        """Give the moment after a wait."""
        return self.now + timedelta(seconds=wait_s)


def apply_outcomes(
    connection: Connection,
    now: datetime,
    results: Sequence[tuple[Claim, Outcome]],
    quiet_s: Mapping[str, float],
) -> list[bool]:
    """Write outcomes; returns for each whether its claim still held."""
    fences = {claim.file_id: claim.fence for claim, _ in results}
    held = held_rows(connection, file, fences, _NEEDED)
    digested = [
        outcome.facts
        for _, outcome in results
        if isinstance(outcome, Advance) and isinstance(outcome.facts, Digested)
    ]
    restarted = [outcome.stamp for _, outcome in results if isinstance(outcome, Restart)]
    batch = _Batch(
        now=now,
        quiet_s=quiet_s,
        answered=answered_hashes(connection, {facts.digests.sha256 for facts in digested}),
        elsewhere=Known(connection, restarted),
    )
    applied = []
    for claim, outcome in results:
        row = held.pop(claim.file_id, None)  # popped: a claim ends once
        applied.append(row is not None)
        if row is not None:
            news = claim.stage is Stage.SETTLE and row.republish
            is_gone = row.gone_at is not None
            values = (
                _gone_values(batch, row, claim, outcome)
                if is_gone
                else _values(batch, row, claim, _once_more(outcome) if news else outcome)
            )
            batch.changes.append((row.id, {**NO_LEASE, **values}))
    insert_absent(connection, question, batch.questions)
    write_rows(connection, file, batch.changes)
    settle_publications(connection, batch.publications, batch.removed, fences.keys())
    leave(connection, now, batch.lost)
    wake_lookalikes(connection, now, batch.swept)
    distrust_folders(connection, batch.folders)
    write_stories(connection, now, batch.stories)
    return applied


def question_row(put: Put, now: datetime) -> dict[str, Any]:
    """Give the row of a new question, due now."""
    return {
        "hash_kind": put.key.hash_kind.value,
        "hash": put.key.hash,
        "provider": put.key.provider,
        "background": put.background,
        "due_at": now,
        "pull_at": now,
    }


def answered_hashes(connection: Connection, hashes: Collection[str]) -> frozenset[str]:
    """Tell which of these hashes of whole files somebody has answered for."""
    return frozenset(
        found
        for some in chunks(sorted(hashes))
        for found in connection.execute(
            select(question.c.hash).where(
                question.c.hash.in_(some),
                question.c.hash_kind == HashKind.SHA256.value,
                question.c.verdict.is_not(None),
            )
        ).scalars()
    )


def _once_more(outcome: Outcome) -> Outcome:
    """Let no verdict stand on bytes that were seen otherwise meanwhile: no scan would tell of them again."""
    match outcome:
        case Park() | Forget():
            return Defer(trouble=None, wait_s=0.0)
        case Defer():
            return replace(outcome, wait_s=min(outcome.wait_s, IMPATIENCE.total_seconds()))
        case _:
            return outcome


def _values(batch: _Batch, row: Record, claim: Claim, outcome: Outcome) -> Mapping[str, Any]:
    match outcome:
        case Advance():
            return _advance(batch, row, claim, outcome)
        case Defer():
            return _defer(batch, row, outcome)
        case Release():
            return _release(batch, row, outcome)
        case Park():
            batch.stories.append(
                Story(name="file_parked", file_id=row.id, detail=with_trouble(outcome.trouble))
            )
            return {"due_at": None, "parked_at": batch.now, "trouble": outcome.trouble.to_json()}
        case Restart():
            batch.stories.append(Story(name="file_changed", file_id=row.id))
            batch.folders.add((row.root, row.folder))
            quiet = timedelta(seconds=batch.quiet_s.get(row.root, DEFAULT_QUIET_S))
            still_since = min(outcome.still_since or batch.now, batch.now)
            source = batch.elsewhere.source(outcome.stamp, claim.place)
            values = restart_values(
                row.fence, outcome.stamp, still_since=still_since, due_at=still_since + quiet
            )
            return values if source is None else values | carried(source)
        case _:  # Forget
            batch.stories.append(Story(name="file_gone", file_id=row.id))
            batch.folders.add((row.root, row.folder))
            batch.lost.append(row)
            return gone_values(row.fence, batch.now)


def _gone_values(batch: _Batch, row: Record, claim: Claim, outcome: Outcome) -> Mapping[str, Any]:
    """End a sweep; whatever keeps a file that is gone from being swept for good is no more than that."""
    match outcome:
        case Advance(facts=Swept(publications=left)):
            batch.publications[row.id] = _publication_rows(batch, claim, left)
            if len(left) < len(claim.publications):
                batch.stories.append(Story(name="artifacts_swept", file_id=row.id))
                batch.swept.append(row)
        case Defer():
            return _defer(batch, row, outcome)
        case Release():
            return _release(batch, row, outcome)
        case _:
            pass
    return {**NO_TROUBLE, "due_at": None}


def _advance(batch: _Batch, row: Record, claim: Claim, outcome: Advance) -> Mapping[str, Any]:
    match outcome.facts:
        case Settled() as settled:
            return _settled(batch, row, settled)
        case Digested() as digested:
            return _digested(batch, row, digested)
        case Published() as published:
            return _published(batch, row, claim, published)
        case _:
            raise TypeError("an answer is no outcome of a file")


def _settled(batch: _Batch, row: Record, facts: Settled) -> Mapping[str, Any]:
    batch.stories.append(Story(name="file_settled", file_id=row.id))
    stage = (
        Stage.DIGEST if row.sha256 is None else Stage.PUBLISH
    )  # bytes known from elsewhere are not read again
    batch.questions += [question_row(put, batch.now) for put in facts.questions]
    return {
        **NO_TROUBLE,
        "stage": stage.value,
        "due_at": batch.now,
        "header": None if facts.header is None else facts.header.to_json(),
        "claimed_tensors_sha256": facts.claimed_tensors_sha256,
    }


def patience_s(questions: Sequence[Put], *, is_answered: bool) -> float:
    """Say how long a hashed file waits to be published: not at all where nobody is going to be asked."""
    if is_answered or all(put.background for put in questions):
        return 0.0
    return schedule.FIRST_ANSWER_PATIENCE_S


def _digested(batch: _Batch, row: Record, facts: Digested) -> Mapping[str, Any]:
    batch.stories.append(Story(name="file_digested", file_id=row.id))
    wait_s = patience_s(facts.questions, is_answered=facts.digests.sha256 in batch.answered)
    batch.questions += [question_row(put, batch.now) for put in facts.questions]
    return {
        **NO_TROUBLE,
        **digests_values(facts.digests),
        "claimed_tensors_sha256": None,
        "stage": Stage.PUBLISH.value,
        "due_at": batch.after(wait_s),
    }


def _published(batch: _Batch, row: Record, claim: Claim, facts: Published) -> Mapping[str, Any]:
    batch.stories.append(Story(name="file_published", file_id=row.id, detail=with_trouble(facts.trouble)))
    batch.publications[row.id] = _publication_rows(batch, claim, facts.publications)
    batch.removed += facts.removed
    due_at = None if facts.again_in_s is None else batch.after(facts.again_in_s)
    return {
        **NO_TROUBLE,
        "published_at": batch.now,
        "due_at": batch.now if row.republish else due_at,
        "trouble": None if facts.trouble is None else facts.trouble.to_json(),
    }


def _publication_rows(
    batch: _Batch, claim: Claim, publications: Sequence[Publication]
) -> list[dict[str, Any]]:
    return [{**publication_row(claim, item), "written_at": batch.now} for item in publications]


def _release(batch: _Batch, row: Record, outcome: Release) -> Mapping[str, Any]:
    values: dict[str, Any] = {"attempts": max(row.attempts - 1, 0)}
    if outcome.wait_s and outcome.trouble is not None:
        values |= {"due_at": batch.after(outcome.wait_s), "trouble": outcome.trouble.to_json()}
    return values


def _defer(batch: _Batch, row: Record, outcome: Defer) -> Mapping[str, Any]:
    if outcome.trouble is not None:  # plain waiting is no story
        batch.stories.append(
            Story(name="file_deferred", file_id=row.id, detail=with_trouble(outcome.trouble))
        )
    trouble = None if outcome.trouble is None else outcome.trouble.to_json()
    return {"due_at": batch.after(outcome.wait_s), "trouble": trouble}
