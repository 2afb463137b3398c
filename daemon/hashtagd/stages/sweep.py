"""Remove what we wrote beside a model that is gone: only bytes of ours, unchanged, under names of its own.

Never follows a link. A record is dropped only after its file was removed and the removal is on the disk, so a
kill in between repeats the look and loses nothing.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from hashtagd.core.troubles import Scope, Trouble
from hashtagd.core.work import Advance, Claim, Defer, Outcome, Publication, Release, Swept
from hashtagd.stages.disk_troubles import (
    NO_PERMISSION,
    ROOT_WAIT_S,
    TREE_WAIT_S,
    WRITE_WAIT_S,
    disk_trouble,
    is_exhausted,
    tree_trouble,
)
from hashtagd.stages.folders import Folders, OpenedFolder
from hashtagd.stages.looks import Here
from hashtagd.stages.ours import judge, remove_ours


def sweep(
    path: Path, claim: Claim, folders: Folders, sweep_elsewhere: Callable[[Claim, Publication], bool]
) -> Outcome:
    """Sweep beside one model, and what lies elsewhere for it alone.

    Nothing is removed while anything lies at the model's own name; and nothing beside it while another model
    has that name up to the extension: what lies there is that one's to judge.

    Args:
        path: where the model was.
        claim: the right to sweep.
        folders: opens its folder.
        sweep_elsewhere: removes what a record tells of, if it lies in a tree; tells whether it did.

    Raises:
        OSError: the folder could not be looked at, or the machine has run out of something.
        Trouble: scope `root`: the root went away.
    """
    opened, is_gone = None, True
    with suppress(FileNotFoundError, NotADirectoryError):
        opened = folders.at(path, claim.place)
        is_gone = opened is not None and opened.folder.here(claim.place.name) is None
    if not is_gone:
        return Advance(facts=Swept(publications=claim.publications))
    try:
        left = [known for known in claim.publications if not sweep_elsewhere(claim, known)]
    except OSError as error:
        if is_exhausted(error):
            raise
        return Defer(trouble=tree_trouble(error), wait_s=TREE_WAIT_S)
    return Advance(facts=Swept(publications=tuple(left))) if opened is None else _beside(opened, claim, left)


def _beside(opened: OpenedFolder, claim: Claim, records: Sequence[Publication]) -> Outcome:
    twins = [claim.place.sibling(name).stem for name in opened.models_like(claim.place)]
    if claim.place.stem in twins:
        return Advance(facts=Swept(publications=tuple(records)))
    try:
        left = [known for known in records if not _remove(opened, claim, known, twins)]
        if len(left) < len(records):
            opened.folder.flush()
    except OSError as error:
        return _outcome(claim, disk_trouble(error))
    return Advance(facts=Swept(publications=tuple(left)))


def _remove(opened: OpenedFolder, claim: Claim, known: Publication, twins: Sequence[str]) -> bool:
    place, folder = known.place, opened.folder
    in_folder = (place.root, place.folder) == (claim.place.root, claim.place.folder)
    if not in_folder or not place.name.startswith(claim.place.stem + ".") or opened.is_model(place):
        return False
    judged = judge(folder, place.name, [known])
    if judged.here is not None and _is_shared(opened, claim, known, twins, judged.here):
        return False
    # what somebody put there in the meantime is theirs
    return remove_ours(folder, place.name, judged)


def _is_shared(
    opened: OpenedFolder, claim: Claim, known: Publication, twins: Sequence[str], here: Here
) -> bool:
    """Tell whether it is the sidecar of a model of other letter case too, where the disk knows no case."""
    suffix = known.place.name.removeprefix(claim.place.stem)
    return any(opened.folder.here(stem + suffix) == here for stem in twins)


def _outcome(claim: Claim, trouble: Trouble) -> Outcome:
    if trouble.scope is Scope.ROOT:
        return Defer(trouble=trouble, wait_s=ROOT_WAIT_S)
    if trouble.scope is Scope.DAEMON:
        return Release(trouble=trouble)
    if trouble.kind == NO_PERMISSION:
        return Advance(facts=Swept(publications=claim.publications))
    return Defer(trouble=trouble, wait_s=WRITE_WAIT_S)
