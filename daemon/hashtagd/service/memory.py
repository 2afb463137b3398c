"""Gives memory back to the system when there is nothing to do: a daemon at rest should be small."""

import ctypes
import gc
from collections.abc import Callable


def trimmer(library: object = None) -> Callable[[], None]:
    """Make a function that frees what nobody holds and returns it to the system, as far as it can.

    glibc keeps what threads freed in arenas of their own: tens of megabytes after a library was hashed.

    Args:
        library: the C library; None: that of this process.
    """
    release = getattr(ctypes.CDLL(None) if library is None else library, "malloc_trim", None)

    def trim() -> None:
        gc.collect()
        if release is not None:  # musl and others have no such function, and no such arenas
            release(0)

    return trim
