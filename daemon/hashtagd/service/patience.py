"""Looking at disks that may never answer: a share whose server is gone holds whoever asks it, for good."""

import threading
from collections.abc import Callable
from typing import Final

#: disks that sleep need some seconds to wake up
PATIENCE_S: Final = 5.0


def in_time(look: Callable[[], None], patience_s: float = PATIENCE_S) -> bool:
    """Look in a thread of its own; False: it did not end in time, and is left behind.

    Args:
        look: what may hang; what it has found by then is the caller's to read.
        patience_s: how long to wait for it.

    Raises what `look` raises in time.
    """
    failed: list[Exception] = []

    def guarded() -> None:
        try:
            look()
        except Exception as error:  # noqa: BLE001 - it is raised again where somebody waits for it
            failed.append(error)

    thread = threading.Thread(target=guarded, name="look", daemon=True)
    thread.start()
    thread.join(patience_s)
    if failed:
        raise failed[0]
    return not thread.is_alive()
