"""Make prepared artifacts visible, after the intention was committed, and note what was written."""

import os
from contextlib import suppress
from hashlib import sha256

from hashtagd.stages.disk_troubles import disk_trouble
from hashtagd.stages.job import Job, Pending
from hashtagd.stages.opening import stamp_of
from hashtagd.stages.trees import put_off
from hashtagd.stages.xattrs import read_xattr, remove_xattr, write_xattr


def commit_pending(job: Job, item: Pending) -> bool:
    """Rename one prepared file; returns False when somebody else wrote at its name meanwhile."""
    try:
        if not item.prepared.commit():
            return False
        if item.elsewhere is not None:
            item.prepared.folder.flush()
    except OSError as error:
        if item.elsewhere is None:
            job.failures.append(disk_trouble(error))
        else:
            put_off(job, error, item.elsewhere)
        return True
    if item.ours:
        job.kept.append(item.record)
    return True


def commit_rest(job: Job) -> None:
    """Remove what describes something else by now, flush the names to the disk, set extended attributes."""
    for name, seen in job.stale.items():
        try:
            # pictures were fetched since: what somebody put there meanwhile is theirs
            if job.folder.remove_if(name, seen):
                place = job.claim.place.sibling(name)
                job.removed += [known for known in job.claim.nearby if known.place == place]
        except OSError as error:
            job.failures.append(disk_trouble(error))
    # an intention left over means that a run ended before its names were known to be on the disk
    unconfirmed = any(known.intended_sha256 is not None for known in job.claim.publications)
    if job.stale or unconfirmed or any(item.elsewhere is None for item in job.pending):
        try:
            job.folder.flush()
        except OSError as error:
            job.failures.append(disk_trouble(error))
    _attach(job)


def _attach(job: Job) -> None:
    """Set and remove extended attributes, if the name still leads to the very file."""
    if not job.xattrs and not job.stale_xattrs:
        return
    try:
        with job.folder.opened(job.claim.place.name) as fd:
            if stamp_of(os.fstat(fd), job.claim.stamp) == job.claim.stamp:
                _attach_to(job, fd)
    except FileNotFoundError:
        return  # it was renamed or deleted a moment ago; what was written for it stays known
    except OSError as error:
        job.failures.append(disk_trouble(error))


def _attach_to(job: Job, fd: int) -> None:
    for known in job.stale_xattrs:
        key = known.writer.partition(":")[2]
        present = read_xattr(fd, key)
        if present is not None and known.recognises(sha256(present).hexdigest()):
            remove_xattr(fd, key)
    for item in job.xattrs:
        if write_xattr(fd, item.attribute, instead_of=item.instead_of):
            job.kept.append(item.record)
    with suppress(OSError):  # one flush for all of them
        os.fsync(fd)
