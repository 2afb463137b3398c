"""Paths in settings are whole ones: a service stands in another folder than the shell they were tried in."""

from pathlib import PurePath
from typing import Final

#: what is said where one is not
RULE: Final = "must be an absolute path, or begin with ~/"


def whole_path(text: str) -> str:
    """Insist on a path that means the same from everywhere; `~` is left to whoever knows the home.

    Raises:
        ValueError: it depends on the folder one is in, or could not be a path.
    """
    if "\0" in text or not (text.startswith("~/") or PurePath(text).is_absolute()):
        raise ValueError(RULE)
    return text
