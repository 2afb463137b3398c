"""Which folder each root's name has meant on this machine: a small file beside the lock.

Roots given on the command line are named after their folder. Without this memory, `run A/models` and later
`run B/models` would both be "models", and every file of A would look deleted.
"""

import json
from collections.abc import Mapping
from pathlib import Path

FILE_NAME = "roots.json"


def read_known_roots(folder: Path) -> dict[str, Path]:
    """Read what names have meant; empty when there is nothing readable."""
    try:
        data = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: Path(path) for name, path in data.items()} if isinstance(data, dict) else {}


def remember_roots(folder: Path, paths: Mapping[str, Path]) -> None:
    """Add names and their folders; nothing is written when all are known. Failing is no reason to stop."""
    known = read_known_roots(folder)
    if all(known.get(name) == path for name, path in paths.items()):
        return
    text = json.dumps({name: str(path) for name, path in (known | dict(paths)).items()}, indent=1)
    temporary = folder / f".{FILE_NAME}.new"
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(folder / FILE_NAME)
    except OSError:
        temporary.unlink(missing_ok=True)


def free_name(name: str, path: Path, known: Mapping[str, Path]) -> str:
    """Give a root of the command line the name it had before, or one that means no other folder."""
    before = next((known_name for known_name, known_path in known.items() if known_path == path), None)
    if before is not None:
        return before
    candidates = [name, f"{path.parent.name}-{name}", *(f"{name}-{number}" for number in range(2, 1000))]
    return next((candidate for candidate in candidates if candidate not in known), name)
