"""What it means when a model cannot be had at another place: who acts next."""

import errno
from typing import Final

from hashtagd.core.troubles import AskOperator, GiveUp, Scope, Trouble, TryLater

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
#: a folder's name is taken by a file, or was swapped for a link
_IN_THE_WAY: Final = frozenset({errno.ENOTDIR, errno.ELOOP})


def occupied() -> AskOperator:
    """Say that something lies at the place."""
    return AskOperator(
        "another file lies at its place",
        does="hashtagd leaves that file as it is and makes nothing",
        you="move it away and restore again, or give the entry another path",
        scope=Scope.FILE,
        kind="occupied",
    )


def changed_source() -> GiveUp:
    """Say that the bytes are not those that were hashed once."""
    return GiveUp(
        "the file that held these bytes has changed since it was read",
        does="hashtagd makes nothing out of it",
        you="let `hashtagd run` read it again, then restore again",
        scope=Scope.FILE,
        kind="source_changed",
    )


def outside_root() -> AskOperator:
    """Say that a link leads to a folder that was never given to hashtagd."""
    return AskOperator(
        "a link on the way to its place leads out of the root",
        does="hashtagd makes nothing there",
        you="add the folder the link leads to as a root of its own, or give the entry another path",
        scope=Scope.FILE,
        kind="outside_root",
    )


def link_trouble(error: OSError) -> Trouble:
    """Say what a failed call means."""
    code = error.errno or 0
    word = errno.errorcode.get(code, "unknown")
    if code in _FULL:
        return _for_a_person("the disk is full", "free some space, then restore again", "disk_full")
    if code in _FORBIDDEN:
        return _for_a_person(
            f"its folder may not be written to ({word})",
            "let the user hashtagd runs as write there, then restore again",
            "no_permission",
        )
    if code in _IN_THE_WAY:
        return _for_a_person(
            f"a part of its path is no folder ({word})", "move away what has that name", "no_folder"
        )
    if code == errno.ENAMETOOLONG:
        return _for_a_person(
            "its name is too long for the disk", "give the entry a shorter path", "name_too_long"
        )
    if code == errno.ENOENT:
        return changed_source()
    return TryLater(
        f"the disk refused ({word})",
        does="hashtagd leaves nothing half made",
        you="look at the disk or the network share with `dmesg`, then restore again",
        scope=Scope.FILE,
        kind="write_error",
    )


def _for_a_person(what: str, you: str, kind: str) -> AskOperator:
    return AskOperator(what, does="hashtagd leaves nothing half made", you=you, scope=Scope.FILE, kind=kind)
