"""At the start: settings that changed what is written make files due again."""

from collections.abc import Sequence

from hashtagd.catalog.catalog import Catalog
from hashtagd.service import parts
from hashtagd.settings import Loaded


def wake_republished(catalog: Catalog, loaded: Loaded, roots: Sequence[str]) -> None:
    """Publish roots again whose writers or their options changed since the last run."""
    for root in roots:
        mark = parts.writers_fingerprint(loaded, root)
        before = catalog.scans.root_fingerprint(root)
        if before == mark:
            continue
        catalog.scans.keep_root(root, catalog.scans.root_marker(root), mark)
        if before is not None:
            catalog.wake_publish([root])
