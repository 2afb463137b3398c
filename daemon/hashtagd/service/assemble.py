"""Settings -> a service that runs, in the order in which things have to be there."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

from hashtagd.catalog.catalog import Catalog
from hashtagd.core.troubles import Trouble
from hashtagd.service.daemon import Service
from hashtagd.service.known_roots import remember_roots
from hashtagd.service.leases import release_dead
from hashtagd.service.lock import DaemonLock, OwnerFile
from hashtagd.service.looking import looked_at
from hashtagd.service.process import Process
from hashtagd.service.randomness import chance, owner_id
from hashtagd.service.tidy import sweep_state
from hashtagd.settings import Loaded
from hashtagd.system.patience import in_time

__all__ = ["Process", "Service", "assemble"]

#: how long each of the last things may take: the end waits for no database and no disk
_PARTING_S: Final = 2.0


@contextmanager
def assemble(loaded: Loaded, process: Process) -> Iterator[Service]:
    """Lock, open the catalog, heal what the last process left, and hand over a service.

    Raises:
        AskOperator: scope `daemon`: another daemon runs here, the catalog cannot be used, a key is unusable.
    """
    owner = owner_id()
    with ExitStack() as stack:
        stack.enter_context(DaemonLock(process.folder, owner=owner, pid=os.getpid()))
        sweep_state(process.folder, process.clock.now())
        remember_roots(process.folder, {folder.name: folder.path for folder in process.plan.folders})
        catalog = Catalog.open(
            loaded.settings.catalog.url,
            clock=process.clock,
            owner=owner,
            chance=chance,
            quiet_s={folder.name: folder.quiet_s for folder in process.plan.folders},
        )
        stack.callback(in_time, catalog.close, _PARTING_S)
        release_dead(catalog, process.folder)
        stack.enter_context(OwnerFile(process.folder, owner))
        catalog.pull_back_absurd()
        service = Service(loaded, process, catalog)
        stack.callback(in_time, service.close, _PARTING_S)
        if not process.once:
            stack.enter_context(looked_at(loaded.settings.web.listen, service.observatory, process))
        try:
            yield service
        finally:
            # a catalog that is away or silent now lets the leases end by themselves
            with suppress(Trouble):
                in_time(lambda: _release(catalog, owner), _PARTING_S)


def _release(catalog: Catalog, owner: str) -> None:
    catalog.release_own([owner])
