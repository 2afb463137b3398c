"""The picture that lies beside a model already, and those of ours that may not: they must go."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from hashtagd.core.artifacts import Target
from hashtagd.core.place import Place
from hashtagd.core.work import Publication
from hashtagd.stages.decide import read
from hashtagd.stages.folders import OpenedFolder
from hashtagd.stages.job import Job
from hashtagd.stages.looks import Content, Here
from hashtagd.stages.pictures import PICTURE_SUFFIXES

#: a larger picture is not ours: fetching one stops long before
PICTURE_LIMIT_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Former:
    """A picture of ours, unchanged, that shows another model or version, or more than its owner wants."""

    name: str
    here: Here
    sha256: str
    nsfw_level: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """What lies there."""

    #: the model's picture, ours or not; None: it has none
    name: str | None
    #: how it is rated, where we know it
    nsfw_level: int | None = None
    former: tuple[Former, ...] = ()

    def told(self, target: Target) -> Target:
        """Let writers know."""
        folder = target.path.parent
        if self.former:
            first = self.former[0]
            target = replace(target, former_picture=folder / first.name, former_nsfw_level=first.nsfw_level)
        if self.name is None:
            return target
        return replace(target, picture=folder / self.name, picture_nsfw_level=self.nsfw_level)


def look_for_picture(job: Job, opened: OpenedFolder, accepts: Callable[[Publication], bool]) -> Present:
    """Find the model's picture, and keep the record of one that is ours.

    One that somebody put there, or changed, counts whatever it shows; one of ours counts as long as it is
    accepted, and was not about to be replaced when a process died: its record tells of what was to come.
    """
    place = job.claim.place
    former: list[Former] = []
    passed: set[str] = set()
    while True:
        name = first_picture(place, opened, without=passed)
        if name is None:
            return Present(name=None, former=tuple(former))
        found = _ours(job, name)
        if found is not None and _is_of_another_name(job, name):
            passed.add(name)
            continue
        job.decided.add(place.sibling(name))
        if found is None:
            job.keep_edited(place.sibling(name))
            return Present(name=name, former=tuple(former))
        known, fingerprint, here = found
        is_outdated = known.intended_sha256 not in (None, fingerprint)
        if not (is_outdated or job.is_others(known, fingerprint)) and accepts(known):
            record = job.record(known.writer, place.sibling(name), fingerprint)
            level = known.nsfw_level
            job.kept.append(replace(record, nsfw_level=level, version_id=known.version_id))
            return Present(name=name, nsfw_level=level, former=tuple(former))
        former.append(Former(name=name, here=here, sha256=fingerprint, nsfw_level=known.nsfw_level))
        passed.add(name)


def first_picture(place: Place, opened: OpenedFolder, *, without: Collection[str] = ()) -> str | None:
    """Name the picture beside a model, whoever put it there; None: it has none."""
    taken = {place.sibling(name).stem for name in opened.models_like(place)} - {place.stem}
    return opened.listing.picture_of(place.stem, is_taken=taken.__contains__, without=without)


def _is_of_another_name(job: Job, name: str) -> bool:
    """Tell whether a picture of ours is called after a model of other letter case: it goes with that one.

    Where the disk knows no case, it has the model's own name as well.
    """
    stem = job.claim.place.stem
    if name.startswith(stem + "."):
        return False
    suffix = next(it for it in PICTURE_SUFFIXES if (stem + it).casefold() == name.casefold())
    return job.folder.here(stem + suffix) is None


def _ours(job: Job, name: str) -> tuple[Publication, str, Here] | None:
    """Find the record of a picture, its fingerprint and what lies there; None where it is not ours."""
    place, claim = job.claim.place.sibling(name), job.claim
    recorded = any(known.place == place for known in (*claim.publications, *claim.nearby))
    elsewhere = (*claim.twins, *claim.far_twins)
    moved = any(known.place.name.endswith(PICTURE_SUFFIXES) for known in elsewhere)
    content = read(job, place, limit_bytes=PICTURE_LIMIT_BYTES) if recorded or moved else None
    if not isinstance(content, Content) or content.data is None:
        return None
    fingerprint = sha256(content.data).hexdigest()
    known = job.known(place, fingerprint)
    return None if known is None else (known, fingerprint, content.here)
