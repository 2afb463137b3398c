"""How one cleaned record becomes one line: JSON for programs, words for people. Pure.

Names and titles come from strangers: whatever could end a line, move the cursor or turn the direction of
reading is escaped.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

#: C0 (the JSON encoder escapes them itself), DEL, C1, line separators, direction marks, surrogates
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)
_BARE = re.compile(r"[^\s\"'=\\{}\[\],]+")
_COLOURS: Mapping[str, str] = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "1;31"}
_OWN_KEYS = frozenset({"time", "level", "logger", "event", "exception", "stack"})


def escape(text: str) -> str:
    r"""Print control characters as `\u001b`."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def json_line(event: Mapping[str, Any]) -> str:
    """Render one JSON object in one line."""
    return escape(json.dumps(event, ensure_ascii=False, separators=(",", ":")))


def console_line(event: Mapping[str, Any], *, colours: bool) -> str:
    """Render one line for people; a traceback follows behind bars, so that none of it passes for a record."""
    level = str(event.get("level", ""))
    shown = f"{level:<7}"
    if colours:
        shown = f"\x1b[{_COLOURS.get(level, '0')}m{shown}\x1b[0m"
    values = [f"{escape(key)}={_word(value)}" for key, value in event.items() if key not in _OWN_KEYS]
    time_of_day = str(event.get("time", ""))[11:19]
    head = (
        f"{time_of_day} {shown} {escape(str(event.get('logger', '')))}: {escape(str(event.get('event', '')))}"
    )
    lines = [" ".join([head, *values])]
    for key in ("exception", "stack"):
        lines += [f"    | {escape(line)}" for line in str(event.get(key, "")).split("\n") if line]
    return "\n".join(lines)


def _word(value: object) -> str:
    if isinstance(value, str) and _BARE.fullmatch(value):
        return escape(value)
    return escape(json.dumps(value, ensure_ascii=False))
