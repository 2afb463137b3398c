"""Decide on one artifact: leave what lies there, keep it as ours, or prepare other bytes for it.

Nothing at a final name changes here.
"""

import os
from hashlib import sha256
from typing import Final

from hashtagd.core.artifacts import Artifact, JsonMerge, SidecarFile, Xattr
from hashtagd.core.place import Place
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Publication
from hashtagd.stages.disk_troubles import (
    disk_trouble,
    foreign_sidecar,
    is_exhausted,
    name_too_long,
    unreadable_sidecar,
)
from hashtagd.stages.job import Job, Pending, PendingXattr
from hashtagd.stages.looks import Content, Here
from hashtagd.stages.merge import Merged, Refused, merge, merge_into_nothing
from hashtagd.stages.xattrs import read_xattr

#: no sidecar comes near it; a larger file is somebody's
SIDECAR_LIMIT_BYTES: Final = 16 * 1024 * 1024
#: what any file system allows a name
_NAME_LIMIT_BYTES: Final = 255


def decide(job: Job, writer: str, artifact: Artifact) -> None:
    """Decide on what lies beside the model, but for pictures, of which it has only one, whoever writes it."""
    if isinstance(artifact, Xattr):
        decide_xattr(job, writer, artifact)
    elif isinstance(artifact, SidecarFile | JsonMerge):
        _decide_beside(job, writer, artifact)


def _decide_beside(job: Job, writer: str, artifact: SidecarFile | JsonMerge) -> None:
    if isinstance(artifact, SidecarFile) and _gives_way(job, artifact):
        return  # and one of ours, if it lies there, is carried away as unwanted
    place = job.claim.place.sibling(job.claim.place.stem + artifact.suffix)
    job.decided.add(place)
    if not fits(place.name):
        job.notes.append(name_too_long())
        return
    content = read(job, place, artifact.suffix)
    if isinstance(content, Trouble):
        job.keep_edited(place)
        job.notes.append(content)
    elif isinstance(artifact, SidecarFile):
        _decide_sidecar(job, writer, artifact, place, content)
    else:
        _decide_merge(job, writer, artifact, place, content)


def _gives_way(job: Job, artifact: SidecarFile) -> bool:
    stem = job.claim.place.stem
    return any(job.folder.here(stem + suffix) is not None for suffix in sorted(artifact.gives_way_to))


def decide_xattr(job: Job, writer: str, artifact: Xattr) -> None:
    """Set an attribute that is absent or ours; each key has a record of its own at the model's place.

    A model that is a link gets none: the file itself may lie anywhere.
    """
    place = job.claim.place
    here = job.folder.here(place.name)
    if here is None or not here.regular:
        return
    name = f"{writer}:{artifact.key}"
    job.attached.add(name)
    record = job.record(name, place, sha256(artifact.value).hexdigest())
    try:
        with job.folder.opened(place.name) as fd:
            present = read_xattr(fd, artifact.key)
    except OSError as error:
        job.notes.append(unreadable_sidecar(artifact.key, error))
        return
    if present == artifact.value:
        job.kept.append(record)
        return
    # attributes move along with their file, and some copies take them along, too
    mine = [item for item in job.claim.publications if item.place == place]
    known = [it for it in (*mine, *job.claim.twins, *job.claim.far_twins) if it.writer == name]
    present_sha256 = sha256(present or b"").hexdigest()
    if present is None or any(item.recognises(present_sha256) for item in known):
        job.xattrs.append(PendingXattr(attribute=artifact, instead_of=present, record=record))


