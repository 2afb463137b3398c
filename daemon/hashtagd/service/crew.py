"""The works of one process: a scout and three stages for each device, one asker for each provider."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from hashtagd.catalog.catalog import Catalog
from hashtagd.core.card import Update
from hashtagd.core.chain import Chain
from hashtagd.core.place import Place
from hashtagd.core.ports import Clock, Fetcher, Gatekeeper, Pause, Writer
from hashtagd.core.work import Claim, Outcome, QuestionClaim, Stage
from hashtagd.service import parts
from hashtagd.service.asking import AskWork, Line
from hashtagd.service.board import RootBoard
from hashtagd.service.lanes import Tell, Work
from hashtagd.service.leases import Leases
from hashtagd.service.providers import Providers
from hashtagd.service.randomness import chance
from hashtagd.service.roots import by_device
from hashtagd.service.scout import ScoutWork
from hashtagd.service.works import FileWork
from hashtagd.settings import Loaded
from hashtagd.stages.ask import AskStage
from hashtagd.stages.digest import DigestStage
from hashtagd.stages.planning import Planning
from hashtagd.stages.publish import PublishStage
from hashtagd.stages.rehearse import RehearseStage
from hashtagd.stages.settle import SettleStage
from hashtagd.stages.untouched import UntouchedFolder
from hashtagd.watch.filters import Kind, Names, companions_of
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


@dataclass(slots=True)
class Works:
    """All works, and what has to be closed after them."""

    all: list[Work] = field(default_factory=list)
    scouts: list[ScoutWork] = field(default_factory=list)
    closers: list[Callable[[], None]] = field(default_factory=list)
    #: stands for publishing where nothing may be written
    rehearse: RehearseStage | None = None


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
    writing = _Writing(
        writers=parts.make_writers(loaded),
        names={folder.name: folder.names for folder in folders},
        fetcher=fetcher,
        shared=shared,
    )
    if rehearsing:
        works.rehearse = writing.rehearse()
    publish = writing.publish()
    for number, some in enumerate(by_device(folders), start=1):
        scout = _scout(number, some, shared)
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
    return works


@dataclass(frozen=True, slots=True, kw_only=True)
class _Writing:
    """What publishing, or the rehearsal of it, is made of."""

    writers: Mapping[str | None, Sequence[Writer]]
    #: by root
    names: Mapping[str, Names]
    fetcher: Fetcher
    shared: Shared

    def publish(self) -> PublishStage:
        """Make the stage that writes."""
        return PublishStage(
            writers=self.writers,
            locator=self.shared.roots,
            ledger=self.shared.catalog,
            fetcher=self.fetcher,
            clock=self.shared.clock,
            pause=self.shared.pause,
            is_model=self._is_model,
        )

    def rehearse(self) -> RehearseStage:
        """Make the stage that only tells."""
        planning = Planning(
            writers=self.writers,
            locator=self.shared.roots,
            fetcher=self.fetcher,
            clock=self.shared.clock,
            pause=self.shared.pause,
            is_model=self._is_model,
            folder=UntouchedFolder,
        )
        return RehearseStage(planning)

    def _is_model(self, place: Place) -> bool:
        return self.names[place.root].kind_of(place.relpath) is Kind.OURS


def _scout(number: int, folders: Sequence[RootFolder], shared: Shared) -> ScoutWork:
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
