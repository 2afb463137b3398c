"""Disks that are full, read-only, or broken while a file comes."""

import errno
import os
import threading
from pathlib import Path

import pytest

from hashtagd.core.troubles import AskOperator, Scope
from hashtagd.core.work import Defer, Park
from hashtagd.stages.calls import Calls
from hashtagd.system.positions import release_of
from support.downloads import (
    CONTENT,
    Serve,
    errand,
    fetched,
    gives,
    is_there,
    kind_of,
    mirror,
    offsets,
    run,
    trouble_of,
    with_part,
)
from support.fault_server import FaultServer, reply
from support.safetensors import noise

MIB = 1 << 20


def failing(code: int, *, after_bytes: int = 0, calls: list[int] | None = None) -> Calls:
    """Let writes fail once so many bytes went well."""
    left = after_bytes

    def write_at(fd: int, data: memoryview, offset: int) -> int:
        nonlocal left
        if left <= 0:
            if calls is not None:
                calls.append(code)
            raise OSError(code, os.strerror(code))
        count = os.pwrite(fd, data[:left], offset)
        left -= count
        return count

    return Calls(write_at=write_at)


# ---- full


def test_a_file_that_does_not_fit_is_not_begun(small_disk: Path) -> None:
    """F78: told by the length of the answer, or by the site, before a byte is written."""
    with FaultServer(gives()) as server, errand(small_disk, origins=[server.url]) as job:
        outcome = job.run(mirror(server.url))
        assert isinstance(outcome, Defer)
        trouble = trouble_of(outcome)
        assert (trouble.kind, trouble.scope) == ("disk_full", Scope.ROOT)
        assert "3 MiB" in trouble.what
        assert outcome.wait_s == 600.0
        assert job.names == []


def test_so_much_stays_free_as_the_owner_says(serve: Serve, tmp_path: Path) -> None:
    """F78."""
    found = os.statvfs(tmp_path)
    free = found.f_bavail * found.f_frsize
    for kept, fits in ((free + 10**12, False), (0, True)):
        job, server = serve(gives(), min_free_bytes=kept)
        outcome = job.run(mirror(server.url), name=f"{fits}.ckpt")
        assert isinstance(outcome, Defer) is not fits
        assert len(server.requests) == 1


