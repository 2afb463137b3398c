"""Whose bytes lie at an artifact's place, and removing ours: unchanged only, links never followed."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from hashtagd.core.sidecars import SidecarState
from hashtagd.core.work import Publication
from hashtagd.stages.effects import Folder
from hashtagd.stages.looks import Content, Here
from hashtagd.stages.present import PICTURE_LIMIT_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What lies at a name: whose it is, and enough to notice that it was replaced since."""

    state: SidecarState
    here: Here | None = None


def judge(folder: Folder, name: str, records: Iterable[Publication]) -> Judged:
    """Compare what lies at a name with what we know we wrote there.

    Raises:
        OSError: it is there and cannot be read.
    """
    known = tuple(records)
    content = folder.read(name, PICTURE_LIMIT_BYTES) if known else folder.here(name)
    if content is None:
        return Judged(state=SidecarState.MISSING)
    if not isinstance(content, Content):  # a link or a device, or nothing that we ever wrote
        return Judged(state=SidecarState.FOREIGN, here=content)
    fingerprint = "" if content.data is None else sha256(content.data).hexdigest()
    ours = any(it.recognises(fingerprint) for it in known)
    return Judged(state=SidecarState.OURS if ours else SidecarState.EDITED, here=content.here)


def remove_ours(folder: Folder, name: str, judged: Judged) -> bool:
    """Remove what was judged to be ours; returns False, and leaves it, where something else lies there now.

    Raises:
        OSError: it could not be removed.
    """
    if judged.state is not SidecarState.OURS or judged.here is None:
        return False
    return folder.remove_if(name, judged.here)
