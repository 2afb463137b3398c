"""The service that runs: everything joined, and what goes on between its parts."""

import os
import threading
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from hashtagd import __version__
from hashtagd.catalog.catalog import Catalog
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Claim, Outcome, Stage
from hashtagd.service import parts
from hashtagd.service.board import RootBoard
from hashtagd.service.catalog_watch import CatalogWatch
from hashtagd.service.counting import CountingGates, Tally
from hashtagd.service.crew import Shared, make_works
from hashtagd.service.downloads import Downloads, Listeners
from hashtagd.service.hinting import HintWork
from hashtagd.service.lanes import Lane, Work, survived
from hashtagd.service.leases import Leases
from hashtagd.service.manners import PAUSED
from hashtagd.service.memory import trimmer
from hashtagd.service.nudging import Nudger
from hashtagd.service.once import OnceJudge
from hashtagd.service.presence import Presence
from hashtagd.service.process import Process
from hashtagd.service.providers import Providers
from hashtagd.service.rehearsal import make_rehearsal
from hashtagd.service.republishing import wake_republished
from hashtagd.service.stories import count_outcome, tell_answer, tell_outcome, tell_transfer
from hashtagd.service.summary import Summary, sum_up
from hashtagd.service.supervisor import Crew, Supervisor
from hashtagd.service.systemd import Notifier
from hashtagd.settings import Loaded
from hashtagd.watch.observer import Observer
from hashtagd.watch.roots import Roots

if TYPE_CHECKING:
    from hashtagd.service.observing import Observatory


class Service:
    """A daemon that is ready to run; made by `assemble`."""

    def __init__(self, loaded: Loaded, process: Process, catalog: Catalog) -> None:
        self._process = process
        self._catalog = catalog
        self._tally = Tally()
        self._leases = Leases()
        self._died = threading.Event()
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
        self._board = RootBoard(clock=process.clock, changed=self._root_changed, called_off=self._wake_some)
        self._roots = Roots(process.plan.folders)
        self._observer = Observer(self._roots, process.clock, lambda: self._wake_some(HintWork.name))
        self._lanes: list[Lane] = []
        self._give_back = trimmer()
        self._providers = Providers(parts.make_providers(self._outside))
        self._fetcher = parts.make_fetcher(self._outside)
        self._nudger = Nudger(
            programs=parts.make_programs(loaded, process.clock),
            files=catalog.peeks,
            roots=self._names,
            locator=self._roots,
            clock=process.clock,
            pause=process.pause,
            tell=process.tell,
        )
        self._manners = parts.make_manners(loaded, process.clock, process.pause, self._tell_pause)
        self._works = make_works(
            loaded,
            process.plan.folders,
            self._providers,
            self._fetcher,
            self._shared(),
            rehearsing=process.rehearsed is not None,
        )
        self._rehearsal = make_rehearsal(catalog, self._works.rehearse, self._names, process.rehearsed)
        self._downloads = self._make_downloads()
        self._hints = HintWork(self._observer, self._works.scouts, lambda: self._wake_some("scout"))
        self._watch = CatalogWatch(
            catalog=catalog,
            leases=self._leases,
            clock=process.clock,
            wake=self._wake_lanes,
            trim=self._trim,
            tidy=self._tidy,
        )
        others: tuple[Work, ...] = (*self._nudger.works, *self._downloads.works, self._hints, self._watch)
        self.works: Sequence[Work] = [*self._works.all, *others]
        self._supervisor: Supervisor | None = None
        self._judge = OnceJudge(
            catalog=catalog,
            gates=self._gates,
            lines=self._providers.lines,
            background=process.background,
            roots=self._names,
            clock=process.clock,
            resting=self._resting,
            quiet=self._quiet,
            fetches=process.rehearsed is None,
        )
        wake_republished(catalog, loaded, self._names)
        # the settings may name another one first than when these files were hashed
        catalog.put_missing_questions(self._providers.chain)
        catalog.pass_on_questions(self._providers.chain)

    def run(self) -> bool:
        """Run until stopped (or, once, until done); returns False when the process should be restarted."""
        return survived(self.supervisor().run, lambda error: self._process.bug("supervisor", error))

    def supervisor(self) -> Supervisor:
        """Make who starts the lanes and looks after them; nothing runs yet."""
        process = self._process
        self._lanes = [self._lane(work) for work in self.works]
        crew = Crew(
            catalog=self._watch,
            observer=self._observer,
            lanes=self._lanes,
            board=self._board,
            presence=Presence(process.folder, self._facts()),
            notifier=Notifier.from_environ(process.environ, os.getpid()),
            clock=process.clock,
            pause=process.pause,
            tell=process.tell,
            paused=lambda: PAUSED if self._manners.paused else None,
            resumed_s=lambda: self._manners.resumed_s,
            notice_silence=self._works.notice_silence,
        )
        self._supervisor = Supervisor(
            crew,
            died=self._died,
            finished=self._finished if process.once else None,
            handover=process.handover,
            status_line=self._status_line,
        )
        return self._supervisor

    def close(self) -> None:
        """Let go of connections and threads; after `run`."""
        closers = [*self._works.closers, self._fetcher.close, self._providers.close, self._downloads.close]
        for close in closers:
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

    def observatory(self) -> "Observatory":
        """Make what can be looked at from outside; asked for only where somebody may look."""
        from hashtagd.service.observing import Observatory  # noqa: PLC0415 - megabytes, often for nobody

        return Observatory(
            catalog=self._catalog,
            roots=self._names,
            tally=self._tally,
            lanes=lambda: self._lanes,
            health=lambda: None if self._supervisor is None else self._supervisor.health,
            overflows=lambda: self._observer.overflows,
            now=self._process.clock.now,
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
            state_folder=process.folder,
            polite=self._manners.wait,
        )

    def _make_downloads(self) -> Downloads:
        return Downloads(
            self._outside,
            catalog=self._catalog,
            roots=self._roots,
            chain=self._providers.chain,
            leases=self._leases,
            listeners=Listeners(
                ended=lambda claim, outcome: tell_transfer(self._process.tell, claim, outcome),
                bug=self._process.bug,
                onward=self._wake_lanes,
            ),
            # nothing is fetched where nothing may be written
            only=None if self._process.rehearsed is None else (),
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
        self._wake_some()
        self._process.pause.ring()

    def _wake_some(self, prefix: str = "") -> None:
        for lane in self._lanes:
            if lane.work.name.startswith(prefix):
                lane.wake()

    def _trim(self) -> None:
        self._catalog.database.rest()
        self._give_back()

    def _tidy(self) -> None:
        """Do what is due about once an hour; each writes only if there is something."""
        self._catalog.trim_events()
        self._catalog.purge_gone()
        self._catalog.transfers.trim()
        self._catalog.pass_on_questions(self._providers.chain)

    def _lane_died(self) -> None:
        self._died.set()
        self._process.pause.ring()

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
        return self._leases.idle and self._hints.idle and self._works.idle and self._nudger.idle

    def _facts(self) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "version": __version__,
            "paths": {folder.name: str(folder.path) for folder in self._process.plan.folders},
        }

    def _tell_pause(self, paused: bool) -> None:  # noqa: FBT001 - the only word of a callback
        tell = self._process.tell
        tell("hashing_paused") if paused else tell("hashing_resumed")

    def _status_line(self) -> str:
        return PAUSED if self._manners.paused else f"watching {len(self._names)} roots"
