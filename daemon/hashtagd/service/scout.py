"""Scouts: one per device. A scout looks where events hinted, scans on a timer, and notes what it saw.

A network disk that hangs holds up only its own scout.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from hashtagd.catalog.catalog import Catalog
from hashtagd.core import schedule
from hashtagd.core.place import Place, Sighting
from hashtagd.core.ports import Clock, Pause, Stopping
from hashtagd.core.troubles import Scope, Trouble
from hashtagd.service.board import RootBoard
from hashtagd.service.healing import healed_places, remarks_of
from hashtagd.service.lanes import Tell
from hashtagd.service.survey import survey_root
from hashtagd.watch.observer import Hints, look
from hashtagd.watch.roots import Change, RootChange, RootFolder, Roots
from hashtagd.watch.scan import ScanReport
from hashtagd.watch.troubles import silent

#: how often a root's identity is checked: a disk that comes back is watched again within twice this
CHECK_S = 5.0
#: a disk that did not answer for so long is told of; those that sleep take some seconds to wake up
SILENT_S = 15.0


class ScoutWork:
    """Looks at the roots of one device.

    Args:
        noted: called after something new was noted, so that the lanes look for work.
        leftovers: sweeps what killed processes left in these folders of a root.
        rearm: asked to watch a root again that came back or was replaced.
    """

    def __init__(
        self,
        *,
        name: str,
        folders: Sequence[RootFolder],
        roots: Roots,
        catalog: Catalog,
        board: RootBoard,
        clock: Clock,
        pause: Pause,
        chance: Callable[[], float],
        tell: Tell,
        noted: Callable[[], None],
        rearm: Callable[[str], None],
        leftovers: Callable[[RootFolder, Collection[str]], object] = lambda _root, _folders: None,
    ) -> None:
        self.name = name
        self._folders = {folder.name: folder for folder in folders}
        self._roots = roots
        self._catalog = catalog
        self._board = board
        self._clock = clock
        self._pause = pause
        self._chance = chance
        self._tell = tell
        self._noted = noted
        self._rearm = rearm
        self._leftovers = leftovers
        self._lock = threading.Lock()
        self._places: set[Place] = set()
        self._subfolders: set[tuple[str, str]] = set()
        #: roots to scan without waiting for their time; what is asked for during a scan is not met by it
        self._scans_wanted: set[str] = set()
        #: monotonic moment of each root's next scan; every root is scanned at start
        self._scan_at_s = dict.fromkeys(self._folders, float("-inf"))
        self._untrusted: set[str] = set()
        self._checked_s = float("-inf")
        self._scanned_once: set[str] = set()
        self._at_work = False
        #: the root whose disk is being asked, since when (monotonic), and whether it was called silent
        self._asking: tuple[str, float] | None = None
        self._is_silent = False
        #: what the last scan of each root complained of, so that it is told once
        self._told: dict[str, set[tuple[str, str]]] = {}
        self._counted: dict[str, dict[str, int]] = {}

    @property
    def idle(self) -> bool:
        """Tell whether every root that is there was scanned, and nothing waits that could be looked at."""
        with self._lock:
            if self._is_silent:
                return True
            if self._at_work or self._places or self._subfolders:
                return False
        there = [name for name in self._folders if self._roots.trouble(name) is None]
        return all(name in self._scanned_once and not self._is_due(name) for name in there)

    def take(self, hints: Hints) -> None:
        """Keep the hints that concern this device."""
        with self._lock:
            self._places |= {place for place in hints.places if place.root in self._folders}
            self._subfolders |= {(root, sub) for root, sub in hints.folders if root in self._folders}
            self._scans_wanted |= hints.scan_roots & self._folders.keys()

    def notice_silence(self) -> None:
        """Say so where a disk has not answered for long; another thread does, for this one waits for it."""
        with self._lock:
            if self._asking is None:
                return
            name, since_s = self._asking
            if self._clock.monotonic_s() - since_s >= SILENT_S:
                self._is_silent = True
                self._board.pin(name, silent(name))

    def turn(self) -> float:
        """Check the roots, look where something was hinted, scan what is due."""
        self._at_work = True
        try:
            self._check_roots()
            self._heed_hints()
            self._check_roots()
            for name in self._folders:
                if self._is_due(name) and self._roots.trouble(name) is None:
                    self._scan_root(name)
        finally:
            self._at_work = False
        return CHECK_S

    def _is_due(self, name: str) -> bool:
        with self._lock:
            return name in self._scans_wanted or self._scan_at_s[name] <= self._clock.monotonic_s()

    def _check_roots(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._checked_s < CHECK_S:
            return
        self._checked_s = now_s
        for change in self._changes():
            if change.change is not Change.AWAY:
                self._board.recovered(change.root)
                self._rearm(change.root)
                self._scan_at_s[change.root] = float("-inf")
        for name in self._folders:
            # also while it stays away: the reason may be another one now
            if (trouble := self._roots.trouble(name)) is not None:
                self._board.pin(name, trouble)

    def _changes(self) -> Iterator[RootChange]:
        for name in self._folders:
            with self._lock:
                self._asking = name, self._clock.monotonic_s()
            try:
                changes = self._roots.check([name])
            finally:
                with self._lock:
                    was_silent, self._asking, self._is_silent = self._is_silent, None, False
            if was_silent:
                self._board.lift(name)
            yield from changes

    def _heed_hints(self) -> None:
        with self._lock:
            places, self._places = self._places, set()
            subfolders, self._subfolders = self._subfolders, set()
        try:
            self._look(places)
            for root, below in sorted(subfolders):
                if self._roots.trouble(root) is None:
                    self._walk(self._folders[root], below=below)
        except (Trouble, Stopping):
            # the catalog is away: nobody would hint at these again before the next scan
            with self._lock:
                self._places |= places
                self._subfolders |= subfolders
            raise

    def _look(self, places: Iterable[Place]) -> None:
        sightings: list[Sighting] = []
        for place in places:
            try:
                sightings.append(
                    look(self._roots, place, self._clock, trust_inodes=place.root not in self._untrusted)
                )
            except Trouble as trouble:
                self._not_seen(place, trouble)
        if sightings and self._catalog.note(sightings).changes:
            self._noted()

    def _not_seen(self, place: Place, trouble: Trouble) -> None:
        """Note nothing, for nothing was seen: a scan tells when the root or the file can be seen again."""
        if trouble.scope is Scope.ROOT:
            self._board.pin(place.root, trouble)
            if self._roots.trouble(place.root) is None:
                # it may be well again before any check knows of it: then a scan is what calls that off, but
                # not of whatever has its path now
                self._checked_s = float("-inf")
                with self._lock:
                    self._scans_wanted.add(place.root)
        self._tell("look_failed", root=place.root, path=place.relpath, kind=trouble.kind, what=trouble.what)

    def _scan_root(self, name: str) -> None:
        folder = self._folders[name]
        with self._lock:
            self._scans_wanted.discard(name)
            # should it break off, it stays due
            self._scan_at_s[name] = float("-inf")
        started_s = self._clock.monotonic_s()
        report = self._walk(folder, below="")
        if report.inodes_moved and name not in self._untrusted:
            self._untrusted.add(name)
            self._tell(
                "root_inodes_distrusted",
                root=name,
                what="every inode number moved; they are ignored from now on",
            )
            report = self._walk(folder, below="")
        wait_s = self._ordinary_wait_s(folder)
        of_root = next((trouble for trouble in report.troubles if trouble.scope is Scope.ROOT), None)
        if of_root is None:
            self._board.lift(name)
        else:
            self._board.pin(name, of_root)
            # it may heal at any moment: look again long before the next ordinary scan
            wait_s = min(wait_s, CHECK_S)
        self._board.remark(name, remarks_of(report))
        self._wake_healed(name)
        if of_root is None:
            self._leftovers(folder, report.unfinished)
        self._tell_scan(name, report, took_s=self._clock.monotonic_s() - started_s)
        self._scan_at_s[name] = self._clock.monotonic_s() + wait_s
        self._scanned_once.add(name)

    def _wake_healed(self, name: str) -> None:
        """Wake files that were parked for want of a right that is there now: a mode change moves no stamp."""
        healed = healed_places(self._catalog, self._roots, name)
        if healed and self._catalog.retry(healed):
            self._noted()

    def _ordinary_wait_s(self, folder: RootFolder) -> float:
        """Tell when the next scan is; mode `off` knows none that nobody asked for."""
        if folder.watch == "off":
            return float("inf")
        return schedule.scan_wait_s(folder.scan_interval_s, self._chance())

    def _tell_scan(self, name: str, report: ScanReport, *, took_s: float) -> None:
        """Log a scan, and what is wrong; a root that is looked at again and again tells nothing twice."""
        before = self._told.get(name, set())
        self._told[name] = {(trouble.kind, trouble.what) for trouble in report.troubles}
        if before and before == self._told[name]:
            return
        for trouble in report.troubles:
            if (trouble.kind, trouble.what) not in before:
                self._tell(
                    "scan_met_trouble",
                    root=name,
                    kind=trouble.kind,
                    what=trouble.what,
                    does=trouble.does,
                    you=trouble.you,
                )
        counts = {
            "files": report.files,
            "folders": report.folders,
            "skipped": report.skipped + report.unspeakable,
        }
        is_as_it_was, self._counted[name] = self._counted.get(name) == counts, counts
        if is_as_it_was:  # every quarter of an hour the same line would be a hundred a day
            self._tell("root_unchanged", root=name, **counts, took_s=round(took_s, 3))
        else:
            self._tell("root_scanned", root=name, **counts, took_s=round(took_s, 3))

    def _walk(self, folder: RootFolder, *, below: str) -> ScanReport:
        survey = survey_root(
            folder,
            self._catalog,
            self._clock,
            self._pause,
            below=below,
            trust_inodes=folder.name not in self._untrusted,
        )
        if survey.changes:
            self._noted()
        return survey.report
