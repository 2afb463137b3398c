"""`apply_answers`: how what a provider said changes its question, and which files are due for it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, select, update

from hashtagd.catalog.claims import held_rows
from hashtagd.catalog.outcomes import question_row
from hashtagd.catalog.rows import (
    NO_LEASE,
    NO_TROUBLE,
    OWNER,
    Record,
    answers_by_hash,
    card_of,
    card_values,
    chunks,
    insert_absent,
    insert_new,
    keys_of,
    write_rows,
)
from hashtagd.catalog.shown import CARD_COLUMNS, ignored_models, shown
from hashtagd.catalog.stories import Story, with_trouble, write_stories
from hashtagd.catalog.tables import file, question, told_update
from hashtagd.catalog.waking import wake_publish
from hashtagd.core import schedule
from hashtagd.core.card import Card, Update
from hashtagd.core.joining import GONE, SITE, vanished
from hashtagd.core.work import (
    Advance,
    Answered,
    Defer,
    Found,
    HashKind,
    Outcome,
    Park,
    Put,
    QuestionClaim,
    Release,
    Stage,
)

#: what answers ask of a row
_NEEDED: Final = (
    question.c.hash_kind,
    question.c.hash,
    question.c.provider,
    question.c.attempts,
    question.c.verdict,
    question.c.card,
    question.c.raw,
    question.c.version_id,
    question.c.update_version_id,
    question.c.answered_at,
    question.c.times_answered,
    question.c.times_absent,
)


@dataclass(slots=True)
class _Round:
    """The writes of one batch of answers."""

    now: datetime
    changes: list[tuple[int, Mapping[str, Any]]] = field(default_factory=list)
    questions: list[dict[str, Any]] = field(default_factory=list)
    stories: list[Story] = field(default_factory=list)
    #: rows as they were, for those whose card is another now, or that were answered for the first time
    news: dict[int, Record] = field(default_factory=dict)
    #: models of whose newer versions the owner wants to hear nothing
    ignored: frozenset[int] = frozenset()
    #: those of them whose Absent put a question to the next provider of the chain
    passed_on: set[int] = field(default_factory=set)
    #: hashes of what the site gave out before, and does not now: others may have it
    lost: set[str] = field(default_factory=set)
    #: newer versions that are told of, by model and version, with the row that told of each first
    newer: dict[tuple[int, int], tuple[int, Update]] = field(default_factory=dict)

    def after(self, wait_s: float) -> datetime:
        """Give the moment after a wait."""
        return self.now + timedelta(seconds=wait_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How the end of one claim was taken in; false where the claim did not hold any more."""

    held: bool
    #: a newer version that nobody was told of before
    newer: Update | None = None

    def __bool__(self) -> bool:
        """Tell whether the claim still held."""
        return self.held


def apply_answers(
    connection: Connection, now: datetime, results: Sequence[tuple[QuestionClaim, Outcome]]
) -> list[Kept]:
    """Write what was said; returns for each claim whether it still held, and what is news."""
    fences = {claim.question_id: claim.fence for claim, _ in results}
    held = held_rows(connection, question, fences, _NEEDED)
    asked = _Round(now=now, ignored=ignored_models(connection))
    rows = [held.pop(claim.question_id, None) for claim, _ in results]  # popped: a claim ends once
    for row, (_, outcome) in zip(rows, results, strict=True):
        if row is not None:
            asked.changes.append((row.id, {**NO_LEASE, **_values(asked, row, outcome)}))
    newer = _write(connection, asked)
    return [Kept(held=row is not None, newer=row and newer.get(row.id)) for row in rows]


