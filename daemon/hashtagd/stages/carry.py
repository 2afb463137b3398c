"""What was written beside a model before and is not rendered now: kept, dropped, or removed."""

from collections.abc import Set as AbstractSet
from hashlib import sha256

from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Publication
from hashtagd.stages.decide import read
from hashtagd.stages.job import Job
from hashtagd.stages.looks import Content
from hashtagd.stages.pictures import PICTURE_SUFFIXES
from hashtagd.stages.xattrs import read_ours


def carry(job: Job, writers: AbstractSet[str], *, owns_sidecars: bool) -> None:
    """Drop what is gone, keep the record of the rest; what describes something else by now goes.

    Goes: bytes of ours, unchanged, that tell of another model, and a sidecar that its writer no longer wants.
    What others of the same name left is looked after by the model that owns the sidecars now.
    """
    for known in job.claim.publications:
        if known.place in job.decided:
            continue
        if job.is_beside(known.place):
            _judge(job, known, writers)
        elif known.place != job.claim.place or known.writer.partition(":")[0] not in writers:
            job.kept.append(known)  # not for this run to judge
        elif ":" in known.writer and known.writer not in job.attached:
            _judge_attribute(job, known)
    for known in job.claim.nearby if owns_sidecars else ():
        if known.place not in job.decided and job.is_beside(known.place):
            _judge(job, known, writers)


def _judge(job: Job, known: Publication, writers: AbstractSet[str]) -> None:
    content = read(job, known.place)
    if isinstance(content, Trouble):
        job.keep_edited(known.place)  # nobody knows what lies there: it may be ours yet
        return
    if not isinstance(content, Content) or content.data is None:
        return
    fingerprint = sha256(content.data).hexdigest()
    if not known.recognises(fingerprint):
        return
    unwanted = known.writer in writers and not known.place.name.endswith(PICTURE_SUFFIXES)
    if unwanted or job.is_others(known, fingerprint):
        job.stale[known.place.name] = content.here
    else:
        job.kept.append(known)


def _judge_attribute(job: Job, known: Publication) -> None:
    """Let an attribute go that tells of what its writer no longer says, unless somebody changed it."""
    try:
        with job.folder.opened(job.claim.place.name) as fd:
            present = read_ours(fd, known.writer.partition(":")[2], known)
    except OSError:
        job.kept.append(known)
        return
    if present is not None:
        job.stale_xattrs.append(known)
