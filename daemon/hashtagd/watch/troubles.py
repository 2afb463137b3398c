"""What can be wrong with a root or a folder of it, in three clauses each; no absolute path appears in any."""

import errno

from hashtagd.core.place import Place
from hashtagd.core.troubles import AskOperator, Scope, Trouble, TryLater

#: how long a missing root is left alone before it is looked for again
LOOK_AGAIN_S = 5.0


def trouble_of(name: str, error: OSError) -> Trouble:
    """Say what it means that the folder of a root could not be looked at."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return AskOperator(
            f"the folder of root {name} may not be read",
            does="it is looked at again with each check; nothing of it is forgotten",
            you="let the user that hashtagd runs as read and enter the folder",
            scope=Scope.ROOT,
            kind="root_unreadable",
        )
    return _away(f"the folder of root {name} is not there ({errno.errorcode.get(error.errno or 0, 'error')})")


def _away(what: str, you: str = "mount it, or correct roots.path in the configuration") -> TryLater:
    return TryLater(
        what,
        does="the root waits and nothing of it is forgotten; it is looked for every few seconds",
        you=you,
        scope=Scope.ROOT,
        kind="root_away",
        after_s=LOOK_AGAIN_S,
    )


def mount_away(name: str) -> TryLater:
    """Say that the path leads to the bare folder under a mount point."""
    return _away(
        f"mount away: the file system of root {name} is not mounted",
        "mount it again; restart hashtagd if the models live in the bare folder from now on",
    )


def silent(name: str) -> TryLater:
    """Say that a look at the folder does not come back, as of a share whose server is gone."""
    return TryLater(
        f"the disk of root {name} does not answer",
        does="the root waits and nothing of it is forgotten; it goes on by itself when the disk answers",
        you="see whether the disk, or the server behind it, is there",
        scope=Scope.ROOT,
        kind="root_silent",
        after_s=LOOK_AGAIN_S,
    )


def silent_below(name: str, relpath: str) -> AskOperator:
    """Say that something inside a root, mounted there or linked, does not answer: it is not watched then."""
    return AskOperator(
        f"{printable(relpath)} in root {name} lies on a disk or a server that does not answer",
        does="the root is polled instead, without what is behind it; watching is tried again every minute",
        you="see whether that disk, or the server behind it, is there, or remove the link",
        scope=Scope.ROOT,
        kind="watch_silent",
    )


def silent_place(place: Place) -> TryLater:
    """Say that one file lies behind a link, or a mount, that does not answer."""
    return TryLater(
        f"{printable(place.name)} lies on a disk or a server that does not answer",
        does="it waits, is tried again every five minutes, and holds up no other file",
        you="see whether that disk, or the server behind it, is there",
        scope=Scope.FILE,
        kind="place_silent",
    )


def swapped(name: str) -> TryLater:
    """Say that the folder is not the one of the last check."""
    return _away(f"the folder of root {name} was replaced a moment ago", "nothing: the next check settles it")


def no_folder(name: str) -> AskOperator:
    """Say that something else has the path of the root."""
    return AskOperator(
        f"the path of root {name} is not a folder",
        does="the root waits and nothing of it is forgotten",
        you="correct roots.path in the configuration",
        scope=Scope.ROOT,
        kind="root_no_folder",
    )


def unknown_root(name: str) -> AskOperator:
    """Say that this machine was told of no such root."""
    return AskOperator(
        f"this machine has no root called {name}",
        does="its files are left to machines that have it",
        you="add it under roots in the configuration, with this machine's path",
        scope=Scope.ROOT,
        kind="root_unknown",
    )


def foreign_marker(name: str, marker_name: str, *, is_missing: bool) -> AskOperator:
    """Say that machines sharing a catalog do not mean the same folder."""
    what = "has no marker file" if is_missing else "has the marker of another folder"
    return AskOperator(
        f"root {name} {what}",
        does="it is not touched, and nothing of it is forgotten",
        you=f"mount the right folder, or put the marker back into {marker_name} if this is the one",
        scope=Scope.ROOT,
        kind="root_foreign",
    )


def emptied(name: str, known: int) -> AskOperator:
    """Say that an emptied root is not believed."""
    return AskOperator(
        f"root {name} holds no model file, although {known} are known",
        does="nothing is forgotten; the root is looked at again with each scan",
        you=f"mount its disk; if you emptied it yourself, say so with: hashtagd rescan {name}",
        scope=Scope.ROOT,
        kind="root_empty",
    )


def unreadable_folder(name: str, folder: str, error: OSError) -> Trouble:
    """Say that one folder could not be listed."""
    where = f"folder {printable(folder)} of root {name}" if folder else f"root {name}"
    code = errno.errorcode.get(error.errno or 0, "error")
    does = "what is below it is neither looked at nor forgotten; the next scan tries again"
    if isinstance(error, PermissionError):
        return AskOperator(
            f"{where} may not be read",
            does=does,
            you="let the user that hashtagd runs as read and enter it, or exclude it with roots.exclude",
            scope=Scope.FILE,
            kind="folder_unreadable",
        )
    return TryLater(
        f"{where} could not be listed ({code})",
        does=does,
        you="look at the disk or the mount if this stays",
        scope=Scope.FILE,
        kind="folder_unreadable",
    )


def printable(name: str) -> str:
    """Escape what would move a terminal's cursor or lie about the order of letters."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in name)


def unreadable_file(place: Place, error: OSError) -> Trouble:
    """Say that one file could not be looked at."""
    what = (
        f"{printable(place.name)} could not be looked at ({errno.errorcode.get(error.errno or 0, 'error')})"
    )
    if isinstance(error, PermissionError):
        return AskOperator(
            what,
            does="it is left alone; each scan tries again",
            you="let the user that hashtagd runs as enter its folder",
            scope=Scope.FILE,
            kind="file_unreadable",
        )
    return TryLater(
        what,
        does="each scan tries again",
        you="look at the disk or the mount if this stays",
        scope=Scope.FILE,
        kind="file_unreadable",
    )
