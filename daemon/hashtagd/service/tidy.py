"""Removes what killed processes left in the state folder: files that never got their final names."""

from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from hashtagd.service.presence import FILE_NAME

#: how the temporary names of a new catalog, of an owner's file and of the presence file begin
_UNFINISHED: Final = (".hashtagd-new-", ".owner-", f".{FILE_NAME}.")
#: a temporary file of this age belongs to no process at work
_SWEEP_AGE_S: Final = 3600.0


def sweep_state(folder: Path, now: datetime) -> int:
    """Remove old unfinished files of ours; returns how many. Repeats: nothing more happens."""
    removed = 0
    for path in sorted(folder.iterdir()):
        if path.name.startswith(_UNFINISHED):
            with suppress(OSError):
                if now.timestamp() - path.lstat().st_mtime > _SWEEP_AGE_S:
                    path.unlink()
                    removed += 1
    return removed
