"""Decide, for one model, which artifacts must be written, and prepare them under temporary names.

Nothing at a final name changes here. One artifact's trouble never blocks the others.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Final

from hashtagd.core.artifacts import Artifact, JsonMerge, PreviewFile, SidecarFile, Target, Xattr
from hashtagd.core.place import Place
from hashtagd.core.ports import Fetcher, Writer
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Claim, Publication
from hashtagd.stages.disk_troubles import (
    disk_full,
    disk_trouble,
    foreign_sidecar,
    is_exhausted,
    name_too_long,
    shared_stem,
    unreadable_sidecar,
)
from hashtagd.stages.effects import Content, Here
from hashtagd.stages.job import Job, Pending, PendingXattr
from hashtagd.stages.merge import Merged, Refused, merge
from hashtagd.stages.pictures import PICTURE_SUFFIXES, Listing, NoPicture, fetch_picture
from hashtagd.stages.xattrs import read_xattr

#: no sidecar comes near it; a larger file is somebody's
SIDECAR_LIMIT_BYTES: Final = 16 * 1024 * 1024
#: what any file system allows a name
_NAME_LIMIT_BYTES: Final = 255
#: a picture is not asked for where it would hardly fit
_PICTURE_ROOM_BYTES: Final = 2 * 1024 * 1024


class Planner:
    """Plans one model at a time.

    Args:
        fetcher: gets pictures.
    """

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    def fill(self, job: Job, writers: Sequence[Writer], target: Target, listing: Listing) -> None:
        """Fill the job: the picture first, so that sidecars can name it, then everything else.

        Raises:
            Stopping: the process was asked to stop while a picture was fetched.
        """
        picture = listing.picture_of(target.place.stem)
        if picture is not None:
            target = replace(target, picture=target.path.parent / picture)
        rendered = _render(writers, job.claim, target)
        wishes = [(name, item) for name, item in rendered if isinstance(item, PreviewFile)]
        if wishes and picture is None:
            seen = self._picture(job, *wishes[0], target, listing)
            if seen is not target:
                rendered = _render(writers, job.claim, seen)
        elif picture is not None:
            _keep_picture(job, target.place.sibling(picture))
        for name, artifact in rendered:
            _decide(job, name, artifact)
        _carry(job, {writer.name for writer in writers})

    def fill_without_sidecars(self, job: Job, writers: Sequence[Writer], target: Target, owner: str) -> None:
        """Fill the job of a model whose sidecars' names belong to another: with what needs no name."""
        rendered = _render(writers, job.claim, target)
        attributes = [(name, item) for name, item in rendered if isinstance(item, Xattr)]
        if len(attributes) < len(rendered):
            job.notes.append(shared_stem(owner))
        for name, attribute in attributes:
            _decide_xattr(job, name, attribute)
        _carry(job, {writer.name for writer in writers})

    def _picture(self, job: Job, writer: str, wish: PreviewFile, target: Target, listing: Listing) -> Target:
        """Fetch and prepare a picture; returns the target that knows of it, or the same one."""
        place = target.place.sibling(target.place.stem + wish.suffix)
        job.decided.add(place)
        if not _fits(place.name) or not _has_room(job):
            job.notes += [] if _fits(place.name) else [name_too_long()]
            return target
        found = fetch_picture(self._fetcher, wish)
        if isinstance(found, NoPicture):
            job.notes.append(found.trouble)
            job.again_in_s = found.again_in_s
            return target
        if not _prepare(job, writer, place, found.content, here=None, ours=True):
            return target
        listing.add(place.name)
        return replace(target, picture=target.path.parent / place.name, picture_nsfw_level=found.nsfw_level)


def _render(writers: Sequence[Writer], claim: Claim, target: Target) -> list[tuple[str, Artifact]]:
    return [(writer.name, artifact) for writer in writers for artifact in writer.render(claim.card, target)]


def _has_room(job: Job) -> bool:
    """Find out before the network is asked; a failure is noted in the job."""
    try:
        job.folder.try_out()
        if job.folder.free_bytes() >= _PICTURE_ROOM_BYTES:
            return True
    except OSError as error:
        job.failures.append(disk_trouble(error))
        return False
    job.failures.append(disk_full())
    return False


def _keep_picture(job: Job, place: Place) -> None:
    """Keep the record of our own picture; one whose bytes differ was put there by somebody."""
    job.decided.add(place)
    records = [known for known in job.claim.publications if known.place == place]
    content = _read(job, place) if records else None
    if isinstance(content, Content) and content.data is not None:
        fingerprint = sha256(content.data).hexdigest()
        _keep(job, records[0].writer, place, fingerprint, ours=job.recognises(place, fingerprint))


