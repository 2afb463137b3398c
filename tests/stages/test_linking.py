"""A model at another place: the right bytes or nothing, never over a file and never through a link."""

import errno
import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from hashtagd.core.ports import Stopping
from hashtagd.core.troubles import AskOperator, Trouble, TryLater
from hashtagd.stages.calls import Calls
from hashtagd.stages.linking import How, Linker, Order
from hashtagd.stages.no_replace import rename_no_replace
from hashtagd.system.names import clone, link_open
from support.safetensors import lora
from support.serving import TickingPause
from support.stage_fakes import as_nobody, stamp

#: larger than a block, and no whole number of pages
BYTES = lora(1) * 600 + b"end"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "nas" / "ink.safetensors"
    path.parent.mkdir()
    path.write_bytes(BYTES)
    path.chmod(0o640)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "loras"
    path.mkdir()
    return path


@pytest.fixture
def other_disk() -> Iterator[Path]:
    """A folder on a file system of its own."""
    shared = Path("/dev/shm")  # noqa: S108 - a file system of its own is what is wanted
    if not os.access(shared, os.W_OK):
        pytest.skip("there is no second file system")
    with tempfile.TemporaryDirectory(dir=shared) as name:
        yield Path(name)


def refused(code: int) -> Callable[..., Any]:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    return refuse


def linker(**changes: Any) -> Linker:
    numbers = count()
    return Linker(**{
        "hard_links": True,
        "token": lambda: f"t{next(numbers)}",
        "pause": TickingPause(),
        "clone": refused(errno.EOPNOTSUPP),
        **changes,
    })  # fmt: skip


def order(source: Path, root: Path, relpath: str = "styles/deep/ink.safetensors", **changes: Any) -> Order:
    facts = {"stamp": stamp(source), "sha256": hashlib.sha256(source.read_bytes()).hexdigest()}
    return Order(source=source, root=root, relpath=relpath, **{**facts, **changes})


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def test_a_hard_link_is_the_same_file_and_changes_nothing_of_it(source: Path, root: Path) -> None:
    """P1."""
    before = source.stat()
    assert linker().make(order(source, root)) is How.LINKED
    made = root / "styles/deep/ink.safetensors"
    after = source.stat()
    assert made.samefile(source)
    assert (after.st_mode, after.st_mtime_ns, after.st_size) == (
        before.st_mode,
        before.st_mtime_ns,
        before.st_size,
    )
    assert names(root) == ["styles/deep/ink.safetensors"]


def test_a_name_that_is_a_link_leads_to_a_hard_link_of_the_file_itself(source: Path, root: Path) -> None:
    (root / "alias.safetensors").symlink_to(source)
    assert linker().make(order(root / "alias.safetensors", root)) is How.LINKED
    made = root / "styles/deep/ink.safetensors"
    assert not made.is_symlink()
    assert made.samefile(source)


def test_on_another_disk_it_is_copied_and_verified(source: Path, other_disk: Path) -> None:
    done: list[int] = []
    assert linker().make(order(source, other_disk), done.append) is How.COPIED
    made = other_disk / "styles/deep/ink.safetensors"
    assert made.read_bytes() == BYTES
    assert stat.S_IMODE(made.stat().st_mode) == 0o640
    assert done == sorted(done)
    assert done[-1] == len(BYTES)
    assert names(other_disk) == ["styles/deep/ink.safetensors"]


def test_an_owner_who_wants_no_links_gets_bytes_of_their_own(source: Path, root: Path) -> None:
    assert linker(hard_links=False).make(order(source, root, "ink.safetensors")) is How.COPIED
    assert (root / "ink.safetensors").read_bytes() == BYTES
    assert not (root / "ink.safetensors").samefile(source)


def test_a_file_system_that_shares_bytes_is_made_use_of(source: Path, root: Path) -> None:
    def share(source_fd: int, target_fd: int) -> None:
        os.sendfile(target_fd, source_fd, 0, len(BYTES))

    assert linker(hard_links=False, clone=share).make(order(source, root)) is How.CLONED
    assert (root / "styles/deep/ink.safetensors").read_bytes() == BYTES


