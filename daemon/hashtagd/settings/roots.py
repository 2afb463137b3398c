"""Judges the roots as a set: folders that would be watched twice, or that should not be watched at all."""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hashtagd.settings.mistakes import Lines, Mistake
from hashtagd.settings.schema import Root


@dataclass(frozen=True, slots=True, kw_only=True)
class RootFindings:
    """What was found; with a mistake hashtagd does not start, a warning it only tells."""

    mistakes: tuple[Mistake, ...] = ()
    warnings: tuple[Mistake, ...] = ()


def check_roots(
    roots: Sequence[Root | None], *, home: Path | None, state_folder: Path | None, lines: Lines | None = None
) -> RootFindings:
    """Judge the roots by their paths alone, without touching a disk that may hang.

    Refused: `/`, the home folder or a folder around it, the state folder or a folder in it, a path given
    twice, a root inside another one (each file has one root). Warned of: a root around the state folder.
    None stands for a root that could not be understood.
    """
    known = lines or Lines()
    mistakes: list[Mistake] = []
    warnings: list[Mistake] = []
    for index, root in enumerate(roots):
        if root is None:
            continue
        at = ("roots", index, "path")
        rules = [*_forbidden(root.path, home, state_folder)] or [*_overlaps(root.path, roots[:index])]
        mistakes += [known.mistake(at, rule) for rule in rules]
        if not rules and state_folder is not None and root.path in state_folder.parents:
            warnings.append(
                known.mistake(at, "holds hashtagd's own state folder; nothing in there is a model")
            )
    return RootFindings(mistakes=tuple(mistakes), warnings=tuple(warnings))


def look_at_roots(roots: Sequence[Root | None], *, lines: Lines | None = None) -> RootFindings:
    """Look at the folders themselves; may hang as long as a dead network share does.

    Refused: what is no folder, one folder under two names. Warned of: what is missing; a disk may be away.
    """
    known = lines or Lines()
    mistakes: list[Mistake] = []
    warnings: list[Mistake] = []
    seen: dict[tuple[int, int], int] = {}
    for index, root in enumerate(roots):
        if root is None:
            continue
        at = ("roots", index, "path")
        try:
            found = root.path.stat()
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            warnings.append(known.mistake(at, f"cannot be seen now ({reason}); watched as soon as it can"))
            continue
        if not stat.S_ISDIR(found.st_mode):
            mistakes.append(known.mistake(at, "is not a folder"))
            continue
        first = seen.setdefault((found.st_dev, found.st_ino), index)
        if first != index:
            mistakes.append(known.mistake(at, f"is the same folder as roots[{first}] under another name"))
    return RootFindings(mistakes=tuple(mistakes), warnings=tuple(warnings))


def _forbidden(path: Path, home: Path | None, state_folder: Path | None) -> Iterator[str]:
    if path == Path(path.anchor):
        yield "must not be / itself; name the folder with the models"
    elif home is not None and (path == home or path in home.parents):
        yield "must not be your home folder or a folder around it; name the folder with the models"
    if state_folder is not None and (path == state_folder or state_folder in path.parents):
        yield "must not be hashtagd's own state folder"


def _overlaps(path: Path, earlier: Sequence[Root | None]) -> Iterator[str]:
    for index, other in enumerate(earlier):
        if other is None or other.path == Path(other.path.anchor):
            continue  # what is / itself is told so; that it holds all others is no news
        if path == other.path:
            yield f"is the path of roots[{index}] too"
        elif other.path in path.parents:
            yield f"lies inside roots[{index}]; each file belongs to one root"
        elif path in other.path.parents:
            yield f"holds roots[{index}]; each file belongs to one root"
