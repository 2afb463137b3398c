"""Lanes: threads that claim due rows, run a stage on them and commit the outcomes.

`clear wake -> turn (claim, run, apply) -> beat`; a lane with nothing due sleeps until it is woken, the next
due time, or `IDLE_S`. This is the only place that catches everything: what is no Trouble is a bug, is logged
with its traceback, counted, and costs one row a delay, never the process.
"""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from hashtagd.core.ports import Clock, Pause, Stopping
from hashtagd.core.troubles import Scope, Trouble, TryLater

#: how long a lane sleeps at most: commits, roots that come back and jumps of the clock wake it, due times are
#: known, so this is for what nobody thought of; a dozen lanes that look once a minute are work all day long
IDLE_S = 300.0
#: a trouble that comes and goes (a site that closes its gate every seven seconds) is told once in this time
TOLD_AGAIN_S = 60.0
#: how long a lane rests after a bug or while the catalog is away
REST_S = 5.0
#: when so many questions of one round broke alone, the reason is hardly one of them
_MOST_LONE_BUGS = 8
#: so long no wake-up ends that rest: giving claims back is a commit, and every commit wakes all lanes
UNDISTURBED_S = 1.0


ClaimT = TypeVar("ClaimT")
OutcomeT = TypeVar("OutcomeT")


class Work(Protocol):
    """What a lane does over and over."""

    @property
    def name(self) -> str:
        """A short name for logs and `status`."""
        ...

    def turn(self) -> float:
        """Do what is due now; returns the seconds until it is worth coming back, 0 for at once.

        Raises:
            Trouble: nothing could be done for a reason that concerns the whole lane.
            Stopping: a stop was requested midway; the claims were given back.
        """
        ...


class Tell(Protocol):
    """One log event: a past-tense name and values with units."""

    def __call__(self, event: str, /, **values: Any) -> None:  # noqa: ANN401 - log values are of any type
        """Log the event."""
        ...


@dataclass(slots=True)
class Pulse:
    """When a lane last made progress, read by the health report from another thread."""

    #: monotonic: when it began or ended its last turn
    beat_s: float
    turns: int = 0
    bugs: int = 0
    last_trouble: Trouble | None = None
    #: it waits for something to do; False: it has been in a turn since `beat_s`
    resting: bool = True


class Lane:
    """One thread around one kind of work.

    Args:
        bug: told of every exception that is no Trouble, with the exception.
        died: called once if the lane itself breaks, so that the process can end with 75 and be restarted.
    """

    def __init__(
        self,
        *,
        work: Work,
        clock: Clock,
        pause: Pause,
        tell: Tell,
        bug: Callable[[str, Exception], None],
        died: Callable[[], None],
    ) -> None:
        self.work = work
        self.pulse = Pulse(beat_s=clock.monotonic_s())
        self._clock = clock
        self._pause = pause
        self._tell = tell
        self._bug = bug
        self._died = died
        self._told: tuple[tuple[str, str] | None, float] = (None, 0.0)
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._live, name=f"lane-{work.name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Let the lane look for work now."""
        self._wake.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of the thread; returns False when it is still running after the time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        """Tell whether the thread runs."""
        return self._thread.is_alive()

    def _live(self) -> None:
        ended = False
        try:
            while not self._pause.stopping:
                # cleared before the turn: a row noted while it runs must not wait a full sleep
                self._wake.clear()
                self._beat(resting=False)
                wait_s = self._turn()
                self.pulse.turns += 1
                self._beat(resting=True)
                self._rest(wait_s)
            ended = True
        except Exception as error:  # noqa: BLE001 - not the work but the lane itself broke: a bug all the same
            self._bug(self.work.name, error)
        finally:
            if not ended:
                self._died()

    def _beat(self, *, resting: bool) -> None:
        self.pulse.beat_s = self._clock.monotonic_s()
        self.pulse.resting = resting

    def _rest(self, wait_s: float) -> None:
        if wait_s <= 0:
            return
        if self.pulse.last_trouble is not None:
            self._pause.wait(UNDISTURBED_S)
        if not self._pause.stopping:
            self._wake.wait(min(wait_s, IDLE_S))

    def _turn(self) -> float:
        try:
            wait_s = self.work.turn()
        except Stopping:
            return REST_S
        except Trouble as trouble:
            return self._after_trouble(trouble)
        except Exception as error:  # noqa: BLE001 - the one place: a bug must not end the other lanes
            self.pulse.bugs += 1
            self._bug(self.work.name, error)
            self.pulse.last_trouble = bug_trouble(error)
            return REST_S
        self.pulse.last_trouble = None
        return wait_s

    def _after_trouble(self, trouble: Trouble) -> float:
        now_s, words = self._clock.monotonic_s(), (trouble.kind, trouble.what)
        told, told_s = self._told
        if told != words or now_s - told_s >= TOLD_AGAIN_S:
            self._told = (words, now_s)
            self._tell(
                "lane_waited",
                lane=self.work.name,
                kind=trouble.kind,
                what=trouble.what,
                does=trouble.does,
                you=trouble.you,
            )
        self.pulse.last_trouble = trouble
        return getattr(trouble, "after_s", None) or REST_S


