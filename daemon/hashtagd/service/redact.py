"""Takes secrets and personal facts out of what is about to be written. Pure: values in, values out.

Three layers, this being the second and third: callers do not log secrets; `value` cleans structures by the
names of their keys and the types of their values; `text` cleans the rendered line, known secrets first.
A redactor that raises has judged nothing: whoever calls it drops the record and counts.
"""

import base64
import html
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from pathlib import PurePath
from traceback import TracebackException
from typing import Any
from urllib.parse import quote, quote_plus
from uuid import UUID

from hashtagd.service.redact_patterns import HIDDEN, HINT, RULES, is_secret_name

#: shorter ones would be found in ordinary words
MIN_SECRET_CHARACTERS = 8
_MAX_DEPTH = 6
_MAX_ITEMS = 50
_MAX_CHARACTERS = 8192
#: what is looked at of a longer text; its end is dropped, for a secret may be cut there
_MAX_LOOK = 65_536
_MARGIN = 2048
_PLAIN_KEY = re.compile(r"[a-z_]{1,24}")
_URL_TYPES = frozenset({"URL", "Url", "AnyUrl", "HttpUrl", "AnyHttpUrl"})


class Redactor:
    """Cleans texts and structures.

    Args:
        secrets: our own secrets; found in every form they are likely to take.
        home: this user's home folder, printed as `~`.

    Raises:
        ValueError: a secret has fewer than 8 characters.
    """

    def __init__(self, secrets: Sequence[str], home: PurePath | None = None) -> None:
        if any(len(secret) < MIN_SECRET_CHARACTERS for secret in secrets):
            raise ValueError(f"a secret must have at least {MIN_SECRET_CHARACTERS} characters")
        forms = {form for secret in secrets for form in _forms(secret)}
        # the longest first: a form may be the beginning of another
        self._forms = sorted(forms, key=lambda form: (-len(form), form))
        known_home = home is not None and len(home.parts) > 1
        self._home = re.compile(rf"(?<![\w.~-]){re.escape(str(home))}(?![\w.-])") if known_home else None

    def text(self, text: str) -> str:
        """Clean a text; doing it twice changes nothing more."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, HIDDEN)
        if self._home is not None and "/" in text:
            text = self._home.sub("~", text)
        lower = text.lower()
        if HINT.search(lower) is None:
            return text
        for rule in RULES:
            if any(hint in lower for hint in rule.hints):
                text = rule.pattern.sub(rule.replacement, text)
        return text

    def hides(self, name: str) -> bool:
        """Tell whether the value under this name is hidden whatever it is."""
        return is_secret_name(name)

    def value(self, value: object, depth: int = 0) -> Any:  # noqa: ANN401, PLR0911 - JSON; a table of types
        """Turn any value into plain JSON values without secrets.

        An object of an unknown type becomes the name of its type: its `repr` may tell anything, or raise.
        """
        if isinstance(value, Enum):
            return self.value(value.value, depth)
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else str(value)
        if isinstance(value, str):
            return self._shortened(value)
        if isinstance(value, bytes | bytearray):
            return self._shortened(bytes(value[:_MAX_LOOK]).decode("utf-8", "backslashreplace"))
        if depth >= _MAX_DEPTH:
            return "…"
        return self._container(value, depth)

    def event(self, event: Mapping[str, object]) -> dict[str, Any]:
        """Clean one log record."""
        return {
            key if _PLAIN_KEY.fullmatch(key) else self.text(key): self._named(key, item, 0)
            for key, item in event.items()
        }

    def _container(self, value: object, depth: int) -> Any:  # noqa: ANN401, PLR0911 - JSON; a table of types
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        if isinstance(value, list | tuple | set | frozenset):
            return self._sequence(value, depth)
        if is_dataclass(value) and not isinstance(value, type):
            named = {item.name: getattr(value, item.name, None) for item in fields(value)}
            return self._mapping(named, depth)
        if isinstance(value, BaseException):
            only = TracebackException(type(value), value, None, capture_locals=False, compact=True)
            return self._shortened("".join(only.format_exception_only()).strip())
        if isinstance(value, PurePath | UUID):
            return self._shortened(str(value))
        if isinstance(value, date):
            return value.isoformat()
        if hasattr(type(value), "get_secret_value"):
            return HIDDEN
        if type(value).__name__ in _URL_TYPES:
            return self._shortened(str(value))
        return f"<{type(value).__name__}>"

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        clean: dict[str, Any] = {}
        for number, (key, item) in enumerate(value.items()):
            if number == _MAX_ITEMS:
                clean["…"] = f"{len(value) - _MAX_ITEMS} more"
                break
            name = _name(key)
            clean[self._shortened(name)] = self._named(name, item, depth)
        return clean

    def _sequence(self, value: Iterable[Any], depth: int) -> list[Any]:
        items = list(value)
        clean = [self._item(item, depth) for item in items[:_MAX_ITEMS]]
        return clean if len(items) <= _MAX_ITEMS else [*clean, f"… {len(items) - _MAX_ITEMS} more"]

    def _item(self, item: object, depth: int) -> Any:  # noqa: ANN401 - JSON, of any shape
        # headers travel as pairs
        if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str | bytes):  # noqa: PLR2004
            name = _name(item[0])
            return [self._shortened(name), self._named(name, item[1], depth + 1)]
        return self.value(item, depth + 1)

    def _named(self, name: str, item: object, depth: int) -> Any:  # noqa: ANN401 - JSON, of any shape
        if item is not None and not isinstance(item, bool) and self.hides(name):
            return HIDDEN
        return self.value(item, depth + 1)

    def _shortened(self, text: str) -> str:
        clean = self.text(text[:_MAX_LOOK])
        if len(text) > _MAX_LOOK:
            clean = clean[:-_MARGIN]
        return (
            clean if len(clean) <= _MAX_CHARACTERS else f"{clean[:_MAX_CHARACTERS]}… [{len(text)} characters]"
        )


def _name(key: object) -> str:
    if isinstance(key, bytes):
        return key.decode("utf-8", "backslashreplace")
    return str(key) if isinstance(key, str | int | float | bool | None) else f"<{type(key).__name__}>"


def _forms(secret: str) -> set[str]:
    """Spell a secret in every way that printing and encoding may spell it."""
    data = secret.encode("utf-8", "surrogateescape")
    escaped = json.dumps(secret)[1:-1]
    percent = "".join(f"%{byte:02X}" for byte in data)
    forms = {
        secret,
        escaped,
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(escaped)[1:-1],
        repr(secret)[1:-1],
        repr(data)[2:-1],
        html.escape(secret),
        quote(data, safe=""),
        quote(data),
        quote_plus(data),
        percent,
        data.hex(),
        data.hex().upper(),
    }
    forms |= {re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), form) for form in forms if "%" in form}
    return forms | _base64_forms(data)


def _base64_forms(data: bytes) -> set[str]:
    """Give the digits of base64 that a secret decides alone, whatever stands before and after it.

    That covers `Bearer x` and `user:x` for every user.
    """
    encoders: tuple[Callable[[bytes], bytes], ...] = (base64.b64encode, base64.urlsafe_b64encode)
    forms = set()
    for encode in encoders:
        for shift in range(3):
            digits = encode(bytes(shift) + data).decode("ascii")
            forms.add(digits[math.ceil(shift * 8 / 6) : (shift + len(data)) * 8 // 6])
    return forms
