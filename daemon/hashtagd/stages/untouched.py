"""A folder in which nothing changes: what would be written is kept in memory instead."""

import errno
import os
from dataclasses import dataclass
from typing import Final

from hashtagd.stages.effects import Folder, Prepared
from hashtagd.stages.looks import Here
from hashtagd.system.disks import is_read_only

_READ_ONLY: Final = "the file system is mounted read-only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed(Prepared):
    """A file that would have been prepared."""

    content: bytes


def detach_nothing(fd: int, key: str) -> None:
    """Leave an attribute where it is.

    Raises:
        OSError: it could not be taken away.
    """
    del key
    if is_read_only(fd):
        raise OSError(errno.EROFS, _READ_ONLY)


class UntouchedFolder(Folder):
    """Reads like any folder, and takes every change for done without making it."""

    def try_out(self) -> None:
        """Find out whether a file could be created here, as far as looking tells.

        Raises:
            OSError: no.
        """
        if is_read_only(self._fd):
            raise OSError(errno.EROFS, _READ_ONLY)
        if not os.access(".", os.W_OK, dir_fd=self._fd, effective_ids=True):
            raise OSError(errno.EACCES, "the folder may not be written to")

    def prepare(self, name: str, content: bytes, *, mode: int, instead_of: Here | None) -> Proposed:  # noqa: ARG002 - as the real one
        """Keep the content.

        Raises:
            OSError: as `try_out` says.
        """
        self.try_out()
        return Proposed(folder=self, temporary="", name=name, instead_of=instead_of, content=content)

    def put(self, temporary: str, name: str, *, instead_of: Here | None) -> bool:  # noqa: ARG002 - as the real one
        """Change nothing."""
        return self.here(name) == instead_of

    def remove_if(self, name: str, seen: Here) -> bool:
        """Change nothing.

        Raises:
            OSError: as `try_out` says: who may make names may remove them.
        """
        self.try_out()
        return self.here(name) == seen

    def remove(self, name: str) -> None:
        """Change nothing."""

    def flush(self) -> None:
        """Flush nothing."""


class UnmadeFolder(UntouchedFolder):
    """A folder that would be made: it holds nothing. What is open is the one that it would be made in."""

    def names(self) -> frozenset[str]:
        """List nothing."""
        return frozenset()

    def here(self, name: str) -> None:
        """Find nothing."""

    def read(self, name: str, limit_bytes: int) -> None:
        """Find nothing."""
