"""Make prepared artifacts visible, after the intention was committed, and note what was written."""

import os
from collections.abc import Iterable
from contextlib import suppress

from hashtagd.stages.disk_troubles import disk_trouble
from hashtagd.stages.effects import Folder
from hashtagd.stages.job import Job, Pending
from hashtagd.stages.opening import stamp_of
from hashtagd.stages.pictures import PICTURE_SUFFIXES
from hashtagd.stages.trees import put_off
from hashtagd.stages.xattrs import read_ours, remove_xattr, write_xattr


def commit(job: Job) -> bool:
    """Rename what was prepared, and remove what describes something else by now.

    Returns False when somebody else wrote at one of the names meanwhile.
    """
    # the picture last: once it lies there, how explicit it is stands in no place but the sidecars
    ordered = sorted(job.pending, key=lambda item: item.record.place.name.endswith(PICTURE_SUFFIXES))
    quiet = [_commit_pending(job, item) for item in ordered]
    _remove_stale(job)
    # an intention left over means that a run ended before its names were known to be on the disk
    unconfirmed = any(known.intended_sha256 is not None for known in job.claim.publications)
    if job.stale or unconfirmed or any(item.elsewhere is None for item in job.pending):
        job.touched.append((job.folder, None))
    return all(quiet)


def flush_names(jobs: Iterable[Job]) -> None:
    """Flush names to the disk: each folder once, however many models lie in it."""
    flushed: dict[int, OSError | None] = {}
    for job in jobs:
        for folder, item in job.touched:
            if id(folder) not in flushed:
                flushed[id(folder)] = _flush(folder)
            error = flushed[id(folder)]
            if error is None:
                job.kept += [] if item is None else [item.record]
            elif item is None:
                job.failures.append(disk_trouble(error))
            else:
                put_off(job, error, item.elsewhere or ())


def attach(job: Job) -> None:
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
        if read_ours(fd, key, known) is not None:
            remove_xattr(fd, key)
    for item in job.xattrs:
        if write_xattr(fd, item.attribute, instead_of=item.instead_of):
            job.kept.append(item.record)
    with suppress(OSError):  # one flush for all of them
        os.fsync(fd)


def _commit_pending(job: Job, item: Pending) -> bool:
    try:
        if not item.prepared.commit():
            return False
    except OSError as error:
        if item.elsewhere is None:
            job.failures.append(disk_trouble(error))
        else:
            put_off(job, error, item.elsewhere)
        return True
    if item.elsewhere is not None:
        job.touched.append((item.prepared.folder, item))
    elif item.ours:
        job.kept.append(item.record)
    return True


def _remove_stale(job: Job) -> None:
    for name, seen in job.stale.items():
        try:
            # pictures were fetched since: what somebody put there meanwhile is theirs
            if job.folder.remove_if(name, seen):
                place = job.claim.place.sibling(name)
                job.removed += [known for known in job.claim.nearby if known.place == place]
        except OSError as error:
            job.failures.append(disk_trouble(error))


def _flush(folder: Folder) -> OSError | None:
    try:
        folder.flush()
    except OSError as error:
        return error
    return None
