"""The folders of one batch: each opened once, listed once, swept once of what a killed process left."""

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from os.path import splitext
from pathlib import Path
from typing import Final

from hashtagd.core.place import Place
from hashtagd.core.ports import Clock
from hashtagd.core.troubles import Trouble
from hashtagd.stages.calls import Calls
from hashtagd.stages.effects import Folder, sweep_temporary
from hashtagd.stages.pictures import PICTURE_ENDINGS, Listing

#: a temporary file of this age belongs to no process at work
SWEEP_AGE_S: Final = 3600.0
#: how the names of what lies beside models end
_NO_MODELS: Final = (".json", ".info", *PICTURE_ENDINGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedFolder:
    """A folder held open, and the names in it."""

    folder: Folder
    listing: Listing
    #: names that may be models', by what those have in common that differ in letter case and extension only
    namesakes: Mapping[str, tuple[str, ...]]
    is_model: Callable[[Place], bool]

    def owner_of_sidecars(self, place: Place) -> str:
        """Name the model file that the sidecars of a stem belong to: the first one by name."""
        others = (name for name in self.models_like(place) if place.sibling(name).stem == place.stem)
        return min((*others, place.name))

    def models_like(self, place: Place) -> list[str]:
        """List the other models whose names differ in letter case and extension only."""
        names = self.namesakes.get(place.stem.casefold(), ())
        return [name for name in names if name != place.name and self.is_model(place.sibling(name))]


class Folders:
    """Opens the folders that a batch needs; the stack closes them."""

    def __init__(
        self,
        stack: ExitStack,
        *,
        clock: Clock,
        is_model: Callable[[Place], bool],
        token: Callable[[], str],
        calls: Calls,
        folder: type[Folder] = Folder,
    ) -> None:
        self._stack = stack
        self._clock = clock
        self._is_model = is_model
        self._token = token
        self._calls = calls
        self._folder = folder
        self._opened: dict[Path, OpenedFolder] = {}
        #: by root: what stops every write there; the other files of the batch need not run into it
        self.troubles: dict[str, Trouble] = {}

    def at(self, path: Path, place: Place) -> OpenedFolder | None:
        """Open the folder of a file; None when links lead out of the root: nothing is ever written there.

        Raises:
            OSError: as `open` says; also when the folder was swapped for a link meanwhile.
        """
        depth = place.relpath.count("/")
        root = Path(os.path.realpath(path.parents[depth]))
        real = Path(os.path.realpath(path.parent))
        if not real.is_relative_to(root):
            return None
        if real not in self._opened:
            self._opened[real] = self._open(real, root)
        return self._opened[real]

    def _open(self, real: Path, root: Path) -> OpenedFolder:
        # step by step from the root: what was no link a moment ago may be one now
        opening = self._folder.open(real, token=self._token, calls=self._calls, below=root)
        folder = self._stack.enter_context(opening)
        names = folder.names()
        sweep_temporary(folder, names, older_than_s=self._clock.now().timestamp() - SWEEP_AGE_S)
        return OpenedFolder(
            folder=folder, listing=Listing(names), namesakes=_namesakes(names), is_model=self._is_model
        )


def _namesakes(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    by_stem: dict[str, list[str]] = {}
    for name in names:
        # a folder may hold a hundred thousand names; most of them are no model's
        if name.casefold().endswith(_NO_MODELS):
            continue
        by_stem.setdefault(splitext(name)[0].casefold(), []).append(name)  # noqa: PTH122 - a name, not a path
    return {stem: tuple(sorted(some)) for stem, some in by_stem.items()}
