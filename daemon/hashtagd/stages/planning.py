"""From a claim to a job: look at the model, and plan what lies beside it.

Whether anything on the disk changes is up to the folders: those of a rehearsal only remember it.
"""

import stat
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hashtagd.core.artifacts import Target
from hashtagd.core.digests import Digests
from hashtagd.core.ports import Fetcher, Pause, Stopping
from hashtagd.core.troubles import Scope, Trouble
from hashtagd.core.work import (
    Advance,
    Claim,
    Defer,
    Forget,
    Outcome,
    Publication,
    Published,
    Release,
    Restart,
    Stage,
)
from hashtagd.stages.disk_troubles import ROOT_WAIT_S, WRITE_WAIT_S, outside_root
from hashtagd.stages.effects import sidecar_mode
from hashtagd.stages.elsewhere import read_elsewhere
from hashtagd.stages.ground import Batch, Ground
from hashtagd.stages.job import Job
from hashtagd.stages.opening import outcome_of, stamp_of, unplaced
from hashtagd.stages.plan import Planner
from hashtagd.stages.sweep import sweep
from hashtagd.stages.trees import Trees, sweep_tree_file


@dataclass(frozen=True, slots=True, kw_only=True)
class Planning(Ground):
    """What planning needs; one for all batches."""

    #: gets pictures
    fetcher: Fetcher
    #: asked between files
    pause: Pause

    def plan(self, claim: Claim, batch: Batch) -> Job | Outcome:
        """Plan one model (or sweep beside one that is gone): a job, or how it ended without one.

        Raises:
            ValueError: a claim to publish has no digests, which is a bug of the caller.
        """
        if claim.digests is None and claim.stage is not Stage.SWEEP:
            raise ValueError("a file is published before it has hashes")
        known = batch.folders.troubles.get(claim.place.root)
        if known is not None or self.pause.stopping:
            return Release() if known is None else Defer(trouble=known, wait_s=ROOT_WAIT_S)
        try:
            path = self.locator.locate(claim.place)
            if claim.digests is None or claim.stage is Stage.SWEEP:
                return sweep(path, claim, batch.folders, partial(self._sweep_tree_file, batch.trees))
            return self._plan_at(path, claim, claim.digests, batch)
        except Stopping:
            return Release()
        except Trouble as trouble:
            return unplaced(trouble)
        except OSError as error:
            return outcome_of(error, claim, self.locator, wait_s=WRITE_WAIT_S)

    def _plan_at(self, path: Path, claim: Claim, digests: Digests, batch: Batch) -> Job | Outcome:
        opened = batch.folders.at(path, claim.place)
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
            is_model=self.is_model,
        )
        target = target_of(claim, path, digests)
        writers = self.writers_of(claim.place.root)
        planner = Planner(self.fetcher, partial(read_elsewhere, self.locator, batch.folders), batch.trees)
        owner = opened.owner_of_sidecars(claim.place)
        if owner == claim.place.name:
            planner.fill(job, writers, target, opened)
        else:
            planner.fill_without_sidecars(job, writers, target, owner)
        for trouble in job.failures:
            if trouble.scope is Scope.ROOT:
                batch.folders.troubles[claim.place.root] = trouble
        return job

    def _sweep_tree_file(self, trees: Trees, claim: Claim, known: Publication) -> bool:
        """Sweep what lies in a tree; returns False for everything else, and for what is not ours."""
        tree = self.trees_of(claim.place.root).get(known.writer)
        return tree is not None and known.place == claim.place and sweep_tree_file(trees, tree, known)


def target_of(claim: Claim, path: Path, digests: Digests) -> Target:
    """Say for which file writers render."""
    return Target(
        place=claim.place,
        path=path,
        stamp=claim.stamp,
        digests=digests,
        header=claim.header,
        first_seen_at=claim.first_seen_at,
        answered=claim.answered,
        checked_at=claim.checked_at,
        locked=claim.locked,
    )
