"""Reading and hashing: every way to read gives the same sums, and leaves the page cache as it was."""

import errno
import hashlib
import json
import os
import struct
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hashtagd.core.digests import Digests
from hashtagd.core.ports import Stopping
from hashtagd.stages.crew import Crew
from hashtagd.stages.hashing import LargeFileHasher, Order, SmallFileHasher
from hashtagd.stages.reading import (
    BLOCK_BYTES,
    DirectWay,
    MakeWay,
    Preadv,
    QuietReader,
    ShortRead,
    SparingWay,
    UncachedWay,
)
from hashtagd.stages.sums import blake3_maker
from hashtagd.system.cache import cached_pages

BLOCK = 16 * 1024
Hasher = SmallFileHasher | LargeFileHasher
MakeHasher = Callable[..., Hasher]


def large(**parts: object) -> LargeFileHasher:
    return LargeFileHasher(block_bytes=BLOCK, **parts)  # type: ignore[arg-type] - parts are passed on as they are


def small(**parts: object) -> SmallFileHasher:
    return SmallFileHasher(block_bytes=BLOCK, **parts)  # type: ignore[arg-type] - parts are passed on as they are


def hash_file(
    hasher: Hasher,
    path: Path,
    *,
    offset: int | None = None,
    size_bytes: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
    stopping: Callable[[], bool] = lambda: False,
) -> Digests:
    fd = os.open(path, os.O_RDONLY)
    try:
        return hasher.hash(
            Order(
                fd=fd,
                size_bytes=path.stat().st_size if size_bytes is None else size_bytes,
                tensors_offset=offset,
                progress=progress,
                stopping=stopping,
            )
        )
    finally:
        os.close(fd)
        if isinstance(hasher, LargeFileHasher):
            hasher.close()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def refusing(*flags: int, code: int = errno.EOPNOTSUPP) -> Preadv:
    """Make a disk whose driver does not know some flags."""

    def preadv(fd: int, buffers: Sequence[memoryview], offset: int, flag: int) -> int:
        if flag in flags:
            raise OSError(code, os.strerror(code))
        return os.preadv(fd, buffers, offset, flag)

    return preadv


def stingy(most_bytes: int) -> Preadv:
    """Make a disk that never gives more than so many bytes at once."""

    def preadv(fd: int, buffers: Sequence[memoryview], offset: int, flag: int) -> int:
        return os.preadv(fd, [buffers[0][:most_bytes]], offset, flag)

    return preadv


WAYS: dict[str, tuple[MakeWay, ...]] = {
    "uncached": (UncachedWay, SparingWay),
    "direct": (DirectWay, SparingWay),
    "sparing": (SparingWay,),
    "all": (UncachedWay, DirectWay, SparingWay),
}


@pytest.mark.parametrize("make", [small, large])
@pytest.mark.parametrize("ways", list(WAYS))
@settings(
    max_examples=12,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    deadline=None,
)
@given(
    blocks=st.integers(0, 5),
    around=st.integers(-2, 2),
    offset=st.none() | st.integers(8, 3 * BLOCK),
    most=st.none() | st.integers(1_000, BLOCK),
)
def test_every_way_to_read_gives_the_same_sums_as_hashing_in_memory(
    *,
    tmp_path: Path,
    make: MakeHasher,
    ways: str,
    blocks: int,
    around: int,
    offset: int | None,
    most: int | None,
) -> None:
    size = max(blocks * BLOCK + around, 0)
    content = hashlib.shake_128(bytes([blocks, around % 256])).digest(size)
    path = tmp_path / "x"
    path.write_bytes(content)
    offset = None if offset is None else min(offset, size)
    preadv = os.preadv if most is None else stingy(most)
    digests = hash_file(make(ways=WAYS[ways], preadv=preadv, crc32=True), path, offset=offset)
    assert digests.sha256 == sha256(content)
    assert digests.tensors_sha256 == (None if offset is None else sha256(content[offset:]))
    assert digests.crc32 == f"{zlib.crc32(content):08x}"


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.EPERM])
@pytest.mark.parametrize("make", [small, large])
def test_a_kernel_without_the_newest_flag_is_read_in_an_older_way(
    tmp_path: Path, make: MakeHasher, code: int
) -> None:
    content = os.urandom(BLOCK * 3 + 1)
    path = tmp_path / "x"
    path.write_bytes(content)
    assert hash_file(make(preadv=refusing(0x80, code=code)), path).sha256 == sha256(content)


