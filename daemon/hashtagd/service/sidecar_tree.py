"""Read the sidecars of other programs as a list of models: a folder with all below it, or one file."""

import errno
import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from hashtagd.core.foreign_lists import SIDECARS, entry_in, sidecars_in
from hashtagd.core.manifest import Entry, Mistake, UnusableLine
from hashtagd.stages.decide import SIDECAR_LIMIT_BYTES
from hashtagd.stages.opening import opened

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def read_sidecars(folder: Path) -> Iterator[Entry | Mistake]:
    """Read the sidecars in a folder and below it, in order; paths are relative to the folder.

    Links to folders are followed, each folder is read once; hidden folders are left out.

    Raises:
        OSError: the folder itself cannot be read.
    """
    seen: set[tuple[int, int]] = set()
    left = [""]
    while left:
        relative = left.pop()
        path = folder / relative
        try:
            here = path.stat()
            names, folders = _listed(path)
        except OSError as error:
            if not relative:
                raise
            yield Mistake(where=relative, rule=f"cannot be read ({_word(error)})")
            continue
        if (here.st_dev, here.st_ino) in seen:
            continue
        seen.add((here.st_dev, here.st_ino))
        for stem, suffix in sidecars_in(names):
            yield from _read_one(path, relative, stem, suffix, names)
        left += sorted(
            (_joined(relative, name) for name in folders if not name.startswith(".")), reverse=True
        )


def read_sidecar(path: Path) -> Iterator[Entry | Mistake]:
    """Read one sidecar; the path of its model is its name alone."""
    suffix = next(it for it in SIDECARS if path.name.endswith(it))
    yield from _read_one(path.parent, "", path.name.removesuffix(suffix), suffix, _listed(path.parent)[0])


def _listed(folder: Path) -> tuple[set[str], set[str]]:
    names: set[str] = set()
    folders: set[str] = set()
    with os.scandir(folder) as entries:
        for entry in entries:
            (folders if entry.is_dir() else names).add(entry.name)
    return names, folders


def _read_one(
    folder: Path, relative: str, stem: str, suffix: str, names: Collection[str]
) -> Iterator[Entry | Mistake]:
    where = _joined(relative, stem + suffix)
    try:
        yield entry_in(_document(folder / f"{stem}{suffix}"), suffix, _joined(relative, stem), names)
    except UnusableLine as unusable:
        yield from unusable.at(where)
    except OSError as error:
        yield Mistake(where=where, rule=f"cannot be read ({_word(error)})")


def _document(path: Path) -> object:
    """Read a document, bounded.

    Raises:
        UnusableLine: it is too large, or not JSON.
        OSError: it cannot be read.
    """
    with opened(path) as file:
        if file.status.st_size > SIDECAR_LIMIT_BYTES:
            raise UnusableLine(["is too large for a sidecar"])
        with os.fdopen(file.fd, "rb", closefd=False) as stream:
            data = stream.read(SIDECAR_LIMIT_BYTES)
    try:
        return json.loads(data.removeprefix(_BYTE_ORDER_MARK).decode())
    except (ValueError, RecursionError):
        raise UnusableLine(["is not JSON"]) from None


def _joined(relative: str, name: str) -> str:
    return f"{relative}/{name}" if relative else name


def _word(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, "unknown")
