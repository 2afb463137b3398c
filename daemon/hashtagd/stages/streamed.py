"""The hashes of a file whose bytes are only just arriving, in pieces of any size. Pure."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

from hashtagd.core.digests import Digests
from hashtagd.core.header import LENGTH_BYTES, LONGEST_HEADER_BYTES
from hashtagd.stages.sums import Sum, Sums, Update


class StreamedSums:
    """All hashes of one file.

    Args:
        headered: it is of a format whose tensor part has a hash of its own.
        crc32, blake3: hashes that are on by choice.
    """

    def __init__(
        self, *, headered: bool, crc32: bool = False, blake3: Callable[[], Sum] | None = None
    ) -> None:
        self._sums = Sums(tensors_offset=None, crc32=crc32, blake3=blake3)
        self._tensors = _Tensors() if headered else None

    def updates(self) -> list[Update]:
        """Give one update per thread that is worth having; each wants every block, in order."""
        tensors = [] if self._tensors is None else [self._tensors.update]
        return [*self._sums.updates(), *tensors]

    def sha256(self) -> str:
        """Give the SHA-256 of what came so far."""
        return self._sums.sha256.hexdigest()

    def digests(self, size_bytes: int) -> Digests:
        """Give the results for a file of so many bytes, all of which came."""
        tensors = None if self._tensors is None else self._tensors.hexdigest(size_bytes)
        return replace(self._sums.digests(), tensors_sha256=tensors)


class _Tensors:
    """The hash of what follows the header, whose length stands in the first bytes."""

    def __init__(self) -> None:
        self._sum = hashlib.sha256()
        self._length = b""
        #: where the tensors begin; None: not known yet, or beyond what the format allows
        self._begins: int | None = None

    def update(self, data: memoryview, offset: int) -> None:
        if len(self._length) < LENGTH_BYTES:
            self._length += bytes(data[: LENGTH_BYTES - len(self._length)])
            self._begins = tensors_offset(self._length, None)
        if self._begins is not None:
            self._sum.update(data[max(self._begins - offset, 0) :])

    def hexdigest(self, size_bytes: int) -> str | None:
        """Give it; None where the file has no tensor part."""
        return None if tensors_offset(self._length, size_bytes) is None else self._sum.hexdigest()


def tensors_offset(begin: bytes, size_bytes: int | None) -> int | None:
    """Say where the tensor part begins, by the first 8 bytes of a file; None: it has none.

    Args:
        begin: as much of them as there is.
        size_bytes: of the file; None: not known yet.
    """
    length_bytes = int.from_bytes(begin, "little")
    room = (
        LONGEST_HEADER_BYTES if size_bytes is None else min(LONGEST_HEADER_BYTES, size_bytes - LENGTH_BYTES)
    )
    fits = len(begin) == LENGTH_BYTES and length_bytes <= room
    return LENGTH_BYTES + length_bytes if fits else None