def volunteer(connection: Connection, now: datetime, put: Put, facts: Answered) -> None:
    """Write what a provider told of a hash before it was asked about it.

    A card that it told before stays: it was given for this very question. One that it refused to know counts
    less than what it tells now, and whoever asks right now comes too late.
    """
    insert_absent(connection, question, [question_row(put, now)])
    key = {"hash_kind": put.key.hash_kind.value, "hash": put.key.hash, "provider": put.key.provider}
    row = connection.execute(select(question).filter_by(**key).with_for_update()).one()
    if row.card is None:
        told = _Round(now=now, ignored=ignored_models(connection))
        values = {**_answered(told, row, facts), "fence": row.fence + 1}
        told.changes.append((row.id, {**NO_LEASE, **values}))
        _write(connection, told)


def _write(connection: Connection, asked: _Round) -> dict[int, Update]:
    """Write a round; gives newer versions that nobody was told of before, by the row that tells of them."""
    write_rows(connection, question, asked.changes)
    insert_absent(connection, question, asked.questions)
    _wake_archives(connection, asked)
    write_stories(connection, asked.now, asked.stories)
    _wake_files(connection, asked)
    return _told_first(connection, asked)


def _wake_archives(connection: Connection, asked: _Round) -> None:
    """Let those who were asked before, and not since the site gave the files out, be asked at once."""
    for some in chunks(sorted(asked.lost)):
        connection.execute(
            update(question)
            .where(
                question.c.hash.in_(some),
                question.c.background,
                question.c.provider.not_in([SITE, OWNER]),
                question.c.due_at > asked.now,
                question.c.lease_owner.is_(None),
            )
            .values(due_at=asked.now, pull_at=asked.now)
        )


def _told_first(connection: Connection, asked: _Round) -> dict[int, Update]:
    """Remember of which newer versions is told now; gives the new ones, by the row that tells of them."""
    rows = [{"model_id": model, "version_id": it, "told_at": asked.now} for model, it in sorted(asked.newer)]
    made = insert_new(connection, told_update, rows)
    return dict(asked.newer[row.model_id, row.version_id] for row in made)


def found_values(card: Card, row: Record | None) -> dict[str, Any]:
    """Give what a card changes in a question."""
    return {**card_values(card), "verdict": "found", "times_absent": 0} | _counted(row)


def _values(asked: _Round, row: Record, outcome: Outcome) -> Mapping[str, Any]:
    match outcome:
        case Advance(facts=Answered() as facts):
            return _answered(asked, row, facts)
        case Defer():
            _tell(asked, row, "question_deferred", outcome)
            due_at = asked.after(outcome.wait_s)
            trouble = None if outcome.trouble is None else outcome.trouble.to_json()
            return {"due_at": due_at, "pull_at": due_at, "interval_s": 0.0, "trouble": trouble}
        case Release():
            return {"attempts": max(row.attempts - 1, 0)}
        case Park():
            _tell(asked, row, "question_parked", outcome)
            trouble = outcome.trouble.to_json()
            return {"due_at": None, "pull_at": None, "parked_at": asked.now, "trouble": trouble}
        case _:
            raise TypeError("this is no outcome of a question")


def _tell(asked: _Round, row: Record, name: str, outcome: Defer | Park) -> None:
    if outcome.trouble is not None:
        detail = {"provider": row.provider, **(with_trouble(outcome.trouble) or {})}
        asked.stories.append(Story(name=name, hash=row.hash, detail=detail))


def _answered(asked: _Round, row: Record, facts: Answered) -> Mapping[str, Any]:
    asked.questions += [question_row(put, asked.now) for put in facts.then]
    if any(not put.background for put in facts.then):  # one in the background is not answered in a moment
        asked.passed_on.add(row.id)
    due_at = asked.after(facts.again_in_s)
    values = {
        **NO_TROUBLE,
        "due_at": due_at,
        "pull_at": due_at - timedelta(seconds=schedule.pull_in_s(facts.again_in_s)),
        "interval_s": facts.again_in_s,
        "answered_at": asked.now,
    }
    answer = facts.answer
    is_given_out = isinstance(answer, Found) and answer.card.availability not in GONE
    if row.provider == SITE and _was_given_out(row) and not is_given_out:
        asked.lost.add(row.hash)
    said = _found(asked, row, answer.card) if isinstance(answer, Found) else _absent(asked, row)
    is_news = "card" in said and (said["card"], said["raw"]) != (row.card, row.raw)
    if is_news or row.verdict is None:
        asked.news[row.id] = row
    return values | said


