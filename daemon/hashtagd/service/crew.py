"""The works of one process: a scout and three stages for each device, one asker for each provider."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from hashtagd.catalog.catalog import Catalog
from hashtagd.core.card import Update
from hashtagd.core.chain import Chain
from hashtagd.core.ports import Clock, Fetcher, Gatekeeper, Pause
from hashtagd.core.work import Claim, Outcome, QuestionClaim, Stage
from hashtagd.service import parts
from hashtagd.service.asking import AskWork, Line
from hashtagd.service.board import RootBoard
from hashtagd.service.galleries import BehindOthers, GalleryWork
from hashtagd.service.lanes import Tell, Work
from hashtagd.service.leases import Leases
from hashtagd.service.leftovers import Leftovers, awaited_places
from hashtagd.service.providers import Providers
from hashtagd.service.randomness import chance
from hashtagd.service.roots import by_device
from hashtagd.service.scout import ScoutWork
from hashtagd.service.shelves import galleries_in
from hashtagd.service.works import FileWork
from hashtagd.service.writing import Writing
from hashtagd.settings import Loaded
from hashtagd.stages.ask import AskStage
from hashtagd.stages.digest import DigestStage
from hashtagd.stages.gather import GatherStage
from hashtagd.stages.rehearse import RehearseStage
from hashtagd.stages.settle import SettleStage
from hashtagd.watch.filters import companions_of
from hashtagd.watch.roots import RootFolder, Roots

#: how many rows one claim of each stage takes: enough to share a commit, few enough to be back soon; those
#: of publish come with all that is known of their models
LIMITS: Final[Mapping[Stage, int]] = {Stage.SETTLE: 200, Stage.DIGEST: 32, Stage.PUBLISH: 16}
#: files from this size on are hashed alone, so that their names do not wait for one another
BIG_BYTES: Final = 32 << 20
#: larger than any file
_NEVER_BYTES: Final = 1 << 62

_Run = Callable[[Sequence[Claim]], Sequence[Outcome]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all works of a process have in common."""

    catalog: Catalog
    gates: Gatekeeper
    roots: Roots
    board: RootBoard
    leases: Leases
    clock: Clock
    pause: Pause
    tell: Tell
    bug: Callable[[str, Exception], None]
    #: told of each outcome that was committed
    file_ended: Callable[[Claim, Outcome], None]
    question_ended: Callable[[QuestionClaim, Outcome, Update | None], None]
    #: called when something is due now
    wake: Callable[[], None]
    #: watches a root again
    rearm: Callable[[str], None]
    #: returns when reading whole files disturbs nobody
    polite: Callable[[], None]
    #: for what can be made anew
    state_folder: Path


@dataclass(slots=True)
class Works:
    """All works, and what has to be closed after them."""

    all: list[Work] = field(default_factory=list)
    scouts: list[ScoutWork] = field(default_factory=list)
    closers: list[Callable[[], None]] = field(default_factory=list)
    #: stands for publishing where nothing may be written
    rehearse: RehearseStage | None = None
    galleries: GalleryWork | None = None

    @property
    def idle(self) -> bool:
        """Tell whether there is nothing to look at and nothing to gather."""
        gathered = self.galleries is None or self.galleries.idle
        return gathered and all(scout.idle for scout in self.scouts)

    def notice_silence(self) -> None:
        """Say which disks have not answered for long; looks at none."""
        for scout in self.scouts:
            scout.notice_silence()


def make_works(
    loaded: Loaded,
    folders: Sequence[RootFolder],
    providers: Providers,
    fetcher: Fetcher,
    shared: Shared,
    *,
    rehearsing: bool = False,
) -> Works:
    """Make everything that lanes will do; while rehearsing no lane publishes.

    Raises:
        SettingsMistakes: an option of a writer is wrong.
    """
    works = Works()
    if not rehearsing:
        works.galleries = _galleries(loaded, fetcher, folders, shared)
    if works.galleries is not None:
        shared = replace(shared, file_ended=_told_both(shared.file_ended, works.galleries.take))
    writing = Writing(
        writers=parts.make_writers(loaded),
        folders=folders,
        fetcher=fetcher,
        roots=shared.roots,
        catalog=shared.catalog,
        clock=shared.clock,
        pause=shared.pause,
    )
    if rehearsing:
        works.rehearse = writing.rehearse()
    publish = writing.publish()
    leftovers = writing.leftovers(partial(awaited_places, shared.catalog.transfers), rehearsing=rehearsing)
    for number, some in enumerate(by_device(folders), start=1):
        scout = _scout(number, some, shared, leftovers)
        works.scouts.append(scout)
        works.all.append(scout)
        settle = _settle(some, providers.chain, shared)
        digest = _digest(loaded, providers.chain, shared)
        works.closers.append(digest.close)
        works.all += [
            _file_work(f"settle-{number}", Stage.SETTLE, some, settle.run, shared),
            _file_work(f"digest-{number}", Stage.DIGEST, some, digest.run, shared, digest.release_buffers),
        ]
        if not rehearsing:
            works.all.append(_file_work(f"publish-{number}", Stage.PUBLISH, some, publish.run, shared))
    works.all += [_asking(line, providers.chain, folders, shared) for line in providers.lines]
    works.all += [] if works.galleries is None else [works.galleries]
    return works


