"""Where models may lie on this machine: what programs say of themselves, then the usual places.

Nothing is asked here; whoever has asked a running ComfyUI hands its answers in. A path that a server tells is
the server's own, which may be a container's: only those that exist here count.

Source: ComfyUI's `GET /experiment/models` and `GET /system_stats`; `extra_models_config.yaml` of ComfyUI
Desktop; `settings.json` of LoRA Manager.
"""

import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from hashtagd.comfyui.extra_paths import read_extra_paths
from hashtagd.comfyui.looks import is_folder
from hashtagd.comfyui.paths import EXTRA_PATHS_NAME, NO_MODELS, linked_from
from hashtagd.system.files import open_at_once
from hashtagd.system.patience import silent_among

_MAX_BYTES: Final = 1 << 20
#: below the home folder, then below the root of the machine
_USUAL: Final = (
    "ComfyUI",
    "comfyui",
    "comfy/ComfyUI",
    "ai/ComfyUI",
    "AI/ComfyUI",
    "apps/ComfyUI",
    "src/ComfyUI",
)
_ELSEWHERE: Final = ("/opt/ComfyUI", "/srv/ComfyUI", "/workspace/ComfyUI", "/ComfyUI")
_STABILITY_MATRIX: Final = ("StabilityMatrix/Data/Models", "StabilityMatrix/Models")
_DESKTOP: Final = "ComfyUI/extra_models_config.yaml"
#: stands among the kinds there, and means all of them
_DESKTOP_BASE: Final = "download_model_base"
_LORA_MANAGER: Final = "ComfyUI-LoRA-Manager/settings.json"
#: keys of LoRA Manager's settings that are lists of folders by kind
_FOLDER_KINDS: Final = ("loras", "checkpoints", "unet", "embeddings")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """A folder that is there, and how we know of it."""

    path: Path
    #: it is ComfyUI's own folder, with `models` in it
    comfyui: bool
    why: str
    #: False: a look there does not come back, as to a share whose server is gone
    answers: bool = True


def leads(
    environ: Mapping[str, str], home: Path, told: Mapping[str, Any], named: Sequence[Path] = ()
) -> list[Lead]:
    """List what is there, the surest first, each folder once, none that another one holds; then the silent.

    What a program names in place of a folder of models, such as `/` or a whole home, is passed over.

    Args:
        environ: for `~` and variables in other programs' settings.
        home: of whoever asks.
        told: documents of a running ComfyUI by the path of the route; empty without one.
        named: folders of ComfyUI, or of models, that a person named.
    """
    found: dict[Path, Lead] = {}
    silent: dict[Path, Lead] = {}
    whole = Path(os.path.realpath(home))
    own = [Lead(path=path, comfyui=_has_models(path), why="you named it") for path in named]
    for lead in (
        *own,
        *_of_server(told),
        *_of_desktop(environ, home),
        *_usual(home),
        *_of_lora_manager(environ, home),
    ):
        if _is_silent(lead.path, _root(lead)):
            silent.setdefault(lead.path, replace(lead, answers=False))
            continue
        real = Path(os.path.realpath(lead.path))
        if real in found or not is_folder(real):
            continue
        if lead.comfyui or lead in own or not whole.is_relative_to(real):
            found[real] = lead
    first = next((lead for lead in found.values() if lead.comfyui), None)
    holders = {real: _root(lead) for real, lead in found.items() if not whole.is_relative_to(real)}
    return [
        lead
        for real, lead in found.items()
        if lead is first or not _is_held(_root(lead), [it for other, it in holders.items() if other != real])
    ] + list(silent.values())


def _has_models(path: Path) -> bool:
    return _is_silent(path, path / "models") or is_folder(path / "models")


def _is_silent(*paths: Path) -> bool:
    return bool(silent_among(paths))


def _folders(values: Any) -> Iterator[Path]:  # noqa: ANN401 - any JSON
    """Pick the absolute paths of folders that are here, or may be; others may be too long for a path."""
    texts = [it for it in values if isinstance(it, str)] if isinstance(values, list) else []
    paths = [Path(text) for text in texts if text.startswith("/")]
    silent = silent_among(paths)
    for path in paths:
        if path in silent:
            yield path
        elif is_folder(path):
            # no root may be spelled like that
            yield Path(os.path.realpath(path)) if ".." in path.parts else path


