"""Where a fetched file goes: into the folder that its type belongs to, or where the owner says."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hashtagd.comfyui.looks import is_folder
from hashtagd.comfyui.paths import model_folders
from hashtagd.core.card import Card, Download
from hashtagd.core.destinations import folder_key, folder_names
from hashtagd.core.filenames import safe_name
from hashtagd.core.place import Place
from hashtagd.core.troubles import AskOperator, Scope
from hashtagd.service.roots import RootPlan, absolute_path, place_of
from hashtagd.system.patience import silent_among


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where files may go on this machine.

    Args:
        plan: the roots.
        comfyui: ComfyUI's folder, None without one.
        to: where everything goes; None: by type.
        environ: for `~` and variables in ComfyUI's own settings.
    """

    plan: RootPlan
    comfyui: Path | None
    to: Path | None
    environ: Mapping[str, str]

    def place_for(self, card: Card, file: Download) -> Place:
        """Choose the place of a file.

        Raises:
            AskOperator: there is no folder for its type, or the chosen one lies in no root.
        """
        otherwise = f"{card.model_name or 'model'} {card.version_name or ''}".strip() + ".safetensors"
        return self.place_named(safe_name(file.name, otherwise=otherwise), card.kind, file.type)

    def place_named(self, name: str, kind: str | None, file_type: str | None) -> Place:
        """Choose the place of a file of this name and type; raises as `place_for`."""
        folder = self._folder(kind, file_type)
        place = place_of(self.plan.folders, folder / name)
        if place is None:
            raise _in_no_root(folder)
        return place

    def _folder(self, kind: str | None, file_type: str | None) -> Path:
        if self.to is not None:
            named = [folder.path for folder in self.plan.folders if folder.name == str(self.to)]
            return named[0] if named else absolute_path(self.to)
        key = folder_key(kind, file_type)
        found = None if key is None else self._by_key(key)
        if found is None:
            raise _no_folder(kind or file_type or "model", key)
        return found

    def _by_key(self, key: str) -> Path | None:
        """Find the folder of a key: ComfyUI's, a root of this name, or a folder of this name in a root."""
        known = {} if self.comfyui is None else model_folders(self.comfyui, self.environ)
        for path in known.get(key, ()):
            if place_of(self.plan.folders, path / "x") is not None:
                return path
        names = [name.casefold() for name in folder_names(key)]
        roots = [folder.path for folder in self.plan.folders]
        return (
            _first(path for path in roots if path.name.casefold() in names)
            or _first(path for root in roots for path in _children(root, names))
            or _first(root / key for root in roots if root.name.casefold() == "models")
        )


def _first(paths: Iterable[Path]) -> Path | None:
    return next(iter(paths), None)


def _children(folder: Path, names: Sequence[str]) -> list[Path]:
    """List the folders of these names, in any case, directly in a folder; none where nothing answers."""
    if silent_among([folder]):
        return []
    try:
        found = sorted(path for path in folder.iterdir() if path.name.casefold() in names)
    except OSError:
        return []
    silent = silent_among(found)
    return [path for path in found if path not in silent and is_folder(path)]


def _no_folder(kind: str, key: str | None) -> AskOperator:
    why = "ComfyUI has no folder for it" if key is None else f"no root has a folder `{key}`"
    return AskOperator(
        f"it is not clear where a {kind} belongs: {why}",
        does="nothing is fetched",
        you="name a folder with `--to`, or set `comfyui.path` in the settings",
        scope=Scope.FILE,
        kind="no_destination",
    )


def _in_no_root(folder: Path) -> AskOperator:
    return AskOperator(
        f"{folder} lies in no folder that hashtagd looks after",
        does="nothing is fetched",
        you="choose a folder below one of your roots with `--to`, or add it to `roots` in the settings",
        scope=Scope.FILE,
        kind="outside_roots",
    )
