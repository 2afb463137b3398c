"""Limits, mounts and overflows: these tests change what all processes share, so each runs alone."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from hashtagd.core.troubles import AskOperator, TryLater
from hashtagd.watch.observer import RETRY_S
from hashtagd.watch.roots import Change
from hashtagd.watch.watcher import LIMITS
from support.safetensors import write
from support.watching import Known, loras, run_scan, watched

pytestmark = pytest.mark.alone


#: more than any reader keeps up with
_MOST_FILES = 50_000


@contextmanager
def limit(name: str, value: int) -> Iterator[None]:
    """Set a limit of inotify for the block; skips aloud where that is not allowed."""
    path = LIMITS / name
    before = path.read_text()
    try:
        path.write_text(str(value))
    except OSError as error:
        pytest.skip(f"may not set {path.name}: {error.strerror}")
    try:
        yield
    finally:
        path.write_text(before)


@contextmanager
def mounted(folder: Path) -> Iterator[None]:
    """Mount an empty file system in memory; skips aloud where that is not allowed."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "hashtagd-test", str(folder)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"may not mount: {done.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)


def test_an_overflow_of_the_kernels_queue_means_a_scan_that_finds_all(tmp_path: Path) -> None:
    """F01."""
    root, known = loras(tmp_path / "loras"), Known()
    with limit("max_queued_events", 16), watched(root) as here:
        files = 0
        # who reads the queue may keep up for a while
        while here.observer.overflows == 0 and files < _MOST_FILES:
            for number in range(files, files + 500):
                (root.path / f"{number}.safetensors").touch()
            files += 500
        here.until(lambda: here.scan_roots == {"loras"}, tick=True)
        assert here.observer.overflows >= 1
        assert len(run_scan(root, known).words) == files
        here.forget()
        write(root.path / "after.safetensors")
        here.until(lambda: "after.safetensors" in here.relpaths or "loras" in here.scan_roots)


def test_folders_beyond_the_watch_limit_are_noticed_and_the_root_polled(tmp_path: Path) -> None:
    """F08."""
    root = loras(tmp_path / "loras")
    for number in range(200):
        (root.path / f"{number}").mkdir()
    with limit("max_user_watches", _watches_in_use() + 50), watched(root) as here:
        here.until(lambda: here.observer.modes() == {"loras": "poll"}, tick=True)
        trouble = here.observer.troubles()["loras"]
        assert isinstance(trouble, AskOperator)
        assert trouble.kind == "watch_limit"
        setting, _, number = trouble.you.rpartition("=")
        assert setting.endswith("fs.inotify.max_user_watches")
        (LIMITS / "max_user_watches").write_text(number)
        here.observer.check()
        assert here.observer.modes() == {"loras": "poll"}, "not tried again at once"
        here.clock.advance(RETRY_S)
        here.until(lambda: here.observer.modes() == {"loras": "events"}, tick=True)
        assert not here.observer.troubles()
        write(root.path / "199" / "x.safetensors")
        here.until(lambda: "199/x.safetensors" in here.relpaths)


def test_folders_made_later_than_the_limit_allows_are_noticed(tmp_path: Path) -> None:
    """F08."""
    root = loras(tmp_path / "loras")
    with limit("max_user_watches", _watches_in_use() + 50), watched(root) as here:
        here.until(lambda: here.observer.modes() == {"loras": "events"}, tick=True)
        for number in range(200):
            (root.path / f"{number}").mkdir()
        here.until(lambda: here.observer.modes() == {"loras": "poll"}, tick=True)


def test_folders_made_a_moment_ago_are_not_taken_for_the_limit(tmp_path: Path) -> None:
    """F02: the check meets folders that watchdog is still on its way to, several times within a moment."""
    root = loras(tmp_path / "loras")
    with watched(root) as here:
        for number in range(60):
            (root.path / f"{number}" / "a" / "b").mkdir(parents=True)
            here.observer.check()
            here.observer.check()
            here.drain()
            assert here.observer.modes() == {"loras": "events"}
        here.until(lambda: not here.observer.troubles(), tick=True)
        assert here.observer.modes() == {"loras": "events"}


def test_no_instance_left_means_polling_until_there_is_one(tmp_path: Path) -> None:
    """F08."""
    root = loras(tmp_path / "loras")
    with limit("max_user_instances", 0), watched(root) as here:
        assert here.observer.modes() == {"loras": "poll"}
        assert "fs.inotify.max_user_instances=" in here.observer.troubles()["loras"].you
        (LIMITS / "max_user_instances").write_text("128")
        here.clock.advance(RETRY_S)
        here.until(lambda: here.observer.modes() == {"loras": "events"}, tick=True)


def test_a_root_whose_file_system_goes_and_comes_is_watched_again(tmp_path: Path) -> None:
    """F06."""
    root, known = loras(tmp_path / "loras"), Known()
    with ExitStack() as stack:
        stack.enter_context(mounted(root.path))
        here = stack.enter_context(watched(root))
        write(root.path / "x.safetensors")
        run_scan(root, known)
        subprocess.run(["umount", str(root.path)], check=True)
        assert [change.change for change in here.roots.check()] == [Change.AWAY]
        assert isinstance(here.roots.trouble("loras"), TryLater)
        here.observer.check()
        stack.enter_context(mounted(root.path))
        [change] = here.roots.check()
        assert change.change is Change.BACK
        here.observer.rearm(change.root)
        here.until(lambda: "loras" in here.scan_roots, tick=True)
        write(root.path / "new.safetensors")
        here.until(lambda: "new.safetensors" in here.relpaths)


def test_something_mounted_over_a_root_is_watched_and_scanned(tmp_path: Path) -> None:
    """F05."""
    root = loras(tmp_path / "loras")
    with watched(root) as here, mounted(root.path):
        [change] = here.roots.check()
        here.observer.rearm(change.root)
        assert "loras" in here.drain().scan_roots
        write(root.path / "new.safetensors")
        here.until(lambda: "new.safetensors" in here.relpaths)


def test_something_mounted_below_a_root_is_found_by_the_scan(tmp_path: Path) -> None:
    """F07."""
    root, known = loras(tmp_path / "loras"), Known()
    (root.path / "sub").mkdir()
    with watched(root), mounted(root.path / "sub"):
        write(root.path / "sub" / "x.safetensors")
        assert run_scan(root, known).words == ["+sub/x.safetensors"]


def _watches_in_use() -> int:
    """Count the watches that this user's processes hold already."""
    found = 0
    for info in Path("/proc").glob("[0-9]*/fdinfo/*"):
        try:
            if info.stat().st_uid == os.getuid():
                found += info.read_text().count("inotify wd:")
        except OSError:
            continue
    return found
