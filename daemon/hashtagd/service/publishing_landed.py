"""Publishes what a command fetched, while it fetches the rest: a kill costs no file its card."""

import threading
from collections.abc import Callable, Sequence
from typing import Final

from hashtagd.catalog.catalog import Catalog
from hashtagd.core.place import Place
from hashtagd.core.ports import Stopping
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Claim, Outcome, Release, Stage
from hashtagd.service import parts
from hashtagd.service.leases import Leases
from hashtagd.service.roots import RootPlan
from hashtagd.service.writing import Writing
from hashtagd.watch.roots import Roots

_AT_ONCE: Final = 16


class PublishingLanded:
    """The work of a lane: writes beside each file that landed; what cannot be written now is the daemon's.

    Args:
        ended: told of each outcome that was committed.
    """

    name = "publish"

    def __init__(
        self,
        outside: parts.Outside,
        *,
        catalog: Catalog,
        plan: RootPlan,
        roots: Roots,
        leases: Leases,
        ended: Callable[[Claim, Outcome], None],
    ) -> None:
        self._catalog = catalog
        self._leases = leases
        self._ended = ended
        self._roots = list(roots.folders)
        self._fetcher = parts.make_fetcher(outside)
        self._stage = Writing(
            writers=parts.make_writers(outside.loaded),
            folders=plan.folders,
            fetcher=self._fetcher,
            roots=roots,
            catalog=catalog,
            clock=outside.clock,
            pause=outside.pause,
        ).publish()
        self._lock = threading.Lock()
        #: to begin with, what a killed call had fetched and not come to
        self._landed = catalog.transfers.unpublished(self._roots)

    @property
    def ended(self) -> bool:
        """Tell whether nothing is left to be written, or is being written."""
        with self._lock:
            return not self._landed

    def landed(self, place: Place) -> None:
        """Take a file that is there now."""
        with self._lock:
            self._landed.append(place)

    def close(self) -> None:
        """Let go of connections."""
        self._fetcher.close()

    def turn(self) -> float:
        """Publish a handful."""
        with self._lock:
            some = self._landed[:_AT_ONCE]
        if not some:
            return float("inf")
        ended = set(some)
        try:
            claims = self._catalog.claim(Stage.PUBLISH, self._roots, len(some), only=some)
            # what may kill the process comes alone: then the others have another turn
            ended = {claim.place for claim in claims} or ended
            self._publish(claims)
        finally:
            with self._lock:
                self._landed = [place for place in self._landed if place not in ended]
        return 0.0

    def _publish(self, claims: Sequence[Claim]) -> None:
        with self._leases.hold_files(claims):
            try:
                outcomes = self._stage.run(claims)
            except (Trouble, Stopping):
                self._catalog.apply([(claim, Release()) for claim in claims])
                raise
            results = list(zip(claims, outcomes, strict=True))
            applied = self._catalog.apply(results)
        for (claim, outcome), held in zip(results, applied, strict=True):
            if held:
                self._ended(claim, outcome)
