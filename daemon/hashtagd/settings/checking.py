"""Plain values -> a pydantic model, strictly; what pydantic objects to becomes mistakes with lines."""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, cast, get_type_hints

from pydantic import BaseModel, ValidationError, create_model
from pydantic_core import ErrorDetails

from hashtagd.settings.mistakes import KeyPath, Lines, Mistake, rule_of, unknown_key
from hashtagd.settings.schema import HARMLESS, STRICT

Model = TypeVar("Model", bound=BaseModel)


def check(
    cls: type[Model], tree: Mapping[str, Any], path: KeyPath, lines: Lines, context: Mapping[str, Any]
) -> tuple[Model | None, list[Mistake]]:
    """Make a model of plain values, or tell all mistakes; the errors of one key are joined into one."""
    # JSON mode is strict about scalars and still makes tuples of lists and paths of text
    try:
        return cls.model_validate_json(json.dumps(tree), strict=True, context=dict(context)), []
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False)
    grouped: dict[KeyPath, list[ErrorDetails]] = {}
    for error in errors:
        grouped.setdefault(_existing(error["loc"], tree), []).append(error)
    return None, [_mistake(cls, path, at, found, lines) for at, found in grouped.items()]


def _existing(loc: KeyPath, tree: object) -> KeyPath:
    """Cut what pydantic adds to a path for the branches of a union: nothing lies below a scalar."""
    kept: list[str | int] = []
    for part in loc:
        if not isinstance(tree, dict | list):
            break
        kept.append(part)
        try:
            tree = cast("Any", tree)[part]
        except (KeyError, IndexError, TypeError):
            tree = {}
    return tuple(kept)


def _mistake(
    cls: type[BaseModel], base: KeyPath, at: KeyPath, errors: list[ErrorDetails], lines: Lines
) -> Mistake:
    model, metadata = _look_up(cls, at)
    if errors[0]["type"] == "extra_forbidden":
        known = model.model_fields if model else ()
        return lines.mistake((*base, *at), unknown_key(str(at[-1]), known))
    rule = ", or ".join(dict.fromkeys(rule_of(error) for error in errors))
    value = errors[0].get("input")
    if HARMLESS in metadata and isinstance(value, bool | int | float):
        rule += f" (got {json.dumps(value)})"
    return lines.mistake((*base, *at), rule)


def _look_up(cls: type[BaseModel], path: KeyPath) -> tuple[type[BaseModel] | None, Iterable[object]]:
    """Find the model that holds the last key of a path, and the metadata of that key's field."""
    model: type[BaseModel] | None = cls
    metadata: Iterable[object] = ()
    for depth, part in enumerate(path):
        if isinstance(part, int) or model is None:
            continue
        found = model.model_fields.get(part)
        metadata = found.metadata if found else ()
        if depth < len(path) - 1:
            model = _model_in(found.annotation) if found else None
    return model, metadata


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(part) for part in getattr(annotation, "__args__", ()))
    return next((model for model in inner if model is not None), None)


def model_of(cls: type) -> type[BaseModel]:
    """Make a strict model with the fields of a dataclass."""
    hints = get_type_hints(cls, include_extras=True)
    fields: dict[str, Any] = {}
    for item in dataclasses.fields(cls):
        if item.default_factory is not dataclasses.MISSING:
            fields[item.name] = (hints[item.name], item.default_factory())
        elif item.default is not dataclasses.MISSING:
            fields[item.name] = (hints[item.name], item.default)
        else:
            fields[item.name] = (hints[item.name], ...)
    return create_model(cls.__name__, __config__=STRICT, **fields)
