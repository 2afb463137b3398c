"""Mistakes in the settings, in words: which line, which key, which rule; never a value, bar harmless ones."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import ErrorDetails

from hashtagd.core.troubles import AskOperator, Scope

#: where a value stands: keys and list positions from the top
KeyPath = tuple[str | int, ...]

#: what may be a key somebody misspelt; anything else may as well be a secret in the wrong place
_SAFE_KEY = re.compile(r"(?:[A-Za-z_-]*[0-9]?){3}[A-Za-z_-]*")
_SAFE_KEY_MAX = 32

_RULES: Mapping[str, str] = {
    "missing": "is required",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be text; put it in quotes",
    "path_type": "must be text; put it in quotes",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "set_type": "must be a list",
    "frozen_set_type": "must be a list",
    "dict_type": "must be a mapping",
    "mapping_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "dataclass_type": "must be a mapping",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "too_long": "must not have more than {max_length} entries",
    "string_too_long": "must not have more than {max_length} characters",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "value_error": "{error}",
    "json_invalid": "is not understood",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One mistake."""

    #: None when no line says it, for example when a variable of the environment is wrong
    line: int | None
    #: `roots[0].quiet_s`; empty for the document as a whole
    path: str
    rule: str

    def text(self, source: str) -> str:
        """Print it for a person: `config.yaml:14: roots[0].quiet_s: must be at least 0 (got -3)`."""
        at = source if self.line is None else f"{source}:{self.line}"
        return ": ".join(part for part in (at, self.path, self.rule) if part)


class SettingsMistakes(AskOperator):
    """All mistakes of one document; the process ends with 78 (or keeps its old settings)."""

    def __init__(self, source: str, mistakes: Sequence[Mistake]) -> None:
        super().__init__(
            f"{source} has {len(mistakes)} mistake{'s' if len(mistakes) != 1 else ''}",
            does="hashtagd does not use it",
            you="correct the lines named here; `hashtagd check-config` tells when all is well",
            scope=Scope.DAEMON,
            kind="settings",
        )
        self.source = source
        self.mistakes = tuple(sorted(mistakes, key=lambda mistake: (mistake.line or 0, mistake.path)))

    def __str__(self) -> str:
        return "\n".join(mistake.text(self.source) for mistake in self.mistakes)


@dataclass(frozen=True, slots=True)
class Lines:
    """Line numbers of one document, by key path."""

    by_path: Mapping[KeyPath, int] = field(default_factory=dict)

    def find(self, path: KeyPath) -> int | None:
        """Give the line of a key; for one that is not there, of the nearest thing around it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.by_path:
                return self.by_path[path[:length]]
        return None

    def mistake(self, path: KeyPath, rule: str) -> Mistake:
        """Make a mistake that knows its line."""
        return Mistake(line=self.find(path), path=spell(path), rule=rule)


def spell(path: KeyPath) -> str:
    """Print a key path: `roots[0].quiet_s`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{_printable(part)}"
    return text.removeprefix(".")


def _printable(key: str) -> str:
    return key if len(key) <= _SAFE_KEY_MAX and _SAFE_KEY.fullmatch(key) else "?"


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Say that a key is unknown, and which one was probably meant."""
    names = sorted(known)
    near = difflib.get_close_matches(key[:_SAFE_KEY_MAX], names, n=1, cutoff=0.6)
    if near:
        return f"unknown key; did you mean {near[0]}?"
    return f"unknown key; known here: {', '.join(names)}" if names else "unknown key; none is known here"


def rule_of(error: ErrorDetails) -> str:
    """Say in our words what pydantic objects to, without the value."""
    context: Mapping[str, Any] = error.get("ctx", {})
    words = _RULES.get(error["type"], "is not valid ({type})")
    return words.format(**{**context, "type": error["type"]})