def test_the_real_clone_works_or_is_refused_and_then_copied(source: Path, root: Path) -> None:
    assert linker(hard_links=False, clone=clone).make(order(source, root)) in (How.CLONED, How.COPIED)
    assert (root / "styles/deep/ink.safetensors").read_bytes() == BYTES


@pytest.mark.parametrize("code", [errno.EPERM, errno.EMLINK, errno.ENOENT, errno.EOPNOTSUPP])
def test_where_links_are_not_offered_it_is_copied(source: Path, root: Path, code: int) -> None:
    assert linker(link=refused(code)).make(order(source, root)) is How.COPIED


@pytest.mark.parametrize("ways", [{}, {"hard_links": False}, {"hard_links": False, "rename": "taken"}])
def test_an_existing_file_is_never_replaced(source: Path, root: Path, ways: dict[str, Any]) -> None:
    """P6. Also one that comes to lie there at the last moment."""
    taken = root / "ink.safetensors"

    def rename(old: str, new: str, folder_fd: int) -> None:
        taken.write_bytes(b"theirs")
        rename_no_replace(old, new, folder_fd)

    if ways.pop("rename", None):
        ways = {**ways, "calls": Calls(rename=rename)}
    else:
        taken.write_bytes(b"theirs")
    with pytest.raises(AskOperator) as told:
        linker(**ways).make(order(source, root, "ink.safetensors"))
    assert told.value.kind == "occupied"
    assert taken.read_bytes() == b"theirs"
    assert names(root) == ["ink.safetensors"]


def test_a_file_that_comes_before_the_link_wins(source: Path, root: Path) -> None:
    def late(fd: int, name: str, folder_fd: int) -> None:
        (root / name).write_bytes(b"theirs")
        link_open(fd, name, folder_fd)

    with pytest.raises(AskOperator, match="another file"):
        linker(link=late).make(order(source, root, "ink.safetensors"))
    assert (root / "ink.safetensors").read_bytes() == b"theirs"


@pytest.mark.parametrize("kind", ["link to nowhere", "folder"])
def test_whatever_has_the_name_stays(source: Path, root: Path, kind: str) -> None:
    """F93."""
    victim, taken = root.parent / "victim", root / "ink.safetensors"
    if kind == "folder":
        taken.mkdir()
    else:
        taken.symlink_to(victim)
    with pytest.raises(AskOperator, match="another file"):
        linker().make(order(source, root, "ink.safetensors"))
    assert not victim.exists()


def test_a_link_that_leads_out_of_the_root_is_not_followed(source: Path, root: Path) -> None:
    """F94."""
    outside = root.parent / "outside"
    outside.mkdir()
    (root / "styles").symlink_to(outside)
    with pytest.raises(AskOperator) as told:
        linker().make(order(source, root))
    assert told.value.kind == "outside_root"
    assert names(outside) == []


def test_a_link_to_another_folder_of_the_root_is_an_ordinary_way(source: Path, root: Path) -> None:
    (root / "all").mkdir()
    (root / "styles").symlink_to("all")
    linker().make(order(source, root))
    assert names(root) == ["all/deep/ink.safetensors"]


def test_a_folder_that_is_swapped_for_a_link_on_the_way_is_not_entered(source: Path, root: Path) -> None:
    """F94."""
    outside = root.parent / "outside"
    (outside / "deep").mkdir(parents=True)
    (root / "styles").mkdir()

    def swap(_fd: int) -> None:
        (root / "styles").rename(root / "before")
        (root / "styles").symlink_to(outside)
        (root / "before" / "deep").rmdir()
        (root / "before" / "deep").symlink_to(outside / "deep")

    with pytest.raises(AskOperator) as told:
        linker(calls=Calls(rename=rename_no_replace, fsync=swap)).make(order(source, root))
    assert told.value.kind == "no_folder"
    assert names(outside) == []


@pytest.mark.parametrize("change", ["grown", "touched", "gone", "fifo"])
def test_a_source_that_is_not_what_was_hashed_is_left_alone(source: Path, root: Path, change: str) -> None:
    wanted = order(source, root)
    if change == "grown":
        source.write_bytes(BYTES + b"x")
    elif change == "touched":
        os.utime(source, ns=(0, 1))
    else:
        source.unlink()
    if change == "fifo":
        os.mkfifo(source)
    with pytest.raises(Trouble) as told:
        linker().make(wanted)
    assert told.value.kind == "source_changed"
    assert names(root) == []


