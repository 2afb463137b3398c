"""What a writer wants on disk, as values, before anyone touches the disk."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePath
from typing import Any

from hashtagd.core.digests import Digests
from hashtagd.core.header import Header
from hashtagd.core.place import Place, Stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The model file that artifacts are rendered for."""

    place: Place
    #: absolute, spelled as the root is spelled in the settings (never resolved: other programs compare text)
    path: PurePath
    stamp: Stamp
    digests: Digests
    header: Header | None
    first_seen_at: datetime
    #: True when somebody other than the file's own header has answered; False before anyone could be asked
    answered: bool
    #: when the last provider answered; None before
    checked_at: datetime | None = None
    #: names of the parts of the card that the owner locked: those are the owner's word, whatever the rest is
    locked: tuple[str, ...] = ()
    #: absolute path of a picture that lies beside the model already (ours or not), or None
    picture: PurePath | None = None
    #: how that picture is rated, as on the card; None where nobody knows
    picture_nsfw_level: int | None = None
    #: absolute path of a picture of ours that may not stay and goes, or gives way to `picture`
    former_picture: PurePath | None = None
    #: how that one is rated
    former_nsfw_level: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarFile:
    """A file that is ours alone: `STEM` + suffix. A file that is there and not ours is left alone."""

    suffix: str
    content: bytes
    #: tells whether foreign content may be replaced (one that means "asked, not known"); None: never
    is_placeholder: Callable[[bytes], bool] | None = None
    #: suffixes of files by people that its reader would show less of: beside one of them there is none
    gives_way_to: frozenset[str] = frozenset()
    #: a beginning of it may be what somebody left of it on purpose; that of JSON is what a power cut left
    is_prose: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherBytes:
    """What to mend in a shared JSON object that describes other bytes than the file has."""

    #: the key that names the bytes
    key: str
    #: what it must say; letter case does not count
    sha256: str
    #: keys removed where the key names other bytes, unless the `files` list of their object names ours
    drop: frozenset[str] = frozenset()
    #: keys whose values are emptied where the key names other bytes and they only repeat what a dropped
    #: object says under one of these paths (its key first); of a list, the elements that do; in any case
    echoes: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    #: keys that are emptied where they hold one of these values, whatever bytes are named
    outdated: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonMerge:
    """A JSON object shared with other programs: `STEM` + suffix. Keys not named here are never touched.

    A file that is no JSON object is not ours to mend: it is left alone and reported.
    """

    suffix: str
    #: keys set to our value whatever stands there
    owned: Mapping[str, Any]
    #: keys set only where the present value counts as empty (absent, None, "", [], {} or one of `empty[key]`)
    fill: Mapping[str, Any]
    #: keys set only where they are absent; the order in which all keys are written into a new file is
    #: `owned`, `fill`, `absent`, `renewed`, `union`, `update`
    absent: Mapping[str, Any] = field(default_factory=dict)
    #: keys set only where they are absent, even where the present value is empty: somebody may have emptied
    #: it; set anew as long as the file is ours alone
    renewed: Mapping[str, Any] = field(default_factory=dict)
    #: keys whose list gains our elements at the end, old order kept
    union: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    #: keys whose object is updated key by key by ours (lists under `union_in` gain, all else is set)
    update: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: (outer, inner) keys inside `update` that are unions of lists instead of replacements
    union_in: frozenset[tuple[str, str]] = frozenset()
    #: (outer, inner) keys inside `update` that are kept when present
    keep_in: frozenset[tuple[str, str]] = frozenset()
    #: further values of a `fill` key that count as empty, for example "Unknown"
    empty: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    #: `fill` keys that are left out where one of these others says something: readers would prefer ours to it
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: `fill` keys that hold an absolute path: a path at which nothing lies counts as empty
    paths: frozenset[str] = frozenset()
    #: `fill` keys that hold a path, with its last component: a path to any other name counts as empty
    names: Mapping[str, str] = field(default_factory=dict)
    #: what to mend first if the file describes other bytes
    other_bytes: OtherBytes | None = None
    #: an existing file with one of these keys is another document: not touched at all
    refuse_if: frozenset[str] = frozenset()
    #: what tells the described model: a file of somebody's that says otherwise under one of these keys is not
    #: touched, so that none ever tells of two models; letter case, and what counts as empty, do not matter
    agrees: Mapping[str, Any] = field(default_factory=dict)
    #: how the JSON is written when something changed
    indent: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewFile:
    """A picture to fetch once and put at `STEM` + suffix, unless the model has a picture there already."""

    suffix: str
    #: candidates in order of preference; the next is tried when one is gone or is no picture
    urls: tuple[str, ...]
    max_bytes: int
    #: how each of `urls` is rated, same order; empty where nobody says
    nsfw_levels: tuple[int | None, ...] = ()
    #: of which version of a model they are
    version_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Xattr:
    """An extended attribute of the model file."""

    key: str
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeFile:
    """A file in a tree elsewhere that mirrors the roots (`in_tree`). One that is not ours is left alone."""

    #: absolute, or beginning with `~/`
    tree: PurePath
    content: bytes


Artifact = SidecarFile | JsonMerge | PreviewFile | Xattr | TreeFile


def in_tree(place: Place) -> Place:
    """Say where in a tree the file of a model lies: under its root's name, by its full name and `.json`.

    The result's root is a word for the tree, so that its relative path can be trusted to stay inside.
    """
    # a root may be called anything printable
    root = place.root.replace(".", "%2E") if place.root in (".", "..") else place.root
    return Place(root="tree", relpath=f"{root}/{place.relpath}.json")
