"""What keeps a file from being fetched, in three clauses each."""

import errno
from collections.abc import Sequence
from typing import Final

from hashtagd.core.troubles import AskOperator, GiveUp, Scope, Trouble, TryLater

#: words for programs that the stage decides by
_CUT: Final = "cut"
#: a second request may get what the first did not: the connection broke, or what the site signed is refused
ASK_ANEW: Final = frozenset({_CUT, "proof_refused"})
PLACE_TAKEN: Final = "place_taken"
#: how soon a full or read-only disk is looked at again
_DISK_WAIT_S: Final = 600.0
_MIB: Final = 1 << 20

_KEEPS: Final = "hashtagd keeps what came and tries again later"
_OTHERS: Final = "hashtagd tries the other addresses of this file"


def ended_early() -> TryLater:
    """Say that the end came before the file was whole."""
    return _again("the file came to its end before it was whole", _CUT)


def too_slow() -> TryLater:
    """Say that a source drips."""
    return _again("a source sends almost nothing", "too_slow")


def busy() -> TryLater:
    """Say that somebody else is at it."""
    return _again("another process fetches this very file", "busy")


def too_long() -> GiveUp:
    """Say that a source sends more than it said."""
    return _wrong("a source sends more bytes than the file has", "too_long")


def wrong_hash() -> GiveUp:
    """Say that the bytes are others."""
    return _wrong("a source has other bytes than the wanted ones: their SHA-256 differs", "wrong_hash")


def no_model() -> GiveUp:
    """Say that bytes that nobody vouches for are no whole model."""
    return _wrong("a source sent something that is no whole model file", "no_model")


def no_source() -> GiveUp:
    """Say that there is nobody to ask."""
    return GiveUp(
        "no address is known that this file can be fetched from",
        does="hashtagd leaves this download alone",
        you="put the file there yourself; hashtagd knows it by its hash",
        scope=Scope.FILE,
        kind="no_source",
    )


def place_taken() -> AskOperator:
    """Say that another file lies where this one shall go."""
    return AskOperator(
        "another file lies where the download shall go",
        does="hashtagd never replaces a file, and leaves this download alone",
        you="move that file away, then `hashtagd retry`; or choose another folder with `--to`",
        scope=Scope.FILE,
        kind=PLACE_TAKEN,
    )


def part_taken() -> AskOperator:
    """Say that the unfinished file has no name to go by."""
    return AskOperator(
        "something that is no file lies at the name of the unfinished download",
        does="hashtagd leaves it, and this download, alone",
        you="remove what is called like the file, with a dot before it and `.hashtagd-part` behind it; then "
        "`hashtagd retry`",
        scope=Scope.FILE,
        kind="part_taken",
    )


def outside_root() -> AskOperator:
    """Say that a link leads to a folder that was never given to hashtagd."""
    return AskOperator(
        "the folder for this download lies behind a link that leads out of its root",
        does="hashtagd writes nothing there",
        you="add the folder the link leads to as a root of its own, or choose another with `--to`",
        scope=Scope.FILE,
        kind="outside_root",
    )


def no_room(missing_bytes: int | None, *, scope: Scope = Scope.ROOT) -> TryLater:
    """Say that the file does not fit; a disk may be emptied at any time, so it is looked at again.

    Args:
        missing_bytes: what is to come; None: nobody knows, the disk itself said that it is full.
        scope: `file` where only one source says that it is so much.
    """
    what = "is full" if missing_bytes is None else f"has no room for {missing_bytes / _MIB:,.0f} MiB more"
    return TryLater(
        f"the disk {what}",
        does="hashtagd keeps what came, leaves `downloads.min_free_bytes` free, and looks again every ten "
        "minutes",
        you="free some space, or lower `downloads.min_free_bytes`",
        scope=scope,
        kind="disk_full",
        after_s=_DISK_WAIT_S,
    )


def of_disk(error: OSError) -> Trouble:
    """Say what a failed call on the way to the disk means."""
    code = error.errno or 0
    if code in (errno.ENOSPC, errno.EDQUOT):
        return no_room(None)
    word = errno.errorcode.get(code, "unknown")
    if code in (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR, errno.ELOOP):
        return AskOperator(
            f"the folder for this download may not be written to ({word})",
            does="hashtagd leaves this download alone",
            you="let the user hashtagd runs as write there (for a service: `ReadWritePaths=`), then "
            "`hashtagd retry`; or choose another folder with `--to`",
            scope=Scope.FILE,
            kind="no_permission",
        )
    if code == errno.EFBIG:
        return AskOperator(
            "the file is larger than its disk, or the service, may hold (EFBIG)",
            does="hashtagd leaves this download alone",
            you="choose a folder on another disk with `--to` (FAT takes 4 GiB), or raise `LimitFSIZE=`",
            scope=Scope.FILE,
            kind="too_large_for_disk",
        )
    if code == errno.ENAMETOOLONG:
        return AskOperator(
            "the name of the file is too long for this disk",
            does="hashtagd leaves this download alone",
            you="choose a shorter folder with `--to`",
            scope=Scope.FILE,
            kind="name_too_long",
        )
    return TryLater(
        f"writing the file failed ({word})",
        does=_KEEPS,
        you="if this stays, look at the disk or the network share with `dmesg`",
        scope=Scope.FILE,
        kind="write_error",
    )


def ends_all(trouble: Trouble) -> bool:
    """Tell whether no other source would help."""
    return trouble.scope is Scope.ROOT or trouble.kind == PLACE_TAKEN


def worst(met: Sequence[Trouble]) -> Trouble:
    """Choose what to tell of several: what a person can mend first, then that the bytes were wrong."""
    people = [trouble for trouble in met if isinstance(trouble, AskOperator)]
    wrong = [trouble for trouble in met if trouble.kind == "wrong_hash"]
    return (people or wrong or list(met))[0]


def _again(what: str, kind: str) -> TryLater:
    return TryLater(
        what,
        does=_KEEPS,
        you="nothing; if it stays, look at your network",
        scope=Scope.FILE,
        kind=kind,
    )


def _wrong(what: str, kind: str) -> GiveUp:
    return GiveUp(
        what,
        does=f"{_OTHERS}; no wrong file ever gets the model's name",
        you="nothing, or compare with the model's page; `hashtagd retry` tries once more",
        scope=Scope.FILE,
        kind=kind,
    )
