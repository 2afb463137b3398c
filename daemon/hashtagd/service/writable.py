"""What the daemon writes to besides its state folder, by its settings: a sandbox must let it through."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from hashtagd.comfyui.looks import is_folder
from hashtagd.core.ports import WritesTree
from hashtagd.service.parts import make_writers
from hashtagd.settings import Loaded
from hashtagd.settings.places import default_catalog_url
from hashtagd.settings.values import expand_home, home_folder
from hashtagd.system.patience import all_in_time, silent_among

_SQLITE: Final = "sqlite:///"


def writable_folders(loaded: Loaded, environ: Mapping[str, str], roots: Iterable[Path]) -> list[Path]:
    """List the roots with what links in them lead to, trees of cards, and where the log and the catalog lie.

    A tree that is not there yet is made in the folder around it: that one is listed then.

    Raises:
        SettingsMistakes: an option of a writer is wrong.
    """
    linked = _with_links(roots, home_folder(environ))
    return _outer([*linked, *_trees(loaded, environ), *_files(loaded, environ)])


def _with_links(roots: Iterable[Path], home: Path | None) -> Iterator[Path]:
    """Give the roots, and where links in them lead; but a link to `/` or to a whole home opens no sandbox."""
    targets: dict[Path, list[Path]] = {root: [] for root in roots}
    answering = targets.keys() - silent_among(targets)
    all_in_time([partial(_follow, root, home, targets[root]) for root in answering])
    for root, found in targets.items():
        yield root
        yield from found


def _follow(root: Path, home: Path | None, found: list[Path]) -> None:
    never_opened = [Path(os.path.realpath(it)) for it in (root, home) if it is not None]
    with suppress(OSError):
        for link in sorted(child for child in root.iterdir() if child.is_symlink() and is_folder(child)):
            target = link.resolve()
            if not any(it.is_relative_to(target) for it in never_opened):
                found.append(target)


def _trees(loaded: Loaded, environ: Mapping[str, str]) -> Iterator[Path]:
    for writers in make_writers(loaded).values():
        for writer in writers:
            if isinstance(writer, WritesTree):
                tree = Path(expand_home(str(writer.tree), home_folder(environ)))
                yield tree if is_folder(tree) else tree.parent


def _files(loaded: Loaded, environ: Mapping[str, str]) -> Iterator[Path]:
    settings = loaded.settings
    if settings.log.file is not None:
        # beside it, older ones are put aside
        yield Path(settings.log.file).parent
    url = settings.catalog.url
    if url.startswith(_SQLITE) and url != default_catalog_url(environ):
        # beside it, its journal comes and goes
        yield Path(url.removeprefix(_SQLITE).partition("?")[0]).parent


def _outer(folders: Iterable[Path]) -> list[Path]:
    """Keep each once, and none that lies in another."""
    found = list(dict.fromkeys(folders))
    return [it for it in found if not any(it != other and it.is_relative_to(other) for other in found)]
