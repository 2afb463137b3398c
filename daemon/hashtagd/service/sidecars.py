"""What lies beside the models, for people: whose it is, and taking back what is ours."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.pages import FileRow, Sidecar
from hashtagd.core.ports import Clock
from hashtagd.core.sidecars import SidecarState
from hashtagd.core.troubles import AskOperator, Scope
from hashtagd.service import parts
from hashtagd.service.lock import DaemonLock, running_pid
from hashtagd.service.randomness import owner_id
from hashtagd.service.roots import RootPlan
from hashtagd.settings import Loaded
from hashtagd.stages.beside import Beside, look_beside
from hashtagd.stages.effects import Folder
from hashtagd.stages.ground import Ground
from hashtagd.stages.unpublish import Taken, UnpublishStage
from hashtagd.stages.untouched import UntouchedFolder, detach_nothing
from hashtagd.system.patience import PATIENCE_S, in_time
from hashtagd.watch.filters import Kind
from hashtagd.watch.roots import Roots

#: so many files are taken back between two commits
_BATCH: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenSidecar:
    """One artifact of a file as it lies there now."""

    writer: str
    #: relative to the root
    path: str
    #: None: it could not be looked at
    state: SidecarState | None
    #: when we wrote it last; None: never, or the process ended over it
    written_at: datetime | None


def make_ground(
    loaded: Loaded, plan: RootPlan, clock: Clock, folder: type[Folder] = UntouchedFolder
) -> Ground:
    """Say where artifacts lie, and which are wanted; untouched unless another kind of folder is given.

    Raises:
        SettingsMistakes: an option of a writer is wrong.
    """
    names = {it.name: it.names for it in plan.folders}
    return Ground(
        writers=parts.make_writers(loaded),
        locator=Roots(plan.folders),
        clock=clock,
        is_model=lambda place: place.root in names and names[place.root].kind_of(place.relpath) is Kind.OURS,
        folder=folder,
    )


def look_at_sidecars(
    catalog: Catalog, ground: Ground, rows: Sequence[FileRow], *, patience_s: float = PATIENCE_S
) -> list[list[SeenSidecar]]:
    """Look at everything that we wrote, or would write, for each of these files; by path and writer.

    Of files whose disk does not answer in time, only that is told which we know we wrote.
    """
    claims = catalog.peeks.claims([row.file_id for row in rows])
    looked: dict[int, Sequence[Beside]] = {}

    def look() -> None:
        with ground.batch() as batch:
            for claim in claims:
                looked[claim.file_id] = look_beside(ground, claim, batch)

    in_time(look, patience_s)
    return [_seen(catalog.reports.history(row).sidecars, looked.get(row.file_id)) for row in rows]


def _seen(written: Sequence[Sidecar], beside: Sequence[Beside] | None) -> list[SeenSidecar]:
    """Join what is recorded of a file with what lies there; None: its disk did not answer."""
    written_at = {(it.root, it.relpath, it.writer): it.written_at for it in written}
    states: dict[tuple[str, str, str], SidecarState | None] = dict.fromkeys(written_at)
    if beside is not None:
        states = {(it.place.root, it.place.relpath, it.writer): it.state for it in beside}
    found = [
        SeenSidecar(writer=writer, path=path, state=state, written_at=written_at.get((root, path, writer)))
        for (root, path, writer), state in states.items()
    ]
    return sorted(found, key=lambda it: (it.path, it.writer))


def would_unpublish(catalog: Catalog, ground: Ground, roots: Sequence[str]) -> Iterator[Taken]:
    """Tell what `unpublish` would take back from these roots, and what would stay. Changes nothing."""
    stage = UnpublishStage(ground, detach=detach_nothing)
    for some in _batches(catalog.peeks.published(roots)):
        yield from stage.run(catalog.peeks.claims(some))


def unpublish(catalog: Catalog, ground: Ground, roots: Sequence[str]) -> Iterator[Taken]:
    """Take back from these roots what we wrote; the next run writes it again.

    Killed at any moment, what was not removed yet is still known to be ours, and what was is due for publish.
    """
    stage = UnpublishStage(ground)
    for some in _batches(catalog.peeks.published(roots)):
        claims = catalog.peeks.claims(some)
        catalog.peeks.withdraw([claim.file_id for claim in claims if claim.publications])
        taken = stage.run(claims)
        catalog.peeks.forget([it.seen.known for it in taken if it.is_over and it.seen.known is not None])
        yield from taken


@contextmanager
def without_daemon(folder: Path) -> Iterator[None]:
    """Keep daemons of this catalog from starting for the time of a block.

    Raises:
        AskOperator: one runs.
    """
    pid = running_pid(folder)
    if pid is not None:
        raise AskOperator(
            f"a daemon runs (pid {pid})" if pid else "a daemon runs",
            does="nothing was removed: it would soon be written again",
            you="stop the daemon first, or look with `hashtagd unpublish --dry-run`; to have no sidecars for "
            "good, set `writers: []` as well",
            scope=Scope.ROOT,
            kind="daemon_runs",
        )
    with ExitStack() as stack:
        if folder.is_dir():  # else there is no catalog, and nothing to be kept from
            stack.enter_context(DaemonLock(folder, owner=owner_id(), pid=os.getpid()))
        yield


def _batches(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    yield from (ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH))
