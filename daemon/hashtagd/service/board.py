"""Which roots may be worked on just now, and why not: a small notice board that lanes and scouts share."""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from hashtagd.core.ports import Clock
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Stage

#: how long a root rests after a trouble that no scout will call off (a full disk, a read-only mount)
PAUSE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Why a root (or one stage of it) rests; `until_s` is monotonic, None until called off."""

    trouble: Trouble
    until_s: float | None


class RootBoard:
    """Notices per root and stage; safe to use from every lane.

    Args:
        changed: told (root, trouble or None) whenever what is wrong with a root changed.
        called_off: called when a notice is gone: nobody commits anything for the rows that waited for that.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        changed: Callable[[str, Trouble | None], None],
        called_off: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._changed = changed
        self._called_off = called_off
        self._lock = threading.Lock()
        self._notices: dict[tuple[str, Stage | None], Notice] = {}
        self._remarks: dict[str, tuple[Trouble, ...]] = {}

    def pin(
        self, root: str, trouble: Trouble, *, stage: Stage | None = None, for_s: float | None = None
    ) -> None:
        """Let a root rest: altogether, or in one stage only; until called off, or for a time."""
        until_s = None if for_s is None else self._clock.monotonic_s() + for_s
        with self._lock:
            before = self._notices.get((root, stage))
            self._notices[root, stage] = Notice(trouble=trouble, until_s=until_s)
        if before is None or before.trouble.kind != trouble.kind:
            self._changed(root, trouble)

    def lift(self, root: str, *, stage: Stage | None = None) -> None:
        """Call one notice off; nothing happens when there is none."""
        self._drop(root, [(root, stage)])

    def recovered(self, root: str) -> None:
        """Call off everything that is said of a root: it came back, so what was wrong with it is old news."""
        with self._lock:
            keys = [key for key in self._notices if key[0] == root]
        self._drop(root, keys)

    def worked(self, root: str, stage: Stage) -> None:
        """Note that something succeeded: the notice of this stage is called off."""
        self.lift(root, stage=stage)

    def nothing_due(self, roots: Iterable[str], stage: Stage) -> None:
        """Note that no row of these roots waits: a pause that ran out has nothing left to be tried on."""
        for root in self._run_out(stage).intersection(roots):
            self.lift(root, stage=stage)

    def open_roots(self, roots: Iterable[str], stage: Stage) -> list[str]:
        """Give those roots that may be worked on in this stage now."""
        closed = self.closed_roots(stage)
        return [root for root in roots if root not in closed]

    def closed_roots(self, stage: Stage) -> frozenset[str]:
        """Give the roots that rest in this stage now."""
        now_s = self._clock.monotonic_s()
        return frozenset(root for root, end_s in self._ends(stage) if end_s > now_s)

    def next_opening_s(self, stage: Stage) -> float | None:
        """Give the seconds until the first timed notice for this stage runs out; None when there is none."""
        now_s = self._clock.monotonic_s()
        # one that ran out already is nothing to wait for: a lane that did would turn and turn
        ends = [end_s - now_s for _, end_s in self._ends(stage) if now_s < end_s < float("inf")]
        return min(ends, default=None)

    def remark(self, root: str, troubles: Iterable[Trouble]) -> None:
        """Keep what the last scan met inside a root, in place of what was met before; the root works on."""
        with self._lock:
            self._remarks[root] = tuple(troubles)

    def remarks(self) -> dict[str, tuple[Trouble, ...]]:
        """Give what the last scans met, for roots in which they met anything."""
        with self._lock:
            return {root: troubles for root, troubles in self._remarks.items() if troubles}

    def troubles(self) -> dict[str, Trouble]:
        """Give the trouble of each root that has one."""
        with self._lock:
            return {root: self._notices[root, stage].trouble for root, stage in reversed(self._notices)}

    def _drop(self, root: str, keys: Sequence[tuple[str, Stage | None]]) -> None:
        with self._lock:
            dropped = [self._notices.pop(key, None) for key in keys]
            left = next((notice.trouble for (of, _), notice in self._notices.items() if of == root), None)
        if any(notice is not None for notice in dropped):
            self._changed(root, left)
            self._called_off()

    def _ends(self, stage: Stage) -> list[tuple[str, float]]:
        with self._lock:
            return [
                (root, float("inf") if notice.until_s is None else notice.until_s)
                for (root, of_stage), notice in self._notices.items()
                if of_stage in (None, stage)
            ]

    def _run_out(self, stage: Stage) -> set[str]:
        now_s = self._clock.monotonic_s()
        with self._lock:
            return {
                root
                for (root, of_stage), notice in self._notices.items()
                if of_stage is stage and notice.until_s is not None and notice.until_s <= now_s
            }
