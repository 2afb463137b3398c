"""Looking at disks that may never answer: a share whose server is gone holds whoever asks it, for good."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

#: disks that sleep need some seconds to wake up
PATIENCE_S: Final = 5.0


def in_time(look: Callable[[], object], patience_s: float = PATIENCE_S) -> bool:
    """Look in a thread of its own; False: it did not end in time, and is left behind.

    Args:
        look: what may hang; what it has found by then is the caller's to read.
        patience_s: how long to wait for it.

    Raises what `look` raises in time.
    """
    return all_in_time([look], patience_s)[0]


def all_in_time(looks: Sequence[Callable[[], object]], patience_s: float = PATIENCE_S) -> list[bool]:
    """Look side by side, so that many that hang are waited for no longer than one; tells which ended in time.

    Raises the first of what they raise in time.
    """
    failed: list[Exception] = []

    def guarded(look: Callable[[], object]) -> None:
        try:
            look()
        except Exception as error:  # noqa: BLE001 - it is raised again where somebody waits for it
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=[look], name="look", daemon=True) for look in looks]
    for thread in threads:
        thread.start()
    until_s = time.monotonic() + patience_s
    for thread in threads:
        thread.join(max(0.0, until_s - time.monotonic()))
    if failed:
        raise failed[0]
    return [not thread.is_alive() for thread in threads]


def silent_among(folders: Iterable[Path], patience_s: float = PATIENCE_S) -> set[Path]:
    """Tell which folders do not answer; what a look at the others finds, or does not, is another question."""
    paths = list(dict.fromkeys(folders))
    answered = all_in_time([partial(_look_into, path) for path in paths], patience_s)
    return {path for path, came in zip(paths, answered, strict=True) if not came}


def _look_into(folder: Path) -> None:
    # ValueError: of a path with a NUL
    with suppress(OSError, ValueError), os.scandir(folder) as entries:
        next(entries, None)
