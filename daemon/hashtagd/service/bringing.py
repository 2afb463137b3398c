"""Who brings what was asked for: the daemon that runs, or this process where none does."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.transfers import TransferRow
from hashtagd.core.place import Place
from hashtagd.core.ports import Stopping
from hashtagd.service import parts
from hashtagd.service.fetching import TICK_S, Fetching, Following
from hashtagd.service.lanes import Tell
from hashtagd.service.leases import release_dead
from hashtagd.service.lock import running_pid
from hashtagd.service.roots import RootPlan

#: looking into the catalog is all there is to do while the daemon works
_LOOK_S: Final = 2 * TICK_S

Watch = Callable[[Sequence[TransferRow], Mapping[int, int]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """What bringing needs on this machine."""

    outside: parts.Outside
    catalog: Catalog
    plan: RootPlan
    #: where the daemon's lock lies
    folder: Path
    tell: Tell


def bring(
    hands: Hands,
    ids: Collection[int],
    watch: Watch,
    *,
    detach: bool = False,
    coming: Callable[[], bool] = lambda: False,
    made: Collection[Place] = (),
) -> list[TransferRow]:
    """Bring transfers to an end, or stand by while the daemon does.

    Args:
        hands: what it takes.
        ids: their numbers; more may be added while `coming` says so.
        watch: told several times a second how far they are.
        detach: leave them to the daemon, if one runs.
        coming: tells whether more numbers may be added.
        made: files that are there already and shall be published.

    Returns the rows as they are then. A daemon that ends meanwhile is stood in for.

    Raises:
        Stopping: a stop was requested; what came is kept.
    """
    # in this order: asking may add the last ones
    if not coming() and not ids and not made and not _is_left_over(hands):
        return []
    following = Following(hands.catalog, ids)
    while running_pid(hands.folder) is not None:
        more = coming()
        rows = following.look(hands.outside.clock.now())
        watch(rows, {})
        if not more and (detach or following.all_rest):
            return rows
        if hands.outside.pause.wait(_LOOK_S):
            raise Stopping
    release_dead(hands.catalog, hands.folder)
    fetching = Fetching(
        hands.outside,
        catalog=hands.catalog,
        plan=hands.plan,
        only=ids,
        tell=hands.tell,
        coming=coming,
        made=made,
    )
    return fetching.run(watch)


def _is_left_over(hands: Hands) -> bool:
    """Tell whether a killed call left something that is not published yet."""
    roots = [folder.name for folder in hands.plan.folders]
    return bool(hands.catalog.transfers.unpublished(roots))
