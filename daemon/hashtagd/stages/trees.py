"""Files in trees elsewhere that mirror the roots: written, recognised and swept as carefully as sidecars.

What is wrong with a tree holds up no sidecar and no root; it is noted, and the file follows later. Nothing is
written or removed through a link inside a tree.
"""

import errno
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path, PurePath
from typing import ClassVar

from hashtagd.core.artifacts import TreeFile, in_tree
from hashtagd.core.place import Place
from hashtagd.core.ports import Clock
from hashtagd.core.sidecars import SidecarState
from hashtagd.core.work import Publication
from hashtagd.stages.calls import Calls, if_supported
from hashtagd.stages.decide import SIDECAR_LIMIT_BYTES, fits
from hashtagd.stages.descent import make_below, open_below, remove_empty_below
from hashtagd.stages.disk_troubles import (
    TREE_WAIT_S,
    foreign_tree_file,
    is_exhausted,
    name_too_long,
    tree_trouble,
)
from hashtagd.stages.effects import Folder, sweep_temporary
from hashtagd.stages.folders import SWEEP_AGE_S
from hashtagd.stages.job import Job, Pending
from hashtagd.stages.looks import Content
from hashtagd.stages.ours import Judged, judge


class Trees:
    """Opens the folders of trees that a batch needs; the stack closes them."""

    #: how folders are opened
    kind: ClassVar[type[Folder]] = Folder

    def __init__(self, stack: ExitStack, *, clock: Clock, token: Callable[[], str], calls: Calls) -> None:
        self._stack = stack
        self._clock = clock
        self._token = token
        self._calls = calls
        self._opened: dict[Path, Folder] = {}

    def folder_of(self, tree: PurePath, place: Place, *, mode: int | None) -> Folder:
        """Open the folder of a place in a tree.

        Args:
            tree: its path.
            place: where in it, as `in_tree` says.
            mode: permission bits of the files in it. What is missing of the tree's own folder and those in it
                is made, so that who may read the files gets there; what the tree lies in has to be there.
                None: nothing is made.

        Raises:
            OSError: it is not there, or a link inside the tree leads away.
        """
        top = top_of(tree)
        path = top.joinpath(*place.folder.split("/"))
        if path in self._opened:
            return self._opened[path]
        folder = self._open(top, path, None if mode is None else mode | (mode & 0o444) >> 2)
        older_than_s = self._clock.now().timestamp() - SWEEP_AGE_S
        sweep_temporary(folder, folder.names(), older_than_s=older_than_s)
        self._opened[path] = folder
        return folder

    def remove_empty(self, tree: PurePath, place: Place) -> None:
        """Remove the folders around a place that hold nothing any more, and the tree itself never."""
        top, parts = top_of(tree), place.folder.split("/")
        removed = remove_empty_below(top, parts)
        # one that was removed may be open still; what is made in its place is another
        for depth in range(len(parts) - removed, len(parts)):
            self._opened.pop(top.joinpath(*parts[: depth + 1]), None)

    def _open(self, top: Path, path: Path, mode: int | None) -> Folder:
        parts = path.relative_to(top).parts
        if mode is None:
            return self._enter(self.kind, open_below(top, parts))
        return self._enter(self.kind, make_below(top, parts, mode=mode, made=self._flush))

    def _enter(self, kind: type[Folder], fd: int) -> Folder:
        return self._stack.enter_context(kind.held(fd, token=self._token, calls=self._calls))

    def _flush(self, fd: int) -> None:
        if_supported(lambda: self._calls.fsync(fd))


def decide_tree_file(job: Job, writer: str, artifact: TreeFile, trees: Trees) -> None:
    """Prepare a file in a tree, unless it lies there already, or somebody else's does.

    Its record has the model's own place: where it lies follows from that and from the settings.

    Raises:
        OSError: the machine has run out of something, which says nothing about this file.
    """
    place, model = in_tree(job.claim.place), job.claim.place
    known = [it for it in job.claim.publications if (it.writer, it.place) == (writer, model)]
    if not fits(place.name):
        job.notes.append(name_too_long())
        return
    try:
        folder = trees.folder_of(artifact.tree, place, mode=job.mode)
        content = folder.read(place.name, SIDECAR_LIMIT_BYTES)
        record = job.record(writer, model, sha256(artifact.content).hexdigest())
        data = content.data if isinstance(content, Content) else None
        if data == artifact.content:
            job.kept.append(record)
        elif content is None or (data is not None and _is_ours(data, known)):
            here = content.here if isinstance(content, Content) else None
            prepared = folder.prepare(place.name, artifact.content, mode=job.mode, instead_of=here)
            present = None if data is None else sha256(data).hexdigest()
            job.pending.append(
                Pending(
                    record=record,
                    prepared=prepared,
                    ours=True,
                    elsewhere=tuple(known),
                    present_sha256=present,
                )
            )
        else:
            job.keep_changed(known)
            job.notes.append(foreign_tree_file())
    except OSError as error:
        if is_exhausted(error):
            raise
        put_off(job, error, known)


def put_off(job: Job, error: OSError, known: Sequence[Publication]) -> None:
    """Note that a tree cannot be written to now; what is known to lie there stays known."""
    job.kept += known
    job.notes.append(tree_trouble(error))
    job.again_in_s = min(job.again_in_s or TREE_WAIT_S, TREE_WAIT_S)


def sweep_tree_file(trees: Trees, tree: PurePath, known: Publication) -> bool:
    """Remove the file of a model that is gone, and folders that become empty; False where it is not ours.

    Raises:
        OSError: the tree could not be looked at, or changed.
    """
    place = in_tree(known.place)
    try:
        folder = trees.folder_of(tree, place, mode=None)
        content = folder.read(place.name, SIDECAR_LIMIT_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return True
    if content is None:
        return True
    if not isinstance(content, Content) or content.data is None or not _is_ours(content.data, [known]):
        return False
    if not folder.remove_if(place.name, content.here):
        return False
    folder.flush()
    trees.remove_empty(tree, place)
    return True


def judge_tree_file(trees: Trees, tree: PurePath, model: Place, records: Sequence[Publication]) -> Judged:
    """Compare the file of a model in a tree with what we know we wrote there.

    Raises:
        OSError: the tree could not be looked at.
    """
    place = in_tree(model)
    try:
        return judge(trees.folder_of(tree, place, mode=None), place.name, records)
    except (FileNotFoundError, NotADirectoryError):
        return Judged(state=SidecarState.MISSING)


def path_in_tree(tree: PurePath, model: Place) -> str:
    """Say where the file of a model lies in a tree, for people."""
    return (tree / in_tree(model).relpath).as_posix()


def _is_ours(data: bytes, known: Sequence[Publication]) -> bool:
    fingerprint = sha256(data).hexdigest()
    return any(it.recognises(fingerprint) for it in known)


def top_of(tree: PurePath) -> Path:
    """Say where a tree is, links on the way to it followed.

    Raises:
        OSError: it is to be in a home folder that nobody has.
    """
    try:
        return Path(os.path.realpath(Path(tree).expanduser()))
    except RuntimeError as error:  # nobody knows where home is
        raise OSError(errno.ENOENT, "there is no home folder") from error
