"""The hashes of one file while they are being made. Pure: bytes come in, digests come out."""

import hashlib
import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Protocol

from hashtagd.core.digests import Digests

#: takes a block and its offset
Update = Callable[[memoryview, int], None]


class Sum(Protocol):
    """A hash in the making."""

    def update(self, data: memoryview, /) -> object:
        """Take the next bytes."""
        ...

    def hexdigest(self) -> str:
        """Give what they sum up to, lower-case hexadecimal."""
        ...


class Crc32:
    """CRC-32 in the shape of hashlib."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: memoryview, /) -> None:
        """Take the next bytes."""
        self._value = zlib.crc32(data, self._value)

    def hexdigest(self) -> str:
        """Give 8 digits, most significant first."""
        return f"{self._value:08x}"


class Sums:
    """The hashes of one file, each with the offset of the first byte it wants."""

    def __init__(self, *, tensors_offset: int | None, crc32: bool, blake3: Callable[[], Sum] | None) -> None:
        self.sha256: Sum = hashlib.sha256()
        self.tensors: Sum | None = hashlib.sha256() if tensors_offset is not None else None
        self.crc32: Sum | None = Crc32() if crc32 else None
        self.blake3: Sum | None = blake3() if blake3 is not None else None
        self._tensors_offset = tensors_offset or 0

    def update_main(self, data: memoryview, offset: int) -> None:
        """Take a block for the hash of the whole file."""
        del offset
        self.sha256.update(data)

    def update_tensors(self, data: memoryview, offset: int) -> None:
        """Take of a block what lies after the header."""
        if self.tensors is not None:
            self.tensors.update(data[max(self._tensors_offset - offset, 0) :])

    def update_extra(self, data: memoryview, offset: int) -> None:
        """Take a block for the hashes that are on by choice."""
        del offset
        for extra in (self.crc32, self.blake3):
            if extra is not None:
                extra.update(data)

    def updates(self) -> list[Update]:
        """Give one update per thread that is worth having; the first is the main one."""
        found: list[Update] = [self.update_main]
        if self.tensors is not None:
            found.append(self.update_tensors)
        if self.crc32 is not None or self.blake3 is not None:
            found.append(self.update_extra)
        return found

    def digests(self) -> Digests:
        """Give the results."""
        return Digests(
            sha256=self.sha256.hexdigest(),
            tensors_sha256=_hex(self.tensors),
            crc32=_hex(self.crc32),
            blake3=_hex(self.blake3),
        )


def blake3_maker() -> Callable[[], Sum] | None:
    """Give what makes a BLAKE3 sum; None where the optional package is not installed."""
    try:
        module = import_module("blake3")
    except ImportError:
        return None
    maker: Callable[[], Sum] = module.blake3
    return maker


def _hex(some: Sum | None) -> str | None:
    return some.hexdigest() if some is not None else None
