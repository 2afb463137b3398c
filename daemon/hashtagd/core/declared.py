"""Does a value hold what its class declares? Asked of what somebody else may have written into the store."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_Check = Callable[[Any], bool]


def is_as_declared(value: object) -> bool:
    """Tell whether every field of a dataclass, and of those in it, holds what its annotation says.

    It knows the annotations of cards and addresses: classes, unions, tuples of one kind, literals, mappings
    whose items are left open.
    """
    kind: Any = type(value)
    for name, fits in _checks_of(kind):  # noqa: SIM110 - asked of every card, and twice as fast
        if not fits(getattr(value, name)):
            return False
    return True


@cache
def _checks_of(kind: Any) -> tuple[tuple[str, _Check], ...]:  # noqa: ANN401 - any dataclass
    """Read the annotations of a dataclass once: a list asks this of every card in the store."""
    hints = get_type_hints(kind)
    return tuple((field.name, _check_of(hints[field.name])) for field in fields(kind))


def _check_of(hint: Any) -> _Check:  # noqa: ANN401 - an annotation may be of any type
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _check_of_union(args)
    if origin is Literal:
        return lambda value: value in args
    if origin is tuple:
        item_fits = _check_of(args[0])
        return lambda value: isinstance(value, tuple) and all(map(item_fits, value))
    kind = origin or hint
    if is_dataclass(kind):
        return lambda value: isinstance(value, hint) and is_as_declared(value)
    return lambda value: isinstance(value, kind)


def _check_of_union(kinds: tuple[Any, ...]) -> _Check:
    if any(get_origin(kind) or is_dataclass(kind) for kind in kinds):
        checks = tuple(map(_check_of, kinds))
        return lambda value: any(check(value) for check in checks)
    return lambda value: isinstance(value, kinds)
