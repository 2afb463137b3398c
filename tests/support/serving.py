"""What tests of the service share: ears for events and bugs, troubles by scope, a service turned by hand."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hashtagd import providers, writers
from hashtagd.core.ports import Stopping
from hashtagd.core.troubles import AskOperator, Scope, Trouble, TryLater
from hashtagd.service.assemble import Process, Service, assemble
from hashtagd.service.clock import StopPause, SystemClock
from hashtagd.service.roots import plan_roots
from hashtagd.settings import Loaded, load_with_lines
from hashtagd.stages.rehearse import Hindrance, Proposal


@dataclass
class Ears:
    """Hears what is told, and of which bugs."""

    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    bugs: list[tuple[str, Exception]] = field(default_factory=list)

    def tell(self, event: str, /, **values: Any) -> None:
        self.events.append((event, values))

    def bug(self, lane: str, error: Exception) -> None:
        self.bugs.append((lane, error))

    def names(self) -> list[str]:
        return [name for name, _ in self.events]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [values for name, values in self.events if name == event]


def later(kind: str = "away", scope: Scope = Scope.ROOT, after_s: float | None = None) -> TryLater:
    """Make a trouble that time heals."""
    return TryLater(f"it is {kind}", does="waits", you="wait", scope=scope, kind=kind, after_s=after_s)


def for_a_person(kind: str = "disk_full", scope: Scope = Scope.ROOT) -> AskOperator:
    """Make a trouble that a person heals."""
    return AskOperator(f"it is {kind}", does="waits", you="act", scope=scope, kind=kind)


@dataclass
class TickingPause:
    """A pause that takes no time; it stops after so many waits, or by hand."""

    stopping: bool = False
    waits_s: list[float] = field(default_factory=list)
    stop_after: int | None = None

    def wait(self, seconds: float) -> bool:
        self.waits_s.append(seconds)
        self.stopping = self.stopping or len(self.waits_s) == self.stop_after
        return self.stopping


def settings(text: str, environ: Mapping[str, str]) -> Loaded:
    """Load settings as the command line does."""
    return load_with_lines(
        text,
        environ,
        source="config.yaml",
        known_providers=providers.known_names(),
        known_writers=writers.known_names(),
    )


@dataclass
class Served:
    """A service, what it told, and how it is stopped."""

    service: Service
    ears: Ears
    pause: StopPause

    def turn(self, times: int = 8) -> list[Trouble]:
        """Let every work do what is due, so many times; returns the troubles that concerned a whole lane."""
        met: list[Trouble] = []
        for _ in range(times):
            for work in self.service.works:
                try:
                    work.turn()
                except Trouble as trouble:
                    met.append(trouble)
                except Stopping:
                    return met
        return met


@contextmanager
def served(
    loaded: Loaded,
    environ: Mapping[str, str],
    *,
    once: bool = True,
    folders: Sequence[Path] = (),
    ears: Ears | None = None,
    rehearsed: Callable[[Proposal | Hindrance], None] | None = None,
) -> Iterator[Served]:
    """Assemble a service in this process, on the machine's clock."""
    ears = ears or Ears()
    pause = StopPause()
    process = Process(
        plan=plan_roots(loaded, folders, environ=environ, state_folder=None),
        environ=environ,
        folder=Path(environ["HASHTAGD_STATE_DIR"]),
        clock=SystemClock(),
        pause=pause,
        tell=ears.tell,
        bug=ears.bug,
        once=once,
        rehearsed=rehearsed,
    )
    with assemble(loaded, process) as service:
        yield Served(service=service, ears=ears, pause=pause)
