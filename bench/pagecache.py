"""Whether hashing throws out of the page cache what others read, where memory is scarce.

Everything happens in a memory control group of 1,200 MiB: a child process reads a file of 512 MiB once, as
ComfyUI loads a model, and then 4 GiB of cold files are hashed. Once by plain reading: that is the control,
which must evict, or nothing is shown; once by the daemon's own stage; and once by each way to read that it
falls back to. Needs root and 5 GiB on a real disk in $TMPDIR; where that cannot be had, it says so. Run it
as `python -m bench.pagecache`.
"""

import argparse
import hashlib
import json
import mmap
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.cached import MIB, chill, resident_bytes, resident_pages, warm, write
from bench.cgroup import ImpossibleError, join, memory_group
from bench.figures import Figure, at_most, finish
from bench.hashing import claim_of, digests_of, hash_with, make_stage
from hashtagd.core.header import Header
from hashtagd.stages.digest import LARGE_FROM_BYTES
from hashtagd.stages.hashing import LargeFileHasher, SmallFileHasher
from hashtagd.stages.reading import DirectWay, MakeWay, SparingWay

_GROUP_MIB = 1200
_HOT_MIB = 512
#: of the half of one file that somebody else has read, too
_HALF_MIB = 256
#: together 4 GiB: large ones, one half of which is not cold, and many small ones
_SIZES_MIB = (2048, 512, 512, 2 * _HALF_MIB, *(2,) * 256)
_HALF = 3
_HEADER_BYTES = 4096
#: of others' pages
_KEPT_SHARE = 0.98
_GOAL = f"at least {_KEPT_SHARE:.0%}"
#: the control must throw out more than this share, or memory was not scarce
_EVICTED_SHARE = 0.5
_FALLBACKS: Mapping[str, tuple[MakeWay, ...]] = {"direct": (DirectWay, SparingWay), "sparing": (SparingWay,)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """What one way of reading did to the cache."""

    #: shares of the pages that others had read and that are still there
    hot_kept: float
    half_kept: float
    #: the file that brought most pages into the cache
    most_grown_mib: float

    @property
    def kept(self) -> float:
        return min(self.hot_kept, self.half_kept)


def measure() -> Sequence[Figure]:
    """Measure all ways, or say why that is not possible."""
    try:
        with memory_group(_GROUP_MIB * MIB), tempfile.TemporaryDirectory(prefix="hashtagd-bench-") as name:
            folder = Path(name)
            _prepare(folder)
            trials = {way: _try(folder, way) for way in _WAYS}
    except ImpossibleError as impossible:
        why = f"not possible here: {impossible}"
        return [Figure(what="others' pages kept in a full page cache", measured=why, goal=_GOAL)]
    return _figures(trials)


def _figures(trials: Mapping[str, _Trial]) -> list[Figure]:
    control, ours = trials["plain"], trials["ours"]
    figures = [
        Figure(
            what=f"plain reading of 4 GiB in {_GROUP_MIB:,} MiB: of others' pages kept (the control)",
            measured=f"{control.hot_kept:.1%}",
            goal=f"less than {_EVICTED_SHARE:.0%}, or nothing is shown",
            kept=control.hot_kept < _EVICTED_SHARE,
        ),
        _kept("the daemon's stage: of others' pages kept", ours.hot_kept),
        _kept("  of a file that others had read half of", ours.half_kept),
        at_most("  page cache grown by, at most for one file", round(ours.most_grown_mib, 2), 1, " MiB"),
    ]
    for name in _FALLBACKS:
        figures += [
            _kept(f"fallback `{name}`: of others' pages kept", trials[name].kept),
            at_most("  grown by", round(trials[name].most_grown_mib, 2), 1, " MiB"),
        ]
    return figures


def _kept(what: str, share: float) -> Figure:
    return Figure(what=what, measured=f"{share:.2%}", goal=_GOAL, kept=share >= _KEPT_SHARE)


def _prepare(folder: Path) -> None:
    for path, size_mib in [(_hot(folder), _HOT_MIB), *zip(_cold(folder), _SIZES_MIB, strict=True)]:
        write(path, size_mib * MIB, seed=size_mib)
        os.utime(path, (0, 0))
    chill(_hot(folder))
    if resident_bytes(_hot(folder)):
        raise ImpossibleError("files in $TMPDIR are not on a disk: their pages cannot leave the cache")


def _hot(folder: Path) -> Path:
    return folder / "hot.bin"


def _cold(folder: Path) -> list[Path]:
    return [folder / f"cold-{number:03}.safetensors" for number in range(len(_SIZES_MIB))]


def _try(folder: Path, way: str) -> _Trial:
    """Let a process of its own, in a group of its own, do everything that is charged for memory."""
    for path in (_hot(folder), *_cold(folder)):
        chill(path)
    with memory_group(_GROUP_MIB * MIB, name=way) as group:
        done = subprocess.run(
            [sys.executable, "-m", "bench.pagecache", "--in", str(group), "--way", way, str(folder)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    said: dict[str, Any] = json.loads(done.stdout)
    return _Trial(**said)


def _work(folder: Path, way: str) -> _Trial:
    hot, cold = _hot(folder), _cold(folder)
    half = cold[_HALF]
    warm(hot)
    warm(half, _HALF_MIB * MIB)
    before = {path: resident_pages(path) for path in (hot, *cold)}
    if sum(before[hot]) * mmap.PAGESIZE < _HOT_MIB * MIB * _KEPT_SHARE:
        raise SystemExit("the hot file does not fit into the group: the trial shows nothing")
    _WAYS[way](folder, cold)
    after = {path: resident_pages(path) for path in before}
    return _Trial(
        hot_kept=_share(before[hot], after[hot]),
        half_kept=_share(before[half], after[half]),
        most_grown_mib=max(_grown(before[path], after[path]) for path in cold) * mmap.PAGESIZE / MIB,
    )


def _share(before: bytes, after: bytes) -> float:
    return sum(one & other for one, other in zip(before, after, strict=True)) / sum(before)


def _grown(before: bytes, after: bytes) -> int:
    return sum(other & ~one for one, other in zip(before, after, strict=True))


def _plain(_folder: Path, paths: Sequence[Path]) -> None:
    """Read and hash as everybody does."""
    buffer = memoryview(bytearray(MIB))
    for path in paths:
        digest = hashlib.sha256()
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                digest.update(buffer[:count])


def _ours(folder: Path, paths: Sequence[Path]) -> None:
    """Hash with the daemon's stage, both hashes in one read."""
    stage = make_stage(folder, workers=2)
    header = Header(length_bytes=_HEADER_BYTES, tensor_count=1)
    digests_of(stage, [claim_of(path, number, header) for number, path in enumerate(paths)])
    stage.close()


def _fallback(ways: tuple[MakeWay, ...]) -> Callable[[Path, Sequence[Path]], None]:
    """Hash as on a kernel or a file system that knows no reads without pages."""

    def work(_folder: Path, paths: Sequence[Path]) -> None:
        large, small = LargeFileHasher(ways=ways), SmallFileHasher(ways=ways[-1:])
        for path in paths:
            is_large = path.stat().st_size >= LARGE_FROM_BYTES
            hash_with(large if is_large else small, path, _HEADER_BYTES)
        large.close()

    return work


_WAYS: Mapping[str, Callable[[Path, Sequence[Path]], None]] = {
    "plain": _plain,
    "ours": _ours,
    **{name: _fallback(ways) for name, ways in _FALLBACKS.items()},
}


def main() -> None:
    """Measure and print; with `--in`, be the process that is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--in", dest="group", type=Path)
    parser.add_argument("--way", choices=[*_WAYS])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.group is None:
        finish(measure(), as_json=options.json)
    join(options.group)
    trial = _work(options.folder, options.way)
    print(json.dumps({name: getattr(trial, name) for name in _Trial.__slots__}))


if __name__ == "__main__":
    main()
