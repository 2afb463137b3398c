"""Scouts: one per device. A scout looks where events hinted, scans on a timer, and notes what it saw.

A network disk that hangs holds up only its own scout.
"""

import threading
from collections.abc import Callable, Sequence

from hashtagd.catalog.catalog import Catalog
from hashtagd.core import schedule
from hashtagd.core.place import Place, Sighting
from hashtagd.core.ports import Clock, Pause
from hashtagd.core.troubles import Scope, Trouble
from hashtagd.service.board import RootBoard
from hashtagd.service.lanes import Tell
from hashtagd.service.survey import survey_root
from hashtagd.watch.observer import Hints, look
from hashtagd.watch.roots import Change, RootFolder, Roots
from hashtagd.watch.scan import ScanReport

#: how often a root's identity is checked: a disk that comes back is watched again within twice this
CHECK_S = 5.0


class ScoutWork:
    """Looks at the roots of one device.

    Args:
        noted: called after something new was noted, so that the lanes look for work.
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
        self._lock = threading.Lock()
        self._places: set[Place] = set()
        self._subfolders: set[tuple[str, str]] = set()
        #: monotonic moment of each root's next scan; every root is scanned at start
        self._scan_at_s = dict.fromkeys(self._folders, float("-inf"))
        self._untrusted: set[str] = set()
        self._checked_s = float("-inf")
        self._scanned_once: set[str] = set()

    @property
    def scanned_all_once(self) -> bool:
        """Tell whether every root that is there has been scanned since the start."""
        away = self._board.troubles()
        return all(name in self._scanned_once or name in away for name in self._folders)

    @property
    def idle(self) -> bool:
        """Tell whether no hint waits and no scan is due."""
        with self._lock:
            hinted = bool(self._places or self._subfolders)
        return not hinted and min(self._scan_at_s.values(), default=float("inf")) > self._clock.monotonic_s()

    def take(self, hints: Hints) -> bool:
        """Keep the hints that concern this device; returns whether there were any."""
        with self._lock:
            before = len(self._places) + len(self._subfolders)
            self._places |= {place for place in hints.places if place.root in self._folders}
            self._subfolders |= {(root, sub) for root, sub in hints.folders if root in self._folders}
            for root in hints.scan_roots & self._folders.keys():
                self._scan_at_s[root] = float("-inf")
            return len(self._places) + len(self._subfolders) > before or not hints.scan_roots.isdisjoint(
                self._folders
            )

    def turn(self) -> float:
        """Check the roots, look where something was hinted, scan what is due."""
        self._check_roots()
        self._look()
        for name in self._folders:
            if self._scan_at_s[name] <= self._clock.monotonic_s() and self._roots.trouble(name) is None:
                self._scan_root(name)
        return CHECK_S

    def _check_roots(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._checked_s < CHECK_S:
            return
        self._checked_s = now_s
        for change in self._roots.check(self._folders):
            trouble = self._roots.trouble(change.root)
            if change.change is Change.AWAY and trouble is not None:
                self._board.pin(change.root, trouble)
                self._tell(
                    "root_went_away", root=change.root, kind=trouble.kind, what=trouble.what, you=trouble.you
                )
                continue
            self._board.lift(change.root)
            self._rearm(change.root)
            self._scan_at_s[change.root] = float("-inf")

    def _look(self) -> None:
        with self._lock:
            places, self._places = self._places, set()
            subfolders, self._subfolders = self._subfolders, set()
        sightings: list[Sighting] = []
        for place in places:
            try:
                sightings.append(
                    look(self._roots, place, self._clock, trust_inodes=place.root not in self._untrusted)
                )
            except Trouble as trouble:
                self._not_seen(place, trouble)
        self._note(sightings)
        for root, below in sorted(subfolders):
            if self._roots.trouble(root) is None:
                self._walk(self._folders[root], below=below)

    def _not_seen(self, place: Place, trouble: Trouble) -> None:
        """Note nothing, for nothing was seen: a scan tells when the root or the file can be seen again."""
        if trouble.scope is Scope.ROOT:
            self._board.pin(place.root, trouble)
        self._tell("look_failed", root=place.root, path=place.relpath, kind=trouble.kind, what=trouble.what)

    def _scan_root(self, name: str) -> None:
        folder = self._folders[name]
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
        self._scanned_once.add(name)
        wait_s = schedule.scan_wait_s(folder.scan_interval_s, self._chance())
        self._scan_at_s[name] = self._clock.monotonic_s() + wait_s
        self._judge(name, report.troubles)
        self._tell(
            "root_scanned",
            root=name,
            files=report.files,
            folders=report.folders,
            skipped=report.skipped + report.unspeakable,
            took_s=round(self._clock.monotonic_s() - started_s, 3),
        )

    def _judge(self, name: str, troubles: Sequence[Trouble]) -> None:
        of_root = next((trouble for trouble in troubles if trouble.scope is Scope.ROOT), None)
        if of_root is not None:
            self._board.pin(name, of_root)
            # it may heal at any moment: look again long before the next ordinary scan
            self._scan_at_s[name] = self._clock.monotonic_s() + CHECK_S
        else:
            self._board.lift(name)
        for trouble in troubles:
            self._tell("scan_met_trouble", root=name, kind=trouble.kind, what=trouble.what, you=trouble.you)

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

    def _note(self, sightings: Sequence[Sighting]) -> None:
        if sightings and self._catalog.note(sightings).changes:
            self._noted()