def bug_trouble(error: Exception) -> TryLater:
    """Say in three clauses that hashtagd itself is at fault; the exception's text stays in the log."""
    return TryLater(
        f"hashtagd has a bug here ({type(error).__name__})",
        does="it tries again later and goes on with everything else",
        you="please report it with the log lines around `bug_met`",
        scope=Scope.FILE,
        kind="bug",
    )


def in_batches(claims: Sequence[ClaimT], is_big: Callable[[ClaimT], bool], size: int) -> list[list[ClaimT]]:
    """Split claims so that a big one is alone in its batch and small ones share one; order is kept."""
    batches: list[list[ClaimT]] = []
    room = 0
    for claim in claims:
        if is_big(claim) or room == 0:
            batches.append([])
            room = size
        batches[-1].append(claim)
        room = 0 if is_big(claim) else room - 1
    return batches


def run_guarded(
    run: Callable[[Sequence[ClaimT]], Sequence[OutcomeT]],
    claims: Sequence[ClaimT],
    met_bug: Callable[[ClaimT, Exception], OutcomeT],
) -> list[OutcomeT]:
    """Run a stage on a batch; if it breaks, run each claim alone, so that only the poisonous one pays."""
    try:
        return list(run(claims))
    except (Trouble, Stopping):
        raise
    except Exception as error:  # noqa: BLE001 - see the module's note: a bug costs one claim a delay
        if len(claims) == 1:
            return [met_bug(claims[0], error)]
    return [outcome for claim in claims for outcome in run_guarded(run, [claim], met_bug)]


def stream_guarded(
    run: Callable[[Sequence[ClaimT]], Iterator[tuple[ClaimT, OutcomeT]]],
    claims: Sequence[ClaimT],
    met_bug: Callable[[ClaimT, Exception], OutcomeT],
    put_off: Callable[[ClaimT, Exception], OutcomeT],
) -> Iterator[tuple[ClaimT, OutcomeT]]:
    """Pass on what a stage streams; if it breaks, run what got no outcome again in halves.

    So the poisonous claim is found in a few rounds and pays alone; a round for each would be thousands. Where
    many are poisonous the reason is another, and all that is left is put off without being asked.
    """
    parts, lone_bugs = [list(claims)], 0
    while parts:
        left = {id(claim): claim for claim in parts.pop()}
        error = yield from _streamed(run, left)
        rest = list(left.values())
        if error is None:
            continue
        if not rest:
            raise error
        if lone_bugs > _MOST_LONE_BUGS:
            yield from ((claim, put_off(claim, error)) for part in (*parts, rest) for claim in part)
            return
        if len(rest) == 1:
            lone_bugs += 1
            yield rest[0], met_bug(rest[0], error)
            continue
        middle = len(rest) // 2
        parts += [rest[middle:], rest[:middle]]


def _streamed(
    run: Callable[[Sequence[ClaimT]], Iterator[tuple[ClaimT, OutcomeT]]], left: dict[int, ClaimT]
) -> Generator[tuple[ClaimT, OutcomeT], None, Exception | None]:
    """Pass on a stream and take what got an outcome out of `left`; returns the bug that broke it."""
    try:
        for claim, outcome in run(list(left.values())):
            left.pop(id(claim), None)
            yield claim, outcome
    except (Trouble, Stopping):
        raise
    except Exception as error:  # noqa: BLE001 - see the module's note: a bug costs one claim a delay
        return error
    return None


def survived(body: Callable[[], bool], bug: Callable[[Exception], None]) -> bool:
    """Run the main loop; a bug in it is told like any other, and False asks for a restart."""
    try:
        return body()
    except (Trouble, Stopping):
        raise
    except Exception as error:  # noqa: BLE001 - see the module's note: the process ends in order, with 75
        bug(error)
        return False