def test_bytes_that_rotted_without_a_sign_are_not_copied(source: Path, root: Path) -> None:
    """P5."""
    with pytest.raises(Trouble) as told:
        linker(hard_links=False).make(order(source, root, sha256="00" * 32))
    assert told.value.kind == "source_changed"
    assert names(root) == []


def test_a_source_that_changes_while_it_is_copied_is_not_kept(source: Path, root: Path) -> None:
    def write(fd: int, data: memoryview) -> int:
        os.utime(source, ns=(5, 5))
        return os.write(fd, data)

    calls = Calls(rename=rename_no_replace, write=write)
    with pytest.raises(Trouble) as told:
        linker(hard_links=False, calls=calls).make(order(source, root))
    assert told.value.kind == "source_changed"
    assert names(root) == []


def test_a_source_that_is_cut_while_it_is_copied_is_not_kept(source: Path, root: Path) -> None:
    def write(fd: int, data: memoryview) -> int:
        os.truncate(source, 100)
        return os.write(fd, data)

    source.write_bytes(bytes(20 << 20))
    calls = Calls(rename=rename_no_replace, write=write)
    with pytest.raises(Trouble) as told:
        linker(hard_links=False, calls=calls).make(order(source, root))
    assert told.value.kind == "source_changed"
    assert names(root) == []


def test_a_stop_leaves_nothing(source: Path, root: Path) -> None:
    with pytest.raises(Stopping):
        linker(hard_links=False, pause=TickingPause(stopping=True)).make(order(source, root))
    assert names(root) == []


def test_short_writes_are_continued(source: Path, root: Path) -> None:
    """F81."""
    calls = Calls(rename=rename_no_replace, write=lambda fd, data: os.write(fd, data[: len(data) // 2 + 1]))
    linker(hard_links=False, calls=calls).make(order(source, root))
    assert (root / "styles/deep/ink.safetensors").read_bytes() == BYTES


@pytest.mark.parametrize(
    "code,kind",
    [
        (errno.ENOSPC, "disk_full"),
        (errno.EDQUOT, "disk_full"),
        (errno.EIO, "write_error"),
        (errno.EROFS, "no_permission"),
    ],
)
def test_a_disk_that_refuses_leaves_nothing_half_made(source: Path, root: Path, code: int, kind: str) -> None:
    """F78."""
    calls = Calls(rename=rename_no_replace, write=refused(code))
    with pytest.raises(Trouble) as told:
        linker(hard_links=False, calls=calls).make(order(source, root))
    assert told.value.kind == kind
    assert isinstance(told.value, TryLater) == (kind == "write_error")
    assert names(root) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_full_disk_at_the_link_is_not_answered_with_a_copy(source: Path, root: Path, code: int) -> None:
    with pytest.raises(Trouble):
        linker(link=refused(code)).make(order(source, root))
    assert names(root) == []


def test_a_folder_that_may_not_be_written_to_is_a_matter_for_a_person(public_folder: Path) -> None:
    source, root = public_folder / "ink.safetensors", public_folder / "loras"
    source.write_bytes(BYTES)
    root.mkdir(mode=0o755)
    wanted = order(source, root)
    with as_nobody(), pytest.raises(AskOperator) as told:
        linker().make(wanted)
    assert told.value.kind == "no_permission"
    assert names(root) == []


def test_a_part_of_the_path_that_is_a_file_and_a_name_that_is_too_long_are_named(
    source: Path, root: Path
) -> None:
    (root / "styles").write_bytes(b"")
    for relpath, kind in (("styles/x.safetensors", "no_folder"), ("x" * 300, "name_too_long")):
        with pytest.raises(AskOperator) as told:
            linker().make(order(source, root, relpath))
        assert told.value.kind == kind


def test_what_other_users_may_read_does_not_depend_on_the_umask(source: Path, root: Path) -> None:
    source.chmod(0o755)
    old = os.umask(0o077)
    try:
        linker(hard_links=False).make(order(source, root, "ink.safetensors"))
    finally:
        os.umask(old)
    assert stat.S_IMODE((root / "ink.safetensors").stat().st_mode) == 0o644


# ---- the last step


def test_a_rename_moves_a_file_only_to_a_name_that_nothing_has(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        (tmp_path / "old").write_bytes(b"ours")
        rename_no_replace("old", "new 🦊", fd)
        (tmp_path / "old").write_bytes(b"second")
        with pytest.raises(FileExistsError):
            rename_no_replace("old", "new 🦊", fd)
        with pytest.raises(FileNotFoundError):
            rename_no_replace("gone", "other", fd)
    finally:
        os.close(fd)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "old": b"second",
        "new 🦊": b"ours",
    }


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOSYS])
def test_where_the_file_system_cannot_rename_so_nothing_is_replaced_either(tmp_path: Path, code: int) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        (tmp_path / "old").write_bytes(b"ours")
        rename_no_replace("old", "new", fd, refused(code))
        (tmp_path / "old").write_bytes(b"second")
        with pytest.raises(FileExistsError):
            rename_no_replace("old", "new", fd, refused(code))
        with pytest.raises(OSError, match="Input/output"):
            rename_no_replace("old", "other", fd, refused(errno.EIO))
    finally:
        os.close(fd)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"old": b"second", "new": b"ours"}


