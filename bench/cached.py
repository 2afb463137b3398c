"""Files, and what of them is in the page cache: told by mincore, which the product itself does not ask."""

import ctypes
import hashlib
import mmap
import os
from pathlib import Path

MIB = 1 << 20
_PIECE_BYTES = 4 * MIB


def write(path: Path, size: int, seed: int) -> None:
    """Write a file that is on the disk afterwards; its bytes follow from the seed."""
    block = hashlib.shake_128(str(seed).encode()).digest(min(size, _PIECE_BYTES))
    with path.open("wb") as file:
        for _ in range(size // len(block)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())


def warm(path: Path, size: int | None = None) -> None:
    """Read the beginning of a file as another program would, so that it is in the page cache."""
    left = path.stat().st_size if size is None else size
    with path.open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)  # no further than asked for
        while left > 0 and (piece := file.read(min(left, _PIECE_BYTES))):
            left -= len(piece)


def chill(path: Path) -> None:
    """Take a file out of the page cache."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def resident_pages(path: Path) -> bytes:
    """Give one byte for each page of a file: 1 where it is in the page cache, else 0."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as mapped:
        flags = (ctypes.c_ubyte * -(-len(mapped) // mmap.PAGESIZE))()
        anchor = ctypes.c_char.from_buffer(mapped)
        libc = ctypes.CDLL(None, use_errno=True)
        address = ctypes.c_void_p(ctypes.addressof(anchor))
        if libc.mincore(address, ctypes.c_size_t(len(mapped)), flags) != 0:
            raise OSError(ctypes.get_errno(), "mincore failed")
        del anchor
        # the other bits of a flag mean nothing
        return bytes(flag & 1 for flag in bytes(flags))


def resident_bytes(path: Path) -> int:
    """Count what of a file is in the page cache."""
    return sum(resident_pages(path)) * mmap.PAGESIZE
