"""Galleries beside everything else: a lane of their own, which goes on only while nothing is to be published.

Nothing of it is in the catalog. Machines that share one have state folders of their own, and what lies there
says what is missing: so a start looks through all models once, and after that outcomes say which to look at.
"""

import errno
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO, Final

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.filters import Filters
from hashtagd.catalog.pages import FileRow
from hashtagd.core.card import Card
from hashtagd.core.ports import Clock, Closed, Fetcher, Gatekeeper, Pause, Stopping
from hashtagd.core.troubles import Scope, Trouble, TryLater
from hashtagd.core.work import Advance, Claim, Digested, Outcome, Published, Stage, Swept
from hashtagd.providers.entrance import origin_of
from hashtagd.service.board import RootBoard
from hashtagd.service.lanes import Tell
from hashtagd.stages.gather import Gathered, GatherStage, Later

#: so soon it looks again whether publishing is done
_YIELD_S: Final = 1.0
#: while so many models wait for a host that is away, no more are looked at
MOST_WAITING: Final = 10_000
#: whole galleries that are looked at in one turn
_AT_ONCE: Final = 50
#: a folder that cannot be written to is tried again after this
_REST_S: Final = 900.0
_SHORTEST_WAIT_S: Final = 0.01
_NEVER: Final = float("inf")


class BehindOthers:
    """A fetcher that leaves half of each host's budget to those that somebody waits for."""

    def __init__(self, fetcher: Fetcher, *, gates: Gatekeeper, clock: Clock, pause: Pause) -> None:
        self._fetcher = fetcher
        self._gates = gates
        self._clock = clock
        self._pause = pause

    def fetch(self, url: str, into: BinaryIO, max_bytes: int) -> str:
        """See `Fetcher`.

        Raises:
            Stopping: a stop was requested while it waited.
        """
        try:
            origin = origin_of(url)
        except ValueError:
            return self._fetcher.fetch(url, into, max_bytes)  # it says what is wrong
        while True:
            verdict = self._gates.look(origin, background=True)
            if not isinstance(verdict, Closed) or verdict.trouble is not None:
                return self._fetcher.fetch(url, into, max_bytes)
            wait_s = (verdict.opens_at - self._clock.now()).total_seconds()
            if self._pause.wait(max(wait_s, _SHORTEST_WAIT_S)):
                raise Stopping


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """The pictures of one model, and when to go on with them (monotonic)."""

    urls: tuple[str, ...]
    due_s: float = -_NEVER
    #: since it was asked for
    fetched: int = 0