def test_memory_file_systems_are_read_too() -> None:
    fd = os.memfd_create("x")
    try:
        content = os.urandom(BLOCK * 3 + 1)
        os.write(fd, content)
        assert hash_file(large(), Path(f"/proc/self/fd/{fd}")).sha256 == sha256(content)
    finally:
        os.close(fd)


def test_the_descriptor_is_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(os.urandom(BLOCK))
    fd = os.open(path, os.O_RDONLY)
    try:
        reader = QuietReader(fd, BLOCK, (DirectWay,))
        reader.close()
        assert os.pread(fd, 3, 1) == path.read_bytes()[1:4]  # unaligned: fails while reads are direct
    finally:
        os.close(fd)


@pytest.mark.parametrize("make", [small, large])
def test_a_file_that_grows_is_read_only_to_the_size_it_had(tmp_path: Path, make: MakeHasher) -> None:
    """F31."""
    path = tmp_path / "x"
    path.write_bytes(b"a" * 100 + b"b" * BLOCK)
    assert hash_file(make(), path, size_bytes=100).sha256 == sha256(b"a" * 100)


@pytest.mark.parametrize("make", [small, large])
def test_a_file_that_ends_early_is_told_from_one_that_cannot_be_read(
    tmp_path: Path, make: MakeHasher
) -> None:
    """F33."""
    path = tmp_path / "x"
    path.write_bytes(os.urandom(BLOCK * 6))

    def cut(done_bytes: int) -> None:
        if done_bytes == BLOCK:
            os.truncate(path, BLOCK * 2 - 3)

    with pytest.raises(ShortRead):
        hash_file(make(), path, size_bytes=BLOCK * 60, progress=cut)


@pytest.mark.parametrize("make", [small, large])
def test_a_read_error_midway_reaches_the_caller(tmp_path: Path, make: MakeHasher) -> None:
    """F29."""
    path = tmp_path / "x"
    path.write_bytes(os.urandom(BLOCK * 8))

    def preadv(fd: int, buffers: Sequence[memoryview], offset: int, flag: int) -> int:
        if offset >= BLOCK * 5:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return os.preadv(fd, buffers, offset, flag)

    with pytest.raises(OSError, match="Input/output error") as caught:
        hash_file(make(preadv=preadv), path, offset=100)
    assert caught.value.errno == errno.EIO


@pytest.mark.parametrize("make", [small, large])
def test_a_huge_hollow_file_is_left_after_a_few_blocks(tmp_path: Path, make: MakeHasher) -> None:
    """F30."""
    path = tmp_path / "x"
    path.write_bytes(b"")
    os.truncate(path, 1 << 40)
    seen: list[int] = []
    with pytest.raises(Stopping):
        hash_file(make(), path, offset=8, progress=seen.append, stopping=lambda: len(seen) >= 3)
    assert 3 <= len(seen) <= 3 + 4  # what was already on its way may still be hashed


@pytest.mark.parametrize("make", [small, large])
def test_whoever_watches_the_progress_may_end_it(tmp_path: Path, make: MakeHasher) -> None:
    path = tmp_path / "x"
    path.write_bytes(os.urandom(BLOCK * 9))

    def stop(done_bytes: int) -> None:
        if done_bytes >= BLOCK * 2:
            raise Stopping

    with pytest.raises(Stopping):
        hash_file(make(), path, offset=8, progress=stop)


@pytest.mark.parametrize("make", [small, large])
def test_a_hasher_is_usable_after_each_kind_of_end(tmp_path: Path, make: MakeHasher) -> None:
    path = tmp_path / "x"
    content = os.urandom(BLOCK * 5)
    path.write_bytes(content)
    hasher = make()
    for attempt in range(3):
        with pytest.raises(ShortRead):
            hash_file(hasher, path, size_bytes=len(content) + 1)
        assert hash_file(hasher, path, offset=10).tensors_sha256 == sha256(content[10:]), attempt
        hasher.release_buffers()


