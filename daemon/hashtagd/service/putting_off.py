"""Puts off at once what waits for the same hosts: thousands of downloads behind one gate are one commit."""

from collections.abc import Callable, Collection, Sequence
from typing import Final

from hashtagd.catalog.catalog import Catalog
from hashtagd.core.card import DownloadUrl
from hashtagd.core.ports import Clock, Closed, Gatekeeper
from hashtagd.core.transfer import TransferClaim, TransferOutcome
from hashtagd.core.troubles import Scope, Trouble
from hashtagd.core.work import Defer

#: never 0: by the clock of a shared catalog the gate may not be open yet
_LEAST_S: Final = 1.0
#: what could be asked elsewhere is looked through no more often than its number is worth
_ROWS_A_FAILURE: Final = 100


class PuttingOff:
    """For the lanes of one process.

    Args:
        catalog: where downloads wait.
        gates: tells which hosts are away.
        gate_for: names the gate of a source; None where it is not asked at all.
        roots: where files go.
        clock: of this process.
    """

    def __init__(
        self,
        catalog: Catalog,
        gates: Gatekeeper,
        gate_for: Callable[[DownloadUrl], str | None],
        *,
        roots: Sequence[str],
        clock: Clock,
    ) -> None:
        self._catalog = catalog
        self._gates = gates
        self._gate_for = gate_for
        self._roots = list(roots)
        self._clock = clock
        #: so many more failures come before all is looked through again
        self._spared = 0

    def after(self, claim: TransferClaim, outcome: TransferOutcome, only: Collection[int] | None) -> int:
        """Put off what can fare no better than this one did; returns how many.

        Args:
            claim: what ended.
            outcome: how.
            only: none but the transfers of these numbers; None: all.
        """
        trouble = outcome.trouble if isinstance(outcome, Defer) else None
        if trouble is None or trouble.scope is not Scope.PROVIDER:
            return 0
        looks: dict[str, Closed | None] = {}
        if not self._closed(claim.wanted.sources, looks):
            return 0
        if self._spared > 0:
            self._spared -= 1
            return 0
        rows = self._catalog.transfers.due(self._roots, only)
        found = [(row, some) for row in rows if (some := self._closed(row.sources, looks))]
        self._spared = (len(rows) - len(found)) // _ROWS_A_FAILURE
        return self._catalog.transfers.put_off([(row, *self._wait(some)) for row, some in found])

    def _closed(self, sources: Sequence[DownloadUrl], looks: dict[str, Closed | None]) -> list[Closed]:
        """Give what closes all sources; nothing where one of them could be asked."""
        names = {name for source in sources if (name := self._gate_for(source)) is not None}
        for name in names - looks.keys():
            said = self._gates.look(name)
            # a gate that only waits for its request budget is none that is closed
            looks[name] = said if isinstance(said, Closed) and said.trouble is not None else None
        found = [look for name in sorted(names) if (look := looks[name]) is not None]
        return found if len(found) == len(names) else []

    def _wait(self, closed: Sequence[Closed]) -> tuple[float, Trouble | None]:
        """Say until when: the first of the gates decides, as others may be closed for hours."""
        first = min(closed, key=lambda it: it.opens_at)
        return max((first.opens_at - self._clock.now()).total_seconds(), _LEAST_S), first.trouble