def _galleries(
    loaded: Loaded, fetcher: Fetcher, folders: Sequence[RootFolder], shared: Shared
) -> GalleryWork | None:
    """Make what fills galleries, or takes them away; None where there are none and none are wanted."""
    pictures = loaded.settings.preview.gallery
    galleries = galleries_in(shared.state_folder)
    if not pictures and not galleries.top.exists():
        return None
    behind = BehindOthers(fetcher, gates=shared.gates, clock=shared.clock, pause=shared.pause)
    options = parts.gather_options(loaded.settings)
    return GalleryWork(
        stage=GatherStage(galleries, fetcher=behind, options=options, clock=shared.clock),
        addresses=parts.gallery_addresses(loaded),
        catalog=shared.catalog,
        board=shared.board,
        roots=[folder.name for folder in folders],
        clock=shared.clock,
        tell=shared.tell,
        pictures=pictures,
    )


def _told_both(
    first: Callable[[Claim, Outcome], None], second: Callable[[Claim, Outcome], None]
) -> Callable[[Claim, Outcome], None]:
    def told(claim: Claim, outcome: Outcome) -> None:
        first(claim, outcome)
        second(claim, outcome)

    return told


def _scout(
    number: int, folders: Sequence[RootFolder], shared: Shared, leftovers: Leftovers | None
) -> ScoutWork:
    sweeping = {} if leftovers is None else {"leftovers": leftovers.sweep}
    return ScoutWork(
        name=f"scout-{number}",
        folders=folders,
        roots=shared.roots,
        catalog=shared.catalog,
        board=shared.board,
        clock=shared.clock,
        pause=shared.pause,
        chance=chance,
        tell=shared.tell,
        noted=shared.wake,
        rearm=shared.rearm,
        **sweeping,
    )


def _settle(folders: Sequence[RootFolder], chain: Chain, shared: Shared) -> SettleStage:
    return SettleStage(
        chain=chain,
        locator=shared.roots,
        clock=shared.clock,
        pause=shared.pause,
        options=parts.settle_options(folders),
        companions=companions_of,
        chance=chance,
    )


def _digest(loaded: Loaded, chain: Chain, shared: Shared) -> DigestStage:
    return DigestStage(
        locator=shared.roots,
        clock=shared.clock,
        pause=shared.pause,
        chain=chain,
        options=parts.digest_options(loaded.settings),
        chance=chance,
        polite=shared.polite,
    )


def _file_work(  # noqa: PLR0917 - six words of one line in a list of three
    name: str,
    stage: Stage,
    folders: Sequence[RootFolder],
    run: _Run,
    shared: Shared,
    rest: Callable[[], None] = lambda: None,
) -> FileWork:
    return FileWork(
        name=name,
        stage=stage,
        roots=[folder.name for folder in folders],
        run=run,
        catalog=shared.catalog,
        board=shared.board,
        leases=shared.leases,
        clock=shared.clock,
        chance=chance,
        ended=shared.file_ended,
        bug=shared.bug,
        onward=shared.wake,
        rest=rest,
        limit=LIMITS[stage],
        big_bytes=BIG_BYTES if stage is Stage.DIGEST else _NEVER_BYTES,
    )


def _asking(line: Line, chain: Chain, folders: Sequence[RootFolder], shared: Shared) -> AskWork:
    return AskWork(
        line=line,
        stage=AskStage(provider=line.provider, chain=chain, clock=shared.clock, chance=chance),
        roots=[folder.name for folder in folders],
        catalog=shared.catalog,
        board=shared.board,
        gates=shared.gates,
        leases=shared.leases,
        clock=shared.clock,
        chance=chance,
        ended=shared.question_ended,
        bug=shared.bug,
        onward=shared.wake,
    )
