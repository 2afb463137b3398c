"""The unfinished file: its name, what may lie there, two at one, and what is never written through."""

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagd.core.place import Place
from hashtagd.core.troubles import AskOperator, TryLater
from hashtagd.core.work import Defer, Park
from hashtagd.stages.calls import Calls
from hashtagd.stages.part import PART_SUFFIX, BusyError, Part, part_name
from support.downloads import (
    CONTENT,
    HALF,
    Meanwhile,
    Serve,
    fetched,
    gives,
    is_there,
    kind_of,
    mirror,
    offsets,
    without_links,
)
from support.stage_fakes import ROOT
from support.untouched import untouched

# ---- names


def test_the_unfinished_file_is_hidden_and_named_after_the_model() -> None:
    assert part_name("x.safetensors") == ".x.safetensors.hashtagd-part"


@given(st.text(min_size=1).filter(lambda text: "/" not in text and "\0" not in text))
def test_any_name_that_a_disk_takes_has_an_unfinished_one_that_it_takes_as_well(name: str) -> None:
    """F59."""
    try:
        size = len(os.fsencode(name))
    except UnicodeEncodeError:
        return
    if size <= 255:
        part = part_name(name)
        assert len(os.fsencode(part)) <= 255
        assert part.startswith(".")
        assert part.endswith(PART_SUFFIX)


@pytest.mark.parametrize("letter", ["x", "é", "语", "🙂"])
def test_a_file_with_the_longest_name_is_fetched(serve: Serve, letter: str) -> None:
    """F59: 255 bytes, whatever letters they make."""
    count = (255 - len(".ckpt")) // len(letter.encode())
    name = letter * count + ".ckpt"
    job, server = serve(gives(cut_after=HALF), gives())
    fetched(job.run(mirror(server.url), name=name))
    assert offsets(server.requests) == [0, HALF]
    assert job.names == [name]


def test_long_names_that_begin_alike_have_files_of_their_own() -> None:
    long = "a" * 250
    assert part_name(f"{long}1.pt") != part_name(f"{long}2.pt")


def test_a_name_that_is_too_long_for_the_disk_is_told_before_anything_is_fetched(serve: Serve) -> None:
    """F59."""
    job, server = serve(gives())
    outcome = job.run(mirror(server.url), name="x" * 256 + ".ckpt")
    assert isinstance(outcome, Park)
    assert kind_of(outcome) == "name_too_long"
    assert server.requests == []


# ---- what lies at the name of the unfinished file


def lay_symlink(part: Path, victim: Path) -> None:
    part.symlink_to(victim)


def lay_dangling_link(part: Path, victim: Path) -> None:
    part.symlink_to(victim.with_name("nothing"))


def lay_fifo(part: Path, _victim: Path) -> None:
    os.mkfifo(part)


def lay_folder(part: Path, _victim: Path) -> None:
    part.mkdir()


def lay_socket(part: Path, _victim: Path) -> None:
    os.mknod(part, stat.S_IFSOCK | 0o600)


