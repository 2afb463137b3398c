"""Resolves names while files are being fetched: of five hundred the first need not wait for the last."""

import threading
from collections import deque
from collections.abc import Iterable
from typing import Final

from hashtagd.catalog.transfers import Transfers
from hashtagd.core.place import Place
from hashtagd.core.transfer import Wanted
from hashtagd.service.wishing import Resolved

#: how long an answer that is under way is waited for after a stop
_GRACE_S: Final = 0.5


class Naming:
    """Takes what becomes of names on a thread of its own; whoever waits makes wishes of it.

    Args:
        transfers: where wishes are made.
        resolved: what became of each name, as it is known.
        smallest_first: wishes for nothing before all is known, and then in the order of the sizes.
    """

    def __init__(
        self, transfers: Transfers, resolved: Iterable[Resolved], *, smallest_first: bool = False
    ) -> None:
        self._transfers = transfers
        self._resolved = resolved
        self._smallest_first = smallest_first
        self._came: deque[Resolved] = deque()
        self._ended = threading.Event()
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._run, name="naming", daemon=True)
        self._places: set[Place] = set()
        #: what resolving raised
        self.broke: BaseException | None = None
        #: numbers of the transfers; they only grow
        self.ids: list[int] = []
        #: in the order in which they were named
        self.found: list[Resolved] = []

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def coming(self) -> bool:
        """Wish for what came, and tell whether more may come.

        Raises:
            AskOperator: scope `file`: no catalog can keep a path.
        """
        more = not self._ended.is_set()  # looked at first: what came before the end is not left behind
        if more and self._smallest_first:
            return True
        some = [self._came.popleft() for _ in range(len(self._came))]
        self.found += some
        wanted = self._new(some)
        if wanted:
            self.ids += self._transfers.want(wanted)
        return more

    def end(self) -> None:
        """Take nothing more; what is being asked for is left to itself."""
        self._left.set()
        self._thread.join(_GRACE_S)

    def _new(self, some: Iterable[Resolved]) -> list[Wanted]:
        wanted = {it.wanted.place: it.wanted for it in some if it.wanted is not None}
        new = [one for place, one in wanted.items() if place not in self._places]
        self._places |= wanted.keys()
        return sorted(new, key=_size_of) if self._smallest_first else new

    def _run(self) -> None:
        try:
            for it in self._resolved:
                self._came.append(it)
                if self._left.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits for it
            self.broke = error
        finally:
            self._ended.set()


def _size_of(wanted: Wanted) -> float:
    return float("inf") if wanted.size_bytes is None else wanted.size_bytes