def test_the_copy_of_a_whole_library_is_the_same_library(tmp_path: Path, root: Path) -> None:
    made = linker(hard_links=False)
    contents = {f"{number % 3}/{number}.safetensors": lora(number) for number in range(30)}
    for name, content in contents.items():
        path = tmp_path / "from" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        made.make(order(path, root, name))
    shutil.rmtree(tmp_path / "from")
    assert {name: (root / name).read_bytes() for name in names(root)} == contents


DIES = """
import os, sys
from itertools import count
from pathlib import Path
from hashtagd.core.place import Stamp
from hashtagd.service.clock import StopPause
from hashtagd.stages.calls import Calls
from hashtagd.stages.linking import Linker, Order
from hashtagd.system.names import link_open
from hashtagd.stages.no_replace import rename_no_replace

source, root, sha256, links, last = sys.argv[1:]
calls = count(1)

def mortal(call):
    def made(*words):
        if next(calls) == int(last):
            os._exit(9)
        return call(*words)
    return made

found = Path(source).stat()
Linker(
    hard_links=links == "links",
    token=lambda: os.urandom(8).hex(),
    pause=StopPause(),
    calls=Calls(
        write=mortal(lambda fd, data: os.write(fd, data[:5_000_000])),
        fsync=mortal(os.fsync),
        chmod=mortal(os.fchmod),
        rename=mortal(rename_no_replace),
    ),
    link=mortal(link_open),
).make(
    Order(
        source=Path(source),
        stamp=Stamp(size_bytes=found.st_size, mtime_ns=found.st_mtime_ns, inode=found.st_ino),
        sha256=sha256,
        root=Path(root),
        relpath="styles/deep/ink.safetensors",
    )
)
"""


@pytest.mark.slow
@pytest.mark.parametrize("ways,calls", [("links", 4), ("copies", 9)])
def test_killed_at_any_call_there_is_the_whole_file_or_none(
    source: Path, root: Path, ways: str, calls: int
) -> None:
    """P2."""
    sha256, made = hashlib.sha256(BYTES).hexdigest(), root / "styles/deep/ink.safetensors"
    before = (stamp(source), source.stat().st_mode)
    for last in range(1, 100):
        words = [sys.executable, "-c", DIES, str(source), str(root), sha256, ways, str(last)]
        done = subprocess.run(words, check=False, capture_output=True, text=True)
        assert (stamp(source), source.stat().st_mode) == before
        if made.exists():
            assert made.read_bytes() == BYTES
        others = {Path(name).name for name in names(root)} - {made.name}
        assert all(name.startswith(".hashtagd-") for name in others)
        shutil.rmtree(root / "styles", ignore_errors=True)
        if done.returncode != 9:
            break
    assert (done.returncode, done.stderr) == (0, "")
    assert last == calls + 1
