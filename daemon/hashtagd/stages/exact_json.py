"""JSON of other programs, read so that every number can be written back as it was spelled.

A number may be larger or longer than a float holds, and an object may name a key twice; both are lost by
plain reading and writing. Numbers keep their spelling; what is ambiguous is refused. Pure: text in, text out.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any, Final, NoReturn, Self

_NO_JSON: Final = "it is no JSON"
_TOO_DEEP: Final = "its JSON is nested too deeply"


class SpelledInt(int):
    """A whole number that remembers how it was spelled (`-0`)."""

    spelling: str

    def __new__(cls, spelling: str) -> Self:
        """Read the number."""
        made = super().__new__(cls, spelling)
        made.spelling = spelling
        return made


class SpelledFloat(float):
    """A number that remembers how it was spelled: `1e400`, `0.10`, more digits than a float has."""

    spelling: str

    def __new__(cls, spelling: str) -> Self:
        """Read the number."""
        made = super().__new__(cls, spelling)
        made.spelling = spelling
        return made


class NotExactError(ValueError):
    """The text cannot be read without a doubt; `reason` is a clause for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def read_json(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """Read a JSON text; numbers are `SpelledInt` and `SpelledFloat`.

    Raises:
        NotExactError: it is no JSON, names a key twice in one object, holds NaN or Infinity, or is too deep.
    """
    try:
        return json.loads(
            text,
            parse_int=SpelledInt,
            parse_float=SpelledFloat,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
    except NotExactError:
        raise
    except ValueError as error:  # also a number with thousands of digits
        raise NotExactError(_NO_JSON) from error
    except RecursionError as error:
        raise NotExactError(_TOO_DEEP) from error


def write_json(value: Any, *, indent: int, ascii_only: bool) -> str:  # noqa: ANN401 - any JSON value
    """Spell a value as `json.dumps` does with this indent, but numbers that were read as they were spelled.

    Raises:
        RecursionError: it is nested too deeply.
    """
    # one encoder for all words: `json.dumps` would make one for each
    return _spelled(value, "\n", " " * indent, json.JSONEncoder(ensure_ascii=ascii_only).encode)


def _spelled(value: Any, margin: str, step: str, plain: Callable[[Any], str]) -> str:  # noqa: ANN401
    if isinstance(value, SpelledInt | SpelledFloat):
        return value.spelling
    inner = margin + step
    if isinstance(value, dict) and value:
        pairs = (f"{plain(key)}: {_spelled(item, inner, step, plain)}" for key, item in value.items())
        return _bracketed("{", pairs, "}", margin, inner)
    if isinstance(value, list | tuple) and value:
        items = (_spelled(item, inner, step, plain) for item in value)
        return _bracketed("[", items, "]", margin, inner)
    return plain(value)


def _bracketed(start: str, items: Iterable[str], end: str, margin: str, inner: str) -> str:
    return start + inner + f",{inner}".join(items) + margin + end


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise NotExactError("its JSON names a key twice")
    return made


def _refuse_constant(name: str) -> NoReturn:
    raise NotExactError(f"it is no JSON: it holds {name}")
