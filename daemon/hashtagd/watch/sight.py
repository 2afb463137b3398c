"""Look at one place that an event pointed at; `stat` only, nothing is opened."""

import errno
import os
import stat

from hashtagd.core.place import Place, Sighting, Stamp
from hashtagd.core.ports import Clock
from hashtagd.watch.filters import Kind
from hashtagd.watch.roots import Roots
from hashtagd.watch.troubles import unreadable_file


def look(roots: Roots, place: Place, clock: Clock, *, trust_inodes: bool = True) -> Sighting:
    """Look at one place that an event pointed at.

    Returns: a sighting that rests since now; its stamp is None when no file (or none of ours) is there.

    Raises:
        Trouble: scope `root` when the root is away, scope `file` when the file cannot be looked at.
    """
    path = roots.locate(place)
    folder = roots.folders[place.root]
    now = clock.now()
    stamp = None
    if folder.names.kind_of(place.relpath) is Kind.OURS:
        try:
            found = path.stat(follow_symlinks=folder.follow_symlinks)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise unreadable_file(place, error) from error
        else:
            stamp = _stamp(found, trust_inodes=trust_inodes)
    return Sighting(place=place, stamp=stamp, seen_at=now, still_since=now)


def _stamp(found: os.stat_result, *, trust_inodes: bool) -> Stamp | None:
    if not stat.S_ISREG(found.st_mode):
        return None
    inode = found.st_ino if trust_inodes else 0
    return Stamp(size_bytes=found.st_size, mtime_ns=found.st_mtime_ns, inode=inode)
