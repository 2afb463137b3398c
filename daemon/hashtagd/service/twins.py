"""Files that were made out of others that are known: they need not be found, settled and hashed once more."""

from hashtagd.catalog.transfers import Transfers
from hashtagd.core.place import Place, Stamp
from hashtagd.core.troubles import Trouble
from hashtagd.stages.opening import look
from hashtagd.watch.roots import Roots


class Twins:
    """Collects them.

    Args:
        transfers: where they are put into the catalog.
        roots: of this machine.
    """

    def __init__(self, transfers: Transfers, roots: Roots) -> None:
        self._transfers = transfers
        self._roots = roots
        #: those that can be published at once
        self.places: list[Place] = []

    def made(self, source: Place, twin: Place) -> None:
        """Take one that was just made; what cannot be taken so is left to the scan."""
        try:
            found = look(self._roots.locate(twin))
        except (OSError, Trouble):
            return
        stamp = Stamp(size_bytes=found.st_size, mtime_ns=found.st_mtime_ns, inode=found.st_ino)
        if self._transfers.twin_made(source, twin, stamp):
            self.places.append(twin)
