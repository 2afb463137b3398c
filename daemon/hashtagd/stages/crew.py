"""A few threads that are kept between jobs and never hold up the end of the process.

An executor of the standard library joins its threads when the interpreter ends, so one read that hangs on a
dead network disk would hang the stop as well; these are daemon threads.
"""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from queue import SimpleQueue
from types import TracebackType
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")

_Task = tuple[Callable[[], Any], "Future[Any]"]


class Crew:
    """Runs jobs side by side: there is always a thread for each job that was started and has not ended."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._running = 0
        self._threads: list[threading.Thread] = []

    def start(self, job: Callable[[], ResultT]) -> "Future[ResultT]":
        """Start a job now; what it returns or raises stands in the future."""
        future: Future[ResultT] = Future()
        with self._lock:
            self._running += 1
            if self._running > len(self._threads):
                self._hire()
        self._tasks.put((job, future))
        return future

    def wait(self, futures: Iterable["Future[Any]"]) -> None:
        """Wait until all of them have ended, well or not."""
        wait(list(futures))

    def close(self) -> None:
        """Let the threads end after their jobs; a later start hires new ones."""
        with self._lock:
            threads, self._threads = self._threads, []
        for _ in threads:
            self._tasks.put(None)

    def _hire(self) -> None:
        thread = threading.Thread(target=self._live, name=f"{self._name}-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _live(self) -> None:
        while (task := self._tasks.get()) is not None:
            job, future = task
            with _Delivery(future, self._end_one):
                future.set_result(job())
            del job, future, task  # or the last job's files and buffers would live until the next one

    def _end_one(self) -> None:
        with self._lock:
            self._running -= 1


class _Delivery:
    """Hands what a job raised to whoever asks for its result; nothing is swallowed."""

    def __init__(self, future: "Future[Any]", ended: Callable[[], None]) -> None:
        self._future = future
        self._ended = ended

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._ended()
        if error is not None:
            self._future.set_exception(error)
        return True
