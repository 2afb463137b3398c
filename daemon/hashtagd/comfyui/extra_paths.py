"""Read `extra_model_paths.yaml` as ComfyUI does, but warn where ComfyUI would stop.

Source: ComfyUI's loader: sections with free names; `base_path` with `~` and variables, relative to the file;
`is_default`; every other key a kind of folder whose value is text with one path a line.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from hashtagd.system.files import open_at_once

#: far more than anybody writes by hand
_MAX_BYTES = 1 << 20
#: former names of folder kinds
_NEW_NAMES = {"unet": "diffusion_models", "clip": "text_encoders"}
_SETTINGS = ("base_path", "is_default")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{([^}]*)\})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraPath:
    """One folder that ComfyUI searches besides its own."""

    #: the kind of folder: `loras`, `checkpoints`, ...
    key: str
    path: Path
    #: searched before ComfyUI's own folders
    is_default: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraPaths:
    """All of a file, in its order, with what was not understood."""

    paths: tuple[ExtraPath, ...] = ()
    warnings: tuple[str, ...] = ()


def read_extra_paths(file: Path, environ: Mapping[str, str]) -> ExtraPaths:
    """Read one file; a file that is not there holds nothing.

    Returns: each folder once, default ones first; folders need not exist. Warnings never quote a line.
    """
    try:
        with open_at_once(file) as stream:
            content = stream.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return ExtraPaths()
    except OSError as error:
        return ExtraPaths(warnings=(f"{file.name} cannot be read: {error.strerror}",))
    if len(content) > _MAX_BYTES:
        return ExtraPaths(warnings=(f"{file.name} is too large to be what it should be; it is ignored",))
    return parse_extra_paths(content, file, environ)


def parse_extra_paths(content: bytes, file: Path, environ: Mapping[str, str]) -> ExtraPaths:
    """Understand the text of a file that lies (or would lie) at `file`."""
    try:
        document = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return ExtraPaths(warnings=(f"{file.name} is no YAML{_where(error)}; it is ignored",))
    if document is None:
        return ExtraPaths()
    if not isinstance(document, dict):
        return ExtraPaths(warnings=(f"{file.name} holds no sections; it is ignored",))
    # keys in their order: a file that is allowed its size may name a hundred thousand
    found: dict[ExtraPath, None] = {}
    warnings: dict[str, None] = {}
    for name, section in document.items():
        for item in _section(str(name), section, file, environ):
            if isinstance(item, str):
                warnings[f"{file.name}: {item}"] = None
            else:
                found[item] = None
    paths = sorted(found, key=lambda extra: not extra.is_default)
    return ExtraPaths(paths=tuple(paths), warnings=tuple(warnings))


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Expand a leading `~` and `$VARIABLES`; unknown variables stay as they are."""
    if text == "~" or text.startswith("~/"):
        text = environ.get("HOME", "~") + text[1:]
    return _VARIABLE.sub(lambda match: environ.get(match[1] or match[2], match[0]), text)


def _section(name: str, section: object, file: Path, environ: Mapping[str, str]) -> Iterator[ExtraPath | str]:
    if section is None:
        return
    if not isinstance(section, dict):
        yield f"section {name} holds no keys; it is skipped"
        return
    base = section.get("base_path")
    if base is not None and not isinstance(base, str):
        yield f"{name}.base_path is no text; the section is skipped"
        return
    folder = file.parent if base is None else file.parent / expand(base, environ)
    for key, value in section.items():
        if key in _SETTINGS or value is None:
            continue
        if not isinstance(value, str):
            yield f"{name}.{key} is no text with one path a line (ComfyUI stops here); it is skipped"
            continue
        for line in value.split("\n"):
            path = Path(os.path.normpath(folder / line))
            if line and not _is_possible(path):
                yield f"{name}.{key} names what can be no path; it is skipped"
            elif line:
                new_key = _NEW_NAMES.get(str(key), str(key))
                yield ExtraPath(key=new_key, path=path, is_default=bool(section.get("is_default")))


def _is_possible(path: Path) -> bool:
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:  # half a character, as an escape in YAML can spell it
        return False


def _where(error: Exception) -> str:
    # the error's own text quotes the line, and a line may hold anything
    mark = getattr(error, "problem_mark", None)
    return f" (line {mark.line + 1}, column {mark.column + 1})" if mark is not None else ""