class GalleryWork:
    """What the lane does.

    Args:
        stage: fills galleries, one picture at a time.
        addresses: gives the pictures of a card, the best first.
        roots: whose models have galleries.
        pictures: how many each may have; 0: nothing is gathered, and what lies there goes.
    """

    name = "galleries"

    def __init__(
        self,
        *,
        stage: GatherStage,
        addresses: Callable[[Card | None], Sequence[str]],
        catalog: Catalog,
        board: RootBoard,
        roots: Sequence[str],
        clock: Clock,
        tell: Tell,
        pictures: int,
    ) -> None:
        self._stage = stage
        self._addresses = addresses
        self._catalog = catalog
        self._board = board
        self._roots = list(roots)
        self._clock = clock
        self._tell = tell
        self._gathers = pictures > 0
        #: by SHA-256
        self._due: dict[str, _Wanted] = {}
        self._lock = threading.Lock()
        self._scan = self._rows() if self._gathers else None
        self._sweeps = True
        self._is_full = False
        self._at_work = False
        self._rests_until_s = -_NEVER

    def take(self, claim: Claim, outcome: Outcome) -> None:
        """Note an outcome that was committed; from any thread, and returns at once."""
        match outcome:
            case Advance(facts=Published()) if claim.digests is not None and self._gathers:
                wanted = _Wanted(urls=tuple(self._addresses(claim.card)))
                with self._lock:
                    self._due[claim.digests.sha256] = wanted
            case Advance(facts=Digested() | Swept()):
                # some other bytes may have no file any more
                self._sweeps = True
            case _:
                pass

    @property
    def idle(self) -> bool:
        """Tell whether nothing is left that a run which ends by itself should wait for.

        Raises:
            Trouble: the catalog does not answer.
        """
        now_s = self._clock.monotonic_s()
        with self._lock:
            due = any(it.due_s <= now_s for it in self._due.values())
        if self._at_work:
            return False
        if now_s < self._rests_until_s:
            return True
        return not (due or self._scan is not None or self._can_sweep())

    def turn(self) -> float:
        """Put up one picture, or find that there is none to put up; see `Work`."""
        self._at_work = True
        try:
            return self._turn()
        except OSError as error:
            self._rests_until_s = self._clock.monotonic_s() + _REST_S
            raise gallery_trouble(error) from None
        finally:
            self._at_work = False

    def _turn(self) -> float:
        rest_s = self._rests_until_s - self._clock.monotonic_s()
        if rest_s > 0:
            return rest_s
        if self._is_publishing():
            return _YIELD_S
        if self._can_sweep():
            self._sweep()
        for _ in range(_AT_ONCE):
            found = self._next()
            if found is None:
                return self._sleep_s()
            if self._gather(*found) is Gathered.ONE_MORE:
                break
        return 0.0

    def _is_publishing(self) -> bool:
        roots = self._board.open_roots(self._roots, Stage.PUBLISH)
        due_at = self._catalog.next_due([Stage.PUBLISH], roots) if roots else None
        return due_at is not None and due_at <= self._clock.now()

    def _can_sweep(self) -> bool:
        # a file that is read again has no hash meanwhile, and keeps its gallery
        return self._sweeps and not self._catalog.digesting(self._roots)

    def _sweep(self) -> None:
        self._sweeps = False
        swept = self._stage.sweep(self._kept)
        if swept:
            self._tell("galleries_swept", galleries=swept)
        if swept and self._is_full and self._gathers:
            self._scan = self._rows()

    def _kept(self, hashes: Sequence[str]) -> Collection[str]:
        return self._catalog.peeks.with_a_file(hashes, self._roots)

    def _rows(self) -> Iterator[FileRow]:
        return self._catalog.reports.each_file(Filters(roots=tuple(self._roots)))

    def _next(self) -> tuple[str, _Wanted] | None:
        """Give the model to go on with: one that an outcome named, else the next of all."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            sha256 = next((it for it, wanted in self._due.items() if wanted.due_s <= now_s), None)
            if sha256 is not None:
                return sha256, self._due.pop(sha256)
            if len(self._due) >= MOST_WAITING:
                return None
        return self._next_of_all()

    def _next_of_all(self) -> tuple[str, _Wanted] | None:
        try:
            for row in self._scan or ():
                if row.sha256 is not None and row.sha256 not in self._due:
                    return row.sha256, _Wanted(urls=tuple(self._addresses(row.card)))
        except Trouble:
            self._scan = self._rows()  # the broken one would never give another
            raise
        self._scan = None
        return None

    def _gather(self, sha256: str, wanted: _Wanted) -> Gathered | Later:
        ended: Gathered | Later | None = None
        try:
            ended = self._stage.step(sha256, wanted.urls)
        finally:
            if ended is None:  # stopped, or the disk: it is still wanted
                self._put_back(sha256, wanted)
        match ended:
            case Gathered.ONE_MORE:
                self._is_full = False
                self._put_back(sha256, replace(wanted, fetched=wanted.fetched + 1))
            case Gathered.WHOLE:
                if wanted.fetched:
                    self._tell("gallery_gathered", sha256=sha256, fetched=wanted.fetched)
            case Gathered.FULL:
                if not self._is_full:
                    self._tell("galleries_full", you="raise preview.gallery_max_bytes, or free some space")
                self._is_full = True
            case Later(wait_s=wait_s):
                self._put_back(sha256, replace(wanted, due_s=self._clock.monotonic_s() + wait_s))
        return ended

    def _put_back(self, sha256: str, wanted: _Wanted) -> None:
        with self._lock:
            self._due.setdefault(sha256, wanted)  # what came meanwhile is newer

    def _sleep_s(self) -> float:
        with self._lock:
            due_s = min((it.due_s for it in self._due.values()), default=_NEVER)
        return max(_SHORTEST_WAIT_S, due_s - self._clock.monotonic_s())


def gallery_trouble(error: OSError) -> TryLater:
    """Say that the galleries cannot be written to; nothing else waits for that."""
    word = errno.errorcode.get(error.errno or 0, "unknown")
    return TryLater(
        f"the galleries in hashtagd's state folder cannot be written to ({word})",
        does=f"hashtagd does everything else, and tries again in {_REST_S / 60:.0f} minutes",
        you="see that its disk has room and is writable, or set `preview.gallery: 0`",
        scope=Scope.DAEMON,
        kind="gallery_not_writable",
        after_s=_REST_S,
    )
