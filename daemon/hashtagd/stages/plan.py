"""Decide, for one model, which artifacts must be written, and prepare them under temporary names.

Nothing at a final name changes here. One artifact's trouble never blocks the others.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import islice
from typing import Final

from hashtagd.core.artifacts import Artifact, PreviewFile, Target, TreeFile, Xattr
from hashtagd.core.ports import Fetcher, JudgesPicture, WishesPicture, Writer
from hashtagd.core.work import Claim, Publication
from hashtagd.stages.carry import carry
from hashtagd.stages.decide import decide, fits, prepare
from hashtagd.stages.disk_troubles import (
    disk_full,
    disk_trouble,
    foreign_sidecar,
    name_too_long,
    shared_stem,
)
from hashtagd.stages.folders import OpenedFolder
from hashtagd.stages.job import Job
from hashtagd.stages.pictures import PICTURE_SUFFIXES, NoPicture, Picture, fetch_picture
from hashtagd.stages.present import Former, look_for_picture
from hashtagd.stages.trees import Trees, decide_tree_file

#: a picture is not asked for where it would hardly fit
_PICTURE_ROOM_BYTES: Final = 2 * 1024 * 1024
#: a model that lies in a hundred places has its picture in the first few of them
_MOST_LOOKS: Final = 10


class Planner:
    """Plans one model at a time.

    Args:
        fetcher: gets pictures.
        elsewhere: reads what was written elsewhere; None where it does not lie there as it was written.
        trees: opens the folders of files that lie in trees elsewhere.
    """

    def __init__(
        self, fetcher: Fetcher, elsewhere: Callable[[Publication], bytes | None], trees: Trees
    ) -> None:
        self._fetcher = fetcher
        self._elsewhere = elsewhere
        self._trees = trees

    def fill(self, job: Job, writers: Sequence[Writer], target: Target, opened: OpenedFolder) -> None:
        """Fill the job: the picture first, so that sidecars can name it, then everything else.

        Raises:
            Stopping: the process was asked to stop while a picture was fetched.
        """
        judging = [it for it in writers if isinstance(it, JudgesPicture)]
        present = look_for_picture(
            job, opened, lambda known: all(it.accepts(job.claim.card, known) for it in judging)
        )
        job.stale |= {former.name: former.here for former in present.former}
        target = present.told(target)
        if present.name is None:
            wishing = [it for it in writers if isinstance(it, WishesPicture)] or writers
            rendered = _render(wishing, job.claim, target)
            wishes = [(name, item) for name, item in rendered if isinstance(item, PreviewFile)]
            if wishes:
                target = self._picture(job, wishes[0], target, opened, present.former)
        for name, artifact in _render(writers, job.claim, target):
            self._decide(job, name, artifact)
        carry(job, {writer.name for writer in writers}, owns_sidecars=True)

    def fill_without_sidecars(self, job: Job, writers: Sequence[Writer], target: Target, owner: str) -> None:
        """Fill the job of a model whose sidecars' names belong to another: with what needs no name."""
        rendered = _render(writers, job.claim, target)
        free = [(name, item) for name, item in rendered if isinstance(item, Xattr | TreeFile)]
        if len(free) < len(rendered):
            job.notes.append(shared_stem(owner))
        for name, artifact in free:
            self._decide(job, name, artifact)
        carry(job, {writer.name for writer in writers}, owns_sidecars=False)

    def _decide(self, job: Job, writer: str, artifact: Artifact) -> None:
        if isinstance(artifact, TreeFile):
            decide_tree_file(job, writer, artifact, self._trees)
        else:
            decide(job, writer, artifact)

    def _picture(
        self,
        job: Job,
        wanted: tuple[str, PreviewFile],
        target: Target,
        opened: OpenedFolder,
        former: Sequence[Former],
    ) -> Target:
        """Get and prepare a picture; returns the target that knows of it, or the same one."""
        writer, wish = wanted
        place = target.place.sibling(target.place.stem + wish.suffix)
        job.decided.add(place)
        if not fits(place.name):
            job.notes.append(name_too_long())
            return target
        if _is_blocked(job, place.name) or not _has_room(job):
            return target
        found = self._moved(job, wish) or fetch_picture(self._fetcher, wish)
        if isinstance(found, NoPicture):
            job.notes.append(found.trouble)
            job.again_in_s = found.again_in_s
            return target
        record = job.record(writer, place, sha256(found.content).hexdigest())
        record = replace(record, nsfw_level=found.nsfw_level, version_id=found.version_id)
        over = next((it for it in former if it.name == place.name), None)
        here, present = (None, None) if over is None else (over.here, over.sha256)
        if not prepare(job, record, found.content, here=here, ours=True, present=present):
            return target
        job.stale.pop(place.name, None)
        opened.listing.add(place.name)
        return replace(target, picture=target.path.parent / place.name, picture_nsfw_level=found.nsfw_level)

    def _moved(self, job: Job, wish: PreviewFile) -> Picture | None:
        """Take the picture along from where it was put for the same bytes: nobody need be asked for it."""
        pictures = (it for it in job.claim.twins if it.place.name.endswith(PICTURE_SUFFIXES))
        # which ratings are wanted, and which version it is, may have been said otherwise since
        wanted = (
            it
            for it in pictures
            if it.nsfw_level in wish.nsfw_levels
            and it.version_id in (None, wish.version_id)
            and it.intended_sha256 in (None, it.written_sha256)
        )
        for known in islice(wanted, _MOST_LOOKS):
            content = self._elsewhere(known)
            if content is not None and len(content) <= wish.max_bytes:
                return Picture(content=content, nsfw_level=known.nsfw_level, version_id=known.version_id)
        return None


def _render(writers: Sequence[Writer], claim: Claim, target: Target) -> list[tuple[str, Artifact]]:
    return [(writer.name, artifact) for writer in writers for artifact in writer.render(claim.card, target)]


def _is_blocked(job: Job, name: str) -> bool:
    """Tell whether what lies there is nothing that a picture could replace (a folder), and note that."""
    here = job.folder.here(name)
    if here is None or here.regular:
        return False
    job.notes.append(foreign_sidecar(name.removeprefix(job.claim.place.stem), "it is no ordinary file"))
    return True


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
