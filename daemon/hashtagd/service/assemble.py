"""Settings -> a service that runs: the only place that knows which concrete classes are joined."""

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hashtagd import __version__
from hashtagd.catalog.catalog import Catalog
from hashtagd.core.ports import Provider
from hashtagd.core.work import Claim, Outcome, Stage
from hashtagd.service import parts
from hashtagd.service.board import RootBoard
from hashtagd.service.clock import StopPause, SystemClock
from hashtagd.service.counting import CountingGates, Tally
from hashtagd.service.lanes import Lane, Tell, Work
from hashtagd.service.leases import Leases
from hashtagd.service.lock import DaemonLock, OwnerFile, dead_owners, forget_owner
from hashtagd.service.once import OnceJudge
from hashtagd.service.presence import Presence
from hashtagd.service.randomness import chance, owner_id
from hashtagd.service.roots import RootPlan, by_device
from hashtagd.service.scout import ScoutWork
from hashtagd.service.stories import count_outcome, tell_answer, tell_outcome
from hashtagd.service.summary import Summary, sum_up
from hashtagd.service.supervisor import Crew, Supervisor
from hashtagd.service.systemd import Notifier
from hashtagd.service.tidy import sweep_state
from hashtagd.service.works import AskWork, FileWork
from hashtagd.settings import Loaded
from hashtagd.stages.ask import AskStage
from hashtagd.stages.digest import DigestStage
from hashtagd.stages.publish import PublishStage
from hashtagd.stages.settle import SettleStage
from hashtagd.watch.filters import companions_of
from hashtagd.watch.observer import Observer
from hashtagd.watch.roots import Roots

