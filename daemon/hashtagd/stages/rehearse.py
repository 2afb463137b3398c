"""Tell what publishing would do, artifact by artifact, and do none of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath

from hashtagd.core.place import Place
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Advance, Claim, Outcome, Swept
from hashtagd.stages.decide import SIDECAR_LIMIT_BYTES
from hashtagd.stages.disk_troubles import in_short
from hashtagd.stages.job import Job, Pending
from hashtagd.stages.looks import Content
from hashtagd.stages.pictures import PICTURE_SUFFIXES
from hashtagd.stages.planning import Planning
from hashtagd.stages.trees import path_in_tree
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
    #: the tree that it lies in, while `place` is the model's own; None: beside the model, or attached
    tree: PurePath | None = None

    @property
    def where(self) -> str:
        """Say where it lies, for people."""
        if self.tree is not None:
            return path_in_tree(self.tree, self.place)
        return f"{self.place.root}/{self.place.relpath}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hindrance:
    """Why a model, or part of what lies beside it, would not be published."""

    place: Place
    trouble: Trouble

    @property
    def where(self) -> str:
        """Say which model, for people."""
        return f"{self.place.root}/{self.place.relpath}"


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
        with self._planning.batch() as batch:
            for claim in claims:
                plan = self._planning.plan(claim, batch)
                trees = self._planning.trees_of(claim.place.root)
                if isinstance(plan, Job):
                    yield from _of_job(plan, trees)
                else:
                    yield from _of_outcome(claim, plan, trees)


def _of_job(job: Job, trees: Mapping[str, PurePath]) -> Iterator[Proposal | Hindrance]:
    for item in job.pending:
        yield _written(item, trees)
    for name in job.stale:
        yield Proposal(action=Action.REMOVE, place=job.claim.place.sibling(name))
    for known in job.stale_xattrs:
        yield Proposal(action=Action.REMOVE, place=known.place, writer=known.writer)
    for attribute in job.xattrs:
        yield Proposal(
            action=Action.SET,
            place=job.claim.place,
            writer=attribute.record.writer,
            after=attribute.attribute.value,
        )
    # three sidecars that cannot be written are one reason
    for trouble in in_short((*job.failures, *job.notes)):
        yield Hindrance(place=job.claim.place, trouble=trouble)


def _written(item: Pending, trees: Mapping[str, PurePath]) -> Proposal:
    place = item.record.place
    is_picture = place.name.endswith(PICTURE_SUFFIXES)
    present = None if is_picture else item.prepared.folder.read(item.prepared.name, SIDECAR_LIMIT_BYTES)
    return Proposal(
        action=Action.WRITE,
        place=place,
        writer=item.record.writer,
        before=present.data if isinstance(present, Content) else None,
        after=item.prepared.content if isinstance(item.prepared, Proposed) else b"",
        is_picture=is_picture,
        tree=None if item.elsewhere is None else trees.get(item.record.writer),
    )


def _of_outcome(
    claim: Claim, outcome: Outcome, trees: Mapping[str, PurePath]
) -> Iterator[Proposal | Hindrance]:
    if isinstance(outcome, Advance) and isinstance(outcome.facts, Swept):
        for known in claim.publications:
            if known not in outcome.facts.publications:
                tree = trees.get(known.writer)
                yield Proposal(action=Action.REMOVE, place=known.place, writer=known.writer, tree=tree)
        return
    facts = outcome.facts if isinstance(outcome, Advance) else outcome
    trouble = getattr(facts, "trouble", None)
    if trouble is not None:
        yield Hindrance(place=claim.place, trouble=trouble)
