"""Put what is known of a model beside it: render, compare, prepare, note the intention, rename, report.

Artifacts are treated one by one: an image host that is away holds up no sidecar. A file that somebody else
wrote or edited is never replaced. Killed at any moment, the next run comes to the same end. Of files that are
gone, what lies beside them is swept.
"""

import secrets
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

from hashtagd.core.artifacts import Target
from hashtagd.core.digests import Digests
from hashtagd.core.place import Place
from hashtagd.core.ports import Clock, Fetcher, Ledger, Locator, Pause, Stopping, Writer, WritesTree
from hashtagd.core.troubles import Scope, Trouble
from hashtagd.core.work import (
    Advance,
    Claim,
    Defer,
    Forget,
    Outcome,
    Park,
    Publication,
    Published,
    Release,
    Restart,
    Stage,
)
from hashtagd.stages.calls import Calls
from hashtagd.stages.commit import commit_pending, commit_rest
from hashtagd.stages.disk_troubles import (
    NO_PERMISSION,
    ROOT_WAIT_S,
    WRITE_ERROR,
    WRITE_WAIT_S,
    outside_root,
)
from hashtagd.stages.effects import sidecar_mode
from hashtagd.stages.elsewhere import read_elsewhere
from hashtagd.stages.folders import Folders
from hashtagd.stages.job import Job
from hashtagd.stages.opening import outcome_of, raise_if_exhausted, stamp_of
from hashtagd.stages.pictures import PICTURE_SUFFIXES
from hashtagd.stages.plan import Planner
from hashtagd.stages.sweep import sweep
from hashtagd.stages.trees import Trees, sweep_tree_file

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
        token: Callable[[], str] = lambda: secrets.token_hex(8),
        calls: Calls | None = None,
    ) -> None:
        self._writers = writers
        self._locator = locator
        self._ledger = ledger
        self._clock = clock
        self._pause = pause
        self._fetcher = fetcher
        self._is_model = is_model
        self._token = token
        self._calls = calls or Calls()

    def run(self, claims: Sequence[Claim]) -> list[Outcome]:
        """Publish a batch; returns one outcome per claim, same order.

        Raises:
            Trouble: the ledger could not be written, and nothing was renamed; or, with scope `daemon`, the
                machine has no files or memory left for any of them.
            ValueError: a claim to publish has no digests, which is a bug of the caller.

        Repeats:
            over unchanged things: nothing is written, fetched or intended.
        """
        with ExitStack() as stack:
            folders = Folders(
                stack, clock=self._clock, is_model=self._is_model, token=self._token, calls=self._calls
            )
            trees = Trees(stack, clock=self._clock, token=self._token, calls=self._calls)
            plans = [self._plan(claim, folders, trees) for claim in claims]
            fenced = self._intend([plan for plan in plans if isinstance(plan, Job) and plan.writes])
            outcomes = [self._finish(plan, fenced) if isinstance(plan, Job) else plan for plan in plans]
        raise_if_exhausted(outcomes)
        return outcomes

    def _plan(self, claim: Claim, folders: Folders, trees: Trees) -> Job | Outcome:
        if claim.digests is None and claim.stage is not Stage.SWEEP:
            raise ValueError("a file is published before it has hashes")
        known = folders.troubles.get(claim.place.root)
        if known is not None or self._pause.stopping:
            return Release() if known is None else _deferred(known)
        try:
            path = self._locator.locate(claim.place)
            if claim.digests is None or claim.stage is Stage.SWEEP:
                return sweep(path, claim, folders, partial(self._sweep_tree_file, trees))
            return self._plan_at(path, claim, claim.digests, folders, trees)
        except Stopping:
            return Release()
        except Trouble as trouble:
            return Release(trouble=trouble)
        except OSError as error:
            return outcome_of(error, claim, self._locator, wait_s=WRITE_WAIT_S)

    def _plan_at(
        self, path: Path, claim: Claim, digests: Digests, folders: Folders, trees: Trees
    ) -> Job | Outcome:
        opened = folders.at(path, claim.place)
        if opened is None:
            return Advance(facts=Published(publications=claim.publications, trouble=outside_root()))
        status = opened.folder.look(claim.place.name)
        if not stat.S_ISREG(status.st_mode):
            return Forget()
        stamp = stamp_of(status, claim.stamp)
        if stamp != claim.stamp:
            return Restart(stamp=stamp)
        job = Job(
            claim=claim,
            sha256=digests.sha256,
            folder=opened.folder,
            mode=sidecar_mode(status.st_mode),
            is_model=self._is_model,
        )
        target = Target(
            place=claim.place,
            path=path,
            stamp=claim.stamp,
            digests=digests,
            header=claim.header,
            first_seen_at=claim.first_seen_at,
            answered=claim.answered,
            checked_at=claim.checked_at,
        )
        writers = self._writers_of(claim)
        planner = Planner(self._fetcher, partial(read_elsewhere, self._locator, folders), trees)
        owner = opened.owner_of_sidecars(claim.place)
        if owner == claim.place.name:
            planner.fill(job, writers, target, opened)
        else:
            planner.fill_without_sidecars(job, writers, target, owner)
        for trouble in job.failures:
            if trouble.scope is Scope.ROOT:
                folders.troubles[claim.place.root] = trouble
        return job

    def _writers_of(self, claim: Claim) -> Sequence[Writer]:
        return self._writers.get(claim.place.root, self._writers.get(None, ()))

    def _sweep_tree_file(self, trees: Trees, claim: Claim, known: Publication) -> bool:
        """Sweep what lies in a tree; returns False for everything else, and for what is not ours."""
        kept = {it.name: it.tree for it in self._writers_of(claim) if isinstance(it, WritesTree)}
        mine = known.place == claim.place and known.writer in kept
        return mine and sweep_tree_file(trees, kept[known.writer], known)

    def _intend(self, jobs: Sequence[Job]) -> frozenset[int]:
        """Commit what is about to be written; merges into others' files never become ours."""
        if not jobs:
            return frozenset()
        return self._ledger.intend([(job.claim, job.intentions()) for job in jobs])

    def _finish(self, job: Job, fenced: frozenset[int]) -> Outcome:
        if job.writes:
            if job.claim.file_id not in fenced:
                return Release()
            changed = self._changed(job)
            if changed is not None:
                return changed
        # the picture last: once it lies there, how explicit it is stands in no place but the sidecars
        ordered = sorted(job.pending, key=lambda item: item.record.place.name.endswith(PICTURE_SUFFIXES))
        quiet = [commit_pending(job, item) for item in ordered]
        commit_rest(job)
        return _outcome(job, conflict=not all(quiet))

    def _changed(self, job: Job) -> Outcome | None:
        """Look once more: the bytes may have changed while a picture was fetched."""
        try:
            stamp = stamp_of(job.folder.look(job.claim.place.name), job.claim.stamp)
        except OSError as error:
            return outcome_of(error, job.claim, self._locator, wait_s=WRITE_WAIT_S)
        return None if stamp == job.claim.stamp else Restart(stamp=stamp)


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
    notes = [*job.failures, *job.notes]
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
