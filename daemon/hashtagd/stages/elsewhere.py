"""Read what was written at another place: where a model lay before it was moved, or beside a copy of it."""

from hashlib import sha256

from hashtagd.core.ports import Locator
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Publication
from hashtagd.stages.folders import Folders
from hashtagd.stages.looks import Content
from hashtagd.stages.present import PICTURE_LIMIT_BYTES


def read_elsewhere(locator: Locator, folders: Folders, known: Publication) -> bytes | None:
    """Read it whole, no links followed; None where it is not there any more as it was written."""
    try:
        opened = folders.at(locator.locate(known.place), known.place)
        content = None if opened is None else opened.folder.read(known.place.name, PICTURE_LIMIT_BYTES)
    except (OSError, Trouble):
        return None  # nothing depends on it: it can be fetched
    if not isinstance(content, Content) or content.data is None:
        return None
    return content.data if sha256(content.data).hexdigest() == known.written_sha256 else None
