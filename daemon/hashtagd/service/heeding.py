"""Work that cannot be interrupted, such as reading an answer, on a thread that nobody has to wait for."""

import queue
import threading
from collections.abc import Generator, Iterable
from typing import Final, TypeVar

from hashtagd.core.ports import Pause, Stopping

T = TypeVar("T")

_LOOK_S: Final = 0.1


def heeding(items: Iterable[T], pause: Pause) -> Generator[T, None, None]:
    """Give what comes, as it comes; a stop ends the wait for the next one at once.

    Raises:
        Stopping: a stop was requested; what is under way is left to itself.
        BaseException: whatever making the items raised.
    """
    came: queue.SimpleQueue[tuple[T, ...] | BaseException | None] = queue.SimpleQueue()
    left = threading.Event()

    def make() -> None:
        ended: BaseException | None = None
        try:
            for item in items:
                if left.is_set():
                    return
                came.put((item,))
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
            ended = error
        finally:
            came.put(ended)

    threading.Thread(target=make, name="asking", daemon=True).start()
    try:
        while True:
            try:
                got = came.get(timeout=_LOOK_S)
            except queue.Empty:
                got = ()
            if pause.stopping:
                raise Stopping
            if isinstance(got, BaseException):
                raise got
            if got is None:
                return
            yield from got
    finally:
        left.set()
