"""Measures hashing: a large warm file against hashlib and openssl, small files against a plain loop.

Also what it leaves in the page cache. Run it as `python -m bench.digest [MIB]`, MIB being the size of the
large file. Every ratio is taken round by round in one run, because the machine is faster at one moment than
at another; the median counts. The files lie in $TMPDIR and are removed at the end.
"""

import argparse
import hashlib
import mmap
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from bench.cached import MIB, chill, resident_bytes, warm, write
from bench.figures import Figure, at_most, finish
from bench.hashing import claim_of, digests_of, hash_with, make_stage
from hashtagd.core.header import Header
from hashtagd.core.work import Claim
from hashtagd.stages.digest import DigestStage
from hashtagd.stages.hashing import LargeFileHasher

_LARGE_MIB = 1024
_ROUNDS = 7
_SMALL_FILES = 500
_SMALL_BYTES = 2 * MIB
_WORKERS = 2
#: how much faster two threads over memory must be than one, so that both cores count as free
_FREE_CORES = 1.8
_HEADER_BYTES = 4096
#: one for all files of the reference; at a page's begin, where copying is not slowed by how addresses fall
_BUFFER = memoryview(mmap.mmap(-1, 1 * MIB))


def measure(large_mib: int = _LARGE_MIB) -> list[Figure]:
    """Measure all, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="hashtagd-bench-") as name:
        folder = Path(name)
        large = folder / "large.safetensors"
        write(large, large_mib * MIB, seed=1)
        figures = [*_large_file(large), *_page_cache(large)]
        large.unlink()
        return [*figures, *_small_files(folder)]


def _large_file(path: Path) -> list[Figure]:
    size = path.stat().st_size
    hasher = LargeFileHasher()
    piece = memoryview(_first(path, MIB))
    openssl = shutil.which("openssl")
    warm(path)
    rounds = [
        (
            _timed(lambda: _hash_memory(piece, size)),
            _timed(lambda: hash_with(hasher, path)),
            _timed(lambda: hash_with(hasher, path, tensors_offset=_HEADER_BYTES)),
            _timed(lambda: _openssl(openssl, path)),
        )
        for _ in range(_ROUNDS)
    ]
    hasher.close()
    hasher.release_buffers()
    memory, alone, both, reference = (statistics.median(column) for column in zip(*rounds, strict=True))
    figures = [
        Figure(what=f"SHA-256 in memory, {size // MIB} MiB", measured=_speed(size, memory), goal=""),
        Figure(what="SHA-256 of a warm file of that size", measured=_speed(size, alone), goal=""),
        _at_least("  times hashlib in memory", _ratio(rounds, 0, 1), 0.95),
        _at_least("  SHA-256 and tensor part, times SHA-256 alone", _ratio(rounds, 1, 2), 0.85),
        Figure(what="  both", measured=_speed(size, both), goal=""),
    ]
    if openssl is None:
        return [*figures, Figure(what="  wall time against openssl", measured="no openssl here", goal="0.9")]
    return [
        *figures,
        Figure(what="openssl dgst -sha256", measured=_speed(size, reference), goal=""),
        at_most("  wall time, times that of openssl", round(_ratio(rounds, 1, 3), 3), 0.90),
    ]


def _page_cache(path: Path) -> list[Figure]:
    """Look with mincore at what one read leaves behind, cold and half warm."""
    hasher = LargeFileHasher()
    size = path.stat().st_size
    chill(path)
    cold_before = resident_bytes(path)
    started = time.perf_counter()
    hash_with(hasher, path)
    cold_s = time.perf_counter() - started
    cold_after = resident_bytes(path)
    chill(path)
    warm(path, size // 2)
    half_before = resident_bytes(path)
    hash_with(hasher, path)
    half_after = resident_bytes(path)
    hasher.close()
    kept = min(half_after, half_before) / half_before if half_before else 0.0
    return [
        Figure(what="the same file cold", measured=_speed(size, cold_s), goal=""),
        at_most("  page cache grown by", round((cold_after - cold_before) / MIB, 1), 1, " MiB"),
        at_most("  half warm: grown by", round(max(half_after - half_before, 0) / MIB, 1), 1, " MiB"),
        _at_least("  half warm: of others' pages kept", kept, 0.98),
    ]


def _small_files(folder: Path) -> list[Figure]:
    """Hash small files as the stage does and as one thread does; see what two threads get of this machine.

    Where other work fills the cores, two threads get hardly more than one, whatever they do: only rounds in
    which two threads over memory were nearly twice as fast as one can judge the stage.
    """
    # without a header to tell the tensor part by, so that both sides do the same work
    paths = [folder / f"{number:03}.gguf" for number in range(_SMALL_FILES)]
    for number, path in enumerate(paths):
        write(path, _SMALL_BYTES, seed=number)
        os.utime(path, (0, 0))
    stage = make_stage(folder, _WORKERS)
    claims = [claim_of(path, number) for number, path in enumerate(paths)]
    # the same files with a header told of: the hash of the tensor part is made as well
    headered = [replace(claim, header=Header(length_bytes=_HEADER_BYTES, tensor_count=1)) for claim in claims]
    if digests_of(stage, claims) != [_hash_readinto(path) for path in paths]:
        raise AssertionError("the two ways to hash differ")
    rounds = [_small_round(stage, claims, headered, paths) for _ in range(_ROUNDS)]
    stage.close()
    total = _SMALL_FILES * _SMALL_BYTES
    took, both = (statistics.median(row[column] for row in rounds) for column in (0, 1))
    free = [row for row in rounds if row[4] / row[5] >= _FREE_CORES]
    against = "  times one thread that reads 4 MiB at a time and drops them"
    return [
        Figure(
            what=f"{_SMALL_FILES} warm files of 2 MiB, {_WORKERS} workers, SHA-256",
            measured=_speed(total, took),
            goal="",
        ),
        _at_least(f"{against}, in {len(free)} rounds with free cores", _ratio(free, 3, 0), 2.0)
        if free
        else Figure(what=against, measured=f"{_ratio(rounds, 3, 0):.3g}", goal="at least 2 on free cores"),
        Figure(
            what="  times one thread with one reused buffer", measured=f"{_ratio(rounds, 2, 0):.3g}", goal=""
        ),
        Figure(what="  two threads over memory, times one", measured=f"{_ratio(rounds, 4, 5):.3g}", goal=""),
        Figure(
            what="  CPU time, times that of the thread that reads 4 MiB",
            measured=f"{_ratio(rounds, 6, 7):.3g}",
            goal="",
        ),
        Figure(what="the same with the tensor part's hash", measured=_speed(total, both), goal=""),
    ]


def _small_round(
    stage: DigestStage, claims: Sequence[Claim], headered: Sequence[Claim], paths: Sequence[Path]
) -> tuple[float, ...]:
    """Time the stage, the stage with both hashes, one buffer, the reference, one thread and two over memory.

    Last come the CPU times of the stage and of the reference, which a busy machine changes least.
    """
    for path in paths:  # the reference empties the cache
        warm(path)
    before_s = time.process_time()
    stage_s = _timed(lambda: digests_of(stage, claims))
    stage_cpu_s = time.process_time() - before_s
    both_s = _timed(lambda: digests_of(stage, headered))
    buffer_s = _timed(lambda: [_hash_readinto(path) for path in paths])
    before_s = time.process_time()
    reference_s = _timed(lambda: [_hash_read(path) for path in paths])
    reference_cpu_s = time.process_time() - before_s
    memory = memoryview(bytes(MIB))
    one_s = _timed(lambda: _hash_memory(memory, _SMALL_FILES * MIB))
    with ThreadPoolExecutor(2) as threads:
        two_s = _timed(lambda: list(threads.map(_hash_memory, [memory] * 2, [_SMALL_FILES * MIB // 2] * 2)))
    return (stage_s, both_s, buffer_s, reference_s, one_s, two_s, stage_cpu_s, reference_cpu_s)


def _hash_memory(piece: memoryview, size: int) -> str:
    digest = hashlib.sha256()
    for _ in range(size // len(piece)):
        digest.update(piece)
    return digest.hexdigest()


def _hash_read(path: Path) -> str:
    """Hash as model managers do: buffered, piece after piece of 4 MiB, all pages dropped at the end."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(4 * MIB):
            digest.update(piece)
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return digest.hexdigest()


def _hash_readinto(path: Path) -> str:
    """Hash through one buffer, without the library's own buffering."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(_BUFFER):
            digest.update(_BUFFER[:count])
    return digest.hexdigest()


def _openssl(openssl: str | None, path: Path) -> None:
    if openssl is not None:
        subprocess.run([openssl, "dgst", "-sha256", str(path)], check=True, stdout=subprocess.DEVNULL)


def _first(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        return file.read(count)


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _ratio(rounds: Sequence[tuple[float, ...]], upper: int, lower: int) -> float:
    return statistics.median(row[upper] / row[lower] for row in rounds)


def _speed(size: int, seconds: float) -> str:
    return f"{size / seconds / 1e9:.2f} GB/s"


def _at_least(what: str, measured: float, goal: float) -> Figure:
    return Figure(what=what, measured=f"{measured:.3g}", goal=f"at least {goal:g}", kept=measured >= goal)


def main() -> None:
    """Measure and print the table; ends with 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mib", nargs="?", type=int, default=_LARGE_MIB)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    finish(measure(options.mib), as_json=options.json)


if __name__ == "__main__":
    main()
