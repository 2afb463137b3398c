"""CivArchive's answers taken out of their wrappings and brought into one spelling.

Pure. The same document comes wrapped in `data` or `model`, or bare, with names in camelCase or in snake_case;
sometimes it is only a list of files that says where to ask.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hashtagd.core.digests import is_sha256
from hashtagd.providers.civitai.fields import identity, mapping, mappings, moment, words

_WRAPPINGS: Final = ("data", "model")
_MOST_WRAPPINGS: Final = 4
#: ids from here on belong to other platforms; questions about them only make the site fail
_FOREIGN_ID: Final = 100_000_000
#: with the number of a version any number of a model will do
_ANY_MODEL: Final = 1
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One answer; all names in snake_case."""

    #: the model's facts
    about: Mapping[str, Any]
    #: the version's facts; empty where the answer only points elsewhere
    version: Mapping[str, Any]
    files: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """Where an answer without a version says that the version is."""

    model_id: int
    version_id: int | None


def unwrapped(document: Mapping[str, Any]) -> Said | None:
    """Take an answer out of its wrapping; None where it holds neither a version nor a list of files."""
    layers = list(_layers(mapping(_snake(document))))
    about: dict[str, Any] = {}
    for layer in layers:  # inside stands the model, outside at most remarks about the answer
        about |= {name: value for name, value in layer.items() if value is not None}
    version = next((found for layer in layers if (found := mapping(layer.get("version")))), {})
    if not version and not isinstance(about.get("files"), list):
        return None
    files = list(mappings(version.get("files"))) or list(mappings(about.get("files")))
    return Said(about=about, version=version, files=files)


def pointers(said: Said, sha256: str) -> list[Pointer]:
    """List where to ask on, entries that state our hash first; ids of other platforms lead nowhere."""
    usable = [file for file in said.files if sha256_of(file) in (None, sha256) and not is_foreign(file)]
    usable.sort(key=lambda file: sha256_of(file) != sha256)
    found: dict[Pointer, None] = {}
    for file in usable:
        model_id, version_id = civitai_id(file.get("model_id")), civitai_id(file.get("model_version_id"))
        if model_id or version_id:
            found.setdefault(Pointer(model_id=model_id or _ANY_MODEL, version_id=version_id))
    return list(found)


def civitai_id(value: object) -> int | None:
    """Give an id that Civitai can have given."""
    number = identity(value)
    return number if number is not None and number < _FOREIGN_ID else None


def is_foreign(document: Mapping[str, Any]) -> bool:
    """Tell whether a document says of itself that it describes something on another platform."""
    return (words(document.get("platform")) or "civitai").casefold() != "civitai"


def is_gone(document: Mapping[str, Any]) -> bool:
    """Tell whether a model, a version, a file or a mirror is marked as deleted."""
    mark = document.get("deleted_at")
    return moment(mark) is not None or (isinstance(mark, int | float) and mark > 0)


def sha256_of(file: Mapping[str, Any]) -> str | None:
    """Give the SHA-256 that is stated for a file, lower-case."""
    text = (words(file.get("sha256")) or "").lower()
    return text if is_sha256(text) else None


def _layers(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    layer = document
    for _ in range(_MOST_WRAPPINGS):
        yield layer
        inside = [layer[name] for name in _WRAPPINGS if mapping(layer.get(name))]
        if not inside:
            return
        layer = inside[0]


def _snake(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Spell all names in snake_case; where both spellings stand, the one that says something counts."""
    if isinstance(value, Mapping):
        spelled: dict[str, Any] = {}
        for name, item in value.items():
            snake = _HUMP.sub("_", name).lower()
            if spelled.get(snake) is None:
                spelled[snake] = _snake(item)
        return spelled
    return [_snake(item) for item in value] if isinstance(value, list) else value
