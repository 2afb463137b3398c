"""What a scan says beside the files it found: troubles inside a root, and files whose trouble is over."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.pending import parked_files
from hashtagd.core.place import Place
from hashtagd.core.ports import Locator
from hashtagd.core.troubles import AskOperator, Scope, Trouble
from hashtagd.watch.scan import ScanReport

#: the rights that count are those we work with, not those of whoever started us
_EFFECTIVE: Final = os.access in os.supports_effective_ids


def _may_read(path: Path) -> bool:
    return os.access(path, os.R_OK, effective_ids=_EFFECTIVE)


def _may_write_beside(path: Path) -> bool:
    return os.access(path.parent, os.W_OK | os.X_OK, effective_ids=_EFFECTIVE)


#: what a file was parked for -> whether that is over
_HEALED: Final[Mapping[str, Callable[[Path], bool]]] = {
    "not_readable": _may_read,
    "no_permission": _may_write_beside,
}


def healed_places(catalog: Catalog, locator: Locator, root: str) -> list[Place]:
    """Find parked files of a root that were refused to us once and would not be now."""
    healed = []
    for place, kind in parked_files(catalog.database, root):
        is_over = _HEALED.get(kind)
        try:
            if is_over is not None and is_over(locator.locate(place)):
                healed.append(place)
        except Trouble:
            continue  # the root went away meanwhile: nobody knows
    return healed


def remarks_of(report: ScanReport) -> list[Trouble]:
    """Collect what a scan met that concerns less than the root."""
    remarks = [trouble for trouble in report.troubles if trouble.scope is not Scope.ROOT]
    if report.unspeakable:
        remarks.append(_unspeakable(report.unspeakable))
    return remarks


def _unspeakable(count: int) -> AskOperator:
    names = "1 name is" if count == 1 else f"{count} names are"
    return AskOperator(
        f"{names} not UTF-8",
        does="these files are skipped: their names cannot be told to other programs",
        you="rename them; `ls -b` shows such names",
        scope=Scope.FILE,
        kind="unspeakable_name",
    )
