"""Settings -> a service that runs: the only place that knows which concrete classes are joined."""

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hashtagd import __version__
from hashtagd.catalog.catalog import Catalog
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Claim, Outcome, Stage
from hashtagd.service import parts
from hashtagd.service.board import RootBoard
from hashtagd.service.clock import StopPause, SystemClock
from hashtagd.service.counting import CountingGates, Tally
from hashtagd.service.crew import Shared, make_works
from hashtagd.service.known_roots import remember_roots
from hashtagd.service.lanes import Lane, Tell, Work, survived
from hashtagd.service.leases import Leases, release_dead
from hashtagd.service.lock import DaemonLock, OwnerFile
from hashtagd.service.memory import trimmer
from hashtagd.service.nudging import Nudger
from hashtagd.service.once import OnceJudge
from hashtagd.service.presence import Presence
from hashtagd.service.providers import Providers
from hashtagd.service.randomness import chance, owner_id
from hashtagd.service.rehearsal import make_rehearsal
from hashtagd.service.republishing import wake_republished
from hashtagd.service.roots import RootPlan
from hashtagd.service.stories import count_outcome, tell_answer, tell_outcome
from hashtagd.service.summary import Summary, sum_up
from hashtagd.service.supervisor import Crew, Supervisor
from hashtagd.service.systemd import Notifier
from hashtagd.service.tidy import sweep_state
from hashtagd.settings import Loaded
from hashtagd.stages.rehearse import Hindrance, Proposal
from hashtagd.watch.observer import Observer
from hashtagd.watch.roots import Roots


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
    #: with `once`: told what would be written, in place of writing anything below the roots
    rehearsed: Callable[[Proposal | Hindrance], None] | None = None


