"""A file that lies already where a download shall go: is it the wanted one?"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hashtagd.core.digests import Digests
from hashtagd.core.header import Whole
from hashtagd.core.place import Stamp
from hashtagd.core.ports import Pause
from hashtagd.core.transfer import Wanted
from hashtagd.stages.bringing import Brought
from hashtagd.stages.hashing import LargeFileHasher, Order
from hashtagd.stages.opening import OpenFile, opened
from hashtagd.stages.reading import ShortRead
from hashtagd.stages.settle import read_verdict
from hashtagd.stages.streamed import tensors_offset
from hashtagd.stages.sums import Sum
from hashtagd.system.positions import read_at

#: sites round sizes; beyond this another file is meant
_ROUNDED_BYTES: Final = 1024


def found_there(
    path: Path, wanted: Wanted, pause: Pause, *, headered: bool, blake3: Callable[[], Sum] | None
) -> Brought | None:
    """Read the file and give what is known of it when it is the wanted one; None: it is another.

    Raises:
        Stopping: a stop was requested meanwhile.
        OSError: it cannot be read.
    """
    if wanted.sha256 is None or path.is_symlink() or not path.is_file():
        return None
    with opened(path) as file:
        size = file.status.st_size
        if wanted.size_bytes is not None and abs(size - wanted.size_bytes) > _ROUNDED_BYTES:
            return None
        digests = _digests(file, pause, headered=headered, blake3=blake3)
        if digests is None or digests.sha256 != wanted.sha256:
            return None
        verdict = read_verdict(file.fd, size) if headered else None
        status = os.fstat(file.fd)
    stamp = Stamp(size_bytes=status.st_size, mtime_ns=status.st_mtime_ns, inode=status.st_ino)
    header = verdict.header if isinstance(verdict, Whole) else None
    return Brought(stamp=stamp, digests=digests, header=header)


def _digests(
    file: OpenFile, pause: Pause, *, headered: bool, blake3: Callable[[], Sum] | None
) -> Digests | None:
    """Hash the file; None: somebody makes it shorter meanwhile."""
    hasher = LargeFileHasher(blake3=blake3)
    order = Order(
        fd=file.fd,
        size_bytes=file.status.st_size,
        tensors_offset=tensors_offset(read_at(file.fd, 8, 0), file.status.st_size) if headered else None,
        progress=lambda _: None,
        stopping=lambda: pause.stopping,
    )
    try:
        return hasher.hash(order)
    except ShortRead:
        return None
    finally:
        hasher.close()
        hasher.release_buffers()
