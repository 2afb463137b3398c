"""Keeps a daemon at rest small: what work needed for a while goes back to the system.

glibc gives each thread an arena of its own and keeps there what the thread freed: tens of megabytes after a
library was hashed. Other C libraries have neither arenas nor the functions used here.
"""

import ctypes
import gc
from collections.abc import Callable
from typing import Final

#: glibc's number for "how many arenas"
_M_ARENA_MAX: Final = -8


def share_one_arena(library: object = None) -> None:
    """Let all threads that start from now on share one arena; the interpreter's lock lets in one at a time.

    Args:
        library: the C library; None: that of this process.
    """
    set_option = getattr(ctypes.CDLL(None) if library is None else library, "mallopt", None)
    if set_option is not None:
        set_option(_M_ARENA_MAX, 1)


def trimmer(library: object = None) -> Callable[[], None]:
    """Make a function that frees what nobody holds and returns it to the system, as far as it can.

    What is there at its first call, modules above all, is not looked through again by any later collection:
    it is most of what a process at rest holds, and stays to the end.

    Args:
        library: the C library; None: that of this process.
    """
    release = getattr(ctypes.CDLL(None) if library is None else library, "malloc_trim", None)

    def trim() -> None:
        gc.collect()
        if not gc.get_freeze_count():
            gc.freeze()
        if release is not None:
            release(0)

    return trim
