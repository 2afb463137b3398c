"""A file that lies already where a download shall go: is it the wanted one?"""

import os
from pathlib import Path
from typing import Final

from hashtagd.core.digests import Digests
from hashtagd.core.header import Whole
from hashtagd.core.place import Stamp
from hashtagd.core.ports import Pause, Stopping
from hashtagd.core.transfer import Wanted
from hashtagd.stages.absorbing import Absorber
from hashtagd.stages.bringing import Brought
from hashtagd.stages.crew import Crew
from hashtagd.stages.opening import opened
from hashtagd.stages.settle import read_verdict

_BLOCK_BYTES: Final = 1 << 20
#: sites round sizes; beyond this another file is meant
_ROUNDED_BYTES: Final = 1024


def found_there(path: Path, wanted: Wanted, crew: Crew, pause: Pause, *, headered: bool) -> Brought | None:
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
        digests = _digests(file.fd, crew, pause, headered=headered)
        if digests.sha256 != wanted.sha256:
            return None
        verdict = read_verdict(file.fd, size) if headered else None
        status = os.fstat(file.fd)
    stamp = Stamp(size_bytes=status.st_size, mtime_ns=status.st_mtime_ns, inode=status.st_ino)
    header = verdict.header if isinstance(verdict, Whole) else None
    return Brought(stamp=stamp, digests=digests, header=header)


def _digests(fd: int, crew: Crew, pause: Pause, *, headered: bool) -> Digests:
    data, offset = os.pread(fd, _BLOCK_BYTES, 0), 0
    sums = Absorber(crew, memoryview(data), headered=headered)
    try:
        while data:
            if pause.stopping:
                raise Stopping
            sums.give(memoryview(data), offset)
            offset += len(data)
            data = os.pread(fd, _BLOCK_BYTES, offset)
        return sums.digests()
    finally:
        sums.close()
