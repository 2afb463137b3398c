"""Which files of a library hold the same model twice, and what that costs. Nothing is deleted."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from hashtagd.catalog.pages import FileRow
from hashtagd.core.digests import SHA256_OF_NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicates:
    """Files that hold the same."""

    #: `sha256`: every byte is the same; `tensors`: only what stands in front of the tensors differs
    by: Literal["sha256", "tensors"]
    hash: str
    files: tuple[FileRow, ...]
    #: what the disk would have free if only the largest were kept; names of one inode count once
    could_free_bytes: int


def duplicates(rows: Iterable[FileRow]) -> list[Duplicates]:
    """Group files by what they hold, those first that would free most.

    Files with the same bytes are one group; files whose tensors are the same are one group as well, unless
    that says no more than the first. Files without tensors are never the same for that.
    """
    known = [row for row in rows if row.sha256 is not None]
    found = list(_groups(known, "sha256"))
    exact = {frozenset(row.file_id for row in group.files) for group in found}
    found += (
        group
        for group in _groups(known, "tensors")
        if frozenset(row.file_id for row in group.files) not in exact
    )
    return sorted(found, key=lambda group: (-group.could_free_bytes, group.by, group.hash))


def _groups(rows: Sequence[FileRow], by: Literal["sha256", "tensors"]) -> Iterator[Duplicates]:
    def key(row: FileRow) -> str:
        return (row.sha256 if by == "sha256" else row.tensors_sha256) or ""

    for value, same in groupby(sorted(rows, key=key), key=key):
        files = tuple(same)
        if len(files) > 1 and value not in ("", SHA256_OF_NOTHING):
            yield Duplicates(by=by, hash=value, files=files, could_free_bytes=_freed_bytes(files))


def _freed_bytes(files: Sequence[FileRow]) -> int:
    """Count each inode once, also across roots: the same bytes under one number are a hard link.

    An inode of 0 tells nothing, so such a file counts for itself. Different bytes under one number lie on
    different disks.
    """
    sizes = {(row.inode, row.sha256) if row.inode else row.file_id: row.size_bytes for row in files}
    return sum(sizes.values()) - max(sizes.values())
