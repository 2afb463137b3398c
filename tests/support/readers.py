"""What the readers of all formats share: how to refuse, and JSON as strict programs take it."""

import json
from collections.abc import Mapping
from typing import Any, NoReturn

#: name of a type in these readers -> the Python types of its JSON
TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "number": (int, float),
    "whole": (int,),
    "flag": (bool,),
    "object": (dict,),
    "list": (list,),
    "null": (type(None),),
}


class RefusedError(ValueError):
    """A reader would not take this file; says why."""


def need(condition: object, why: object) -> None:
    """Refuse unless the condition holds."""
    if not condition:
        raise RefusedError(str(why))


def json_object(content: bytes, encoding: str = "utf-8") -> dict[str, Any]:
    """Read a JSON object: no byte order mark, no doubled key, no NaN, no half of a surrogate pair."""
    need(not content.startswith(b"\xef\xbb\xbf"), "a byte order mark")
    try:
        value = json.loads(
            content.decode(encoding, "strict"), object_pairs_hook=_object, parse_constant=_constant
        )
        need(isinstance(value, dict), "no object")
        json.dumps(value, ensure_ascii=False).encode("utf-8", "strict")
    except (UnicodeError, json.JSONDecodeError, RecursionError) as error:
        raise RefusedError(str(error)) from error
    assert isinstance(value, dict)
    return value


def typed(data: Mapping[str, Any], key: str, types: str, *, required: bool = False) -> None:
    """Refuse a value whose type is none of those named (`text|null`)."""
    if key not in data:
        need(not required, f"{key} is missing")
        return
    wanted = [kind for name in types.split("|") for kind in TYPES[name]]
    need(type(data[key]) in wanted, f"{key} is {data[key]!r}, not {types}")


def texts(value: object, what: str) -> None:
    """Refuse what is no list of texts."""
    need(isinstance(value, list) and all(isinstance(item, str) for item in value), f"{what}: {value!r}")


def hexadecimal(value: object, digits: int, *, upper: bool) -> None:
    """Refuse what is not so many hexadecimal digits in one letter case."""
    alphabet = "0123456789ABCDEF" if upper else "0123456789abcdef"
    good = isinstance(value, str) and len(value) == digits and set(value) <= set(alphabet)
    need(good, f"{value!r} is no hash")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    need(len(dict(pairs)) == len(pairs), "a key stands twice")
    return dict(pairs)


def _constant(name: str) -> NoReturn:
    raise RefusedError(name)
