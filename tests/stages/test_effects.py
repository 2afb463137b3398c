"""Whole files or nothing: what happens between a prepared file and its final name."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from hashtagd.stages.calls import Calls
from hashtagd.stages.effects import Folder, sidecar_mode, sweep_temporary
from hashtagd.stages.looks import Content, Here
from hashtagd.watch.roots import MARKER_NAME
from support.publish_fakes import before_renames


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def open_folder(stack: ExitStack, path: Path, calls: Calls | None = None) -> Folder:
    numbers = count()
    return stack.enter_context(Folder.open(path, token=lambda: f"t{next(numbers)}", calls=calls))


def failing_fsync(code: int, times: int) -> Calls:
    """Let the first calls of `fsync` fail."""
    left = iter([code] * times)

    def fsync(fd: int) -> None:
        failure = next(left, None)
        if failure is not None:
            raise OSError(failure, os.strerror(failure))
        os.fsync(fd)

    return Calls(fsync=fsync)


def test_a_committed_file_is_whole_and_leaves_nothing_else(tmp_path: Path, stack: ExitStack) -> None:
    """P2."""
    prepared = open_folder(stack, tmp_path).prepare("x.json", b"{}", mode=0o640, instead_of=None)
    assert [path.name for path in tmp_path.iterdir()] == [".hashtagd-t0"]
    assert prepared.commit()
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
    assert (tmp_path / "x.json").read_bytes() == b"{}"


def test_a_sidecar_is_readable_by_the_models_readers_whatever_the_umask(
    tmp_path: Path, stack: ExitStack
) -> None:
    old = os.umask(0o077)
    try:
        open_folder(stack, tmp_path).prepare("x", b"", mode=sidecar_mode(0o100775), instead_of=None).commit()
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o664
    assert sidecar_mode(0o100444) == 0o644


def test_what_is_not_committed_is_dropped_with_the_folder(tmp_path: Path) -> None:
    with ExitStack() as stack:
        open_folder(stack, tmp_path).prepare("x", b"1", mode=0o600, instead_of=None)
    assert list(tmp_path.iterdir()) == []


def test_a_discarded_file_leaves_the_old_one(tmp_path: Path, stack: ExitStack) -> None:
    (tmp_path / "x").write_bytes(b"old")
    folder = open_folder(stack, tmp_path)
    prepared = folder.prepare("x", b"new", mode=0o600, instead_of=folder.here("x"))
    prepared.discard()
    prepared.discard()
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"old"


@pytest.mark.parametrize("before", [None, b"old"])
def test_what_somebody_put_there_meanwhile_wins(
    tmp_path: Path, stack: ExitStack, before: bytes | None
) -> None:
    """P6."""
    if before is not None:
        (tmp_path / "x").write_bytes(before)
    folder = open_folder(stack, tmp_path)
    prepared = folder.prepare("x", b"ours", mode=0o600, instead_of=folder.here("x"))
    (tmp_path / "x").write_bytes(b"theirs")
    assert not prepared.commit()
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"theirs"


def test_a_short_write_is_continued(tmp_path: Path, stack: ExitStack) -> None:
    """F81."""
    calls = Calls(write=lambda fd, data: os.write(fd, data[:3]))
    open_folder(stack, tmp_path, calls).prepare("x", b"0123456789", mode=0o600, instead_of=None).commit()
    assert (tmp_path / "x").read_bytes() == b"0123456789"


def test_after_a_failed_flush_the_content_is_written_anew_to_another_file(
    tmp_path: Path, stack: ExitStack
) -> None:
    """F80."""
    folder = open_folder(stack, tmp_path, failing_fsync(errno.EIO, 1))
    prepared = folder.prepare("x", b"whole", mode=0o600, instead_of=None)
    assert [path.name for path in tmp_path.iterdir()] == [".hashtagd-t1"]
    assert prepared.commit()
    assert (tmp_path / "x").read_bytes() == b"whole"


def test_after_two_failed_flushes_nothing_is_left(tmp_path: Path, stack: ExitStack) -> None:
    """F80."""
    folder = open_folder(stack, tmp_path, failing_fsync(errno.EIO, 2))
    with pytest.raises(OSError, match="Input/output"):
        folder.prepare("x", b"whole", mode=0o600, instead_of=None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_without_flush_or_modes_is_good_enough(
    tmp_path: Path, stack: ExitStack, code: int
) -> None:
    """F81."""

    def unsupported(*_: int) -> None:
        raise OSError(code, os.strerror(code))

    folder = open_folder(stack, tmp_path, Calls(fsync=unsupported, chmod=unsupported))
    assert folder.prepare("x", b"1", mode=0o644, instead_of=None).commit()


def test_a_planted_temporary_name_is_never_opened(tmp_path: Path, stack: ExitStack) -> None:
    """F93."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / ".hashtagd-t0").symlink_to(victim)
    (tmp_path / ".hashtagd-t1").hardlink_to(victim)
    folder = open_folder(stack, tmp_path)
    for _ in range(2):
        with pytest.raises(FileExistsError):
            folder.prepare("x", b"evil", mode=0o600, instead_of=None)
    assert victim.read_bytes() == b"precious"
    assert (tmp_path / ".hashtagd-t0").is_symlink()