class Service:
    """A daemon that is ready to run; made by `assemble`."""

    def __init__(self, loaded: Loaded, process: Process, catalog: Catalog) -> None:
        self._process = process
        self._catalog = catalog
        self._tally = Tally()
        self._leases = Leases()
        self._wake, self._died = threading.Event(), threading.Event()
        self._started_s = process.clock.monotonic_s()
        self._gates = CountingGates(parts.make_gates(loaded, catalog), self._tally)
        self._outside = parts.Outside(
            loaded=loaded,
            environ=process.environ,
            clock=process.clock,
            pause=process.pause,
            gates=self._gates,
            tell=lambda event, values: process.tell(event, **values),
            state_folder=process.folder,
        )
        self._names = [folder.name for folder in process.plan.folders]
        self._board = RootBoard(clock=process.clock, changed=self._root_changed)
        self._roots = Roots(process.plan.folders)
        self._observer = Observer(self._roots, process.clock, self._wake.set)
        self._lanes: list[Lane] = []
        self._give_back = trimmer()
        self._providers = Providers(parts.make_providers(self._outside))
        self._fetcher = parts.make_fetcher(self._outside)
        self._nudger = Nudger(
            programs=parts.make_programs(loaded, process.clock),
            locator=self._roots,
            clock=process.clock,
            pause=process.pause,
            tell=process.tell,
        )
        self._works = make_works(
            loaded,
            process.plan.folders,
            self._providers,
            self._fetcher,
            self._shared(),
            rehearsing=process.rehearsed is not None,
        )
        self._rehearsal = make_rehearsal(catalog, self._works.rehearse, self._names, process.rehearsed)
        self.works: Sequence[Work] = [*self._works.all, *self._nudger.works]
        self._judge = OnceJudge(
            catalog=catalog,
            gates=self._gates,
            lines=self._providers.lines,
            background=process.background,
            roots=self._names,
            clock=process.clock,
            resting=self._resting,
            quiet=self._quiet,
        )
        wake_republished(catalog, loaded, self._names)
        # the settings may name another one first than when these files were hashed
        catalog.put_missing_questions(self._providers.chain)
        catalog.pass_on_questions(self._providers.chain)

    def run(self) -> bool:
        """Run until stopped (or, once, until done); returns False when the process should be restarted."""
        process = self._process
        self._lanes = [self._lane(work) for work in self.works]
        crew = Crew(
            catalog=self._catalog,
            observer=self._observer,
            scouts=self._works.scouts,
            lanes=self._lanes,
            board=self._board,
            leases=self._leases,
            presence=Presence(process.folder, self._facts()),
            notifier=Notifier.from_environ(process.environ, os.getpid()),
            clock=process.clock,
            pause=process.pause,
            tell=process.tell,
        )
        supervisor = Supervisor(
            crew,
            wake=self._wake,
            died=self._died,
            finished=self._finished if process.once else None,
            status_line=self._status_line,
            trim=self._trim,
            tidy=self._tidy,
        )
        return survived(supervisor.run, lambda error: process.bug("supervisor", error))

    def close(self) -> None:
        """Let go of connections and threads; after `run`."""
        for close in (*self._works.closers, self._fetcher.close, self._providers.close):
            close()

    def summary(self) -> Summary:
        """Sum up this run."""
        return sum_up(
            catalog=self._catalog,
            roots=self._names,
            verdict=self._judge.judge(),
            troubled_roots=self._board.troubles(),
            remarks=self._board.remarks(),
            tally=self._tally,
            took_s=self._process.clock.monotonic_s() - self._started_s,
        )

    def _shared(self) -> Shared:
        process = self._process
        return Shared(
            catalog=self._catalog,
            gates=self._gates,
            roots=self._roots,
            board=self._board,
            leases=self._leases,
            clock=process.clock,
            pause=process.pause,
            tell=process.tell,
            bug=process.bug,
            file_ended=self._file_ended,
            question_ended=partial(tell_answer, process.tell),
            wake=self._wake_lanes,
            rearm=self._observer.rearm,
        )

    def _lane(self, work: Work) -> Lane:
        process = self._process
        return Lane(
            work=work,
            clock=process.clock,
            pause=process.pause,
            tell=process.tell,
            bug=process.bug,
            died=self._lane_died,
        )

    def _file_ended(self, claim: Claim, outcome: Outcome) -> None:
        tell_outcome(self._process.tell, claim, outcome)
        count_outcome(self._tally, claim, outcome)
        self._nudger.take(claim, outcome)

    def _wake_lanes(self) -> None:
        for lane in self._lanes:
            lane.wake()
        self._wake.set()

    def _trim(self) -> None:
        self._catalog.database.rest()
        self._give_back()

    def _tidy(self) -> None:
        """Do what is due about once an hour; each writes only if there is something."""
        self._catalog.trim_events()
        self._catalog.purge_gone()
        self._catalog.pass_on_questions(self._providers.chain)

    def _lane_died(self) -> None:
        self._died.set()
        self._wake.set()

    def _root_changed(self, root: str, trouble: Trouble | None) -> None:
        if trouble is None:
            self._process.tell("root_recovered", root=root)
        else:
            self._process.tell(
                "root_paused", root=root, kind=trouble.kind, what=trouble.what, you=trouble.you
            )

    def _finished(self) -> bool:
        states = self._catalog.reports.states
        counts = [states(name) for name in self._names]
        total = sum(sum(count.values()) - count["gone"] for count in counts)
        done = sum(count["published"] + count["unknown"] + count["parked"] for count in counts)
        self._process.progress(done, total)
        if not self._judge.finished():
            return False
        if self._rehearsal is not None:
            self._rehearsal.run()
        return True

    def _resting(self, stage: Stage) -> frozenset[str]:
        if self._rehearsal is not None and stage in (Stage.PUBLISH, Stage.SWEEP):
            return frozenset(self._names)
        return self._board.closed_roots(stage)

    def _quiet(self) -> bool:
        idle = self._leases.idle and all(scout.idle for scout in self._works.scouts)
        return idle and self._nudger.idle

    def _facts(self) -> dict[str, Any]:
        folders = self._process.plan.folders
        return {
            "pid": os.getpid(),
            "version": __version__,
            "paths": {folder.name: str(folder.path) for folder in folders},
        }

    def _status_line(self) -> str:
        return f"watching {len(self._names)} roots"


@contextmanager
def assemble(loaded: Loaded, process: Process) -> Iterator[Service]:
    """Lock, open the catalog, heal what the last process left, and hand over a service.

    Raises:
        AskOperator: scope `daemon`: another daemon runs here, the catalog cannot be used, a key is unusable.
    """
    owner = owner_id()
    with ExitStack() as stack:
        stack.enter_context(DaemonLock(process.folder, owner=owner, pid=os.getpid()))
        sweep_state(process.folder, process.clock.now())
        remember_roots(process.folder, {folder.name: folder.path for folder in process.plan.folders})
        catalog = Catalog.open(
            loaded.settings.catalog.url,
            clock=process.clock,
            owner=owner,
            chance=chance,
            quiet_s={folder.name: folder.quiet_s for folder in process.plan.folders},
        )
        stack.callback(catalog.close)
        release_dead(catalog, process.folder)
        stack.enter_context(OwnerFile(process.folder, owner))
        catalog.pull_back_absurd()
        service = Service(loaded, process, catalog)
        stack.callback(service.close)
        try:
            yield service
        finally:
            # a catalog that is away now lets the leases end by themselves
            with suppress(Trouble):
                catalog.release_own([owner])
