"""Trees in which nothing changes: what would be made there counts as made."""

import errno
import os
from pathlib import Path, PurePath
from typing import ClassVar

from hashtagd.core.place import Place
from hashtagd.stages.descent import open_below
from hashtagd.stages.effects import Folder
from hashtagd.stages.trees import Trees
from hashtagd.stages.untouched import UnmadeFolder, UntouchedFolder


class UntouchedTrees(Trees):
    """Opens what is there; in place of what would be made, an empty folder."""

    kind: ClassVar[type[Folder]] = UntouchedFolder

    def remove_empty(self, tree: PurePath, place: Place) -> None:
        """Change nothing."""

    def _open(self, top: Path, path: Path, mode: int | None) -> Folder:  # noqa: ARG002 - nothing is made
        if os.path.lexists(path):
            return super()._open(top, path, None)
        if os.path.realpath(path) != str(path):
            raise OSError(errno.ELOOP, "a link inside the tree leads away")
        nearest = next(it for it in path.parents if os.path.lexists(it))
        if not nearest.is_relative_to(top.parent):
            raise FileNotFoundError(errno.ENOENT, "what the tree lies in is not there")
        return self._enter(UnmadeFolder, open_below(nearest, ()))
