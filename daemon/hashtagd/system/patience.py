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
#: so many folders have a thread each at once
_MOST_AT_ONCE: Final = 32


class Look:
    """A look that may hang, in a thread of its own, which is left behind then."""

    def __init__(self, look: Callable[[], object]) -> None:
        self._look = look
        self._failed: Exception | None = None
        self._began_s = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="look", daemon=True)
        self._thread.start()

    def ends(self, patience_s: float) -> bool:
        """Tell whether it ends within so long after its beginning; a later question waits for what is left.

        Raises what the look raised.
        """
        self._thread.join(max(0.0, self._began_s + patience_s - time.monotonic()))
        if self._failed is not None:
            raise self._failed
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._look()
        except Exception as error:  # noqa: BLE001 - it is raised again where somebody waits for it
            self._failed = error


def _look_into(folder: Path) -> None:
    # ValueError: of a path with a NUL
    with suppress(OSError, ValueError), os.scandir(folder) as entries:
        next(entries, None)


#: of `silent_among`, what has not come back: a folder that hangs takes one thread, however often it is asked
_PENDING: Final[dict[tuple[Callable[[Path], object], Path], Look]] = {}


def in_time(look: Callable[[], object], patience_s: float = PATIENCE_S) -> bool:
    """Look in a thread of its own; False: it did not end in time, and is left behind.

    Args:
        look: what may hang; what it has found by then is the caller's to read.
        patience_s: how long to wait for it.

    Raises what `look` raises in time.
    """
    return Look(look).ends(patience_s)


def all_in_time(looks: Sequence[Callable[[], object]], patience_s: float = PATIENCE_S) -> list[bool]:
    """Look side by side, so that many that hang are waited for no longer than one; tells which ended in time.

    Raises the first of what they raise in time.
    """
    return [look.ends(patience_s) for look in [Look(look) for look in looks]]


def silent_among(
    folders: Iterable[Path], patience_s: float = PATIENCE_S, look: Callable[[Path], object] = _look_into
) -> set[Path]:
    """Tell which folders do not answer; what a look at the others finds, or does not, is another question.

    Repeats: one that has not answered since the last call is not waited for again.

    Args:
        folders: where to look.
        patience_s: how long to wait for all of them.
        look: never raises; a function of a module, for what has not come back is known by it.
    """
    asked = list(dict.fromkeys(folders))
    fresh = [path for path in asked if (look, path) not in _PENDING]
    # as many threads as a file can name folders would be more than a unit allows: mostly, one does for all
    if len(fresh) > _MOST_AT_ONCE and in_time(lambda: [look(path) for path in fresh], patience_s):
        asked = [path for path in asked if (look, path) in _PENDING]
    silent: set[Path] = set()
    for first in range(0, len(asked), _MOST_AT_ONCE):
        silent |= _silent_among(asked[first : first + _MOST_AT_ONCE], patience_s, look)
    return silent


def _silent_among(folders: Sequence[Path], patience_s: float, look: Callable[[Path], object]) -> set[Path]:
    # kept here, too: another thread may find the same folder to answer, and drop it
    looks: dict[Path, Look] = {}
    for path in folders:
        known = _PENDING.get((look, path))
        looks[path] = _PENDING[look, path] = Look(partial(look, path)) if known is None else known
    silent = {path for path, one in looks.items() if not one.ends(patience_s)}
    for path in looks.keys() - silent:
        _PENDING.pop((look, path), None)
    return silent
