"""Take back what was written beside models: our bytes, unchanged; what somebody edited or put there stays."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from hashtagd.core.sidecars import SidecarState
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Claim, Publication
from hashtagd.stages.beside import Beside, attribute_of, look_beside
from hashtagd.stages.disk_troubles import disk_trouble, tree_trouble
from hashtagd.stages.effects import Folder
from hashtagd.stages.folders import OpenedFolder
from hashtagd.stages.ground import Batch, Ground
from hashtagd.stages.ours import Judged, remove_ours
from hashtagd.stages.trees import sweep_tree_file
from hashtagd.stages.xattrs import read_ours, read_xattr, remove_xattr


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of one artifact."""

    seen: Beside
    #: it lay there as we wrote it, and does not any more; of a look: it would not
    goes: bool
    #: why it could not be looked at or removed
    trouble: Trouble | None = None
    #: the model is not at its place: what is missing may have moved along with it, and is to be known there
    is_adrift: bool = False

    @property
    def is_over(self) -> bool:
        """Tell whether its record has nothing to tell of any more."""
        is_missing = self.seen.state is SidecarState.MISSING and not self.is_adrift
        return self.seen.known is not None and (self.goes or is_missing)


class UnpublishStage:
    """Removes artifacts. Over untouched folders it only looks.

    Args:
        ground: where, and how folders are opened.
        detach: takes an extended attribute from an open file.
    """

    def __init__(self, ground: Ground, detach: Callable[[int, str], None] = remove_xattr) -> None:
        self._ground = ground
        self._detach = detach

    def run(self, claims: Sequence[Claim]) -> list[Taken]:
        """Take back what was written for these files; when it returns, removals are on the disk.

        Repeats: what is gone already is told as missing.
        """
        with self._ground.batch() as batch:
            touched: list[OpenedFolder] = []
            taken = [
                replace(self._take(seen, claim, batch, touched), is_adrift=is_adrift)
                for claim in claims
                for is_adrift in [not self._is_there(claim, batch)]
                for seen in look_beside(self._ground, claim, batch)
            ]
            trouble = _flush(touched)
        if trouble is None:
            return taken
        # only what is known to be gone for good may be forgotten
        return [replace(it, goes=False, trouble=trouble) if it.goes else it for it in taken]

    def _is_there(self, claim: Claim, batch: Batch) -> bool:
        try:
            opened = batch.folders.at(self._ground.locator.locate(claim.place), claim.place)
            return opened is not None and opened.folder.here(claim.place.name) is not None
        except (OSError, Trouble):
            return False

    def _take(self, seen: Beside, claim: Claim, batch: Batch, touched: list[OpenedFolder]) -> Taken:
        if seen.judged is None or seen.known is None or seen.state is not SidecarState.OURS:
            return Taken(seen=seen, goes=False, trouble=seen.trouble)
        if seen.tree is not None:
            return _take_from_tree(seen, seen.tree, seen.known, batch)
        try:
            opened = batch.folders.at(self._ground.locator.locate(seen.place), seen.place)
            if opened is None:
                return Taken(seen=seen, goes=False)
            if seen.place == claim.place:
                taken = self._take_from_model(seen, seen.known, opened.folder)
            else:
                taken = _take_from_folder(seen, seen.judged, opened.folder)
            touched += [opened] if taken.goes else []
        except OSError as error:
            return Taken(seen=seen, goes=False, trouble=disk_trouble(error))
        except Trouble as trouble:
            return Taken(seen=seen, goes=False, trouble=trouble)
        return taken

    def _take_from_model(self, seen: Beside, known: Publication, folder: Folder) -> Taken:
        key = attribute_of(known)
        with folder.opened(seen.place.name) as fd:
            if read_ours(fd, key, known) is None:  # somebody was faster
                state = SidecarState.MISSING if read_xattr(fd, key) is None else SidecarState.EDITED
                return Taken(seen=replace(seen, judged=Judged(state=state)), goes=False)
            self._detach(fd, key)
        return Taken(seen=seen, goes=True)


def _take_from_folder(seen: Beside, judged: Judged, folder: Folder) -> Taken:
    if remove_ours(folder, seen.place.name, judged):
        return Taken(seen=seen, goes=True)
    here = folder.here(seen.place.name)
    state = SidecarState.MISSING if here is None else SidecarState.EDITED
    return Taken(seen=replace(seen, judged=Judged(state=state)), goes=False)


def _take_from_tree(seen: Beside, tree: PurePath, known: Publication, batch: Batch) -> Taken:
    try:
        if sweep_tree_file(batch.trees, tree, known):
            return Taken(seen=seen, goes=True)
    except OSError as error:
        return Taken(seen=seen, goes=False, trouble=tree_trouble(error))
    return Taken(seen=replace(seen, judged=Judged(state=SidecarState.EDITED)), goes=False)


def _flush(touched: Sequence[OpenedFolder]) -> Trouble | None:
    for opened in {id(it): it for it in touched}.values():
        try:
            opened.folder.flush()
        except OSError as error:
            return disk_trouble(error)
    return None
