"""A scan that is noted: walk a root and write what differs into the catalog.

The daemon's scouts do it on a timer, `hashtagd rescan` at once; both may run at the same time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hashtagd.catalog.catalog import Catalog
from hashtagd.core.ports import Clock, Pause
from hashtagd.watch.roots import RootFolder
from hashtagd.watch.scan import FolderDifference, ScanReport, scan

#: how many folders' differences are noted together
FOLDERS_PER_COMMIT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a noted scan came to."""

    report: ScanReport
    #: rows that were made, woken, moved or marked gone
    changes: int


def survey_root(
    folder: RootFolder,
    catalog: Catalog,
    clock: Clock,
    pause: Pause,
    *,
    below: str = "",
    trust_inodes: bool = True,
    believe_empty: bool = False,
) -> Survey:
    """Scan a root (or one folder of it) and note every difference; arguments as those of `scan`.

    Raises:
        Stopping: a stop was requested; what was noted stands.
        Trouble: scope `daemon`, the catalog is away.
    """
    walk = scan(
        folder,
        catalog.scans,
        clock,
        pause,
        below=below,
        trust_inodes=trust_inodes,
        believe_empty=believe_empty,
    )
    waiting: list[FolderDifference] = []
    changes = 0
    while True:
        try:
            waiting.append(next(walk))
        except StopIteration as end:
            changes += _keep(folder.name, waiting, catalog)
            return Survey(report=end.value, changes=changes)
        if len(waiting) >= FOLDERS_PER_COMMIT:
            changes += _keep(folder.name, waiting, catalog)
            waiting = []


def _keep(root: str, differences: Sequence[FolderDifference], catalog: Catalog) -> int:
    """Note the sightings first and the digests after: a crash in between only costs one more comparison."""
    if not differences:
        return 0
    noted = catalog.note([sighting for difference in differences for sighting in difference.sightings])
    catalog.scans.keep_folders(root, {difference.folder: difference.digest for difference in differences})
    return noted.changes
