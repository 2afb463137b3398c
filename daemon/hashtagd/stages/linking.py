"""Have a model at another place too, without fetching it: by a hard link, a clone, or a verified copy.

The source is read and never changed. What lies at the new place is never replaced, and nothing is made
through a link. Until a copy is whole and on the disk it has a temporary name.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Final

from hashtagd.core.place import Stamp
from hashtagd.core.ports import Pause, Stopping
from hashtagd.stages.calls import Calls, if_supported
from hashtagd.stages.effects import Folder, sidecar_mode
from hashtagd.stages.link_troubles import changed_source, link_trouble, occupied, outside_root
from hashtagd.stages.no_replace import rename_no_replace
from hashtagd.stages.opening import OpenFile, opened, stamp_of
from hashtagd.stages.reading import LARGE_FILE_WAYS, Buffers, QuietReader, ShortRead
from hashtagd.system.flags import FOLDER, NO_FOLLOW, PLAIN
from hashtagd.system.names import clone, link_open

_FOLDER_FLAGS: Final = os.O_RDONLY | FOLDER | NO_FOLLOW | PLAIN


class How(StrEnum):
    """How a file came to lie at its new place."""

    #: a second name of the same bytes: a change under one name is seen under the other
    LINKED = "linked"
    #: bytes of its own, which the file system keeps once until one is changed
    CLONED = "cloned"
    COPIED = "copied"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One file to have at another place."""

    source: Path
    #: the stamp that the source had when it was hashed: only as long as it has it, the hash is believed
    stamp: Stamp
    sha256: str
    #: the root of the new place, as the settings spell it; it must be there
    root: Path
    #: the new place, relative to the root; folders on the way are made
    relpath: str


class Linker:
    """Makes files at other places. Not for two threads at once.

    Args:
        hard_links: False where the owner wants bytes of their own.
        token: gives a fresh random text for a temporary name.
        pause: a stop request ends a copy at the next block.
        calls: `rename` must not replace anything.
        link, clone: the two ways that save bytes, unless a test has its own file system.
    """

    def __init__(
        self,
        *,
        hard_links: bool,
        token: Callable[[], str],
        pause: Pause,
        calls: Calls | None = None,
        link: Callable[[int, str, int], None] = link_open,
        clone: Callable[[int, int], None] = clone,
    ) -> None:
        self._hard_links = hard_links
        self._token = token
        self._pause = pause
        self._calls = calls or Calls(rename=rename_no_replace)
        self._link = link
        self._clone = clone
        self._buffers = Buffers(1)

    def make(self, order: Order, progress: Callable[[int], None] = lambda _bytes: None) -> How:
        """Have the file at its new place; when it returns, it is on the disk.

        Args:
            order: what and where.
            progress: told how many bytes of a copy are done.

        Raises:
            Trouble: scope `file`: the source is not what it was, something lies at the new place, or the
                disk refused; nothing is left behind but folders.
            Stopping: a stop was requested.
        """
        folder_path, _, name = order.relpath.rpartition("/")
        try:
            with (
                opened(order.source) as file,
                folder_below(order.root, folder_path, token=self._token, calls=self._calls) as folder,
            ):
                _check(file.status, order)
                if folder.here(name) is not None:
                    raise occupied()
                how = self._made(file, order, folder, name, progress)
                folder.flush()
                return how
        except FileExistsError:
            raise occupied() from None
        except OSError as error:
            raise link_trouble(error) from error

    def _made(
        self, file: OpenFile, order: Order, folder: "ModelFolder", name: str, progress: Callable[[int], None]
    ) -> How:
        if self._hard_links and _succeeds(lambda: self._link(file.fd, name, folder.fd)):
            return How.LINKED
        with folder.created() as (temporary, fd):
            how = How.CLONED
            if not _succeeds(lambda: self._clone(file.fd, fd)):
                self._copy(file, order, fd, progress)
                how = How.COPIED
            _check(os.fstat(file.fd), order)
            # under the umask of a service nobody else could read it
            if_supported(lambda: self._calls.chmod(fd, sidecar_mode(file.status.st_mode)))
            if_supported(lambda: self._calls.fsync(fd))
            folder.rename(temporary, name)
        return how

    def _copy(self, file: OpenFile, order: Order, fd: int, progress: Callable[[int], None]) -> None:
        """Read each byte once, hash it, and write it.

        Raises:
            Trouble: what was read is not what was hashed once.
        """
        size_bytes, offset, hashed = order.stamp.size_bytes, 0, sha256()
        (block,) = self._buffers.views()
        reader = QuietReader(file.fd, size_bytes, LARGE_FILE_WAYS)
        try:
            while offset < size_bytes:
                if self._pause.stopping:
                    raise Stopping
                count = reader.fill(block, offset)
                hashed.update(block[:count])
                self._write(fd, block[:count])
                offset += count
                progress(offset)
        except ShortRead:
            raise changed_source() from None
        finally:
            reader.close()
            block.release()
            self._buffers.release()
        if hashed.hexdigest() != order.sha256:
            raise changed_source()

    def _write(self, fd: int, data: memoryview) -> None:
        while data:  # a write may take less than it was given
            data = data[self._calls.write(fd, data) :]


class ModelFolder(Folder):
    """A folder held open, in which models are made."""

    @property
    def fd(self) -> int:
        """The descriptor, as long as the folder is open."""
        return self._fd

    @contextmanager
    def created(self) -> Iterator[tuple[str, int]]:
        """Create a file under a temporary name; it is removed at the end if it was not renamed."""
        name, fd = self._create()
        try:
            yield name, fd
        finally:
            os.close(fd)
            self.drop_open_ends()

    def rename(self, temporary: str, name: str) -> None:
        """Give a file its final name, where nothing has that.

        Raises:
            FileExistsError: something does.
        """
        self._calls.rename(temporary, name, self._fd)
        self._open_ends.discard(temporary)


@contextmanager
def folder_below(
    root: Path, relative: str, *, token: Callable[[], str], calls: Calls
) -> Iterator[ModelFolder]:
    """Open a folder below a root, step by step and never through a link; what is missing of it is made.

    Links that were there before may lead to another folder of the same root.

    Args:
        root: must be there.
        relative: "" for the root itself.
        token: gives a fresh random text for a temporary name.
        calls: the calls of the system that may fail.

    Raises:
        Trouble: scope `file`: a link leads out of the root.
        OSError: as `open` and `mkdir` say, also when a folder was swapped for a link meanwhile.
    """
    real = Path(os.path.realpath(root))
    there = Path(os.path.realpath(real / relative))
    if not there.is_relative_to(real):
        raise outside_root()
    fd = os.open(real, _FOLDER_FLAGS)
    try:
        for part in there.relative_to(real).parts:
            inner = _entered(fd, part, calls)
            os.close(fd)
            fd = inner
        yield ModelFolder(fd, token=token, calls=calls)
    finally:
        os.close(fd)


def _entered(fd: int, part: str, calls: Calls) -> int:
    try:
        return os.open(part, _FOLDER_FLAGS, dir_fd=fd)
    except FileNotFoundError:
        with suppress(FileExistsError):  # somebody else was quicker
            os.mkdir(part, dir_fd=fd)
            if_supported(lambda: calls.fsync(fd))
        return os.open(part, _FOLDER_FLAGS, dir_fd=fd)


def _check(status: os.stat_result, order: Order) -> None:
    if stamp_of(status, order.stamp) != order.stamp:
        raise changed_source()


def _succeeds(call: Callable[[], None]) -> bool:
    """Try a way that many file systems do not offer; what else may be wrong, the next way will find out."""
    try:
        call()
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        return False
    return True
