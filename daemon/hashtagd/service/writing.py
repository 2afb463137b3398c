"""How publishing, or the rehearsal of it, is put together."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from hashtagd.core.place import Place
from hashtagd.core.ports import Clock, Fetcher, Ledger, Pause, Writer, WritesTree
from hashtagd.service.leftovers import Leftovers
from hashtagd.stages.planning import Planning
from hashtagd.stages.publish import PublishStage
from hashtagd.stages.rehearse import RehearseStage
from hashtagd.stages.untouched import UntouchedFolder
from hashtagd.watch.filters import Kind
from hashtagd.watch.roots import RootFolder, Roots


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """What publishing is made of."""

    writers: Mapping[str | None, Sequence[Writer]]
    folders: Sequence[RootFolder]
    fetcher: Fetcher
    roots: Roots
    catalog: Ledger
    clock: Clock
    pause: Pause

    def publish(self) -> PublishStage:
        """Make the stage that writes."""
        return PublishStage(
            writers=self.writers,
            locator=self.roots,
            ledger=self.catalog,
            fetcher=self.fetcher,
            clock=self.clock,
            pause=self.pause,
            is_model=self._is_model,
        )

    def rehearse(self) -> RehearseStage:
        """Make the stage that only tells."""
        planning = Planning(
            writers=self.writers,
            locator=self.roots,
            fetcher=self.fetcher,
            clock=self.clock,
            pause=self.pause,
            is_model=self._is_model,
            folder=UntouchedFolder,
        )
        return RehearseStage(planning)

    def leftovers(self, awaited: Callable[[], Iterable[Place]], *, rehearsing: bool) -> Leftovers | None:
        """Make what sweeps after killed processes; None where nothing may change."""
        trees = {
            root: {it.tree for it in some if isinstance(it, WritesTree)}
            for root, some in self.writers.items()
        }
        return None if rehearsing else Leftovers(trees, self.clock, awaited)

    def _is_model(self, place: Place) -> bool:
        names = next(folder.names for folder in self.folders if folder.name == place.root)
        return names.kind_of(place.relpath) is Kind.OURS
