"""What lies in the roots now, as far as a restore has to know: the catalog's word, checked on the disk."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from hashtagd.catalog.whereabouts import Whereabouts
from hashtagd.core.manifest import Entry
from hashtagd.core.place import Place, Stamp
from hashtagd.core.restoring import Ground, Lying, Occupant, Space, Step, Wish
from hashtagd.core.troubles import Trouble
from hashtagd.stages.linking import Order
from hashtagd.stages.opening import look, stamp_of
from hashtagd.system.disks import free_bytes
from hashtagd.watch.roots import Roots


class Disks:
    """Looks at files of the roots; reads one only where its bytes decide and nobody knows them.

    Args:
        roots: of this machine.
        whereabouts: what the catalog knows.
        hash_file: gives the SHA-256 of a file; None where it cannot be had.
    """

    def __init__(
        self, roots: Roots, whereabouts: Whereabouts, hash_file: Callable[[Path], str | None]
    ) -> None:
        self._roots = roots
        self._whereabouts = whereabouts
        self._hash_file = hash_file
        self._lying: dict[str, list[Lying]] = {}
        self._stamps: dict[Place, Stamp] = {}

    def find(self, entries: Iterable[Entry]) -> None:
        """Find out where the bytes of entries lie; what changed since it was hashed does not count."""
        wanted = {entry.sha256 for entry in entries if entry.sha256 is not None} - self._lying.keys()
        found = self._whereabouts.of(wanted)
        for sha256 in sorted(wanted):
            self._lying[sha256] = [it for it in found.get(sha256, ()) if self._is_as_known(it)]

    def has(self, sha256: str) -> bool:
        """Tell whether these bytes were found."""
        return bool(self._lying.get(sha256))

    def reachable(self, wish: Wish) -> Wish:
        """Give the wish, with the reason why not where its root is away."""
        if wish.target is None:
            return wish
        try:
            self._roots.locate(wish.target)
        except Trouble as trouble:
            return replace(wish, target=None, why_not=trouble.what)
        return wish

    def ground(self, wishes: Sequence[Wish], keep_free_bytes: int) -> Ground:
        """Look at every target, and at the disks."""
        known = self._whereabouts.at(wish.target for wish in wishes if wish.target is not None)
        occupants: dict[Place, Occupant] = {}
        for wish in wishes:
            if wish.target is not None and wish.target not in occupants:
                occupant = self._occupant(wish.target, wish.entry, known.get(wish.target))
                if occupant is not None:
                    occupants[wish.target] = occupant
        roots = {it.place.root for some in self._lying.values() for it in some}
        roots |= {wish.target.root for wish in wishes if wish.target is not None}
        spaces = {name: space for name in roots if (space := self._space(name)) is not None}
        return Ground(lying=self._lying, occupants=occupants, spaces=spaces, keep_free_bytes=keep_free_bytes)

    def order(self, step: Step, source: Place) -> Order:
        """Say what to make out of which file.

        Raises:
            Trouble: scope `root`: the root of one of the two is away.
        """
        target, sha256 = step.target, step.entry.sha256
        if target is None or sha256 is None:
            raise ValueError("only a file with a place and a hash can be made")
        path = self._roots.locate(source)
        self._roots.locate(target)
        stamp = self._stamps.get(source) or _stamp(path)
        return Order(
            source=path,
            stamp=stamp,
            sha256=sha256,
            root=self._roots.folders[target.root].path,
            relpath=target.relpath,
        )

    def _is_as_known(self, it: Lying) -> bool:
        try:
            found = look(self._roots.locate(it.place))
        except (OSError, Trouble):
            return False
        if stamp_of(found, it.stamp) != it.stamp:
            return False
        self._stamps[it.place] = it.stamp
        return True

    def _occupant(self, target: Place, entry: Entry, known: Lying | None) -> Occupant | None:
        path = self._roots.locate(target)
        if not os.path.lexists(path):
            return None
        try:
            found = look(path)
        except OSError:
            return Occupant(
                sha256=None
            )  # no regular file, a link to nowhere, or nothing that may be looked at
        if known is not None and known.sha256 is not None and stamp_of(found, known.stamp) == known.stamp:
            return Occupant(sha256=known.sha256)
        if entry.size_bytes not in (None, found.st_size):
            return Occupant(sha256=None)
        return Occupant(sha256=self._hash_file(path))

    def _space(self, name: str) -> Space | None:
        path = self._roots.folders[name].path
        try:
            return Space(disk=path.stat().st_dev, free_bytes=free_bytes(path))
        except OSError:
            return None


def _stamp(path: Path) -> Stamp:
    found = path.stat()
    return Stamp(size_bytes=found.st_size, mtime_ns=found.st_mtime_ns, inode=found.st_ino)
