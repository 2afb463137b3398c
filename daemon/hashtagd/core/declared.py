"""Does a value hold what its class declares? Asked of what somebody else may have written into the store."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def is_as_declared(value: object) -> bool:
    """Tell whether every field of a dataclass, and of those in it, holds what its annotation says.

    It knows the annotations of cards and addresses: classes, unions, tuples of one kind, literals, mappings
    whose items are left open.
    """
    hints = get_type_hints(type(value))
    return all(_fits(getattr(value, field.name), hints[field.name]) for field in fields(value))  # type: ignore[arg-type] # callers hand dataclasses


def _fits(value: object, hint: Any) -> bool:  # noqa: ANN401 - an annotation may be of any type
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in args)
    if origin is Literal:
        return value in args
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(item, args[0]) for item in value)
    if origin is Mapping:
        return isinstance(value, Mapping)
    return isinstance(value, hint) and (not is_dataclass(hint) or is_as_declared(value))
