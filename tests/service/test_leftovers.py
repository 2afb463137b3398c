"""What killed processes left beside models and in trees of cards goes, wherever it lies, and nothing else."""

import os
from pathlib import Path

import pytest

from hashtagd.service.leftovers import Leftovers
from hashtagd.service.survey import survey_root
from hashtagd.watch.roots import MARKER_NAME, RootFolder
from support.library import Library
from support.safetensors import write
from support.stage_fakes import NOW, ScriptedPause, StillClock

OLD_S, YOUNG_S = 7_200, 60


def leave(path: Path, age_s: float = OLD_S) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half a sidecar")
    os.utime(path, (NOW.timestamp() - age_s,) * 2)
    return path


@pytest.fixture
def root(tmp_path: Path) -> RootFolder:
    write(tmp_path / "loras" / "x.safetensors")
    return RootFolder(name="loras", path=tmp_path / "loras")


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def test_a_scan_finds_what_is_to_be_swept_also_where_no_model_is_any_more(
    library: Library, root: RootFolder
) -> None:
    """F87. Nobody publishes in such a folder again."""
    leave(root.path / ".hashtagd-1")
    leave(root.path / "left" / "deep" / ".hashtagd-2")
    leave(root.path / "busy" / ".hashtagd-3", YOUNG_S)
    leave(root.path / "theirs" / ".hashtag")
    leave(root.path / MARKER_NAME)
    (root.path / "folder" / ".hashtagd-4").mkdir(parents=True)
    clock = StillClock()
    survey = survey_root(root, library.catalog, clock, ScriptedPause())
    assert survey.report.unfinished == {"", "left/deep", "busy"}
    assert Leftovers({}, clock).sweep(root, survey.report.unfinished) == 2
    assert names(root.path) == {"x.safetensors", "busy/.hashtagd-3", "theirs/.hashtag", MARKER_NAME}
    clock.advance(OLD_S)
    assert Leftovers({}, clock).sweep(root, ["busy", "gone"]) == 1


def test_nothing_is_swept_behind_a_link_that_leads_out_of_the_root(root: RootFolder, tmp_path: Path) -> None:
    """F93, F94."""
    leave(tmp_path / "outside" / ".hashtagd-1")
    victim = leave(tmp_path / "victim")
    (root.path / "out").symlink_to(tmp_path / "outside")
    (root.path / "in").symlink_to("real")
    leave(root.path / "real" / ".hashtagd-2")
    (root.path / ".hashtagd-3").symlink_to(victim)
    os.utime(root.path / ".hashtagd-3", (1e9, 1e9), follow_symlinks=False)
    assert Leftovers({}, StillClock()).sweep(root, ["out", "in", ""]) == 2
    assert (tmp_path / "outside" / ".hashtagd-1").exists()
    assert victim.read_bytes() == b"half a sidecar"
    assert names(root.path) == {"x.safetensors"}


def test_a_tree_is_looked_through_once_an_hour_and_empty_folders_go(root: RootFolder, tmp_path: Path) -> None:
    """F87."""
    tree, clock = tmp_path / "cards", StillClock()
    leftovers = Leftovers({None: [tree]}, clock)
    assert leftovers.sweep(root, ()) == 0
    leave(tree / "loras" / "left" / ".hashtagd-1")
    leave(tree / "loras" / "kept" / ".hashtagd-2")
    leave(tree / "loras" / "kept" / "x.safetensors.json")
    (tree / "loras" / "empty").mkdir()
    assert leftovers.sweep(root, ()) == 0
    clock.advance(3_600)
    assert leftovers.sweep(root, ()) == 2
    assert names(tree) == {"loras/kept/x.safetensors.json"}
    assert {path.name for path in (tree / "loras").iterdir()} == {"kept", "empty"}
    assert Leftovers({"loras": [], None: [tree]}, clock).sweep(root, ()) == 0
