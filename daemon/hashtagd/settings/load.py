"""YAML text and environment -> Settings; all mistakes at once, each with its line. Reads no file."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from hashtagd.settings.checking import check, model_of
from hashtagd.settings.document import Document, read_document
from hashtagd.settings.draft import Draft, draft_of
from hashtagd.settings.entries import Tree, check_entries
from hashtagd.settings.keys import key_mistake
from hashtagd.settings.mistakes import KeyPath, Lines, Mistake, SettingsMistakes
from hashtagd.settings.places import default_catalog_url
from hashtagd.settings.schema import Settings
from hashtagd.settings.values import home_folder

Options = TypeVar("Options")

#: sections that may have nothing under them, as happens when all their keys are commented out
_SECTIONS = ("comfyui", "catalog", "preview", "network", "digests", "downloads", "log", "web")
_NO_STATE_FOLDER = "is required here: $HOME, $HASHTAGD_STATE_DIR and $STATE_DIRECTORY are not set"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Settings, and the lines they stand in, for whoever checks the options of providers and writers."""

    settings: Settings
    source: str
    lines: Lines


def load(
    yaml_text: str | None,
    environ: Mapping[str, str],
    *,
    source: str,
    known_providers: Collection[str],
    known_writers: Collection[str],
) -> Settings:
    """Make the settings of this process; `yaml_text` None: all defaults.

    Raises:
        SettingsMistakes: all mistakes of the text and of the environment's key.
    """
    return load_with_lines(
        yaml_text, environ, source=source, known_providers=known_providers, known_writers=known_writers
    ).settings


def load_with_lines(
    yaml_text: str | None,
    environ: Mapping[str, str],
    *,
    source: str,
    known_providers: Collection[str],
    known_writers: Collection[str],
    further: Callable[[Draft, Lines], Iterable[Mistake]] = lambda _draft, _lines: (),
) -> Loaded:
    """Do what `load` does, and keep the line numbers for `validate_options`.

    `further` finds what takes more than the shape; it is asked only where there are mistakes already, so that
    all are told in one go.

    Raises:
        SettingsMistakes: as `load`.
    """
    document = read_document(yaml_text or "", source)
    lines = Lines(document.lines)
    mistakes = document.mistakes
    wrong_key = key_mistake(environ)
    if wrong_key is not None:
        mistakes.append(wrong_key)
    settings = None
    tree = _mapping(document, lines)
    if tree is not None:
        mistakes += check_entries(tree, lines, frozenset(known_providers), frozenset(known_writers))
        mistakes += _fill_in(tree, environ, lines)
        context = {"home": home_folder(environ)}
        settings, found = check(Settings, tree, (), lines, context)
        mistakes += found
        if mistakes and (draft := draft_of(tree, context)) is not None:
            mistakes += further(draft, lines)
    if mistakes or settings is None:
        raise SettingsMistakes(source, _once(mistakes))
    return Loaded(settings=settings, source=source, lines=lines)


def validate_options(
    cls: type[Options],
    options: Mapping[str, Any],
    path: KeyPath,
    *,
    lines: Lines | None = None,
    source: str = "settings",
) -> Options:
    """Make the options object of a provider or writer from what stands in the settings.

    `cls` is a pydantic model or a dataclass; `path` says where the options stand, for example
    `("providers", 0)` or `("writers", 2, "json-tree")`.

    Raises:
        SettingsMistakes: all mistakes, in the same words as those of `load`.
    """
    known = lines or Lines()
    model = cls if issubclass(cls, BaseModel) else model_of(cls)
    checked, mistakes = check(model, dict(options), path, known, {})
    if checked is None:
        raise SettingsMistakes(source, mistakes)
    if isinstance(checked, cls):
        return checked
    try:
        return cls(**{name: getattr(checked, name) for name in model.model_fields})
    except ValueError as error:
        raise SettingsMistakes(source, [known.mistake(path, str(error))]) from None


def _mapping(document: Document, lines: Lines) -> Tree | None:
    if document.value is None:
        return {}
    if isinstance(document.value, dict):
        return document.value
    document.mistakes.append(lines.mistake((), "the settings must be a mapping of keys"))
    return None


def _fill_in(tree: Tree, environ: Mapping[str, str], lines: Lines) -> Iterator[Mistake]:
    """Put in the defaults that hang on the environment."""
    for name in _SECTIONS:
        if tree.get(name) is None:
            tree[name] = {}
    if tree.get("roots", []) is None:
        tree["roots"] = []
    comfyui, catalog = tree["comfyui"], tree["catalog"]
    if isinstance(comfyui, dict):
        comfyui.setdefault("path", None if home_folder(environ) is None else "~/ComfyUI")
    if isinstance(catalog, dict) and catalog.get("url") is None:
        catalog["url"] = default_catalog_url(environ)
        if catalog["url"] is None:
            catalog["url"] = "sqlite:////"
            yield lines.mistake(("catalog", "url"), _NO_STATE_FOLDER)


def _once(mistakes: list[Mistake]) -> list[Mistake]:
    return list(dict.fromkeys(mistakes))
