"""Put what is known of a model beside it: render, compare, prepare, note the intention, rename, report.

Artifacts are treated one by one: an image host that is away holds up no sidecar. A file that somebody else
wrote or edited is never replaced. Killed at any moment, the next run comes to the same end. Of files that are
gone, what lies beside them is swept.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hashtagd.core.place import Place
from hashtagd.core.ports import Clock, Fetcher, Ledger, Locator, Pause, Writer
from hashtagd.core.troubles import Scope, Trouble
from hashtagd.core.work import Advance, Claim, Defer, Outcome, Park, Published, Release, Restart
from hashtagd.stages.calls import Calls
from hashtagd.stages.commit import attach, commit, flush_names
from hashtagd.stages.disk_troubles import (
    NO_PERMISSION,
    ROOT_WAIT_S,
    WRITE_ERROR,
    WRITE_WAIT_S,
    in_short,
)
from hashtagd.stages.ground import new_token
from hashtagd.stages.job import Job, leave_to_owners
from hashtagd.stages.opening import outcome_of, raise_if_exhausted, stamp_of
from hashtagd.stages.planning import Planning

#: somebody wrote at a final name while we prepared: look again when the dust has settled
_CONFLICT_WAIT_S: Final = 2.0


class PublishStage:
    """Publishes what the catalog knows of files, and sweeps beside those that are gone.

    Args:
        writers: the writers of each root by name; under None those of all other roots.
        locator: where this machine keeps its roots.
        ledger: takes intentions before anything is renamed.
        fetcher: gets pictures.
        clock: tells the age of stray temporary files.
        pause: asked between files.
        is_model: tells by its name whether something is a model file that hashtagd looks after.
        token: a fresh random text for each temporary name.
        calls: the calls of the system that may fail.
    """

    def __init__(
        self,
        *,
        writers: Mapping[str | None, Sequence[Writer]],
        locator: Locator,
        ledger: Ledger,
        fetcher: Fetcher,
        clock: Clock,
        pause: Pause,
        is_model: Callable[[Place], bool],
        token: Callable[[], str] = new_token,
        calls: Calls | None = None,
    ) -> None:
        self._ledger = ledger
        self._locator = locator
        self._planning = Planning(
            writers=writers,
            locator=locator,
            fetcher=fetcher,
            clock=clock,
            pause=pause,
            is_model=is_model,
            token=token,
            calls=calls or Calls(),
        )

    def run(self, claims: Sequence[Claim]) -> list[Outcome]:
        """Publish a batch; returns one outcome per claim, same order.

        Raises:
            Trouble: the ledger could not be written, and nothing was renamed; or, with scope `daemon`, the
                machine has no files or memory left for any of them.
            ValueError: a claim to publish has no digests, which is a bug of the caller.

        Repeats:
            over unchanged things: nothing is written, fetched or intended.
        """
        with self._planning.batch() as batch:
            plans = [self._planning.plan(claim, batch) for claim in claims]
            jobs = [plan for plan in plans if isinstance(plan, Job)]
            leave_to_owners(jobs)
            fenced = self._intend([job for job in jobs if job.writes or job.adopted])
            outcomes = self._finish(plans, fenced)
        raise_if_exhausted(outcomes)
        return outcomes

    def _intend(self, jobs: Sequence[Job]) -> frozenset[int]:
        """Commit what is about to be written; merges into others' files never become ours."""
        if not jobs:
            return frozenset()
        return self._ledger.intend([(job.claim, job.intentions()) for job in jobs])

    def _finish(self, plans: Sequence[Job | Outcome], fenced: frozenset[int]) -> list[Outcome]:
        """Commit all jobs, flush their folders once, and say how each ended."""
        ended = [self._commit(plan, fenced) if isinstance(plan, Job) else plan for plan in plans]
        committed = [it for it in ended if isinstance(it, _Committed)]
        flush_names(it.job for it in committed)
        for it in committed:
            attach(it.job)
        return [_outcome(it.job, conflict=it.conflict) if isinstance(it, _Committed) else it for it in ended]

    def _commit(self, job: Job, fenced: frozenset[int]) -> "_Committed | Outcome":
        if job.writes:
            if job.claim.file_id not in fenced:
                return Release()
            changed = self._changed(job)
            if changed is not None:
                return changed
        return _Committed(job=job, conflict=not commit(job))

    def _changed(self, job: Job) -> Outcome | None:
        """Look once more: the bytes may have changed while a picture was fetched."""
        try:
            stamp = stamp_of(job.folder.look(job.claim.place.name), job.claim.stamp)
        except OSError as error:
            return outcome_of(error, job.claim, self._locator, wait_s=WRITE_WAIT_S)
        return None if stamp == job.claim.stamp else Restart(stamp=stamp)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Committed:
    """A job whose names are given and taken, but not on the disk for certain."""

    job: Job
    #: somebody else wrote at one of the names meanwhile
    conflict: bool


def _outcome(job: Job, *, conflict: bool) -> Outcome:
    """Let the failure that reaches furthest decide; what was written is recognised by its intention."""
    for trouble in job.failures:
        if trouble.scope is Scope.ROOT:
            return _deferred(trouble)
        if trouble.scope is Scope.DAEMON:
            return Release(trouble=trouble)
    for trouble in job.failures:
        if trouble.kind == NO_PERMISSION:
            return Park(trouble=trouble)
        if trouble.kind == WRITE_ERROR:
            return Defer(trouble=trouble, wait_s=WRITE_WAIT_S)
    if conflict:
        return Defer(trouble=None, wait_s=_CONFLICT_WAIT_S)
    notes = in_short([*job.failures, *job.notes])
    return Advance(
        facts=Published(
            publications=tuple(job.kept),
            again_in_s=job.again_in_s,
            trouble=notes[0] if notes else None,
            removed=tuple(job.removed),
            wrote=job.writes,
        )
    )


def _deferred(trouble: Trouble) -> Defer:
    return Defer(trouble=trouble, wait_s=ROOT_WAIT_S)
