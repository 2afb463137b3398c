"""A share whose server is gone, linked or mounted in a root: a real one, through FUSE, stopped."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hashtagd.core.place import Place
from hashtagd.core.troubles import Scope, Trouble
from hashtagd.watch.observer import RETRY_S
from hashtagd.watch.reach import Reach, folders_below
from hashtagd.watch.roots import RootFolder, Roots
from support import fuse
from support.daemon_process import until
from support.safetensors import write
from support.watching import Known, loras, run_scan, watched

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@contextmanager
def shared(behind: Path, point: Path) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """Mount a folder with models through a server."""
    if fuse.WHY_NOT is not None:
        pytest.skip(fuse.WHY_NOT)
    write(behind / "far" / "x.safetensors")
    point.mkdir(parents=True)
    with fuse.mounted(behind, point) as server:
        yield point, server


def answers(root: RootFolder, known: Known) -> bool:
    """Tell whether a scan meets no trouble; nothing that is known may be new to it, or missing."""
    scanned = run_scan(root, known)
    assert scanned.words == []
    return not scanned.report.troubles


def is_located(roots: Roots, place: Place) -> bool:
    """Tell whether a lane is led to a place."""
    try:
        return roots.locate(place).exists()
    except Trouble:
        return False


@pytest.fixture
def share(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """Mount it beside the roots."""
    with shared(tmp_path / "behind", tmp_path / "share") as it:
        yield it


@pytest.fixture
def inner(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """Mount it inside a root."""
    with shared(tmp_path / "behind", tmp_path / "loras" / "nas") as it:
        yield it


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
    assert run_scan(root, known).words == ["-new.safetensors"]
    until(lambda: answers(root, known))


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
        assert here.observer.troubles()["loras"].kind == "watch_silent"
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


def test_what_is_mounted_in_a_root_and_gone_is_neither_waited_for_nor_forgotten(
    tmp_path: Path, inner: tuple[Path, subprocess.Popen[bytes]]
) -> None:
    _, server = inner
    root, known = loras(tmp_path / "loras"), Known()
    write(root.path / "near.safetensors")
    assert run_scan(root, known).words == ["+nas/far/x.safetensors", "+near.safetensors"]
    server.send_signal(signal.SIGSTOP)
    write(root.path / "other" / "new.safetensors")
    scanned = run_scan(root, known)
    assert scanned.words == ["+other/new.safetensors"]
    assert ["ETIMEDOUT" in trouble.what for trouble in scanned.report.troubles] == [True]
    # those whose watches are counted: the root, and the one beside what is mounted
    assert set(folders_below(str(root.path))) == {
        path.stat().st_ino for path in (root.path, root.path / "other")
    }
    server.send_signal(signal.SIGCONT)
    until(lambda: answers(root, known))


def test_a_root_in_which_a_share_is_mounted_that_is_gone_is_polled_until_it_is_back(
    tmp_path: Path, inner: tuple[Path, subprocess.Popen[bytes]]
) -> None:
    _, server = inner
    root, other = loras(tmp_path / "loras"), RootFolder(name="other", path=tmp_path / "other")
    other.path.mkdir()
    server.send_signal(signal.SIGSTOP)
    with watched(root, other) as here:
        assert here.observer.modes() == {"loras": "poll", "other": "events"}
        assert here.observer.troubles()["loras"].what.startswith("nas in root loras lies on a disk")
        server.send_signal(signal.SIGCONT)
        here.clock.advance(RETRY_S)
        here.until(lambda: here.observer.modes()["loras"] == "events", tick=True)
        write(root.path / "near.safetensors")
        here.until(lambda: "near.safetensors" in here.relpaths)


@pytest.mark.parametrize("rules", [{"exclude": ("nas/**",)}, {"follow_symlinks": False}])
def test_a_link_that_nobody_is_to_follow_holds_up_no_watch_either(
    tmp_path: Path, share: tuple[Path, subprocess.Popen[bytes]], rules: dict[str, Any]
) -> None:
    """Whoever walks for the watches looks at what every link leads to."""
    point, server = share
    root = RootFolder(name="loras", path=tmp_path / "loras", **rules)
    root.path.mkdir()
    (root.path / "nas").symlink_to(point / "far")
    server.send_signal(signal.SIGSTOP)
    with watched(root) as here:
        assert here.observer.modes() == {"loras": "poll"}
        server.send_signal(signal.SIGCONT)
        here.clock.advance(RETRY_S)
        here.until(lambda: here.observer.modes()["loras"] == "events", tick=True)


def test_a_link_that_is_made_to_what_does_not_answer_holds_up_no_hint(
    tmp_path: Path, share: tuple[Path, subprocess.Popen[bytes]]
) -> None:
    point, server = share
    root = loras(tmp_path / "loras")
    with watched(root) as here:
        server.send_signal(signal.SIGSTOP)
        (root.path / "nas").symlink_to(point / "far")
        write(root.path / "near.safetensors")
        here.until(lambda: "near.safetensors" in here.relpaths)


@pytest.mark.parametrize("relpath", ["nas/x.safetensors", "link.safetensors", "mounted/far/x.safetensors"])
def test_no_lane_is_led_to_what_does_not_answer(tmp_path: Path, relpath: str) -> None:
    """It works on the other files of the root meanwhile."""
    root = loras(tmp_path / "loras")
    near = write(root.path / "near.safetensors")
    with shared(tmp_path / "behind", root.path / "mounted") as (point, server):
        (root.path / "nas").symlink_to(point / "far")
        (root.path / "link.safetensors").symlink_to("nas/x.safetensors")
        roots, far = Roots([root]), Place(root="loras", relpath=relpath)
        assert roots.locate(far).read_bytes() == (tmp_path / "behind" / "far" / "x.safetensors").read_bytes()
        server.send_signal(signal.SIGSTOP)
        with pytest.raises(Trouble) as caught:
            Roots([root]).locate(far)
        assert (caught.value.scope, caught.value.kind) == (Scope.FILE, "place_silent")
        assert Roots([root]).locate(Place(root="loras", relpath="near.safetensors")) == near
        server.send_signal(signal.SIGCONT)
        until(lambda: is_located(roots, far))