def _decide(job: Job, writer: str, artifact: Artifact) -> None:
    if isinstance(artifact, PreviewFile):
        return
    if isinstance(artifact, Xattr):
        _decide_xattr(job, writer, artifact)
        return
    place = job.claim.place.sibling(job.claim.place.stem + artifact.suffix)
    job.decided.add(place)
    if not _fits(place.name):
        job.notes.append(name_too_long())
        return
    content = _read(job, place, artifact.suffix)
    if isinstance(content, Trouble):
        job.notes.append(content)
    elif isinstance(artifact, SidecarFile):
        _decide_sidecar(job, writer, artifact, place, content)
    else:
        _decide_merge(job, writer, artifact, place, content)


def _decide_sidecar(
    job: Job, writer: str, artifact: SidecarFile, place: Place, content: Content | Here | None
) -> None:
    if content is None:
        _prepare(job, writer, place, artifact.content, here=None, ours=True)
        return
    if not isinstance(content, Content) or content.data is None:
        return  # a link, a device or something huge: not ours
    fingerprint = sha256(content.data).hexdigest()
    if content.data == artifact.content:
        _keep(job, writer, place, fingerprint, ours=True)
        return
    placeholder = artifact.is_placeholder is not None and artifact.is_placeholder(content.data)
    if placeholder or job.recognises(place, fingerprint):
        _prepare(job, writer, place, artifact.content, here=content.here, ours=True)


def _decide_merge(
    job: Job, writer: str, artifact: JsonMerge, place: Place, content: Content | Here | None
) -> None:
    here, data, ours, fingerprint = None, None, True, ""
    if content is not None:
        if not isinstance(content, Content) or content.data is None:
            job.notes.append(foreign_sidecar(artifact.suffix, "it is no ordinary file"))
            return
        here, data = content.here, content.data
        fingerprint = sha256(data).hexdigest()
        ours = job.recognises(place, fingerprint)
    result = merge(data, artifact, ours=ours, exists=os.path.exists)
    if isinstance(result, Refused):
        job.notes.append(foreign_sidecar(artifact.suffix, result.reason))
    elif isinstance(result, Merged):
        _prepare(job, writer, place, result.content, here=here, ours=ours)
    else:
        _keep(job, writer, place, fingerprint, ours=ours)


def _decide_xattr(job: Job, writer: str, artifact: Xattr) -> None:
    """Set an attribute that is absent or ours; each key has a record of its own at the model's place."""
    place = job.claim.place
    job.decided.add(place)
    name = f"{writer}:{artifact.key}"
    fingerprint = sha256(artifact.value).hexdigest()
    record = Publication(writer=name, place=place, intended_sha256=None, written_sha256=fingerprint)
    try:
        with job.folder.opened(place.name) as fd:
            present = read_xattr(fd, artifact.key)
    except OSError as error:
        job.notes.append(unreadable_sidecar(artifact.key, error))
        return
    if present == artifact.value:
        job.kept.append(record)
        return
    known = [item for item in job.claim.publications if item.place == place and item.writer == name]
    present_sha256 = sha256(present or b"").hexdigest()
    if present is None or any(item.recognises(present_sha256) for item in known):
        job.xattrs.append(PendingXattr(attribute=artifact, record=record))


def _prepare(job: Job, writer: str, place: Place, content: bytes, *, here: Here | None, ours: bool) -> bool:
    try:
        prepared = job.folder.prepare(place.name, content, mode=job.mode, instead_of=here)
    except OSError as error:
        job.failures.append(disk_trouble(error))
        return False
    fingerprint = sha256(content).hexdigest()
    job.pending.append(
        Pending(writer=writer, place=place, fingerprint=fingerprint, prepared=prepared, ours=ours)
    )
    return True


def _keep(job: Job, writer: str, place: Place, fingerprint: str, *, ours: bool) -> None:
    if ours:
        job.kept.append(
            Publication(writer=writer, place=place, intended_sha256=None, written_sha256=fingerprint)
        )


def _carry(job: Job, writers: set[str]) -> None:
    """Look after what we wrote before and do not render now: drop what is gone, keep the record of the rest.

    A sidecar beside this very model that its writer no longer wants describes something else by now: it goes.
    """
    stem = job.claim.place.stem
    for known in job.claim.publications:
        if known.place in job.decided:
            continue
        if known.place.root != job.claim.place.root or known.place.folder != job.claim.place.folder:
            continue  # the model was moved since; not for this folder to judge
        content = _read(job, known.place)
        if not isinstance(content, Content) or content.data is None:
            continue
        if not known.recognises(sha256(content.data).hexdigest()):
            continue
        suffix = known.place.name.removeprefix(stem)
        beside = known.place.name.startswith(stem + ".")
        if beside and known.writer in writers and suffix not in PICTURE_SUFFIXES:
            job.stale[known.place.name] = content.here
        else:
            job.kept.append(known)


def _read(job: Job, place: Place, suffix: str = "") -> Content | Here | Trouble | None:
    try:
        return job.folder.read(place.name, SIDECAR_LIMIT_BYTES)
    except OSError as error:
        if is_exhausted(error):
            raise  # it says nothing about this file
        return unreadable_sidecar(suffix, error)


def _fits(name: str) -> bool:
    return len(os.fsencode(name)) <= _NAME_LIMIT_BYTES