def _was_given_out(row: Record) -> bool:
    return row.verdict == "found" and (row.card or {}).get("availability") not in GONE


def _found(asked: _Round, row: Record, card: Card) -> dict[str, Any]:
    said = found_values(card, row)
    asked.stories.append(Story(name="model_found", hash=row.hash, detail={"provider": row.provider}))
    if card.update is None or card.model_id is None or card.model_id in asked.ignored:
        return said
    asked.newer.setdefault((card.model_id, card.update.version_id), (row.id, card.update))
    if card.update.version_id != row.update_version_id:
        detail = {"provider": row.provider, **asdict(card.update)}
        asked.stories.append(Story(name="update_found", hash=row.hash, detail=detail))
    return said


def _absent(asked: _Round, row: Record) -> dict[str, Any]:
    """Keep the card of a model that was known and is not any more, and mark it."""
    said = _counted(row) | {"times_absent": row.times_absent + 1}
    known = card_of(row.card, row.raw)
    detail = {"provider": row.provider}
    if row.card is None:
        asked.stories.append(Story(name="model_absent", hash=row.hash, detail=detail))
        return said | {"verdict": "absent"}
    if known is not None and row.version_id not in (None, known.version_id):
        # the owner named another version since; that one is not there, and says nothing of this card
        asked.stories.append(Story(name="model_absent", hash=row.hash, detail=detail))
        return said
    if row.verdict != "vanished":
        asked.stories.append(Story(name="model_vanished", hash=row.hash, detail=detail))
    if known is None:
        return said | {"verdict": "vanished"}  # what is no card of ours cannot be marked
    return said | {"verdict": "vanished"} | card_values(vanished(known, asked.now))


def _counted(row: Record | None) -> dict[str, Any]:
    return {"times_answered": 1 if row is None else row.times_answered + 1}


def _wake_files(connection: Connection, asked: _Round) -> None:
    """Make those files due whose card is another now, or who hear their first answer."""
    concerned = _files_about(connection, list(asked.news.values()))
    hashes = (value for keys in concerned.values() for _, value in keys)
    said = answers_by_hash(connection, hashes, CARD_COLUMNS)
    due: list[int] = []
    soon: list[int] = []
    for file_id, keys in concerned.items():
        after = [row for key in keys for row in said.get(key, ())]
        before: list[Record] = [asked.news.get(row.id, row) for row in after]
        is_first = all(row.verdict is None for row in before)
        # what is locked changes nothing here: it stands above both
        if shown(before, {}, asked.now).card != shown(after, {}, asked.now).card:
            due.append(file_id)
        elif is_first:
            (due if asked.passed_on.isdisjoint(row.id for row in after) else soon).append(file_id)
    wake_publish(connection, asked.now, sorted(due))
    # the next provider may know it in a moment: published now, it would be published twice within a second
    wake_publish(connection, asked.after(schedule.NEXT_ANSWER_PATIENCE_S), sorted(soon))


def _files_about(connection: Connection, rows: Sequence[Record]) -> dict[int, list[tuple[str, str]]]:
    """Find the live, hashed files that these questions are about, with their hashes."""
    concerned: dict[int, list[tuple[str, str]]] = {}
    for kind, column in ((HashKind.SHA256, file.c.sha256), (HashKind.TENSORS, file.c.tensors_sha256)):
        for some in chunks(sorted({row.hash for row in rows if row.hash_kind == kind.value})):
            for row in connection.execute(
                select(file.c.id, file.c.sha256, file.c.tensors_sha256).where(
                    column.in_(some), file.c.stage == Stage.PUBLISH.value, file.c.gone_at.is_(None)
                )
            ):
                concerned[row.id] = keys_of(row.sha256, row.tensors_sha256)
    return concerned
