"""Makes settings from folders that were found, and says how each was found and what cannot be done there."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import yaml

from hashtagd.comfyui.extra_paths import read_extra_paths
from hashtagd.comfyui.paths import EXTRA_PATHS_NAME, names_of
from hashtagd.comfyui.places import Lead
from hashtagd.service.examining_roots import reservations
from hashtagd.service.roots import refusals
from hashtagd.settings import state_folder
from hashtagd.settings.values import ROOT_NAME_MAX, home_folder, root_name

_HEAD: Final = """\
# Settings of hashtagd, proposed by `hashtagd init`. Everything that is not here has its default;
# config.example.yaml in its repository shows every key. `hashtagd check-config` checks this file.
"""
#: would end a comment, or change how a terminal shows it
_NOT_IN_COMMENTS: Final = re.compile(
    r"[^\S ]|[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def proposed(found: Sequence[Lead], *, url: str | None, environ: Mapping[str, str]) -> str:
    """Make the text of a settings file.

    Args:
        found: folders that are there, the surest first.
        url: where ComfyUI answers; None leaves it out.
        environ: for variables in ComfyUI's own settings.
    """
    own = next((lead for lead in found if lead.comfyui), None)
    lines = [_HEAD, "comfyui:"]
    if own is not None:
        lines += _comments(own.why, *_of_comfyui(own.path, environ))
    lines.append(f"  path: {_scalar(None if own is None else str(own.path))}")
    if url is not None:
        lines.append(f"  url: {_scalar(url)}")
    lines.append("")
    others = [lead for lead in found if lead is not own]
    if others:
        lines.append("roots:")
    paths = [lead.path / "models" if lead.comfyui else lead.path for lead in others]
    for lead, path, name in zip(others, paths, names_of(paths), strict=True):
        lines += [*_comments(lead.why, *reservations(path)), f"  - path: {_scalar(str(path))}"]
        if not _names_itself(path, paths):
            lines.append(f"    name: {_scalar(name[:ROOT_NAME_MAX])}")
    if not found:
        lines += ["# Folders with models:", "# roots:", "#   - path: /where/they/are"]
    return "\n".join(lines).rstrip("\n") + "\n"


def _names_itself(path: Path, paths: Sequence[Path]) -> bool:
    """Tell whether the last part of a path, which is the name where none is given, can be one."""
    try:
        root_name(path.name)
    except ValueError:
        return False
    return sum(path.name == other.name for other in paths) == 1


def _of_comfyui(folder: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """Say what comes with a ComfyUI folder: its models folder, and each folder its extra paths name."""
    yield from (f"models: {it}" for it in reservations(folder / "models"))
    extra = {it.path for it in read_extra_paths(folder / EXTRA_PATHS_NAME, environ).paths}
    refused = refusals(home_folder(environ), state_folder(environ))
    for path in sorted(extra):
        if (why := refused(path)) is not None:
            yield f"{EXTRA_PATHS_NAME} names {path}, which is left out: a root {why}"
        else:
            yield "; ".join([f"{EXTRA_PATHS_NAME} adds {path}", *reservations(path)])


def _comments(*texts: str) -> list[str]:
    return [f"  # {_NOT_IN_COMMENTS.sub('?', text)}" for text in texts]


def _scalar(value: str | None) -> str:
    return yaml.safe_dump(value, allow_unicode=True, width=10_000).removesuffix("...\n").strip()
