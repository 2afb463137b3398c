"""Make prepared artifacts visible, after the intention was committed, and note what was written."""

from hashtagd.stages.disk_troubles import disk_trouble
from hashtagd.stages.job import Job, Pending
from hashtagd.stages.xattrs import write_xattr


def commit_pending(job: Job, item: Pending) -> bool:
    """Rename one prepared file; returns False when somebody else wrote at its name meanwhile."""
    try:
        if not item.prepared.commit():
            return False
    except OSError as error:
        job.failures.append(disk_trouble(error))
        return True
    if item.ours:
        job.kept.append(item.record)
    return True


def commit_rest(job: Job) -> None:
    """Remove what describes something else by now, flush the names to the disk, set extended attributes."""
    for name, seen in job.stale.items():
        try:
            # pictures were fetched since: what somebody put there meanwhile is theirs
            if job.folder.here(name) == seen:
                job.folder.remove(name)
                place = job.claim.place.sibling(name)
                job.removed += [known for known in job.claim.nearby if known.place == place]
        except OSError as error:
            job.failures.append(disk_trouble(error))
    # an intention left over means that a run ended before its names were known to be on the disk
    unconfirmed = any(known.intended_sha256 is not None for known in job.claim.publications)
    if job.pending or job.stale or unconfirmed:
        try:
            job.folder.flush()
        except OSError as error:
            job.failures.append(disk_trouble(error))
    for item in job.xattrs:
        try:
            with job.folder.opened(job.claim.place.name) as fd:
                if write_xattr(fd, item.attribute):
                    job.kept.append(item.record)
        except OSError as error:
            job.failures.append(disk_trouble(error))
