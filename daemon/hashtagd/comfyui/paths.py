"""From folders to roots: a ComfyUI folder, a models folder, or any folder.

One root per tree, not one per kind of model: ComfyUI's `models` is one root, each folder of its extra paths
that lies outside is another. Fewer roots mean fewer places that one file can have, and a file moved from
`loras` to `checkpoints` stays in its root. A folder that another root reaches gets no root of its own.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hashtagd.comfyui.extra_paths import read_extra_paths
from hashtagd.comfyui.looks import is_folder

EXTRA_PATHS_NAME = "extra_model_paths.yaml"

#: kinds of folder that hold no single-file models
NO_MODELS = frozenset({"custom_nodes", "configs", "datasets", "diffusers"})
#: folders in `models` whose kind is called otherwise
_KEYS = {"unet": "diffusion_models", "clip": "text_encoders", "t2i_adapter": "controlnet"}
_UNFIT_FOR_A_NAME = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class RootProposal:
    """A folder worth watching, and what to call it."""

    name: str
    #: absolute, spelled as it was given, links not followed
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The roots, and what could not be understood on the way."""

    roots: tuple[RootProposal, ...]
    warnings: tuple[str, ...] = ()


def propose_roots(folders: Sequence[Path], environ: Mapping[str, str]) -> Proposal:
    """Propose roots for folders that the owner named.

    Args:
        folders: absolute; each a ComfyUI folder (it has `models/`), a models folder, or any folder.
        environ: for `~` and variables in `extra_model_paths.yaml`.

    Returns: outer folders only, in the order they were met, with unique names. A folder of the extra paths
    that does not exist here is a warning; a folder the owner named is proposed whether it exists or not.
    """
    wanted: list[Path] = []
    warnings: list[str] = []
    for folder in folders:
        if not is_folder(folder / "models"):
            wanted.append(folder)
            continue
        wanted.append(folder / "models")
        extra = read_extra_paths(folder / EXTRA_PATHS_NAME, environ)
        warnings += extra.warnings
        for item in extra.paths:
            if item.key in NO_MODELS:
                continue
            if is_folder(item.path):
                wanted.append(item.path)
            else:
                why = "is not on this machine, or may not be looked at"
                warnings.append(f"{EXTRA_PATHS_NAME}: a folder of {item.key} {why}")
    return Proposal(roots=tuple(_named(_outer(wanted))), warnings=tuple(dict.fromkeys(warnings)))


def model_folders(folder: Path, environ: Mapping[str, str]) -> dict[str, tuple[Path, ...]]:
    """Map kinds of folder (`loras`, `checkpoints`, ...) to the existing folders of a ComfyUI, best first."""
    extra = read_extra_paths(folder / EXTRA_PATHS_NAME, environ).paths
    found: dict[str, list[Path]] = {}
    for item in extra:
        if item.is_default and is_folder(item.path):
            found.setdefault(item.key, []).append(item.path)
    for path in sorted((folder / "models").glob("*")):
        if is_folder(path) and path.name not in NO_MODELS:
            found.setdefault(_KEYS.get(path.name, path.name), []).append(path)
    for item in extra:
        if not item.is_default and is_folder(item.path):
            found.setdefault(item.key, []).append(item.path)
    return {key: tuple(dict.fromkeys(paths)) for key, paths in found.items() if key not in NO_MODELS}


def _outer(folders: Sequence[Path]) -> list[Path]:
    """Drop folders that lie in another one, or that a link directly in an earlier one leads to."""
    real = {folder: Path(os.path.realpath(folder)) for folder in folders}
    kept: dict[Path, Path] = {}
    for folder, path in real.items():
        linked = (target for other in kept.values() for target in linked_from(other))
        others = (other for other in real.values() if other != path)
        if path not in kept and not any(path.is_relative_to(top) for top in (*others, *linked)):
            kept[path] = folder
    return list(kept.values())


def linked_from(folder: Path) -> Iterator[Path]:
    """Give the real folders that links directly in this one lead to: who follows links is there, too."""
    try:
        children = [child for child in folder.iterdir() if child.is_symlink() and is_folder(child)]
    except OSError:
        return
    for child in children:
        yield Path(os.path.realpath(child))


def names_of(folders: Sequence[Path]) -> list[str]:
    """Give each folder a name of its own: the last part of its path, where that is enough."""
    plain = [_name_of(folder) for folder in folders]
    taken: dict[str, None] = {}
    for folder, name in zip(folders, plain, strict=True):
        # two folders of one name both get their parent's in front, so that their order does not matter
        unique = name if plain.count(name) == 1 else f"{_name_of(folder.parent)}-{name}"
        number = 2
        while unique in taken:
            unique = f"{name}-{number}"
            number += 1
        taken[unique] = None
    return list(taken)


def _named(folders: Sequence[Path]) -> Iterator[RootProposal]:
    for name, folder in zip(names_of(folders), folders, strict=True):
        yield RootProposal(name=name, path=folder)


def _name_of(folder: Path) -> str:
    return _UNFIT_FOR_A_NAME.sub("-", folder.name).strip("-.") or "root"