def test_blake3_is_made_where_it_is_installed(tmp_path: Path) -> None:
    maker = blake3_maker()
    if maker is None:
        pytest.skip("the optional package blake3 is not installed")
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    expected = maker()
    expected.update(memoryview(b"abc"))
    assert hash_file(small(blake3=maker), path).blake3 == expected.hexdigest()
    assert hash_file(large(blake3=maker, crc32=True), path).blake3 == expected.hexdigest()


def vectors() -> Iterator[dict[str, object]]:
    for folder in Path(__file__).resolve().parents:
        file = folder / "shared" / "fixtures" / "civitai" / "hash-vectors.json"
        if file.is_file():
            yield from json.loads(file.read_text(encoding="utf-8"))["vectors"]
            return


@pytest.mark.parametrize("make", [small, large])
def test_the_sums_are_those_the_model_sites_show(tmp_path: Path, make: MakeHasher) -> None:
    known = list(vectors())
    if not known:
        pytest.skip("no vectors beside the repository")
    for vector in known:
        header = str(vector["header"]).encode()
        data = bytes(index % 251 for index in range(int(str(vector["data_len"]))))
        path = tmp_path / "x.safetensors"
        path.write_bytes(struct.pack("<Q", len(header)) + header + data)
        hasher = make(crc32=True, blake3=blake3_maker())
        digests = hash_file(hasher, path, offset=8 + len(header))
        assert digests.sha256.upper() == vector["SHA256"]
        assert digests.tensors_sha256 is not None
        assert digests.tensors_sha256.upper() == vector["AutoV3_full"]
        assert digests.crc32 is not None
        assert bytes.fromhex(digests.crc32)[::-1].hex().upper() == vector["CRC32"]
        assert digests.blake3 is None or digests.blake3.upper() == vector["BLAKE3"]


def pages_of(path: Path) -> int | None:
    fd = os.open(path, os.O_RDONLY)
    try:
        return cached_pages(fd, 0, path.stat().st_size)
    finally:
        os.close(fd)


def write_to_disk(path: Path, content: bytes) -> None:
    """Write a file none of which is in the page cache afterwards."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@pytest.mark.parametrize("ways", ["uncached", "direct", "sparing"])
def test_hashing_leaves_the_page_cache_as_it_was(tmp_path: Path, ways: str) -> None:
    path = tmp_path / "x"
    content = os.urandom(2 * BLOCK_BYTES)
    write_to_disk(path, content)
    if pages_of(path) != 0:
        pytest.skip("the page cache cannot be looked at, or not be emptied, here")
    with path.open("rb", buffering=0) as other:
        os.posix_fadvise(other.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        other.read(BLOCK_BYTES)  # another program has the first half
        before = pages_of(path)
        assert before
        hasher = LargeFileHasher(ways=WAYS[ways])
        assert hash_file(hasher, path).sha256 == sha256(content)
        after = pages_of(path)
    if ways == "uncached" and after != before:
        pytest.skip("this kernel or file system does not know reads that leave no pages")
    assert after == before


def test_pages_that_others_brought_in_are_never_dropped(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(os.urandom(BLOCK_BYTES))
    before = pages_of(path)
    if not before:
        pytest.skip("the page cache cannot be looked at here")
    hash_file(LargeFileHasher(), path)
    assert pages_of(path) == before


def test_idle_buffers_go_back_to_the_system(tmp_path: Path) -> None:
    def resident_bytes() -> int:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf(
            "SC_PAGE_SIZE"
        )

    path = tmp_path / "x"
    path.write_bytes(os.urandom(4 * BLOCK_BYTES))
    hasher = LargeFileHasher()
    hash_file(hasher, path)
    busy = resident_bytes()
    hasher.release_buffers()
    assert busy - resident_bytes() > 2 * BLOCK_BYTES


def test_a_crew_keeps_its_threads_and_delivers_what_jobs_raise() -> None:
    crew = Crew("tested")
    both = threading.Barrier(2, timeout=5)
    names: set[str] = set()

    def meet() -> None:
        both.wait()  # only passes when two jobs run side by side
        names.add(threading.current_thread().name)

    for _ in range(10):
        jobs = [crew.start(meet), crew.start(meet)]
        crew.wait(jobs)
        for job in jobs:
            job.result()
    assert len(names) == 2
    broken = crew.start(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        broken.result()
    crew.close()
    assert crew.start(lambda: "again").result() == "again"
    crew.close()
