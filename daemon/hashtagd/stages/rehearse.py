"""Tell what publishing would do, artifact by artifact, and do none of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from hashtagd.core.place import Place
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Advance, Claim, Outcome, Swept
from hashtagd.stages.decide import SIDECAR_LIMIT_BYTES
from hashtagd.stages.effects import Content
from hashtagd.stages.job import Job, Pending
from hashtagd.stages.pictures import PICTURE_SUFFIXES
from hashtagd.stages.planning import Planning
from hashtagd.stages.untouched import Proposed


class Action(StrEnum):
    """What would happen to an artifact."""

    WRITE = "write"
    #: an extended attribute of the model
    SET = "set"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One artifact that would be written, set or removed."""

    action: Action
    place: Place
    #: empty where it does not matter any more: of what goes
    writer: str = ""
    #: what lies there now, where it is a sidecar that can be read
    before: bytes | None = None
    #: what would lie there; empty for what goes
    after: bytes = b""
    is_picture: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hindrance:
    """Why a model, or part of what lies beside it, would not be published."""

    place: Place
    trouble: Trouble


class RehearseStage:
    """Plans as the publish stage does.

    Args:
        planning: over untouched folders.
    """

    def __init__(self, planning: Planning) -> None:
        self._planning = planning

    def run(self, claims: Sequence[Claim]) -> Iterator[Proposal | Hindrance]:
        """Tell what would be done for each of these files. Pictures are fetched, and dropped again.

        Raises:
            Stopping: the process was asked to stop while a picture was fetched.
        """
        with self._planning.folders() as folders:
            for claim in claims:
                plan = self._planning.plan(claim, folders)
                yield from _of_job(plan) if isinstance(plan, Job) else _of_outcome(claim, plan)


def _of_job(job: Job) -> Iterator[Proposal | Hindrance]:
    for item in job.pending:
        yield _written(job, item)
    for name in job.stale:
        yield Proposal(action=Action.REMOVE, place=job.claim.place.sibling(name))
    for attribute in job.xattrs:
        yield Proposal(
            action=Action.SET,
            place=job.claim.place,
            writer=attribute.record.writer,
            after=attribute.attribute.value,
        )
    # three sidecars that cannot be written are one reason
    for trouble in {it.kind: it for it in (*job.failures, *job.notes)}.values():
        yield Hindrance(place=job.claim.place, trouble=trouble)


def _written(job: Job, item: Pending) -> Proposal:
    place = item.record.place
    is_picture = place.name.endswith(PICTURE_SUFFIXES)
    present = None if is_picture else job.folder.read(place.name, SIDECAR_LIMIT_BYTES)
    return Proposal(
        action=Action.WRITE,
        place=place,
        writer=item.record.writer,
        before=present.data if isinstance(present, Content) else None,
        after=item.prepared.content if isinstance(item.prepared, Proposed) else b"",
        is_picture=is_picture,
    )


def _of_outcome(claim: Claim, outcome: Outcome) -> Iterator[Proposal | Hindrance]:
    if isinstance(outcome, Advance) and isinstance(outcome.facts, Swept):
        for known in claim.publications:
            if known not in outcome.facts.publications:
                yield Proposal(action=Action.REMOVE, place=known.place, writer=known.writer)
        return
    facts = outcome.facts if isinstance(outcome, Advance) else outcome
    trouble = getattr(facts, "trouble", None)
    if trouble is not None:
        yield Hindrance(place=claim.place, trouble=trouble)
