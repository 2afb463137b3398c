"""Which links may be followed: a share whose server is gone holds whoever follows one that leads there."""

import os
from functools import cached_property
from pathlib import Path
from typing import Final

from hashtagd.system.patience import silent_among
from hashtagd.watch.mounts import MOUNTINFO, Mount, mount_of, read_mounts

#: as the kernel has it; what leads on and on is an error that looking itself tells of
_MOST_LINKS: Final = 40


class Reach:
    """For the links of one walk; whole folders are asked, not each of the links that lead into them.

    Args:
        top: the folder that is walked, which answers.
    """

    def __init__(self, top: Path) -> None:
        self._top = top
        #: folder -> what it really is; None: it does not answer
        self._real: dict[str, str | None] = {}

    def answers(self, relpath: str) -> bool:
        """Tell whether a look at what the link at a path below the top leads to comes back."""
        path = os.path.join(self._top, relpath)  # noqa: PTH118 - a million links may pass through here
        for _ in range(_MOST_LINKS):
            around, name = os.path.split(path)
            folder = self._real_of(around)
            if folder is None:
                return False
            path = f"{folder}/{name}"
            if path in self._points and silent_among([Path(path)]):
                return False
            try:
                path = os.path.join(folder, os.readlink(path))  # noqa: PTH115, PTH118 - see above
            except OSError:
                return True  # no link, or nothing at all, in a folder that answers
        return True

    def _real_of(self, folder: str) -> str | None:
        if folder not in self._real:
            # first the whole file system, so that one that hangs is waited for once
            asked = (mount_of(folder, self._mounts).mount_point, folder)
            answers = not any(silent_among([Path(it)]) for it in asked)
            self._real[folder] = os.path.realpath(folder) if answers else None
        return self._real[folder]

    @cached_property
    def _mounts(self) -> tuple[Mount, ...]:
        try:
            return read_mounts(MOUNTINFO)
        except OSError:
            return ()

    @cached_property
    def _points(self) -> frozenset[str]:
        return frozenset(mount.mount_point for mount in self._mounts)
