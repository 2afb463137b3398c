"""Which roots may be worked on just now, and why not: a small notice board that lanes and scouts share."""

import threading
from collections.abc import Callable, Mapping
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
    """

    def __init__(self, *, clock: Clock, changed: Callable[[str, Trouble | None], None]) -> None:
        self._clock = clock
        self._changed = changed
        self._lock = threading.Lock()
        self._notices: dict[tuple[str, Stage | None], Notice] = {}

    def pin(
        self, root: str, trouble: Trouble, *, stage: Stage | None = None, for_s: float | None = None
    ) -> None:
        """Let a root rest: altogether, or in one stage only; until `lift`, or for a time."""
        until_s = None if for_s is None else self._clock.monotonic_s() + for_s
        with self._lock:
            before = self._trouble(root)
            self._notices[root, stage] = Notice(trouble=trouble, until_s=until_s)
        if before is None or before.kind != trouble.kind:
            self._changed(root, trouble)

    def lift(self, root: str, *, stage: Stage | None = None) -> None:
        """Call a notice off; nothing happens when there is none."""
        with self._lock:
            if self._notices.pop((root, stage), None) is None:
                return
            left = self._trouble(root)
        self._changed(root, left)

    def open_roots(self, roots: Mapping[str, object] | list[str], stage: Stage) -> list[str]:
        """Give those roots that may be worked on in this stage now."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            closed = {
                root
                for (root, of_stage), notice in self._notices.items()
                if of_stage in (None, stage) and (notice.until_s is None or notice.until_s > now_s)
            }
        return [root for root in roots if root not in closed]

    def next_opening_s(self, stage: Stage) -> float | None:
        """Give the seconds until the first timed notice for this stage runs out; None when there is none."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            ends = [
                notice.until_s - now_s
                for (_, of_stage), notice in self._notices.items()
                if of_stage in (None, stage) and notice.until_s is not None
            ]
        return max(0.0, min(ends)) if ends else None

    def worked(self, root: str, stage: Stage) -> None:
        """Note success: a timed notice of this stage that ran out is called off."""
        if (root, stage) in self._notices:
            self.lift(root, stage=stage)

    def troubles(self) -> dict[str, Trouble]:
        """Give the trouble of each root that has one."""
        with self._lock:
            roots = {root for root, _ in self._notices}
            found = {root: self._trouble(root) for root in roots}
        return {root: trouble for root, trouble in found.items() if trouble is not None}

    def _trouble(self, root: str) -> Trouble | None:
        return next((notice.trouble for (of, _), notice in self._notices.items() if of == root), None)
