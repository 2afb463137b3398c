"""Extended attributes of a model file, for owners who asked for them: nothing else of a model ever changes.

A value that somebody else put there stays; a file system without attributes is no trouble.
"""

import errno
from hashlib import sha256
from typing import Final

from hashtagd.core.artifacts import Xattr
from hashtagd.core.work import Publication
from hashtagd.system import attributes

#: a full disk and attributes that do not fit look alike (ext4), and these are not worth stopping a root for
_UNSUPPORTED: Final = frozenset(
    {errno.ENOTSUP, errno.E2BIG, errno.ENOSYS, errno.ENOSPC, errno.EDQUOT, errno.ERANGE}
)
#: somebody was faster
_CHANGED: Final = frozenset({errno.EEXIST, errno.ENODATA})


def read_xattr(fd: int, key: str) -> bytes | None:
    """Give the value, or None where there is none.

    Raises:
        OSError: the attribute cannot be read.
    """
    try:
        return attributes.get(fd, key)
    except OSError as error:
        if error.errno in attributes.ABSENT:
            return None
        raise


def write_xattr(fd: int, attribute: Xattr, *, instead_of: bytes | None) -> bool:
    """Set the attribute in place of this value; None: where there is none.

    Returns False, and sets nothing, where there is another by now; and where the file system has no
    attributes, or no room for this one.

    Raises:
        OSError: as `attributes.put` says.
    """
    if read_xattr(fd, attribute.key) != instead_of:
        return False
    try:
        attributes.put(fd, attribute.key, attribute.value, new=instead_of is None)
    except OSError as error:
        if error.errno in _UNSUPPORTED or error.errno in _CHANGED:
            return False
        raise
    return True


def read_ours(fd: int, key: str, known: Publication) -> bytes | None:
    """Give the value if it is one that we set; None where there is none, or another.

    Raises:
        OSError: the attribute cannot be read.
    """
    present = read_xattr(fd, key)
    return present if present is not None and known.recognises(sha256(present).hexdigest()) else None


def remove_xattr(fd: int, key: str) -> None:
    """Take an attribute away; one that is not there is no error.

    Raises:
        OSError: as `attributes.remove` says.
    """
    try:
        attributes.remove(fd, key)
    except OSError as error:
        if error.errno not in attributes.ABSENT:
            raise
