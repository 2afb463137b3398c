"""Folders below a trusted one: opened, made and removed without ever following a link."""

import errno
import os
from pathlib import Path

import pytest

from hashtagd.stages.descent import make_below, open_below, remove_empty_below


def names_in(fd: int) -> list[str]:
    try:
        return sorted(os.listdir(fd))
    finally:
        os.close(fd)


def test_a_folder_is_opened_step_by_step(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x").touch()
    assert names_in(open_below(tmp_path, ("a", "b"))) == ["x"]
    assert names_in(open_below(tmp_path, ())) == ["a"]
    with pytest.raises(FileNotFoundError):
        open_below(tmp_path, ("a", "c"))
    with pytest.raises(NotADirectoryError):
        open_below(tmp_path, ("a", "b", "x"))


@pytest.mark.parametrize("parts", [("link",), ("link", "b"), ("a", "link"), ("a", "link", "c")])
def test_a_link_anywhere_on_the_way_is_refused(tmp_path: Path, parts: tuple[str, ...]) -> None:
    """F94."""
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "a" / "link").symlink_to("b")
    for call in (
        lambda: open_below(tmp_path, parts),
        lambda: make_below(tmp_path, (*parts, "new"), mode=0o700, made=os.fsync),
    ):
        with pytest.raises(OSError, match="link leads away") as caught:
            call()
        assert caught.value.errno == errno.ELOOP
    assert remove_empty_below(tmp_path, (*parts, "c")) == 0
    assert (tmp_path / "a" / "b" / "c").is_dir()
    assert not list(tmp_path.rglob("new"))


def test_missing_folders_are_made_with_their_mode_and_flushed(tmp_path: Path) -> None:
    flushed: list[Path] = []
    old = os.umask(0o077)
    try:
        for _ in range(2):
            fd = make_below(
                tmp_path / "tree",
                ("a", "b"),
                mode=0o751,
                made=lambda fd: flushed.append(Path(f"/proc/self/fd/{fd}").readlink()),
            )
            assert names_in(fd) == []
    finally:
        os.umask(old)
    made = [tmp_path / "tree", tmp_path / "tree" / "a", tmp_path / "tree" / "a" / "b"]
    assert [path.stat().st_mode & 0o777 for path in made] == [0o751] * 3
    assert flushed == [path.parent for path in made]
    with pytest.raises(FileNotFoundError):
        make_below(tmp_path / "away" / "tree", (), mode=0o700, made=os.fsync)


def test_only_empty_folders_are_removed_and_never_the_top(tmp_path: Path) -> None:
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    (tmp_path / "a" / "x").touch()
    assert remove_empty_below(tmp_path, ("a", "b", "c")) == 2
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["x"]
    (tmp_path / "a" / "x").unlink()
    assert remove_empty_below(tmp_path, ("a",)) == 1
    assert tmp_path.is_dir()