def _root(lead: Lead) -> Path:
    return lead.path / "models" if lead.comfyui else lead.path


def _is_held(path: Path, others: Sequence[Path]) -> bool:
    """Tell whether a folder lies in another one, by its name, by its links, or by a link in the other one."""
    real = Path(os.path.realpath(path))
    return any(
        path.is_relative_to(it)
        or real.is_relative_to(os.path.realpath(it))
        or any(real.is_relative_to(target) for target in linked_from(it))
        for it in others
    )


def _of_server(told: Mapping[str, Any]) -> Iterator[Lead]:
    argv = _at(told.get("/system_stats"), "system", "argv")
    for path in _folders(list(_from_argv(argv if isinstance(argv, list) else []))):
        if _has_models(path):
            yield Lead(path=path, comfyui=True, why="the ComfyUI that runs was started there")
    folders = told.get("/experiment/models")
    for entry in folders if isinstance(folders, list) else []:
        paths = entry.get("folders") if isinstance(entry, Mapping) else None
        for path in _folders(paths):
            beside = not _is_silent(path) and path.parent.name == "models"
            if beside and (path.parent.parent / "main.py").exists():
                yield Lead(path=path.parent.parent, comfyui=True, why="the ComfyUI that runs looks there")
            elif entry.get("name") not in tuple(NO_MODELS):
                yield Lead(path=path, comfyui=False, why="the ComfyUI that runs looks there")


def _from_argv(argv: Sequence[Any]) -> Iterator[str]:
    words = [word for word in argv if isinstance(word, str)]
    for name, value in itertools.pairwise(words):
        if name == "--base-directory":
            yield value
    for word in words:
        if word.startswith("--base-directory="):
            yield word.partition("=")[2]
    if words and words[0].endswith("main.py"):
        yield os.path.dirname(words[0])  # noqa: PTH120 - a word that somebody told, not a path yet


def _of_desktop(environ: Mapping[str, str], home: Path) -> Iterator[Lead]:
    file = _config_home(environ, home) / _DESKTOP
    for extra in read_extra_paths(file, environ).paths:
        why = "ComfyUI Desktop's settings name it"
        if extra.path.parent.name == "models":
            yield Lead(path=extra.path.parent.parent, comfyui=True, why=why)
        elif extra.key not in NO_MODELS and extra.key != _DESKTOP_BASE:
            yield Lead(path=extra.path, comfyui=False, why=why)


def _usual(home: Path) -> Iterator[Lead]:
    for path in (*(home / name for name in _USUAL), *map(Path, _ELSEWHERE)):
        if _is_silent(path, path / "models"):
            yield Lead(path=path, comfyui=True, why="it lies where ComfyUI usually does")
        elif is_folder(path / "models"):
            extra = " (its extra_model_paths.yaml is read, too)" if (path / EXTRA_PATHS_NAME).exists() else ""
            yield Lead(path=path, comfyui=True, why=f"it lies where ComfyUI usually does{extra}")
    for name in _STABILITY_MATRIX:
        yield Lead(path=home / name, comfyui=False, why="StabilityMatrix keeps its models there")


def _of_lora_manager(environ: Mapping[str, str], home: Path) -> Iterator[Lead]:
    document = _json(_config_home(environ, home) / _LORA_MANAGER)
    by_kind = document.get("folder_paths") if isinstance(document, Mapping) else None
    for kind in _FOLDER_KINDS:
        paths = by_kind.get(kind) if isinstance(by_kind, Mapping) else None
        for path in _folders(paths):
            yield Lead(path=path, comfyui=False, why="LoRA Manager's settings name it")


def _config_home(environ: Mapping[str, str], home: Path) -> Path:
    named = environ.get("XDG_CONFIG_HOME", "")
    return Path(named) if named.startswith("/") else home / ".config"


def _json(file: Path) -> Any:  # noqa: ANN401 - any JSON
    try:
        with open_at_once(file) as stream:
            return json.loads(stream.read(_MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return None


def _at(document: object, *names: str) -> object:
    for name in names:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document