def prepare(
    job: Job,
    record: Publication,
    content: bytes,
    *,
    here: Here | None,
    ours: bool,
    present: str | None = None,
) -> bool:
    """Prepare a file; returns False, and notes the failure in the job, where that was not possible.

    Args:
        job: of the model.
        record: what is recorded once the file has its name.
        content: the whole content.
        here: what lies at the name now.
        ours: see `Pending`.
        present: the SHA-256 of what lies there, where that is ours.
    """
    try:
        prepared = job.folder.prepare(record.place.name, content, mode=job.mode, instead_of=here)
    except OSError as error:
        job.failures.append(disk_trouble(error))
        return False
    job.pending.append(Pending(record=record, prepared=prepared, ours=ours, present_sha256=present))
    return True


def read(
    job: Job, place: Place, suffix: str = "", *, limit_bytes: int = SIDECAR_LIMIT_BYTES
) -> Content | Here | Trouble | None:
    """Read what lies at a place in the model's folder; None: nothing.

    Raises:
        OSError: the machine has run out of something, which says nothing about this file.
    """
    try:
        return job.folder.read(place.name, limit_bytes)
    except OSError as error:
        if is_exhausted(error):
            raise
        return unreadable_sidecar(suffix, error)


def fits(name: str) -> bool:
    """Tell whether file systems take a name."""
    return len(os.fsencode(name)) <= _NAME_LIMIT_BYTES


def _decide_sidecar(
    job: Job, writer: str, artifact: SidecarFile, place: Place, content: Content | Here | None
) -> None:
    record = job.record(writer, place, sha256(artifact.content).hexdigest())
    if content is None:
        prepare(job, record, artifact.content, here=None, ours=True)
        return
    if not isinstance(content, Content) or content.data is None:
        job.keep_edited(place)  # a link, a device or something huge: not ours
        return
    if content.data == artifact.content:
        job.kept.append(record)
        return
    placeholder = artifact.is_placeholder is not None and artifact.is_placeholder(content.data)
    fingerprint = sha256(content.data).hexdigest()
    present = None if job.known(place, fingerprint) is None else fingerprint
    is_edit = artifact.is_prose and content.data != b"" and not content.data.endswith(b"\0")
    is_remnant = not is_edit and _is_remnant(job, place, content.data, artifact.content)
    if placeholder or present is not None or is_remnant:
        prepare(job, record, artifact.content, here=content.here, ours=True, present=present)
    else:
        job.keep_edited(place)


def _decide_merge(
    job: Job, writer: str, artifact: JsonMerge, place: Place, content: Content | Here | None
) -> None:
    here, present, data, ours, fingerprint = None, None, None, True, ""
    if content is not None:
        if not isinstance(content, Content) or content.data is None:
            is_large = isinstance(content, Content)
            reason = "it is larger than 16 MiB" if is_large else "it is no ordinary file"
            job.notes.append(foreign_sidecar(artifact.suffix, reason))
            job.keep_edited(place)
            return
        here, present, data = content.here, content.data, content.data
        fingerprint = sha256(present).hexdigest()
        known = job.known(place, fingerprint)
        ours = known is not None
        if known is not None and job.is_others(known, fingerprint):
            data = None  # every word of it is of another model: from scratch
        elif not ours and _is_remnant(job, place, data, merge_into_nothing(artifact)):
            data, ours = None, True
    if not ours:
        job.keep_edited(place)
    result = merge(data, artifact, ours=ours, exists=job.folder.holds)
    if isinstance(result, Refused):
        job.notes.append(foreign_sidecar(artifact.suffix, result.reason))
    elif isinstance(result, Merged) and result.content != present:
        record = job.record(writer, place, sha256(result.content).hexdigest())
        prepare(job, record, result.content, here=here, ours=ours, present=fingerprint or None)
    elif ours:
        job.kept.append(job.record(writer, place, fingerprint))


def _is_remnant(job: Job, place: Place, data: bytes, whole: bytes) -> bool:
    """Tell whether bytes are what a power cut left of a file of ours: its beginning, zeros, or nothing.

    No beginning of a JSON object is JSON, so this is no work of anybody; that of a page may be.
    """
    return job.wrote(place) and whole.startswith(data.rstrip(b"\0"))
