"""Links that lead to a share whose server is gone: a real one, through FUSE, whose server is stopped."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hashtagd.watch.observer import RETRY_S
from hashtagd.watch.reach import Reach
from hashtagd.watch.roots import RootFolder
from support import fuse
from support.safetensors import write
from support.watching import Known, loras, run_scan, watched

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
def share(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """Mount a folder with models through a server."""
    if fuse.WHY_NOT is not None:
        pytest.skip(fuse.WHY_NOT)
    behind, point = tmp_path / "behind", tmp_path / "share"
    write(behind / "far" / "x.safetensors")
    point.mkdir()
    with fuse.mounted(behind, point) as server:
        try:
            yield point, server
        finally:
            server.send_signal(signal.SIGCONT)


def test_what_links_to_a_share_that_is_gone_is_neither_waited_for_nor_forgotten(
    tmp_path: Path, share: tuple[Path, subprocess.Popen[bytes]]
) -> None:
    point, server = share
    root, known = loras(tmp_path / "loras"), Known()
    write(root.path / "near.safetensors")
    (root.path / "folder").symlink_to(point / "far")
    (root.path / "file.safetensors").symlink_to(point / "far" / "x.safetensors")
    everything = ["file.safetensors", "folder/x.safetensors", "near.safetensors"]
    assert run_scan(root, known).words == [f"+{it}" for it in everything]
    server.send_signal(signal.SIGSTOP)
    write(root.path / "new.safetensors")
    scanned = run_scan(root, known)
    assert scanned.words == ["+new.safetensors"]
    assert sorted(trouble.kind for trouble in scanned.report.troubles) == [
        "file_unreadable",
        "folder_unreadable",
    ]
    assert all("ETIMEDOUT" in trouble.what for trouble in scanned.report.troubles)
    server.send_signal(signal.SIGCONT)
    (root.path / "new.safetensors").unlink()
    again = run_scan(root, known)
    assert (again.words, again.report.troubles) == (["-new.safetensors"], [])


def test_a_root_with_a_link_to_a_share_that_is_gone_is_polled_until_it_is_back_and_others_are_watched(
    tmp_path: Path, share: tuple[Path, subprocess.Popen[bytes]]
) -> None:
    point, server = share
    root, other = loras(tmp_path / "loras"), RootFolder(name="other", path=tmp_path / "other")
    other.path.mkdir()
    (root.path / "nas").symlink_to(point)
    server.send_signal(signal.SIGSTOP)
    with watched(root, other) as here:
        assert here.observer.modes() == {"loras": "poll", "other": "events"}
        assert here.observer.troubles()["loras"].kind == "watch_link_silent"
        write(other.path / "x.safetensors")
        here.until(lambda: "x.safetensors" in here.relpaths)
        server.send_signal(signal.SIGCONT)
        here.clock.advance(RETRY_S)
        here.until(lambda: here.observer.modes()["loras"] == "events", tick=True)
        assert here.scan_roots == {"loras"}


@pytest.mark.parametrize("text", ["share", "share/far", "way", "way/far", "../top/way/far/x.safetensors"])
def test_a_link_is_known_to_lead_there_however_it_is_spelled(
    tmp_path: Path, share: tuple[Path, subprocess.Popen[bytes]], text: str
) -> None:
    point, server = share
    top = tmp_path / "top"
    top.mkdir()
    (top / "way").symlink_to(point)
    (tmp_path / "way").symlink_to("top/way")
    (top / "link").symlink_to(text if text.startswith("..") else tmp_path / text)
    assert Reach(top).answers("link")
    server.send_signal(signal.SIGSTOP)
    assert not Reach(top).answers("link")


@pytest.mark.parametrize("text", ["none", "none/at/all", "link", "..", ".", "/", "n" * 300, "other/"])
def test_all_other_links_may_be_followed(tmp_path: Path, text: str) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to(text)
    assert Reach(tmp_path).answers("link")
    assert Reach(tmp_path).answers("gone")