@pytest.mark.parametrize("lay", [lay_symlink, lay_dangling_link, lay_fifo, lay_folder, lay_socket])
def test_what_is_no_file_at_the_unfinished_name_is_left_alone(
    serve: Serve, tmp_path: Path, lay: Callable[[Path, Path], None]
) -> None:
    """F93."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    job, server = serve(gives())
    lay(job.part(), victim)
    before = untouched(job.part())
    outcome = job.run(mirror(server.url))
    assert isinstance(outcome, Park)
    assert isinstance(outcome.trouble, AskOperator)
    assert kind_of(outcome) == "part_taken"
    assert server.requests == []
    assert untouched(job.part()) == before
    assert victim.read_bytes() == b"precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root", "victim"]


def test_a_hard_link_at_the_unfinished_name_is_not_written_through(serve: Serve, tmp_path: Path) -> None:
    """F93, P1: the name goes, the file it shared stays as it is."""
    victim = tmp_path / "root" / "theirs.safetensors"
    job, server = serve(gives())
    victim.write_bytes(b"precious")
    before = victim.stat()
    os.link(victim, job.part())
    fetched(job.run(mirror(server.url)))
    assert victim.read_bytes() == b"precious"
    after = victim.stat()
    assert (after.st_mtime_ns, after.st_mode, after.st_nlink) == (before.st_mtime_ns, before.st_mode, 1)
    assert job.path().read_bytes() == CONTENT
    assert offsets(server.requests) == [0]


def test_an_unfinished_file_that_vanishes_meanwhile_is_fetched_again(serve: Serve) -> None:
    """P2: what was verified is gone, and nothing else gets its name."""
    hook = Meanwhile()
    job, server = serve(gives(), told=hook)
    hook.do = job.part().unlink
    outcome = job.run(mirror(server.url))
    assert isinstance(outcome, Defer)
    assert kind_of(outcome) == "write_error"
    assert job.names == []
    fetched(job.run(mirror(server.url)))
    assert is_there(job)


@pytest.mark.parametrize("calls", [None, without_links(errno.EPERM)])
def test_an_unfinished_file_that_is_swapped_gives_its_name_to_nobody(
    serve: Serve, calls: Calls | None
) -> None:
    """F94: the file that was verified is the one that gets the name, whatever lies at its own by now."""
    hook = Meanwhile()
    job, server = serve(gives(), told=hook, calls=calls)

    def swap() -> None:
        job.part().unlink()
        job.part().write_bytes(b"not what was verified")

    hook.do = swap
    outcome = job.run(mirror(server.url))
    assert isinstance(outcome, Defer)
    assert kind_of(outcome) == "write_error"
    assert not job.path().exists()


def test_a_download_of_which_nothing_came_leaves_nothing(serve: Serve) -> None:
    job, server = serve(gives(cut_after=0))
    assert kind_of(job.run(mirror(server.url), name="a/b/x.ckpt")) == "cut"
    assert job.names == ["a", "a/b"]


# ---- two at one file


HOLDER = """
import sys
from pathlib import Path
from hashtagd.core.place import Place
from hashtagd.stages.calls import Calls
from hashtagd.stages.part import Part
path = Path(sys.argv[1])
with Part.open(path, Place(root="r", relpath=path.name), Calls()) as part:
    part.append(memoryview(b"theirs"))
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_processes_never_write_one_file(serve: Serve) -> None:
    """P2: the other one is at it; whoever comes second waits."""
    job, server = serve(gives())
    command = [sys.executable, "-c", HOLDER, str(job.path())]
    paths = os.pathsep.join(path for path in sys.path if path)
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": paths}
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        outcome = job.run(mirror(server.url))
        assert isinstance(outcome, Defer)
        assert isinstance(outcome.trouble, TryLater)
        assert kind_of(outcome) == "busy"
        assert server.requests == []
        assert job.part().read_bytes() == b"theirs"
        other.communicate("")
    fetched(job.run(mirror(server.url)))
    assert is_there(job)


def test_whoever_comes_when_the_other_ends_never_writes_into_the_finished_file(tmp_path: Path) -> None:
    """P2: the lock of the unfinished file may be got on a file that has its final name by now."""
    place = Place(root=ROOT, relpath="x.ckpt")
    path = tmp_path / place.relpath

    def other_ends_first(fd: int) -> None:
        if not path.exists():
            with Part.open(path, place, Calls(lock=lambda _fd: None)) as theirs:
                theirs.append(memoryview(CONTENT))
                assert theirs.finish() is not None
        Calls().lock(fd)

    with Part.open(path, place, Calls(lock=other_ends_first)) as part:
        assert part.length_bytes == 0
        part.append(memoryview(b"another file"))
        part.cut_to(0)
    assert path.read_bytes() == CONTENT
    assert [found.name for found in tmp_path.iterdir()] == ["x.ckpt"]


def test_a_name_that_changes_hands_all_the_time_counts_as_busy(tmp_path: Path) -> None:
    """F94."""
    place = Place(root=ROOT, relpath="x.ckpt")
    part = tmp_path / part_name("x.ckpt")

    def swap(_fd: int) -> None:
        part.unlink()
        part.write_bytes(b"another")

    with pytest.raises(BusyError), Part.open(tmp_path / "x.ckpt", place, Calls(lock=swap)):
        pass
    assert part.read_bytes() == b"another"


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_disk_without_locks_is_written_to_all_the_same(serve: Serve, code: int) -> None:
    """F81: some network shares."""

    def lock(_fd: int) -> None:
        raise OSError(code, os.strerror(code))

    job, server = serve(gives(), calls=Calls(lock=lock))
    fetched(job.run(mirror(server.url)))
    assert is_there(job)
