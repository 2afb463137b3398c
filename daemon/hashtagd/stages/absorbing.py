"""Hashes bytes while they arrive: one thread per hash, a few blocks behind whoever brings them."""

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import Queue
from typing import Final

from hashtagd.core.digests import Digests
from hashtagd.core.header import LENGTH_BYTES, LONGEST_HEADER_BYTES
from hashtagd.stages.crew import Crew
from hashtagd.stages.sums import Sum, Sums, Update

#: so many blocks may wait for the slowest hash: more memory would not make it faster
_BLOCKS_AHEAD: Final = 6

_Parcel = tuple[memoryview, int] | None


class Absorber:
    """All hashes of one file in the making. For one thread that gives; `close` it in any case.

    Args:
        crew: lends the threads.
        head: at least the first 8 bytes of the file, or all of it.
        headered: it is of a format whose tensor part has a hash of its own.
        crc32, blake3: hashes that are on by choice.
    """

    def __init__(
        self,
        crew: Crew,
        head: memoryview,
        *,
        headered: bool,
        crc32: bool = False,
        blake3: Callable[[], Sum] | None = None,
    ) -> None:
        offset = tensors_offset(head) if headered else None
        self._sums = Sums(tensors_offset=offset, crc32=crc32, blake3=blake3)
        self._crew = crew
        self._queues: list[Queue[_Parcel]] = []
        self._threads: list[Future[None]] = []
        for update in self._sums.updates():
            queue: Queue[_Parcel] = Queue(maxsize=_BLOCKS_AHEAD)
            self._queues.append(queue)
            self._threads.append(crew.start(partial(_hash, queue, update)))

    def give(self, block: memoryview, offset: int) -> None:
        """Take the next block, which nobody may change any more; waits for the slowest hash."""
        for queue in self._queues:
            queue.put((block, offset))

    def digests(self) -> Digests:
        """Give all hashes of what was given; nothing can be given after it."""
        self.close()
        for thread in self._threads:
            thread.result()
        return self._sums.digests()

    def close(self) -> None:
        """Let the threads end. Repeats: nothing."""
        for queue in self._queues:
            queue.put(None)
        self._queues = []
        self._crew.wait(self._threads)


def tensors_offset(head: memoryview) -> int | None:
    """Say where the tensor part begins, by the first 8 bytes of a file; None: there cannot be one."""
    length_bytes = int.from_bytes(head[:LENGTH_BYTES], "little")
    fits = len(head) >= LENGTH_BYTES and length_bytes <= LONGEST_HEADER_BYTES
    return LENGTH_BYTES + length_bytes if fits else None


def _hash(queue: "Queue[_Parcel]", update: Update) -> None:
    broken = False
    while (parcel := queue.get()) is not None:
        # whoever gives must never wait for a hash that has ended
        if not broken:
            try:
                update(*parcel)
            except MemoryError:
                broken = True
    if broken:
        raise MemoryError
