"""What commands that fetch have in common: the catalog, the network, signals, the log."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from hashtagd.cli.context import Context
from hashtagd.cli.working import heeding_signals, logging_to_stderr, tell
from hashtagd.service import parts
from hashtagd.service.bringing import Hands
from hashtagd.service.clock import StopPause
from hashtagd.service.leases import release_dead
from hashtagd.service.lock import OwnerFile
from hashtagd.service.roots import RootPlan


@contextmanager
def hands(context: Context, plan: RootPlan) -> Iterator[Hands]:
    """Open the catalog, made if it is missing, and everything that works on it.

    Raises:
        Trouble: scope `daemon`: it cannot be used.
    """
    pause = StopPause()
    with ExitStack() as stack:
        stack.enter_context(heeding_signals(pause))
        # what is wrong with a file is told at the end, with all that is known of it
        log = stack.enter_context(logging_to_stderr(context, terse=True, least="error"))
        catalog = stack.enter_context(context.own_catalog({}))
        stack.enter_context(OwnerFile(context.lock_folder, catalog.owner))
        # before anything is wished for: what a killed call held is no longer being fetched
        release_dead(catalog, context.lock_folder)
        outside = parts.Outside(
            loaded=context.loaded,
            environ=context.environ,
            clock=context.clock,
            pause=pause,
            gates=parts.make_gates(context.loaded, catalog),
            tell=lambda event, values: tell(log, event, **values),
            state_folder=context.lock_folder,
        )
        yield Hands(
            outside=outside, catalog=catalog, plan=plan, folder=context.lock_folder, tell=partial(tell, log)
        )
