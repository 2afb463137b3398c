"""From folders to roots: a ComfyUI folder, a models folder, or any folder.

One root per tree, not one per kind of model: ComfyUI's `models` is one root, each folder of its extra paths
that lies outside is another. Fewer roots mean fewer places that one file can have, and a file moved from
`loras` to `checkpoints` stays in its root. A folder that another root reaches gets no root of its own.
"""

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hashtagd.comfyui.extra_paths import read_extra_paths
from hashtagd.comfyui.looks import is_folder
from hashtagd.system.patience import silent_among

EXTRA_PATHS_NAME = "extra_model_paths.yaml"

#: kinds of folder that hold no single-file models
NO_MODELS = frozenset({"custom_nodes", "configs", "datasets", "diffusers"})
#: folders in `models` whose kind is called otherwise
_KEYS = {"unet": "diffusion_models", "clip": "text_encoders", "t2i_adapter": "controlnet"}
#: what is told of a folder whose disk, or server, may be away
SILENT = "does not answer; it is watched as soon as it does"
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


def propose_roots(
    folders: Sequence[Path],
    environ: Mapping[str, str],
    refused: Callable[[Path], str | None] = lambda _path: None,
) -> Proposal:
    """Propose roots for folders that the owner named.

    Args:
        folders: absolute; each a ComfyUI folder (it has `models/`), a models folder, or any folder.
        environ: for `~` and variables in `extra_model_paths.yaml`.
        refused: says what a root must not be, where what that file names is so.

    Returns: outer folders only, in the order they were met, with unique names. A folder of the extra paths
    that does not exist here is a warning; a folder the owner named is proposed whether it exists or not, and
    so is whatever does not answer now.
    """
    wanted: dict[Path, None] = {}
    silent: set[Path] = set()
    warnings: dict[str, None] = {}
    for folder in folders:
        models = folder / "models"
        silent |= silent_among([folder, models])
        if folder in silent or not (models in silent or is_folder(models)):
            wanted[folder] = None
            continue
        wanted[models] = None
        extra = read_extra_paths(folder / EXTRA_PATHS_NAME, environ)
        warnings |= dict.fromkeys(extra.warnings)
        kinds = {item.path: item.key for item in extra.paths if item.key not in NO_MODELS}
        silent |= silent_among(kinds)
        for path, key in kinds.items():
            why = _why_not(path, refused, is_silent=path in silent)
            if why is not None:
                warnings[f"{EXTRA_PATHS_NAME}: a folder of {key} {why}"] = None
            if why in (None, SILENT):
                wanted[path] = None
    return Proposal(roots=tuple(_named(_outer(list(wanted), silent))), warnings=tuple(warnings))


def model_folders(folder: Path, environ: Mapping[str, str]) -> dict[str, tuple[Path, ...]]:
    """Map kinds of folder (`loras`, `checkpoints`, ...) to the existing folders of a ComfyUI, best first.

    What does not answer now is left out: nothing can be put there.
    """
    models = folder / "models"
    if silent_among([folder, models]):
        return {}
    extra = read_extra_paths(folder / EXTRA_PATHS_NAME, environ).paths
    own = sorted(models.glob("*"))
    silent = silent_among([*own, *(item.path for item in extra)])
    named = [(item.key, item.path) for item in extra if item.is_default]
    named += [(_KEYS.get(path.name, path.name), path) for path in own]
    named += [(item.key, item.path) for item in extra if not item.is_default]
    found: dict[str, dict[Path, None]] = {}
    for key, path in named:
        if key not in NO_MODELS and path not in silent and is_folder(path):
            found.setdefault(key, {})[path] = None
    return {key: tuple(paths) for key, paths in found.items()}


def _why_not(path: Path, refused: Callable[[Path], str | None], *, is_silent: bool) -> str | None:
    """Say what is to be told of a folder that the extra paths name; None: nothing."""
    if not is_silent and not is_folder(path):
        return "is not on this machine, or may not be looked at"
    spellings = [path] if is_silent else [path, Path(os.path.realpath(path))]
    why = next((why for it in spellings if (why := refused(it)) is not None), None)
    return f"is left out: a root {why}" if why is not None else SILENT if is_silent else None


def _outer(folders: Sequence[Path], silent: Collection[Path]) -> list[Path]:
    """Drop folders that lie in another one, or that a link directly in an earlier one leads to."""
    # of what does not answer nobody can tell where its links lead
    real = {folder: folder if folder in silent else Path(os.path.realpath(folder)) for folder in folders}
    kept: dict[Path, Path] = {}
    for folder, path in real.items():
        linked = (target for other in kept.values() if other not in silent for target in linked_from(other))
        others = (other for other in real.values() if other != path)
        if path not in kept and not any(path.is_relative_to(top) for top in (*others, *linked)):
            kept[path] = folder
    return list(kept.values())


def linked_from(folder: Path) -> Iterator[Path]:
    """Give the real folders that links directly in this one lead to: who follows links is there, too.

    Where one of them does not answer, the folders as the links spell them.
    """
    follows = os.path.realpath if not silent_among([folder], look=_follow_links) else _as_spelled
    with suppress(OSError):
        for child in _links_in(folder):
            if follows is _as_spelled or is_folder(child):
                yield Path(follows(child))


def _follow_links(folder: Path) -> None:
    with suppress(OSError):
        for child in _links_in(folder):
            is_folder(child)


def _links_in(folder: Path) -> list[Path]:
    return [child for child in folder.iterdir() if child.is_symlink()]


def _as_spelled(link: Path) -> str:
    return os.path.normpath(link.parent / os.readlink(link))  # noqa: PTH115 - its text, as ComfyUI compares


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
