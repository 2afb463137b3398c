"""When is `run --once` done? When nothing is left that a short wait would bring forward.

Files that still settle are waited for, and so is a gate that opens in a moment. What waits longer (a closed
gate, a copy that died half-way, a root that is away or full) or needs a person is reported instead.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.pending import PendingFile, pending_files, publish_now
from hashtagd.core.ports import Clock, Closed, Gatekeeper
from hashtagd.core.work import Stage

#: a gate that opens within this is waited for
GATE_PATIENCE_S = 20.0
#: an incomplete file that has rested for this long is not arriving any more
ARRIVING_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether there is more to do now, and what is left for later."""

    finished: bool
    #: closed gates by origin, with the moment they open
    gates: Mapping[str, Closed]
    #: files that wait for time because they are still arriving
    growing: int
    #: files that wait for something that time alone will hardly heal, such as a copy that died half-way
    stalled: int
    #: questions nobody can answer before a gate opens
    questions_waiting: int


class OnceJudge:
    """Looks at the catalog once a tick.

    Args:
        origins: provider name → origin of its gate, None for those that need no network.
        resting: gives the roots that nobody works on in a stage just now.
        quiet: tells whether scouts have nothing to look at and no lane holds a claim.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        gates: Gatekeeper,
        origins: Mapping[str, str | None],
        roots: Sequence[str],
        clock: Clock,
        resting: Callable[[Stage], Collection[str]],
        quiet: Callable[[], bool],
    ) -> None:
        self._catalog = catalog
        self._gates = gates
        self._origins = origins
        self._roots = roots
        self._clock = clock
        self._resting = resting
        self._quiet = quiet

    def finished(self) -> bool:
        """Tell whether the run is over."""
        return self._quiet() and self.judge().finished and self._quiet()

    def judge(self) -> Verdict:
        """Weigh what is left."""
        now = self._clock.now()
        gates = self._closed_gates()
        waiting = {name: self._catalog.waiting(name).due for name in self._origins}
        blocked = {name: due for name, due in waiting.items() if due and self._origins[name] in gates}
        askable = any(due and name not in blocked for name, due in waiting.items())
        soon = any(
            gates[origin].opens_at <= now + timedelta(seconds=GATE_PATIENCE_S)
            for origin in self._origins_of(blocked)
        )
        files = pending_files(self._catalog.database, self._roots)
        resting = {stage: self._resting(stage) for stage in Stage}
        workable = [file for file in files if file.root not in resting[file.stage]]
        woken = bool(blocked) and not askable and not soon and self._publish_without_answers(workable)
        hopeless = bool(blocked) and not soon
        arriving = any(self._is_worth_waiting(file, now, blocked=hopeless) for file in workable)
        stalled = sum(self._is_stalled(file, now) for file in files)
        return Verdict(
            finished=not (askable or soon or arriving or woken),
            gates=gates,
            growing=sum(not self._is_stalled(file, now) for file in workable),
            stalled=stalled,
            questions_waiting=sum(blocked.values()),
        )

    def _closed_gates(self) -> dict[str, Closed]:
        looks = {origin: self._gates.look(origin) for origin in self._origins.values() if origin is not None}
        # a gate that only waits for its request budget is open as far as patience goes
        return {
            origin: look
            for origin, look in looks.items()
            if isinstance(look, Closed) and look.trouble is not None
        }

    def _origins_of(self, names: Mapping[str, int]) -> list[str]:
        return [origin for name in names if (origin := self._origins[name]) is not None]

    def _is_worth_waiting(self, file: PendingFile, now: datetime, *, blocked: bool) -> bool:
        if file.due_at <= now:
            return True
        if file.trouble is None:
            return file.stage is not Stage.PUBLISH or not blocked
        return file.stage is Stage.SETTLE and (now - file.still_since).total_seconds() < ARRIVING_S

    @staticmethod
    def _is_stalled(file: PendingFile, now: datetime) -> bool:
        return file.stage is Stage.SETTLE and (now - file.still_since).total_seconds() >= ARRIVING_S

    def _publish_without_answers(self, files: Sequence[PendingFile]) -> bool:
        """Let files whose answer will not come now be published with what their headers say."""
        patient = [file.file_id for file in files if file.stage is Stage.PUBLISH and file.trouble is None]
        if patient:
            publish_now(self._catalog.database, patient)
        return bool(patient)
