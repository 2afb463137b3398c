"""The end of `run --dry-run`: tell what would be written for every file that waits for it."""

from collections.abc import Callable
from typing import Final

from hashtagd.catalog.catalog import Catalog
from hashtagd.core.troubles import Scope
from hashtagd.stages.rehearse import Hindrance, Proposal, RehearseStage

#: pictures of one batch are in memory together
_BATCH: Final = 8


class Rehearsal:
    """Goes through the files that wait to be published, once. They wait afterwards as they did before.

    Args:
        told: takes what would be done; what is wrong with a whole root only once.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        stage: RehearseStage,
        roots: list[str],
        told: Callable[[Proposal | Hindrance], None],
    ) -> None:
        self._catalog = catalog
        self._stage = stage
        self._roots = roots
        self._told = told
        self._left: list[int] | None = None
        self._hindered: set[tuple[str, str]] = set()

    def run(self) -> None:
        """Tell it all. Repeats: goes on where a trouble of the catalog ended it.

        Raises:
            Trouble: scope `daemon`: the catalog is away.
            Stopping: the process was asked to stop.
        """
        if self._left is None:
            self._left = self._catalog.peeks.waiting_to_publish(self._roots)
        while self._left:
            claims = self._catalog.peeks.claims(self._left[:_BATCH])
            self._left = self._left[_BATCH:]
            for item in self._stage.run(claims):
                if not self._is_known(item):
                    self._told(item)

    def _is_known(self, item: Proposal | Hindrance) -> bool:
        if isinstance(item, Proposal) or item.trouble.scope is not Scope.ROOT:
            return False
        key = (item.place.root, item.trouble.kind)
        known = key in self._hindered
        self._hindered.add(key)
        return known


def make_rehearsal(
    catalog: Catalog,
    stage: RehearseStage | None,
    roots: list[str],
    told: Callable[[Proposal | Hindrance], None] | None,
) -> Rehearsal | None:
    """Make the rehearsal of a run; None: the run is none."""
    if stage is None or told is None:
        return None
    return Rehearsal(catalog=catalog, stage=stage, roots=roots, told=told)