def test_a_folder_that_is_a_link_is_not_opened(tmp_path: Path, stack: ExitStack) -> None:
    """F94."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(OSError, match="link leads away"):
        open_folder(stack, tmp_path / "link")


def test_a_folder_swapped_for_a_link_leads_nowhere(tmp_path: Path, stack: ExitStack) -> None:
    """F94."""
    (tmp_path / "models").mkdir()
    (tmp_path / "victim").mkdir()
    folder = open_folder(stack, tmp_path / "models")
    prepared = folder.prepare("x", b"1", mode=0o600, instead_of=None)
    (tmp_path / "models").rename(tmp_path / "moved")
    (tmp_path / "models").symlink_to("victim")
    assert prepared.commit()
    assert list((tmp_path / "victim").iterdir()) == []
    assert (tmp_path / "moved" / "x").exists()


def test_a_link_a_fifo_and_a_folder_are_seen_but_never_read(tmp_path: Path, stack: ExitStack) -> None:
    (tmp_path / "target").write_bytes(b"secret")
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    folder = open_folder(stack, tmp_path)
    for name in ("link", "fifo", "folder"):
        assert isinstance(folder.read(name, 100), Here)
    assert folder.read("nothing", 100) is None


def test_a_file_beyond_the_limit_is_not_read_whole(tmp_path: Path, stack: ExitStack) -> None:
    """P10."""
    (tmp_path / "x").write_bytes(b"12345")
    folder = open_folder(stack, tmp_path)
    content, over = folder.read("x", 5), folder.read("x", 4)
    assert isinstance(content, Content)
    assert content.data == b"12345"
    assert isinstance(over, Content)
    assert over.data is None


def test_only_old_files_of_our_own_name_space_are_swept(tmp_path: Path, stack: ExitStack) -> None:
    """F87."""
    for name in (".hashtagd-old", ".hashtagd-young", ".other-old", "x.hashtagd-old"):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (1_000, 1_000))
    os.utime(tmp_path / ".hashtagd-young", (9_000, 9_000))
    folder = open_folder(stack, tmp_path)
    assert sweep_temporary(folder, folder.names(), older_than_s=5_000) == 1
    assert {path.name for path in tmp_path.iterdir()} == {".hashtagd-young", ".other-old", "x.hashtagd-old"}


def test_the_marker_of_a_root_is_not_swept_however_old(tmp_path: Path, stack: ExitStack) -> None:
    """F87."""
    for name in (MARKER_NAME, f"{MARKER_NAME}x"):
        (tmp_path / name).write_text("which library this is")
        os.utime(tmp_path / name, (1_000, 1_000))
    folder = open_folder(stack, tmp_path)
    assert sweep_temporary(folder, folder.names(), older_than_s=5_000) == 1
    assert [path.name for path in tmp_path.iterdir()] == [MARKER_NAME]


# ---- what others do at the very moment


def one_after_another(*acts: Callable[[], object]) -> Calls:
    """Let these happen, one before each call that renames."""
    left = iter(acts)
    return before_renames(lambda: (next(left, lambda: None)(), None)[1])


@pytest.mark.parametrize("before", [None, b"old"])
def test_what_somebody_puts_there_at_the_moment_of_the_rename_stays(
    tmp_path: Path, stack: ExitStack, before: bytes | None
) -> None:
    """P6."""
    at = tmp_path / "x"
    if before is not None:
        at.write_bytes(before)
    folder = open_folder(stack, tmp_path, one_after_another(lambda: at.write_bytes(b"theirs")))
    prepared = folder.prepare("x", b"ours", mode=0o600, instead_of=folder.here("x"))
    assert not prepared.commit()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"x": b"theirs"}


def test_what_somebody_puts_there_while_theirs_goes_back_stays(tmp_path: Path, stack: ExitStack) -> None:
    """P6. It is newer than what was to go back."""
    at = tmp_path / "x"
    at.write_bytes(b"old")
    calls = one_after_another(lambda: put(at, b"theirs"), lambda: put(at, b"theirs, newer"))
    folder = open_folder(stack, tmp_path, calls)
    assert not folder.prepare("x", b"ours", mode=0o600, instead_of=folder.here("x")).commit()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"x": b"theirs, newer"}


@pytest.mark.parametrize("before", [None, b"old"])
def test_what_somebody_takes_away_or_makes_a_folder_at_that_moment_is_no_error(
    tmp_path: Path, stack: ExitStack, before: bytes | None
) -> None:
    at = tmp_path / "x"

    def turn() -> None:
        at.unlink(missing_ok=True)
        at.mkdir()

    for act, wanted in ((lambda: at.unlink(missing_ok=True), before is None), (turn, False)):
        if before is not None:
            at.write_bytes(before)
        folder = open_folder(stack, tmp_path, one_after_another(act))
        done = folder.prepare("x", b"ours", mode=0o600, instead_of=folder.here("x")).commit()
        assert done is wanted
        assert [path.name for path in tmp_path.iterdir()] == (["x"] if done or act is turn else [])
        if done:
            at.unlink()


def test_only_what_was_seen_is_removed(tmp_path: Path, stack: ExitStack) -> None:
    """P6."""
    at = tmp_path / "x"
    for acts, left in (
        ([], None),
        ([lambda: put(at, b"theirs")], b"theirs"),
        ([lambda: put(at, b"theirs"), lambda: put(at, b"theirs, newer")], b"theirs, newer"),
        ([at.unlink], None),
    ):
        at.write_bytes(b"ours")
        folder = open_folder(stack, tmp_path, one_after_another(*acts))
        seen = folder.here("x")
        assert seen is not None
        assert folder.remove_if("x", seen) is not bool(acts)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == ({"x": left} if left else {})
    at.write_bytes(b"another")
    assert not folder.remove_if("x", seen)
    assert at.read_bytes() == b"another"


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOSYS, errno.ENOTSUP])
def test_a_file_system_without_such_renames_is_good_enough(
    tmp_path: Path, stack: ExitStack, code: int
) -> None:
    """F81."""

    def unsupported(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    folder = open_folder(stack, tmp_path, Calls(rename_new=unsupported, exchange=unsupported))
    for content in (b"one", b"two"):
        assert folder.prepare("x", content, mode=0o600, instead_of=folder.here("x")).commit()
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"x": content}
    seen = folder.here("x")
    assert seen is not None
    assert folder.remove_if("x", seen)
    assert list(tmp_path.iterdir()) == []


def put(path: Path, content: bytes) -> None:
    """Write as careful programs do: a new file over the name."""
    temporary = path.with_name("theirs.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
