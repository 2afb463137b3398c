"""Sweeps what killed processes left beside models and in trees of cards: files that never got their names.

And what was fetched of files that nobody waits for any more: the wish was taken back, or its place is taken.
"""

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Final

from hashtagd.catalog.transfers import TransferRow, Transfers
from hashtagd.core.place import Place
from hashtagd.core.ports import Clock
from hashtagd.stages.descent import remove_empty_below
from hashtagd.stages.download_troubles import PLACE_TAKEN
from hashtagd.stages.effects import TEMPORARY_PREFIX, Folder, sweep_temporary
from hashtagd.stages.folders import SWEEP_AGE_S
from hashtagd.stages.ground import new_token
from hashtagd.stages.part import part_name, sweep_parts
from hashtagd.stages.trees import top_of
from hashtagd.watch.roots import RootFolder

#: trees are not scanned; so often they are looked through
_TREES_AGAIN_S: Final = 3600.0
#: a download may wait for days, and be waited for by a machine whose catalog this one does not see
PARTS_AGE_S: Final = 7 * 86_400.0


class Leftovers:
    """Removes old temporary files; young ones may belong to a process at work, here or on another machine.

    Args:
        trees: the trees that lie elsewhere, by root; under None those of all other roots.
        clock: tells how old files are.
        awaited: gives the places of downloads that go on some day.
    """

    def __init__(
        self,
        trees: Mapping[str | None, Collection[PurePath]],
        clock: Clock,
        awaited: Callable[[], Iterable[Place]],
    ) -> None:
        self._trees = trees
        self._clock = clock
        self._awaited = awaited
        #: monotonic: when each tree was looked through
        self._looked_s: dict[PurePath, float] = {}

    def sweep(self, root: RootFolder, folders: Collection[str]) -> int:
        """Sweep these folders of a root, and once an hour its trees; returns how many files were removed.

        What cannot be opened or removed is left for the next time.
        """
        top = Path(os.path.realpath(root.path))
        places = [Path(os.path.realpath(root.path / relpath)) for relpath in sorted(folders)]
        inside = [place for place in places if place.is_relative_to(top)]
        removed = sum(self._sweep(top, place) + self._sweep_parts(top, place) for place in inside)
        for tree in self._trees.get(root.name, self._trees.get(None, ())):
            now_s = self._clock.monotonic_s()
            if now_s - self._looked_s.get(tree, float("-inf")) >= _TREES_AGAIN_S:
                self._looked_s[tree] = now_s
                removed += self._sweep_tree(tree)
        return removed

    def _sweep_tree(self, tree: PurePath) -> int:
        removed = 0
        with suppress(OSError):
            top = top_of(tree)
            for at, _, names in os.walk(top, topdown=False):
                if any(name.startswith(TEMPORARY_PREFIX) for name in names):
                    removed += self._sweep(top, Path(at))
                    remove_empty_below(top, Path(at).relative_to(top).parts)
        return removed

    def _sweep(self, top: Path, place: Path) -> int:
        older_than_s = self._clock.now().timestamp() - SWEEP_AGE_S
        with suppress(OSError), Folder.open(place, token=new_token, below=top) as folder:
            return sweep_temporary(folder, folder.names(), older_than_s=older_than_s)
        return 0

    def _sweep_parts(self, top: Path, place: Path) -> int:
        older_than_s = self._clock.now().timestamp() - PARTS_AGE_S
        return sweep_parts(place, top, kept=self._kept, older_than_s=older_than_s)

    def _kept(self) -> frozenset[str]:
        """Name what must stay, in whatever folder: links lead to one folder by several paths."""
        return frozenset(part_name(place.name) for place in self._awaited())


def awaited_places(transfers: Transfers) -> list[Place]:
    """List where downloads go on some day; not those to a place that something else took."""
    return [row.place for row in transfers.rows() if row.state != "done" and not _is_taken(row)]


def _is_taken(row: TransferRow) -> bool:
    return row.state == "parked" and row.trouble is not None and row.trouble.get("kind") == PLACE_TAKEN
