"""Look at what lies beside a model: ours, edited, somebody's, or missing. Changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePath

from hashtagd.core.artifacts import Artifact, PreviewFile, TreeFile, Xattr
from hashtagd.core.place import Place
from hashtagd.core.sidecars import SidecarState
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Claim, Publication
from hashtagd.stages.disk_troubles import disk_trouble, tree_trouble, tree_unknown
from hashtagd.stages.folders import OpenedFolder
from hashtagd.stages.ground import Batch, Ground
from hashtagd.stages.ours import Judged, judge
from hashtagd.stages.planning import target_of
from hashtagd.stages.present import first_picture
from hashtagd.stages.trees import Trees, judge_tree_file, path_in_tree
from hashtagd.stages.xattrs import read_xattr


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """One artifact: of a record, or one that a writer wants."""

    writer: str
    place: Place
    #: None: it could not be looked at, and `trouble` says why
    judged: Judged | None
    trouble: Trouble | None = None
    #: None: nobody knows that we ever wrote there
    known: Publication | None = None
    #: the tree that it lies in, while `place` is the model's own; None: beside the model, or attached
    tree: PurePath | None = None

    @property
    def where(self) -> str:
        """Say where it lies, for people."""
        if self.tree is not None:
            return path_in_tree(self.tree, self.place)
        return f"{self.place.root}/{self.place.relpath}"

    @property
    def state(self) -> SidecarState | None:
        """Whose it is; None where that could not be found out."""
        return None if self.judged is None else self.judged.state


def look_beside(ground: Ground, claim: Claim, batch: Batch) -> list[Beside]:
    """List the artifacts of a file: first those that we know we wrote, then what its writers want besides."""
    found = [_recorded(ground, claim, known, batch) for known in claim.publications]
    places = {(it.place, it.writer if it.place == claim.place else None) for it in found}
    if claim.digests is None or any(it.trouble is not None for it in found):
        return found
    try:
        path = ground.locator.locate(claim.place)
        opened = batch.folders.at(path, claim.place)
        if opened is None or opened.folder.here(claim.place.name) is None:
            return found
        target = target_of(claim, path, claim.digests)
        owns = opened.owner_of_sidecars(claim.place) == claim.place.name
        for writer in ground.writers_of(claim.place.root):
            for artifact in writer.render(claim.card, target):
                if owns or isinstance(artifact, Xattr | TreeFile):
                    wanted = _wanted(claim, writer.name, artifact, opened, batch.trees)
                    key = (wanted.place, wanted.writer if wanted.place == claim.place else None)
                    found += [] if key in places else [wanted]
                    places.add(key)
    except (OSError, Trouble):
        return found  # what is written there is known; what is not could not be looked at
    return found


def attribute_of(known: Publication) -> str:
    """Give the name of the extended attribute that a record is about; empty where it is about a file."""
    return known.writer.partition(":")[2]


def _recorded(ground: Ground, claim: Claim, known: Publication, batch: Batch) -> Beside:
    if known.place == claim.place and not attribute_of(known):
        return _in_tree(known, ground.trees_of(claim.place.root).get(known.writer), batch.trees)
    judged, trouble = None, None
    try:
        opened = batch.folders.at(ground.locator.locate(known.place), known.place)
        if opened is None:
            judged = Judged(state=SidecarState.FOREIGN)  # links lead out of the root by now
        elif known.place == claim.place:
            judged = _attribute(opened, known.place, attribute_of(known), [known])
        elif opened.is_model(known.place):
            judged = Judged(state=SidecarState.FOREIGN)
        else:
            judged = judge(opened.folder, known.place.name, [known])
    except (FileNotFoundError, NotADirectoryError):
        judged = Judged(state=SidecarState.MISSING)
    except OSError as error:
        trouble = disk_trouble(error)
    except Trouble as away:
        trouble = away
    return Beside(writer=known.writer, place=known.place, judged=judged, trouble=trouble, known=known)


def _in_tree(known: Publication, tree: PurePath | None, trees: Trees) -> Beside:
    judged: Judged | None = None
    trouble: Trouble | None = None
    try:
        if tree is None:
            trouble = tree_unknown()
        else:
            judged = judge_tree_file(trees, tree, known.place, [known])
    except OSError as error:
        trouble = tree_trouble(error)
    return Beside(
        writer=known.writer, place=known.place, judged=judged, trouble=trouble, known=known, tree=tree
    )


def _wanted(claim: Claim, writer: str, artifact: Artifact, opened: OpenedFolder, trees: Trees) -> Beside:
    place = claim.place
    if isinstance(artifact, TreeFile):
        judged = judge_tree_file(trees, artifact.tree, place, [])
        return Beside(writer=writer, place=place, judged=judged, tree=artifact.tree)
    if isinstance(artifact, Xattr):
        judged = _attribute(opened, place, artifact.key, [])
        return Beside(writer=f"{writer}:{artifact.key}", place=place, judged=judged)
    name = place.stem + artifact.suffix
    if isinstance(artifact, PreviewFile):
        name = first_picture(place, opened) or name
    return Beside(writer=writer, place=place.sibling(name), judged=judge(opened.folder, name, []))


def _attribute(opened: OpenedFolder, place: Place, key: str, records: Sequence[Publication]) -> Judged:
    with opened.folder.opened(place.name) as fd:
        value = read_xattr(fd, key)
    if value is None:
        return Judged(state=SidecarState.MISSING)
    fingerprint = sha256(value).hexdigest()
    if any(it.recognises(fingerprint) for it in records):
        return Judged(state=SidecarState.OURS)
    return Judged(state=SidecarState.EDITED if records else SidecarState.FOREIGN)
