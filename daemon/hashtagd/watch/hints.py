"""What events leave behind: a coalesced set of places to look at. An event is a hint and never a fact."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass

from watchdog.events import FileSystemEvent, FileSystemEventHandler

from hashtagd.core.place import Place
from hashtagd.watch.filters import Kind
from hashtagd.watch.roots import RootFolder

#: from so many places in one root on, a scan is cheaper than looking at each
SCAN_FROM_PLACES = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """Where something may have happened since the last time."""

    #: files to look at one by one
    places: frozenset[Place] = frozenset()
    #: (root, folder) to scan below: they came, went or moved
    folders: frozenset[tuple[str, str]] = frozenset()
    #: roots to scan as a whole: events were lost, or there were too many
    scan_roots: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.places or self.folders or self.scan_roots)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """How the paths of one watch become places."""

    root: RootFolder
    #: the watched folder with all links followed: what events call it
    real_path: str
    #: what the root calls it: "" for itself, else the path of a linked folder
    relpath: str = ""

    def place_of(self, path: str) -> str | None:
        """Translate an event's path; None for the watched folder itself and for what is not below it."""
        prefix = self.real_path.rstrip("/") + "/"
        if not path.startswith(prefix) or path == prefix:
            return None
        below = path[len(prefix) :]
        return f"{self.relpath}/{below}" if self.relpath else below


class HintBox:
    """Collects hints from the watcher's threads; never raises, never touches the disk.

    Args:
        on_hint: called after each hint that matters, from the watcher's thread.
    """

    def __init__(self, on_hint: Callable[[], None]) -> None:
        self._on_hint = on_hint
        self._lock = threading.Lock()
        self._places: dict[str, set[Place]] = {}
        self._folders: set[tuple[str, str]] = set()
        self._scan_roots: set[str] = set()
        self._maybe_links: set[tuple[str, str]] = set()
        self._grown: set[str] = set()

    def add(self, target: Target, event: FileSystemEvent) -> None:
        """Keep what an event points at, both ends of a move."""
        matters = False
        for end in (event.src_path, event.dest_path):
            relpath = target.place_of(os.fsdecode(end)) if end else None
            if relpath is not None:
                is_news = self._add_folder if event.is_directory else self._add_file
                matters = is_news(target, relpath) or matters
        if matters:
            self._on_hint()

    def ask_scan(self, *roots: str) -> None:
        """Have whole roots scanned."""
        with self._lock:
            self._scan_roots.update(roots)
        self._on_hint()

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to drain."""
        with self._lock:
            return not (self._places or self._folders or self._scan_roots)

    def drain(self) -> Hints:
        """Take everything out."""
        with self._lock:
            hints = Hints(
                places=frozenset().union(*self._places.values()),
                folders=frozenset(self._folders),
                scan_roots=frozenset(self._scan_roots),
            )
            self._places.clear()
            self._folders.clear()
            self._scan_roots.clear()
        return hints

    def take_maybe_links(self) -> frozenset[tuple[str, str]]:
        """Take out what may be new links to folders: (root, relative path)."""
        with self._lock:
            found = frozenset(self._maybe_links)
            self._maybe_links.clear()
        return found

    def take_grown(self) -> frozenset[str]:
        """Take out the roots in which folders came or went, so that watches may be missing."""
        with self._lock:
            found = frozenset(self._grown)
            self._grown.clear()
        return found

    def _add_folder(self, target: Target, relpath: str) -> bool:
        name = target.root.name
        with self._lock:
            self._grown.add(name)
            if not target.root.names.enters(relpath):
                return False
            if target.relpath:
                # which linked folders are walked is decided from the root: two links may lead to one folder
                self._scan_roots.add(name)
            else:
                self._folders.add((name, relpath))
        return True

    def _add_file(self, target: Target, relpath: str) -> bool:
        root = target.root
        kind = root.names.kind_of(relpath)
        with self._lock:
            if kind is Kind.FOREIGN and root.follow_symlinks and len(self._maybe_links) < SCAN_FROM_PLACES:
                # a link to a folder arrives as a file with a foreign name
                self._maybe_links.add((root.name, relpath))
            if kind is not Kind.OURS:
                return False
            places = self._places.setdefault(root.name, set())
            places.add(Place(root=root.name, relpath=relpath))
            if len(places) > SCAN_FROM_PLACES:
                self._scan_roots.add(root.name)
                places.clear()
        return True


class Handler(FileSystemEventHandler):
    """Hands the events of one watch to the box."""

    def __init__(self, box: HintBox, target: Target) -> None:
        self._box = box
        self._target = target

    def dispatch(self, event: FileSystemEvent) -> None:
        """Keep the hint; an exception here would end the watcher's thread for good."""
        self._box.add(self._target, event)
