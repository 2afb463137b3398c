"""Is this name ours, ours-but-temporary, or foreign? Decisions by name alone; nothing here looks at a disk.

Source: how browsers, download managers, synchronisers and model managers name what they have not finished.
Endings are compared without regard to case.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

#: endings of files that somebody is still writing
TEMPORARY_SUFFIXES = (
    ".part",
    ".partial",
    ".crdownload",
    ".download",
    ".downloading",
    ".smdownload",
    ".incomplete",
    ".tmp",
    ".tmp2",
    ".aria2",
    ".opdownload",
    ".!ut",
    ".!qb",
    ".filepart",
)

#: how the names of files begin that we prepare ourselves; who writes them knows it too
UNFINISHED_PREFIX = ".hashtagd-"
#: and how those of unfinished downloads end
PART_SUFFIX = ".hashtagd-part"

#: what stands beside a model, under its full name, while it is being written
_MODEL_COMPANIONS = tuple(suffix for suffix in TEMPORARY_SUFFIXES if suffix != ".smdownload")
#: what stands beside it under its name without extension
_STEM_COMPANIONS = (".aria2", ".part", ".crdownload", ".download.tmp", ".downloading")

_NUMBERED_PART = re.compile(r"\.part[0-9]+\Z", re.IGNORECASE | re.ASCII)
#: folders of unfinished or thrown-away files: Safari's bundle, an installer's workshop
_UNFINISHED_FOLDER = re.compile(r"(?:tmpinstall_.*|.*\.download)\Z", re.IGNORECASE | re.DOTALL)


class Kind(StrEnum):
    """What a name says of a file."""

    #: a model file that we look after
    OURS = "ours"
    #: becomes a model file when somebody is done with it, or is hidden: looked at under its final name
    TEMPORARY = "temporary"
    #: none of our business, or excluded by the owner
    FOREIGN = "foreign"
    #: not UTF-8, so no other machine could be told of it: counted and skipped
    UNSPEAKABLE = "unspeakable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The rules of one root.

    Args:
        extensions: with their dots, any case.
        exclude: globs. Without a slash they match one component at any depth; with one they match the path
            from the root, `**` standing for any number of folders. An excluded folder is excluded whole.
    """

    extensions: tuple[str, ...] = (".safetensors", ".sft")
    exclude: tuple[str, ...] = ()
    #: the extensions in lower case, for `str.endswith`
    endings: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "endings", tuple(extension.lower() for extension in self.extensions))

    def kind_of(self, relpath: str) -> Kind:
        """Judge a path relative to the root, its folders included."""
        folder, _, name = relpath.rpartition("/")
        if not is_speakable(relpath):
            return Kind.UNSPEAKABLE
        if folder and not self.enters(folder):
            return Kind.FOREIGN
        return self.kind_of_name(name, relpath)

    def kind_of_name(self, name: str, relpath: str) -> Kind:
        """Judge a file in a folder that was entered already."""
        if not is_speakable(name):
            return Kind.UNSPEAKABLE
        if is_temporary(name):
            return Kind.TEMPORARY
        if not name.lower().endswith(self.endings) or self._excludes(relpath):
            return Kind.FOREIGN
        return Kind.OURS

    def enters(self, folder: str) -> bool:
        """Tell whether files below this folder (relative to the root, "" for the root) are looked at."""
        if not folder:
            return True
        parts = folder.split("/")
        ancestors = ("/".join(parts[: depth + 1]) for depth in range(len(parts)))
        return all(self.enters_child(path) for path in ancestors)

    def enters_child(self, folder: str) -> bool:
        """Decide the same for a folder whose parents were entered already."""
        name = folder.rpartition("/")[2]
        if name.startswith((".", "~")) or _UNFINISHED_FOLDER.match(name) or not is_speakable(name):
            return False
        return not self._excludes(folder)

    def _excludes(self, relpath: str) -> bool:
        return any(_matches(relpath, glob) for glob in self.exclude)


def is_speakable(name: str) -> bool:
    """Tell whether the name is Unicode text that can be stored and sent."""
    if name.isascii():
        return True
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_temporary(name: str) -> bool:
    """Tell whether the name belongs to something unfinished or hidden (our own `.hashtagd-…` too)."""
    return (
        name.startswith((".", "~"))
        or name.lower().endswith(TEMPORARY_SUFFIXES)
        or _NUMBERED_PART.search(name) is not None
    )


def companions_of(name: str) -> tuple[str, ...]:
    """Name what would lie beside a model file as long as somebody is still writing it; most telling first."""
    stem, dot, _ = name.rpartition(".")
    beside_model = tuple(name + suffix for suffix in _MODEL_COMPANIONS)
    return beside_model + (tuple(stem + suffix for suffix in _STEM_COMPANIONS) if dot else ())


def _matches(relpath: str, glob: str) -> bool:
    glob = glob.rstrip("/")
    if "/" not in glob:
        return fnmatchcase(relpath.rpartition("/")[2], glob)
    return _matches_parts(relpath.split("/"), glob.lstrip("/").split("/"))


def _matches_parts(parts: list[str], globs: list[str]) -> bool:
    if not globs:
        return not parts
    if globs[0] == "**":
        return any(_matches_parts(parts[skip:], globs[1:]) for skip in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], globs[0]) and _matches_parts(parts[1:], globs[1:])
