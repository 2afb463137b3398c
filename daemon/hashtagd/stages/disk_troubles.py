"""What a failed call on the way to the disk means: who acts next, and how far it reaches."""

import errno
from collections.abc import Iterable
from typing import Final

from hashtagd.core.troubles import AskOperator, Scope, Trouble, TryLater

#: words for programs that the publish stage decides by
NO_PERMISSION: Final = "no_permission"
WRITE_ERROR: Final = "write_error"
_FOREIGN: Final = "foreign_sidecar"
_LEFT_ALONE: Final = " file beside the model is left alone: "
#: how soon a full or read-only disk is looked at again
ROOT_WAIT_S: Final = 30.0
WRITE_WAIT_S: Final = 60.0
#: a tree elsewhere whose disk is away or full is tried again after this
TREE_WAIT_S: Final = 900.0

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM})
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_AWAY: Final = frozenset(
    {errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.ENODEV}
)


def is_exhausted(error: OSError) -> bool:
    """Tell whether the process or the machine has run out of something: no file is to blame."""
    return error.errno in _EXHAUSTED


def disk_trouble(error: OSError) -> Trouble:
    """Say what a failed write, flush or rename beside a model means."""
    code = error.errno or 0
    for codes, trouble in (
        (_FULL, disk_full),
        (frozenset({errno.EROFS}), _read_only),
        (_FORBIDDEN, _forbidden),
        (frozenset({errno.ENAMETOOLONG}), name_too_long),
    ):
        if code in codes:
            return trouble()
    word = errno.errorcode.get(code, "unknown")
    if code in _EXHAUSTED:
        return _later(f"the machine has run out of something ({word})", Scope.DAEMON, "exhausted")
    if code in _AWAY:
        return _later(f"the folder's disk does not answer ({word})", Scope.ROOT, "mount_away")
    return _later(f"writing beside the model failed ({word})", Scope.FILE, WRITE_ERROR)


def disk_full() -> AskOperator:
    """Say that nothing more fits."""
    return AskOperator(
        "the disk has no room for sidecars",
        does="hashtagd goes on hashing and asking, and looks again every half minute",
        you="free some space or raise the quota",
        scope=Scope.ROOT,
        kind="disk_full",
    )


def name_too_long() -> AskOperator:
    """Say that the fixed name of a sidecar does not fit; readers look for no other."""
    return AskOperator(
        "the model's name leaves no room for the suffix of a sidecar",
        does="hashtagd leaves that sidecar out and keeps everything in the catalog",
        you="give the model a shorter name",
        scope=Scope.FILE,
        kind="name_too_long",
    )


def foreign_sidecar(suffix: str, reason: str) -> AskOperator:
    """Say that another program's file is in the way."""
    return AskOperator(
        f"the {suffix}{_LEFT_ALONE}{reason}",
        does="hashtagd keeps everything in the catalog and writes the other sidecars",
        you="mend or remove that file, then `hashtagd retry FILE`",
        scope=Scope.FILE,
        kind=_FOREIGN,
    )


def in_short(troubles: Iterable[Trouble]) -> list[Trouble]:
    """Leave one of each kind, in order; of files of other programs, one that tells of each of them."""
    by_kind: dict[str, Trouble] = {}
    whats: dict[str, None] = {}
    for trouble in troubles:
        by_kind.setdefault(trouble.kind, trouble)
        if trouble.kind == _FOREIGN:
            whats[trouble.what] = None
    if len(whats) > 1:
        first = by_kind[_FOREIGN]
        by_kind[_FOREIGN] = AskOperator(
            "files beside the model are left alone: "
            + "; ".join(it.removeprefix("the ").replace(_LEFT_ALONE, ": ", 1) for it in whats),
            does=first.does,
            you="mend or remove those files, then `hashtagd retry FILE`",
            scope=Scope.FILE,
            kind=_FOREIGN,
        )
    return list(by_kind.values())