#: how many rows one claim of each stage takes: enough to share a commit, few enough to be back soon
LIMITS: Mapping[Stage, int] = {Stage.SETTLE: 200, Stage.DIGEST: 32, Stage.PUBLISH: 32}
#: files from this size on are hashed alone, so that their names do not wait for one another
BIG_BYTES = 32 << 20


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
    once: bool


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
        )
        self.providers = parts.make_providers(self._outside)
        self._board = RootBoard(clock=process.clock, changed=self._root_changed)
        self._roots = Roots(process.plan.folders)
        self._observer = Observer(self._roots, process.clock, self._wake.set)
        self._lanes: list[Lane] = []
        self.works: list[Work] = []
        self._scouts: list[ScoutWork] = []
        self._wake_republished(loaded)
        self._make_works(loaded)
        self._judge = OnceJudge(
            catalog=catalog,
            gates=self._gates,
            origins={provider.name: provider.origin for provider in self.providers},
            roots=[folder.name for folder in process.plan.folders],
            clock=process.clock,
            quiet=self._quiet,
        )

    def run(self) -> bool:
        """Run until stopped (or, once, until done); returns False when the process should be restarted."""
        process = self._process
        self._lanes = [self._lane(work) for work in self.works]
        crew = Crew(
            catalog=self._catalog,
            observer=self._observer,
            scouts=self._scouts,
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
            finished=self._judge.finished if process.once else None,
            status_line=self._status_line,
        )
        return supervisor.run()

    def summary(self) -> Summary:
        """Sum up this run."""
        return sum_up(
            catalog=self._catalog,
            roots=[folder.name for folder in self._process.plan.folders],
            verdict=self._judge.judge(),
            troubled_roots=self._board.troubles(),
            tally=self._tally,
            took_s=self._process.clock.monotonic_s() - self._started_s,
        )

    def _make_works(self, loaded: Loaded) -> None:
        settings = loaded.settings
        writers = parts.make_writers(loaded)
        publish = PublishStage(
            writers=writers,
            locator=self._roots,
            ledger=self._catalog,
            fetcher=parts.make_fetcher(self._outside),
            clock=self._process.clock,
            pause=self._process.pause,
        )
        first = self.providers[0].name if self.providers else None
        for number, folders in enumerate(by_device(self._process.plan.folders), start=1):
            names = [folder.name for folder in folders]
            self._add_scout(number, folders)
            settle = SettleStage(
                locator=self._roots,
                clock=self._process.clock,
                pause=self._process.pause,
                options=parts.settle_options(folders),
                companions=companions_of,
                chance=chance,
            )
            digest = DigestStage(
                locator=self._roots,
                clock=self._process.clock,
                pause=self._process.pause,
                first_provider=first,
                options=parts.digest_options(settings),
                chance=chance,
            )
            self._add_files(number, Stage.SETTLE, names, settle.run, _nothing)
            self._add_files(number, Stage.DIGEST, names, digest.run, digest.release_buffers)
            self._add_files(number, Stage.PUBLISH, names, publish.run, _nothing)
        followers = [*(provider.name for provider in self.providers[1:]), None]
        for provider, then in zip(self.providers, followers, strict=False):
            self._add_asking(provider, then)

    def _add_scout(self, number: int, folders: Sequence[Any]) -> None:
        scout = ScoutWork(
            name=f"scout-{number}",
            folders=folders,
            roots=self._roots,
            catalog=self._catalog,
            board=self._board,
            clock=self._process.clock,
            pause=self._process.pause,
            chance=chance,
            tell=self._process.tell,
            noted=self._wake_lanes,
            rearm=self._observer.rearm,
        )
        self._scouts.append(scout)
        self.works.append(scout)

    def _add_files(
        self,
        number: int,
        stage: Stage,
        roots: Sequence[str],
        run: Callable[[Sequence[Claim]], Sequence[Outcome]],
        rest: Callable[[], None],
    ) -> None:
        self.works.append(
            FileWork(
                name=f"{stage.value}-{number}",
                stage=stage,
                roots=roots,
                run=run,
                catalog=self._catalog,
                board=self._board,
                leases=self._leases,
                clock=self._process.clock,
                chance=chance,
                ended=self._file_ended,
                bug=self._process.bug,
                onward=self._wake_lanes,
                rest=rest,
                limit=LIMITS[stage],
                big_bytes=BIG_BYTES if stage is Stage.DIGEST else 1 << 62,
            )
        )

    def _add_asking(self, provider: Provider, then: str | None) -> None:
        self.works.append(
            AskWork(
                provider=provider,
                stage=AskStage(provider=provider, then=then, chance=chance),
                catalog=self._catalog,
                gates=self._gates,
                leases=self._leases,
                clock=self._process.clock,
                ended=lambda claim, outcome: tell_answer(self._process.tell, claim, outcome),
                onward=self._wake_lanes,
            )
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

    def _wake_lanes(self) -> None:
        for lane in self._lanes:
            lane.wake()
        self._wake.set()

    def _lane_died(self) -> None:
        self._died.set()
        self._wake.set()

    def _root_changed(self, root: str, trouble: Any) -> None:  # noqa: ANN401 - a Trouble or None
        if trouble is None:
            self._process.tell("root_recovered", root=root)
        else:
            self._process.tell(
                "root_paused", root=root, kind=trouble.kind, what=trouble.what, you=trouble.you
            )

    def _quiet(self) -> bool:
        return self._leases.count == 0 and all(
            scout.scanned_all_once and scout.idle for scout in self._scouts
        )

    def _wake_republished(self, loaded: Loaded) -> None:
        """Publish roots again whose writers or their options changed since the last run."""
        for folder in self._process.plan.folders:
            mark = parts.writers_fingerprint(loaded, folder.name)
            before = self._catalog.root_fingerprint(folder.name)
            if before == mark:
                continue
            self._catalog.keep_root(folder.name, self._catalog.root_marker(folder.name), mark)
            if before is not None:
                self._catalog.wake_publish([folder.name])

    def _facts(self) -> dict[str, Any]:
        folders = self._process.plan.folders
        return {
            "pid": os.getpid(),
            "version": __version__,
            "paths": {folder.name: str(folder.path) for folder in folders},
        }

    def _status_line(self) -> str:
        return f"watching {len(self._process.plan.folders)} roots"


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
        yield Service(loaded, process, catalog)
        catalog.release_own([owner])


def release_dead(catalog: Catalog, folder: Path) -> None:
    """Give back at once what processes of this machine had claimed when they died."""
    dead = dead_owners(folder)
    if dead:
        catalog.release_own(dead)
        for owner in dead:
            forget_owner(folder, owner)


def _nothing() -> None:
    """Do nothing while resting."""
