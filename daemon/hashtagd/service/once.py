"""When is `run --once` done? When nothing is left that a short wait would bring forward.

Files that still settle are waited for, and so is a gate that opens in a moment. What waits longer (a closed
gate, a copy that died half-way, a root that is away or full) or needs a person is reported instead.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.pending import PendingFile, pending_files, publish_now
from hashtagd.core.ports import Admitted, Clock, Closed, Gatekeeper
from hashtagd.core.work import Stage
from hashtagd.service.asking import Line

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
        lines: which questions are asked.
        background: wait for all of them; else only for those of the lines that somebody waits for, and for
            slow providers as far as their budget allows at once.
        resting: gives the roots that nobody works on in a stage just now.
        quiet: tells whether scouts have nothing to look at and no lane holds a claim.
        fetches: whether what is waited for is fetched by this run.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        gates: Gatekeeper,
        lines: Sequence[Line],
        background: bool,
        roots: Sequence[str],
        clock: Clock,
        resting: Callable[[Stage], Collection[str]],
        quiet: Callable[[], bool],
        fetches: bool = True,
    ) -> None:
        self._catalog = catalog
        self._gates = gates
        self._lines = lines
        self._background = background
        self._roots = roots
        self._clock = clock
        self._resting = resting
        self._quiet = quiet
        self._fetches = fetches
        #: since when only slow providers are waited for: they are given a moment, not hours
        self._rested_s: float | None = None

    def finished(self) -> bool:
        """Tell whether the run is over."""
        return self._quiet() and self.judge().finished and self._quiet()

    def judge(self) -> Verdict:
        """Weigh what is left."""
        now = self._clock.now()
        gates = self._closed_gates()
        waiting = {line: self._catalog.waiting(line.provider.name, line.kind).due for line in self._awaited()}
        blocked = {line: due for line, due in waiting.items() if due and line.provider.origin in gates}
        askable = any(due and line not in blocked for line, due in waiting.items()) or self._affordable()
        soon = any(
            gates[line.provider.origin].opens_at <= now + timedelta(seconds=GATE_PATIENCE_S)
            for line in blocked
            if line.provider.origin is not None
        )
        files = pending_files(self._catalog.database, self._roots)
        resting = {stage: self._resting(stage) for stage in Stage}
        workable = [file for file in files if file.root not in resting[file.stage]]
        woken = bool(blocked) and not askable and not soon and self._publish_without_answers(workable)
        hopeless = bool(blocked) and not soon
        arriving = any(self._is_worth_waiting(file, now, blocked=hopeless) for file in workable)
        stalled = sum(self._is_stalled(file, now) for file in files)
        return Verdict(
            finished=not (askable or soon or arriving or woken or self._is_download_due(now)),
            gates=gates,
            growing=sum(not self._is_stalled(file, now) for file in workable),
            stalled=stalled,
            questions_waiting=sum(blocked.values()),
        )

    def _is_download_due(self, now: datetime) -> bool:
        due_at = self._catalog.transfers.next_due(self._roots) if self._fetches else None
        return due_at is not None and due_at <= now

    def _awaited(self) -> Iterator[Line]:
        """Name the lines whose answers the end of the run waits for."""
        for line in self._lines:
            if self._background or not (line.provider.slow or line.behind is not None):
                yield line

    def _affordable(self) -> bool:
        """Tell whether a slow provider has something to answer and would take a request right now."""
        return any(
            self._catalog.waiting(line.provider.name, line.kind).due
            and isinstance(self._gates.look(line.provider.origin), Admitted)
            and not self._slow_had_their_moment()
            for line in self._lines
            if line.provider.slow and line.provider.origin is not None
        )

    def _slow_had_their_moment(self) -> bool:
        """Tell whether slow providers were waited for long enough; their budget refills for ever."""
        if not self._quiet():
            return False
        now_s = self._clock.monotonic_s()
        self._rested_s = now_s if self._rested_s is None else self._rested_s
        return now_s - self._rested_s >= GATE_PATIENCE_S

    def _closed_gates(self) -> dict[str, Closed]:
        origins = {line.provider.origin for line in self._awaited()} - {None}
        looks = {origin: self._gates.look(origin) for origin in origins if origin is not None}
        # a gate that only waits for its request budget is open as far as patience goes
        return {
            origin: look
            for origin, look in looks.items()
            if isinstance(look, Closed) and look.trouble is not None
        }

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
