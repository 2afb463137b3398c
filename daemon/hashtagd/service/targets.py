"""Where the entries of a list go on this machine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hashtagd.core.filenames import safe_name
from hashtagd.core.manifest import Entry
from hashtagd.core.place import Place
from hashtagd.core.relative_paths import broken_rule
from hashtagd.core.restoring import Wish
from hashtagd.core.troubles import AskOperator, Scope
from hashtagd.service.resolving import Told
from hashtagd.service.roots import RootPlan, absolute_path, place_of
from hashtagd.watch.filters import Kind
from hashtagd.watch.roots import RootFolder

#: takes a file's name, the kind of its model and its type
ByType = Callable[[str, str | None, str | None], Place | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A folder of a root."""

    root: str
    #: relative to the root; "" for the root itself
    folder: str = ""

    def place(self, relpath: str) -> Place:
        """Name a file below it."""
        return Place(root=self.root, relpath=f"{self.folder}/{relpath}" if self.folder else relpath)


class Targets:
    """Finds the place of each entry.

    Args:
        folders: the roots of this machine.
        to: where everything goes; None: where it lay.
        beside: where the list itself lies, for paths that name no root; None: in no root.
        by_type: chooses the place of a file that is called so, of which the list says nothing else.
    """

    def __init__(
        self,
        folders: Sequence[RootFolder],
        *,
        to: Destination | None = None,
        beside: Destination | None = None,
        by_type: ByType = lambda _name, _kind, _type: None,
    ) -> None:
        self._names = {folder.name: folder.names for folder in folders}
        self._to = to
        self._beside = beside
        self._by_type = by_type

    def wish(self, told: Told) -> Wish:
        """Say where a file goes, or why it cannot exist."""
        entry = told.entry
        if entry.sha256 is None and entry.version_id is None and not entry.urls:
            return _wish(entry, why_not="nothing says which model it was")
        relpath = entry.path or _name(told)
        if relpath is None:
            why = "no site says what its file is called" if told.trouble is None else told.trouble.what
            return _wish(entry, why_not=why)
        destination = self._to or self._of(entry)
        place = self._placed(told, relpath) if destination is None else destination.place(relpath)
        if place is None:
            return _wish(entry, why_not=_homeless(entry))
        if self._names[place.root].kind_of(place.relpath) is not Kind.OURS:
            return _wish(entry, why_not=f"the root {place.root} does not look after files of this name")
        return Wish(entry=entry, target=place)

    def _placed(self, told: Told, name: str) -> Place | None:
        if told.entry.root is not None or told.entry.path is not None:
            return None
        return self._by_type(name, told.entry.kind, None if told.download is None else told.download.type)

    def _of(self, entry: Entry) -> Destination | None:
        if entry.root in self._names:
            return Destination(root=entry.root)
        return self._beside if entry.root is None and entry.path is not None else None


def destination_of(plan: RootPlan, to: str, made: Callable[[Path], RootPlan]) -> tuple[RootPlan, Destination]:
    """Read `--to`: the name of a root, a folder in one, or any folder, which then is a root for this call.

    Args:
        plan: the roots of this machine.
        to: as it was typed.
        made: plans the roots of a folder that lies in none.

    Raises:
        Trouble: it is none of these, or a folder that must not be a root.
    """
    if any(folder.name == to for folder in plan.folders):
        return plan, Destination(root=to)
    path = absolute_path(Path(to))
    found = destination_at(plan, path)
    if found is not None:
        return plan, found
    if not path.is_dir():
        raise AskOperator(
            f"{to} is neither a root nor a folder",
            does="nothing was changed",
            you=f"choose from: {', '.join(it.name for it in plan.folders) or 'no root is configured'}; "
            "or name a folder that is there",
            scope=Scope.ROOT,
            kind="unknown_root",
        )
    new = made(path).folders[0]
    return replace(plan, folders=(*plan.folders, new)), Destination(root=new.name)


def destination_at(plan: RootPlan, path: Path) -> Destination | None:
    """Find the root that a folder is, or lies in; None where it is in none."""
    place = place_of(plan.folders, path / "x")
    return None if place is None else Destination(root=place.root, folder=place.folder)


def _wish(entry: Entry, *, why_not: str) -> Wish:
    return Wish(entry=entry, target=None, why_not=why_not)


def _name(told: Told) -> str | None:
    name = "" if told.download is None else safe_name(told.download.name, otherwise="")
    return name if name and broken_rule(name) is None else None


def _homeless(entry: Entry) -> str:
    if entry.root is not None:
        return f"there is no root called {entry.root} here; `--to` says where it shall go"
    return "the list does not say where it lay; `--to` says where it shall go"
