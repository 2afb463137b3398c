"""Calls of the system that replace nothing, and those that some file systems do not offer."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hashtagd.stages import calls
from hashtagd.stages.calls import Calls
from support.untouched import untouched


@pytest.fixture
def folder_fd(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


RENAMES = [
    pytest.param(Calls().rename_new, id="in one call"),
    pytest.param(calls.rename_if_absent, id="where the kernel or the disk knows no such call"),
]


@pytest.mark.parametrize("rename", RENAMES)
def test_a_file_is_renamed_where_nothing_has_the_name(
    tmp_path: Path, folder_fd: int, rename: Callable[[str, str, int], None]
) -> None:
    (tmp_path / "old").write_bytes(b"x")
    rename("old", "new é", folder_fd)
    assert [path.name for path in tmp_path.iterdir()] == ["new é"]


@pytest.mark.parametrize("rename", RENAMES)
@pytest.mark.parametrize("lay", [Path.touch, Path.mkdir, lambda path: path.symlink_to("nothing")])
def test_nothing_that_has_the_name_is_replaced(
    tmp_path: Path,
    folder_fd: int,
    rename: Callable[[str, str, int], None],
    lay: Callable[[Path], None],
) -> None:
    """P6: a link that leads nowhere is something, too."""
    (tmp_path / "old").write_bytes(b"x")
    lay(tmp_path / "new")
    before = untouched(tmp_path / "new")
    with pytest.raises(FileExistsError):
        rename("old", "new", folder_fd)
    assert untouched(tmp_path / "new") == before
    assert (tmp_path / "old").read_bytes() == b"x"


@pytest.mark.parametrize("rename", RENAMES)
def test_a_file_that_is_gone_cannot_be_renamed(
    folder_fd: int, rename: Callable[[str, str, int], None]
) -> None:
    with pytest.raises(FileNotFoundError):
        rename("old", "new", folder_fd)


def test_an_open_file_gets_a_second_name_whatever_lies_at_its_first(tmp_path: Path, folder_fd: int) -> None:
    """F94."""
    (tmp_path / "first").write_bytes(b"verified")
    fd = os.open(tmp_path / "first", os.O_RDONLY)
    (tmp_path / "first").rename(tmp_path / "moved")
    (tmp_path / "first").write_bytes(b"planted")
    Calls().link(fd, "second", folder_fd)
    assert (tmp_path / "second").read_bytes() == b"verified"
    with pytest.raises(FileExistsError):
        Calls().link(fd, "second", folder_fd)
    os.close(fd)


def test_bytes_are_written_at_their_place(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "x", os.O_RDWR | os.O_CREAT)
    assert Calls().write_at(fd, memoryview(b"def"), 3) == 3
    assert Calls().write_at(fd, memoryview(b"abc"), 0) == 3
    os.close(fd)
    assert (tmp_path / "x").read_bytes() == b"abcdef"
