"""A root that may not be written to: hashed, named and shown; what would lie beside the models waits."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.commands import Home


def remount(disk: Path, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", str(disk)], check=True)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, which a test may turn read-only."""
    disk = tmp_path / "shelf"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m,mode=755", "tmpfs", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"SKIPPED ALOUD: no disk can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.fixture
def shelved(home: Home, shelf: Path) -> Home:
    """A home with a read-only root that holds one known model, and an ordinary one with another."""
    home.settle(
        roots=[
            {"name": "shelf", "path": str(shelf), "quiet_s": 0},
            {"name": "loras", "path": str(home.loras), "quiet_s": 0},
        ]
    )
    home.put(os.path.relpath(shelf / "kept.safetensors", home.loras), model_id=11, version_id=22)
    home.put("free.safetensors")
    remount(shelf, "ro")
    return home


def test_a_read_only_root_is_read_and_shown_and_the_others_are_written(shelved: Home, shelf: Path) -> None:
    """F79."""
    done = shelved.cli("--quiet", "run", "--once", "--json")
    assert done.code == 1
    (told,) = done.json["troubles"]
    assert (told["scope"], told["where"]) == ("root", "shelf")
    assert (shelved.loras / "free.metadata.json").exists()
    assert [path.name for path in shelf.iterdir()] == ["kept.safetensors"]
    card = shelved.cli("show", "--json", "kept").json
    assert (card["model_id"], card["version_id"]) == (11, 22)
    assert card["hashes"]["sha256"] is not None
    assert {it["state"] for it in card["sidecars"]} == {"missing"}
    assert [it["path"] for it in shelved.cli("search", "--json", "kept").lines] == ["kept.safetensors"]


def test_status_says_that_it_is_read_only_and_what_to_do(shelved: Home) -> None:
    shelved.cli("--quiet", "run", "--once")
    printed = shelved.cli("status").out
    assert "shelf: the root is read-only for hashtagd" in printed
    assert "`writers: []` for this root" in printed
    (trouble,) = shelved.cli("status", "--json").json["troubles"]
    assert trouble["where"] == "shelf"
    assert all(len(trouble[clause]) > 8 for clause in ("what", "does", "you"))


def test_what_waited_is_written_when_it_may_be_and_nothing_is_read_again(shelved: Home, shelf: Path) -> None:
    shelved.cli("--quiet", "run", "--once")
    remount(shelf, "rw")
    done = shelved.cli("--quiet", "run", "--once", "--json")
    assert (done.code, done.json["bytes_hashed"], done.json["troubles"]) == (0, 0, [])
    assert (shelf / "kept.metadata.json").exists()


def test_without_writers_a_read_only_root_is_no_trouble(shelved: Home, shelf: Path) -> None:
    roots = [{"name": "shelf", "path": str(shelf), "quiet_s": 0, "writers": []}]
    shelved.settle(roots=roots)
    done = shelved.cli("--quiet", "run", "--once", "--json")
    assert (done.code, done.json["named"], done.json["troubles"]) == (0, 1, [])


def test_a_dry_run_tells_it_too(shelved: Home) -> None:
    done = shelved.cli("--quiet", "run", "--dry-run")
    assert done.out.count("the root is read-only for hashtagd") == 1
    assert "+++ loras/free.metadata.json" in done.out
    assert "+++ shelf/" not in done.out


def test_what_cannot_be_removed_is_told_and_stays_known(shelved: Home, shelf: Path) -> None:
    remount(shelf, "rw")
    shelved.cli("--quiet", "run", "--once")
    remount(shelf, "ro")
    shown = shelved.cli("unpublish", "--dry-run")
    assert shown.code == 1
    assert "would remove shelf/" not in shown.out
    assert "left alone: 3 that could not be removed" in shown.out
    done = shelved.cli("unpublish")
    assert done.code == 1
    assert "shelf: the root is read-only for hashtagd" in done.err
    assert "left alone: 3 that could not be removed" in done.out
    assert not (shelved.loras / "free.metadata.json").exists()
    remount(shelf, "rw")
    assert shelved.cli("unpublish").out.startswith("3 removed")


def test_of_a_read_only_root_no_attribute_is_said_to_go(shelved: Home, shelf: Path) -> None:
    remount(shelf, "rw")
    model = shelf / "kept.safetensors"
    try:
        os.setxattr(model, "user.trial", b"1")
    except OSError:
        pytest.skip("SKIPPED ALOUD: this kernel's tmpfs takes no attributes of users")
    shelved.settle(roots=[{"name": "shelf", "path": str(shelf), "quiet_s": 0}], writers=["xattrs"])
    shelved.cli("--quiet", "run", "--once")
    there = set(os.listxattr(model)) - {"user.trial"}
    assert there
    remount(shelf, "ro")
    shown, done = shelved.cli("unpublish", "--dry-run", "--json"), shelved.cli("unpublish", "--json")
    assert len(shown.lines) == len(there)
    assert {it["action"] for it in shown.lines} == {"stays"} == {it["action"] for it in done.lines}
