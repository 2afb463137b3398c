"""Galleries: pictures of models in a folder of hashtagd's own, at `AB/SHA256/KEY.EXT` by the model's hash.

The names are the whole record. KEY is made of a picture's address, so what lies there is never asked for
again, at whatever moment a process died; an address that gives no picture leaves an empty `KEY.none`. Names
of another form are somebody's, and stay.
"""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256 as sha256_of
from pathlib import Path
from typing import Final

from hashtagd.stages.effects import TEMPORARY_PREFIX

#: what a picture of each type is called; judged by its bytes
EXTENSIONS: Final[Mapping[str, str]] = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/avif": "avif",
}
_NONE: Final = "none"
_KEY_DIGITS: Final = 16
_PREFIX: Final = re.compile("[0-9a-f]{2}")
_SHA256: Final = re.compile("[0-9a-f]{64}")
_NAME: Final = re.compile(rf"([0-9a-f]{{{_KEY_DIGITS}}})\.({'|'.join((*EXTENSIONS.values(), _NONE))})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hung:
    """One file of a gallery."""

    key: str
    name: str
    size_bytes: int
    #: Unix time
    since_s: float

    @property
    def is_picture(self) -> bool:
        """Tell whether it is one; else it says that its address gives none."""
        return not self.name.endswith(f".{_NONE}")


class Galleries:
    """All galleries of one state folder.

    Args:
        top: where they lie; need not exist.
    """

    def __init__(self, top: Path) -> None:
        self.top = top

    def folder_of(self, sha256: str) -> Path:
        """Say where the gallery of a model lies, or would."""
        return self.top / sha256[:2] / sha256

    def hung(self, sha256: str) -> list[Hung]:
        """List what lies in a gallery, by name; nothing where there is none.

        Raises:
            OSError: it cannot be looked at.
        """
        found = []
        for entry in _entries(self.folder_of(sha256)):
            match = _NAME.fullmatch(entry.name)
            if match and entry.is_file(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                found.append(
                    Hung(
                        key=match[1],
                        name=entry.name,
                        size_bytes=status.st_size,
                        since_s=status.st_mtime,
                    )
                )
        return sorted(found, key=lambda it: it.name)

    def pictures(self, sha256: str, urls: Sequence[str] = ()) -> list[Path]:
        """List the pictures of a model: those of these addresses in their order, then all others by name.

        Raises:
            OSError: they cannot be looked at.
        """
        order = {key_of(url): number for number, url in enumerate(urls)}
        hung = sorted(self.hung(sha256), key=lambda it: order.get(it.key, len(order)))
        return [self.folder_of(sha256) / it.name for it in hung if it.is_picture]

    def hashes(self) -> list[str]:
        """List the models that have a gallery.

        Raises:
            OSError: the folder cannot be looked at.
        """
        return sorted(
            entry.name
            for prefix in _entries(self.top)
            if _PREFIX.fullmatch(prefix.name) and prefix.is_dir(follow_symlinks=False)
            for entry in _entries(self.top / prefix.name)
            if _SHA256.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
        )

    def total_bytes(self) -> int:
        """Add up what all galleries take."""
        return sum(hung.size_bytes for sha256 in self.hashes() for hung in self.hung(sha256))

    def free_bytes(self) -> int:
        """Tell how much may still be written on the disk they lie on."""
        return shutil.disk_usage(self.top if self.top.exists() else self.top.parent).free

    def take_down(self, sha256: str, hung: Sequence[Hung]) -> int:
        """Remove some files of a gallery; returns how many bytes they had. What is gone already is no error.

        Raises:
            OSError: one could not be removed.
        """
        folder = self.folder_of(sha256)
        for it in hung:
            (folder / it.name).unlink(missing_ok=True)
        return sum(it.size_bytes for it in hung)

    def remove(self, sha256: str) -> int:
        """Remove a gallery, and the folders around it that hold nothing else; returns its bytes.

        Raises:
            OSError: something of it could not be removed.
        """
        folder = self.folder_of(sha256)
        if folder.is_symlink():
            return 0  # nothing is removed through a link
        freed_bytes = self.take_down(sha256, self.hung(sha256))
        for entry in _entries(folder):
            if entry.name.startswith(TEMPORARY_PREFIX):
                (folder / entry.name).unlink(missing_ok=True)
        for empty in (folder, folder.parent, self.top):
            with suppress(OSError):  # somebody's files keep their folder
                empty.rmdir()
        return freed_bytes


def key_of(url: str) -> str:
    """Give the part of a picture's name that is made of its address."""
    return sha256_of(url.encode()).hexdigest()[:_KEY_DIGITS]


def name_of(url: str, media_type: str | None) -> str:
    """Name the file of a picture; of None: the one which says that there is no picture."""
    return f"{key_of(url)}.{_NONE if media_type is None else EXTENSIONS[media_type]}"


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    """List a folder; nothing where there is none."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
