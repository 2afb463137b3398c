"""Which places are free for which file: what lies there, and what others wait for at that very place."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.transfers import TransferRow
from hashtagd.catalog.whereabouts import Whereabouts
from hashtagd.core.card import Download
from hashtagd.core.place import Place
from hashtagd.core.restoring import Lying
from hashtagd.core.troubles import Trouble
from hashtagd.service.roots import RootPlan
from hashtagd.stages.opening import look, stamp_of
from hashtagd.watch.roots import Roots

#: sites round sizes; beyond this another file is meant
_ROUNDED_BYTES: Final = 1024


class Vacancies:
    """Looks at the disks and at the catalog; what is waited for is read once.

    Args:
        catalog: what was seen, and what is waited for.
        plan: the roots.
        hash_file: gives the SHA-256 of a file; None where it cannot be had.
    """

    def __init__(self, catalog: Catalog, plan: RootPlan, hash_file: Callable[[Path], str | None]) -> None:
        self._whereabouts = Whereabouts(catalog.database)
        self._roots = Roots(plan.folders)
        self._hash_file = hash_file
        self._awaited = {row.place: row for row in catalog.transfers.rows() if row.state != "done"}

    def lying(self, sha256: str) -> Place | None:
        """Find a file with these bytes; one whose disk is away is believed to be there still."""
        known = self._whereabouts.of([sha256]).get(sha256, [])
        return next((it.place for it in known if it.place.root in self._roots.folders and self._is(it)), None)

    def awaited(self, sha256: str) -> Place | None:
        """Find a place at which these bytes are waited for."""
        rows = self._awaited.values()
        return next(
            (it.place for it in rows if it.sha256 == sha256 and it.place.root in self._roots.folders), None
        )

    def is_free(self, place: Place, file: Download) -> bool:
        """Tell whether a file may come to a place: nothing else lies there, or is waited for."""
        row = self._awaited.get(place)
        return (row is None or _is_for(row, file)) and self._has_nothing_else(place, file)

    def _is(self, it: Lying) -> bool:
        try:
            return stamp_of(look(self._roots.locate(it.place)), it.stamp) == it.stamp
        except OSError:
            return False
        except Trouble:
            return True

    def _has_nothing_else(self, place: Place, file: Download) -> bool:
        try:
            path = self._roots.locate(place)
        except Trouble:
            return True  # whoever fetches it will say that the root is away
        if not path.is_symlink() and not path.exists():
            return True
        # the very bytes, of which the catalog has not heard: they are not fetched a second time
        return _may_be(path, file) and self._hash_file(path) == file.sha256


def _is_for(row: TransferRow, file: Download) -> bool:
    if file.sha256 is None:
        return row.sha256 is None and row.size_bytes == file.size_bytes
    return row.sha256 == file.sha256


def _may_be(path: Path, file: Download) -> bool:
    if file.sha256 is None:
        return False
    try:
        size_bytes = look(path).st_size
    except OSError:
        return False
    return file.size_bytes is None or abs(size_bytes - file.size_bytes) <= _ROUNDED_BYTES
