"""What everybody needs who looks at, or changes, what lies beside models."""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import PurePath

from hashtagd.core.place import Place
from hashtagd.core.ports import Clock, Locator, Writer, WritesTree
from hashtagd.stages.calls import Calls
from hashtagd.stages.effects import Folder
from hashtagd.stages.folders import Folders
from hashtagd.stages.trees import Trees
from hashtagd.stages.untouched import UntouchedFolder
from hashtagd.stages.untouched_trees import UntouchedTrees


def new_token() -> str:
    """Give a fresh random text for a temporary name."""
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What is open for one batch."""

    folders: Folders
    trees: Trees


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all of them need; one for all batches."""

    #: the writers of each root by name; under None those of all other roots
    writers: Mapping[str | None, Sequence[Writer]]
    #: where this machine keeps its roots
    locator: Locator
    #: tells the age of stray temporary files
    clock: Clock
    #: tells by its name whether something is a model file that hashtagd looks after
    is_model: Callable[[Place], bool]
    token: Callable[[], str] = new_token
    #: the calls of the system that may fail
    calls: Calls = field(default_factory=Calls)
    #: how folders are opened; untouched ones have untouched trees
    folder: type[Folder] = Folder

    @contextmanager
    def batch(self) -> Iterator[Batch]:
        """Give the folders of one batch; at the end they are closed, what was not committed is dropped."""
        kind = UntouchedTrees if issubclass(self.folder, UntouchedFolder) else Trees
        with ExitStack() as stack:
            folders = Folders(
                stack,
                clock=self.clock,
                is_model=self.is_model,
                token=self.token,
                calls=self.calls,
                folder=self.folder,
            )
            trees = kind(stack, clock=self.clock, token=self.token, calls=self.calls)
            yield Batch(folders=folders, trees=trees)

    def writers_of(self, root: str) -> Sequence[Writer]:
        """Give the writers of a root."""
        return self.writers.get(root, self.writers.get(None, ()))

    def trees_of(self, root: str) -> Mapping[str, PurePath]:
        """Give the trees that writers of a root keep, by writer."""
        return {it.name: it.tree for it in self.writers_of(root) if isinstance(it, WritesTree)}
