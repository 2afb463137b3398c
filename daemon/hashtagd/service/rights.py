"""What the user of the machine's service may not do, said while somebody who can change it is still there."""

import shlex
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from hashtagd.service.installing import Step
from hashtagd.system.patience import in_time
from hashtagd.system.process import group_that_may_write, may

#: what is wanted of a file or folder, as the kernel is asked for it
READ: Final = "r"
RUN: Final = "rx"
LIST: Final = "rx"
WRITE: Final = "rwx"


def lacking(user: str, wanted: Mapping[Path, str]) -> Iterator[Step]:
    """Name each path with which a user may not do what is wanted, and what would let them.

    A path that is not there, or whose disk does not answer, is not judged.

    Args:
        user: whom the service runs as; to look with their eyes takes all rights.
        wanted: what is needed of each path.
    """
    for path, rights in wanted.items():
        found: list[str] = []
        in_time(partial(_look, user, path, rights, found))
        yield from (Step(did=f"the user {user} may not {lack}", well=False) for lack in found)


def _look(user: str, path: Path, rights: str, found: list[str]) -> None:
    if not path.exists():
        return
    closed = next((it for it in reversed(path.parents) if not may(user, it, "x")), None)
    group = group_that_may_write(path) if rights == WRITE else None
    if closed is not None:
        lets_pass = f"`setfacl -m u:{user}:x {_word(closed)}`"
        found.append(f"pass {closed}, so not reach {path}: {lets_pass}, or install for yourself: `--user`")
    elif not may(user, path, rights):
        reads = may(user, path, rights.replace("w", ""))
        what = "write to" if reads else "look into" if path.is_dir() else "read"
        remedy = _by_list(user, path, rights) if group is None else f"`usermod -aG {_word(group)} {user}`"
        then = ", then `systemctl restart hashtagd`" if reads or group is not None else ""
        found.append(f"{what} {path}: {remedy}{then}")


def _by_list(user: str, path: Path, rights: str) -> str:
    """Say how one user gets rights to all that is there, and to what comes (`d:`), and nobody else does."""
    entry = f"u:{user}:{rights.replace('x', 'X')}"
    return f"`setfacl {f'-R -m {entry},d:{entry}' if path.is_dir() else f'-m {entry}'} {_word(path)}`"


def _word(text: str | Path) -> str:
    return shlex.quote(str(text))
