"""Paths in lists by strangers: which of them may become a file below a root, and what is wrong with the rest.

A list is a way to write files. So every part of a path is judged as all systems together would: a root may be
a share of Windows, where a trailing dot is dropped and `aux.safetensors` is a device.
"""

import re
from typing import Final

#: what model files are called; nothing else is ever made out of a list
MODEL_SUFFIXES: Final = (".safetensors", ".sft", ".gguf", ".ckpt", ".pt", ".pth", ".bin")

_DRIVE: Final = re.compile(r"[A-Za-z]:(?:/|\Z)")
_DEVICE: Final = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])[ ]*(?:\.|\Z)", re.IGNORECASE
)


def broken_rule(path: str) -> str | None:
    """Tell which rule a path breaks; None: it names a file below a root that may be made."""
    if "\0" in path or any("\ud800" <= char <= "\udfff" for char in path):
        return "holds characters that no name can have"
    if "\\" in path:
        return "holds a backslash; folders are separated by /"
    if path.startswith("/") or _DRIVE.match(path):
        return "is absolute; it must be relative to its root"
    parts = path.split("/")
    if ".." in parts:
        return "leaves its root"
    return next((rule for part in parts if (rule := _broken_in(part))), None) or _broken_end(path)


def _broken_in(part: str) -> str | None:
    if not part.strip(" ."):
        return "has a part without a name"
    if part.startswith((".", "~")):
        return "has a hidden part; such names belong to programs"
    if _DEVICE.match(part):
        return "has a part that is the name of a device on Windows"
    return None


def _broken_end(path: str) -> str | None:
    if path.lower().endswith(MODEL_SUFFIXES):
        return None
    return f"does not end as a model file does ({', '.join(MODEL_SUFFIXES)})"
