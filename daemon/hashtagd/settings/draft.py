"""What can be understood of settings that are wrong elsewhere, so that all mistakes are told in one go.

A root with a wrong `quiet_s` still has a path that may lie inside another root; a writer's options can be
judged although the log level is none. Nothing here is ever run with.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from hashtagd.settings.entries import Tree
from hashtagd.settings.schema import Root, Settings

Model = TypeVar("Model", bound=BaseModel)

#: stand for sections that have no default and could not be understood
_STAND_INS: Final[Mapping[str, Any]] = {"comfyui": {"path": None}, "catalog": {"url": "sqlite:////"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Settings as far as they make sense; what does not has its default."""

    settings: Settings
    #: at the places where they stand in the file; None: this one has no path that can be used
    roots: tuple[Root | None, ...]


def draft_of(tree: Tree, context: Mapping[str, Any]) -> Draft | None:
    """Read what makes sense of a tree in its long form; None where nothing does."""
    roots = tree.get("roots")
    understood = tuple(
        _understood(Root, item, context) for item in (roots if isinstance(roots, list) else ())
    )
    settings = _understood(Settings, {**tree, "roots": []}, context)
    return None if settings is None else Draft(settings=settings, roots=understood)


def _understood(cls: type[Model], tree: object, context: Mapping[str, Any]) -> Model | None:
    """Make a model without those of its keys that are wrong; None where too little is left."""
    if not isinstance(tree, dict):
        return None
    try:
        return _made(cls, tree, context)
    except ValidationError as invalid:
        wrong = {error["loc"][0] for error in invalid.errors(include_url=False) if error["loc"]}
    kept = {key: value for key, value in tree.items() if key not in wrong}
    stand_ins = {key: value for key, value in _STAND_INS.items() if key in wrong}
    try:
        return _made(cls, kept | stand_ins, context)
    except ValidationError:
        return None


def _made(cls: type[Model], tree: Mapping[str, Any], context: Mapping[str, Any]) -> Model:
    return cls.model_validate_json(json.dumps(tree), strict=True, context=dict(context))
