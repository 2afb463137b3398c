"""Where and how one process runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hashtagd.service.clock import StopPause, SystemClock
from hashtagd.service.lanes import Tell
from hashtagd.service.roots import RootPlan
from hashtagd.stages.rehearse import Hindrance, Proposal


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """Where and how one process runs."""

    plan: RootPlan
    environ: Mapping[str, str]
    #: locks and the presence file
    folder: Path
    clock: SystemClock
    pause: StopPause
    tell: Tell
    bug: Callable[[str, Exception], None]
    #: end when nothing is due any more
    once: bool
    #: with `once`: also wait for the questions that nobody else waits for
    background: bool = False
    #: told about once a second how many files are done, and how many there are; for runs that end
    progress: Callable[[int, int], None] = lambda _done, _total: None
    #: asked each time the main loop turns: shall another round, with other settings, take over from this one?
    handover: Callable[[], bool] = lambda: False
    #: with `once`: told what would be written, in place of writing anything below the roots
    rehearsed: Callable[[Proposal | Hindrance], None] | None = None
