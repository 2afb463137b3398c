"""A memory control group, in which memory gets scarce after so many bytes: version 1 or 2, as it is here."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_V1 = Path("/sys/fs/cgroup/memory")
_V2 = Path("/sys/fs/cgroup")


class ImpossibleError(Exception):
    """This machine lets nobody make such a group; the text says why."""


@contextmanager
def memory_group(limit_bytes: int, name: str = "group") -> Iterator[Path]:
    """Make a group; a process joins it by `join`, and must have ended when the block does.

    Raises:
        ImpossibleError: it cannot be made here.
    """
    folder, limit = _choose()
    group = folder / f"hashtagd-bench-{os.getpid()}-{name}"
    try:
        group.mkdir()
    except OSError as error:
        raise ImpossibleError(f"{group} cannot be made ({error.strerror}); it takes root") from error
    try:
        try:
            (group / limit).write_text(str(limit_bytes))
        except OSError as error:
            raise ImpossibleError(f"{group / limit} cannot be set ({error.strerror})") from error
        yield group
    finally:
        group.rmdir()


def join(group: Path) -> None:
    """Put this process into the group: what it reads from now on is charged to it."""
    (group / "cgroup.procs").write_text(str(os.getpid()))


def _choose() -> tuple[Path, str]:
    if (_V1 / "memory.limit_in_bytes").exists():
        return _V1, "memory.limit_in_bytes"
    if not (_V2 / "cgroup.controllers").exists():
        raise ImpossibleError("no control groups are mounted here")
    if "memory" not in (_V2 / "cgroup.controllers").read_text().split():
        raise ImpossibleError("the memory controller is not in the tree of control groups that is seen here")
    with suppress(
        OSError
    ):  # it may be on already; if it cannot be, the limit's file is missing, and that is told
        (_V2 / "cgroup.subtree_control").write_text("+memory")
    return _V2, "memory.max"