def foreign_tree_file() -> AskOperator:
    """Say that somebody else's file has the name of the model's card in a tree."""
    return AskOperator(
        "the file of this model in the tree of json-tree is left alone: it is not as hashtagd wrote it",
        does="hashtagd keeps everything in the catalog and writes the other files",
        you="move that file away, then `hashtagd retry FILE`",
        scope=Scope.FILE,
        kind="foreign_tree_file",
    )


def tree_trouble(error: OSError) -> TryLater:
    """Say that the tree of cards elsewhere cannot be written to; the root has nothing to do with it."""
    word = errno.errorcode.get(error.errno or 0, "unknown")
    return TryLater(
        f"the tree of json-tree cannot be written to ({word})",
        does=f"hashtagd writes everything else, and tries again in {TREE_WAIT_S / 60:.0f} minutes",
        you="make the folder that `path` of json-tree names, let the user hashtagd runs as write there "
        "(for a service: `ReadWritePaths=`), and see that its disk is mounted and has room",
        scope=Scope.FILE,
        kind="tree_not_writable",
        after_s=TREE_WAIT_S,
    )


def tree_unknown() -> AskOperator:
    """Say that a file was written to a tree which the settings do not name any more."""
    return AskOperator(
        "the settings no longer say where the tree of json-tree is",
        does="hashtagd leaves the file there alone, and remembers that it is its own",
        you="name json-tree among the writers again, with the `path` it had, or remove the files yourself",
        scope=Scope.FILE,
        kind="tree_unknown",
    )


def shared_stem(owner: str) -> AskOperator:
    """Say that another model file has the names of this one's sidecars."""
    return AskOperator(
        f"the sidecars beside the model belong to {owner}, which has the same name up to the extension",
        does="hashtagd keeps everything in the catalog and writes no sidecar for this file",
        you="give one of the two another name, then `hashtagd retry FILE`",
        scope=Scope.FILE,
        kind="shared_stem",
    )


def unreadable_sidecar(suffix: str, error: OSError) -> AskOperator:
    """Say that what lies at a sidecar's name cannot be read, so nobody knows whose it is."""
    word = errno.errorcode.get(error.errno or 0, "unknown")
    return AskOperator(
        f"the {suffix} file beside the model cannot be read ({word})",
        does="hashtagd leaves it alone and writes the other sidecars",
        you="let the user hashtagd runs as read it, then `hashtagd retry FILE`",
        scope=Scope.FILE,
        kind="sidecar_unreadable",
    )


def outside_root() -> AskOperator:
    """Say that a link leads to a folder that was never given to hashtagd."""
    return AskOperator(
        "the model lies behind a link that leads out of its root",
        does="hashtagd keeps everything in the catalog and writes nothing there",
        you="add the folder the link leads to as a root of its own",
        scope=Scope.FILE,
        kind="outside_root",
    )


def _read_only() -> AskOperator:
    return AskOperator(
        "the root is read-only for hashtagd",
        does="hashtagd goes on hashing and asking, and looks again every half minute",
        you="mount it writable, add the folder to `ReadWritePaths=` with `systemctl edit hashtagd`, "
        "or set `writers: []` for this root",
        scope=Scope.ROOT,
        kind="read_only",
    )


def _forbidden() -> AskOperator:
    return AskOperator(
        "the model's folder may not be written to",
        does="hashtagd keeps everything in the catalog and leaves this file alone",
        you="let the user hashtagd runs as write there (or set `writers: []` for this root), "
        "then `hashtagd retry FILE`",
        scope=Scope.FILE,
        kind=NO_PERMISSION,
    )


def _later(what: str, scope: Scope, kind: str) -> TryLater:
    return TryLater(
        what,
        does=f"hashtagd tries again in {WRITE_WAIT_S:.0f} s",
        you="if this stays, look at the disk or the network share with `dmesg`",
        scope=scope,
        kind=kind,
        after_s=WRITE_WAIT_S,
    )
