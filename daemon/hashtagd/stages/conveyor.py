"""Carries blocks of bytes to several takers at once, each on a thread of its own, in order.

The blocks are a few, and come back when the last taker has done with them: whoever gives is at most so many
blocks ahead of the slowest.
"""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue

from hashtagd.stages.crew import Crew

#: takes a block, which is its own until it returns, and the offset of its first byte
Take = Callable[[memoryview, int], object]


class _Parcel:
    """One block on its way."""

    def __init__(self, block: memoryview, length_bytes: int, offset: int, takers: int) -> None:
        self.block = block
        self.data = block[:length_bytes]
        self.offset = offset
        self.left = takers


class Conveyor:
    """For one thread that gives. `close` it in any case.

    Args:
        crew: lends the threads.
        takers: one thread each.
        blocks: memory that nobody else uses meanwhile.
    """

    def __init__(self, crew: Crew, takers: Sequence[Take], blocks: Sequence[memoryview]) -> None:
        self._crew = crew
        self._free: SimpleQueue[memoryview] = SimpleQueue()
        for block in blocks:
            self._free.put(block)
        self._count = len(blocks)
        self._lock = threading.Lock()
        #: one of the takers raised; the others go on with what they were given
        self._is_broken = threading.Event()
        self._queues: list[SimpleQueue[_Parcel | None]] = [SimpleQueue() for _ in takers]
        lanes = zip(self._queues, takers, strict=True)
        self._threads = [crew.start(partial(self._carry, queue, take)) for queue, take in lanes]

    @property
    def is_broken(self) -> bool:
        """Tell whether a taker raised."""
        return self._is_broken.is_set()

    def free(self) -> memoryview:
        """Give a block to be filled; waits for one. Give it back with `give` or `keep`.

        Raises:
            Exception: what a taker raised; nothing can be given after it.
        """
        block = self._free.get()
        if self.is_broken:
            self._free.put(block)
            self._raise()
        return block

    def give(self, block: memoryview, length_bytes: int, offset: int) -> None:
        """Let all takers have a block."""
        parcel = _Parcel(block, length_bytes, offset, len(self._queues))
        for queue in self._queues:
            queue.put(parcel)

    def keep(self, block: memoryview) -> None:
        """Take a block back that nobody shall have."""
        self._free.put(block)

    def settle(self) -> None:
        """Wait until everything that was given is taken.

        Raises:
            Exception: what a taker raised.
        """
        blocks = [self._free.get() for _ in range(self._count)]
        for block in blocks:
            self._free.put(block)
        if self.is_broken:
            self._raise()

    def close(self) -> None:
        """Wait until everything that was given is taken, and let the threads end. Repeats: nothing."""
        queues, self._queues = self._queues, []
        for queue in queues:
            queue.put(None)
        self._crew.wait(self._threads)

    def _raise(self) -> None:
        self.close()
        for thread in self._threads:
            thread.result()

    def _carry(self, queue: "SimpleQueue[_Parcel | None]", take: Take) -> None:
        while (parcel := queue.get()) is not None:
            well = False
            try:
                take(parcel.data, parcel.offset)
                well = True
            finally:
                if not well:
                    self._is_broken.set()
                    self._return(parcel)
                    # whoever gives must never wait for a taker that has ended
                    self._pass_on(queue)
            self._return(parcel)

    def _pass_on(self, queue: "SimpleQueue[_Parcel | None]") -> None:
        while (parcel := queue.get()) is not None:
            self._return(parcel)

    def _return(self, parcel: _Parcel) -> None:
        with self._lock:
            parcel.left -= 1
            last = parcel.left == 0
        if last:
            parcel.data.release()
            self._free.put(parcel.block)