def test_what_is_here_already_needs_no_more_room(small_disk: Path) -> None:
    """F78: also where all of it is to be fetched anew, since what is here goes first."""
    content = CONTENT[: 3 * MIB // 2]
    for answer, asked in ((gives(content), MIB), (gives(content, ranges=False), MIB)):
        with FaultServer(answer) as server, errand(small_disk, origins=[server.url]) as job:
            with_part(job, content[:MIB])
            fetched(job.run(mirror(server.url), content=content))
            assert offsets(server.requests) == [asked]
            job.path().unlink()


def test_a_disk_that_fills_up_keeps_what_came_and_goes_on_when_there_is_room(small_disk: Path) -> None:
    """F78: nobody said how long the file is."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(MIB // 2))
    content = CONTENT[: 3 * MIB // 2 + 5]
    silent = gives(content, length=False)
    with FaultServer(silent) as server, errand(small_disk, origins=[server.url]) as job:
        outcome = job.run(mirror(server.url), content=content)
        assert isinstance(outcome, Defer)
        assert kind_of(outcome) == "disk_full"
        kept = job.part().stat().st_size
        assert kept > MIB
        assert content.startswith(job.part().read_bytes())
        ballast.unlink()
        fetched(job.run(mirror(server.url), content=content))
        assert is_there(job, content)
        assert offsets(server.requests) == [0, kept]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_no_space_ends_all_candidates_at_once(serve: Serve, code: int) -> None:
    """F78: no other source would help."""
    job, server = serve(gives(), calls=failing(code, after_bytes=MIB))
    outcome = job.run(mirror(server.url), mirror(server.url))
    assert isinstance(outcome, Defer)
    assert kind_of(outcome) == "disk_full"
    assert "the disk is full" in trouble_of(outcome).what
    assert len(server.requests) == 1
    assert job.part().read_bytes() == CONTENT[:MIB]


def test_a_disk_without_room_for_one_more_name_counts_as_full(tmp_path: Path) -> None:
    """F78: no inodes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not run("mount", "-t", "tmpfs", "-o", "nr_inodes=2", "tmpfs", str(folder)):
        pytest.skip("SKIPPED ALOUD: needs the right to mount a small tmpfs")
    try:
        (folder / "one").touch()
        with FaultServer(gives()) as server, errand(folder, origins=[server.url]) as job:
            assert kind_of(job.run(mirror(server.url))) == "disk_full"
            assert server.requests == []
    finally:
        run("umount", "-l", str(folder))


# ---- read-only


def test_a_read_only_disk_waits_for_a_person(small_disk: Path) -> None:
    """F79."""
    if not run("mount", "-o", "remount,ro", str(small_disk)):
        pytest.skip("SKIPPED ALOUD: needs the right to remount read-only")
    with FaultServer(gives()) as server, errand(small_disk, origins=[server.url]) as job:
        for name in ("x.ckpt", "a/x.ckpt"):
            outcome = job.run(mirror(server.url), name=name)
            assert isinstance(outcome, Park)
            assert isinstance(outcome.trouble, AskOperator)
            assert kind_of(outcome) == "no_permission"
            assert "EROFS" in outcome.trouble.what
        assert server.requests == []


def test_a_disk_that_becomes_read_only_meanwhile_keeps_what_came(serve: Serve) -> None:
    """F79."""
    job, server = serve(gives(), calls=failing(errno.EROFS, after_bytes=MIB))
    assert kind_of(job.run(mirror(server.url))) == "no_permission"
    assert job.part().read_bytes() == CONTENT[:MIB]


def test_a_file_that_is_too_large_for_its_disk_waits_for_a_person(serve: Serve) -> None:
    """F82: FAT takes 4 GiB, and no time heals that."""
    job, server = serve(gives(), calls=failing(errno.EFBIG, after_bytes=MIB))
    outcome = job.run(mirror(server.url))
    assert isinstance(outcome, Park)
    assert isinstance(outcome.trouble, AskOperator)
    assert kind_of(outcome) == "too_large_for_disk"
    assert job.path().exists() is False


# ---- broken


def test_a_write_that_fails_is_told_once_and_tried_again(serve: Serve) -> None:
    """F80."""
    calls: list[int] = []
    job, server = serve(gives(), calls=failing(errno.EIO, after_bytes=MIB, calls=calls))
    outcome = job.run(mirror(server.url), mirror(server.url))
    assert isinstance(outcome, Defer)
    trouble = trouble_of(outcome)
    assert (trouble.kind, trouble.scope) == ("write_error", Scope.FILE)
    assert "EIO" in trouble.what
    assert calls == [errno.EIO]
    assert len(server.requests) == 1


def flushing(fail_at: int, code: int, seen: list[int]) -> Calls:
    """Let the n-th flush fail."""

    def fsync(fd: int) -> None:
        seen.append(os.fstat(fd).st_size)
        if len(seen) == fail_at:
            raise OSError(code, os.strerror(code))
        os.fsync(fd)

    return Calls(fsync=fsync)


def test_a_flush_that_fails_drops_the_file_which_is_fetched_anew(serve: Serve) -> None:
    """F80: a second flush of the same file might say that all is well."""
    seen: list[int] = []
    job, server = serve(gives(), calls=flushing(1, errno.EIO, seen))
    outcome = job.run(mirror(server.url))
    assert isinstance(outcome, Defer)
    assert kind_of(outcome) == "write_error"
    assert job.names == []
    fetched(job.run(mirror(server.url)))
    assert offsets(server.requests) == [0, 0]
    assert is_there(job)


def test_the_disk_is_flushed_while_a_large_file_comes(serve: Serve) -> None:
    """Else the flush at the end waits for gigabytes; one that fails on the way is not forgotten."""
    content = noise(3, 140 * MIB)
    seen: list[int] = []
    job, server = serve(gives(content), calls=flushing(-1, errno.EIO, seen))
    fetched(job.run(mirror(server.url), content=content))
    assert any(MIB < size < len(content) for size in seen)
    assert job.path().read_bytes() == content
    seen.clear()
    job, server = serve(gives(content), calls=flushing(1, errno.EIO, seen))
    outcome = job.run(mirror(server.url), content=content, name="y.ckpt")
    assert isinstance(outcome, Defer)
    assert kind_of(outcome) == "write_error"
    assert 0 < seen[0] < len(content)
    assert not job.path("y.ckpt").exists()
    assert not job.part("y.ckpt").exists()


def test_a_flush_that_is_under_way_is_waited_for_before_the_file_is_closed(serve: Serve) -> None:
    """P6: its number would mean another file by then."""
    content = noise(4, 80 * MIB)
    ended, flushed = threading.Event(), list[int]()

    def fsync(fd: int) -> None:
        ended.wait(0.5)
        flushed.append(os.fstat(fd).st_ino)

    job, server = serve(
        gives(content, cut_after=70 * MIB), reply(b"", status="404 No"), calls=Calls(fsync=fsync)
    )
    assert kind_of(job.run(mirror(server.url), content=content)) == "file_gone"
    ended.set()
    assert flushed == [job.part().stat().st_ino]


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_disk_that_knows_no_flush_and_no_modes_is_written_to_all_the_same(serve: Serve, code: int) -> None:
    """F81."""

    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    job, server = serve(gives(), calls=Calls(fsync=refuse, chmod=refuse))
    fetched(job.run(mirror(server.url)))
    assert is_there(job)


@pytest.mark.parametrize(
    "text, numbers",
    [
        ("6.18.0-rc1", (6, 18)),
        ("5.15.167.4-microsoft-standard-WSL2", (5, 15)),
        ("10.1", (10, 1)),
        ("x", (0, 0)),
    ],
)
def test_the_release_of_a_kernel_is_read(text: str, numbers: tuple[int, int]) -> None:
    assert release_of(text) == numbers


def test_a_disk_that_cannot_write_past_the_cache_is_written_to_all_the_same(small_disk: Path) -> None:
    """F81: tmpfs is one."""
    content = CONTENT[:MIB]
    with FaultServer(gives(content)) as server, errand(small_disk, origins=[server.url]) as job:
        fetched(job.run(mirror(server.url), content=content))
        assert is_there(job, content)


def test_short_writes_are_gone_on_with(serve: Serve) -> None:
    """F81."""
    job, server = serve(
        gives(), calls=Calls(write_at=lambda fd, data, offset: os.pwrite(fd, data[:100_003], offset))
    )
    fetched(job.run(mirror(server.url)))
    assert is_there(job)
