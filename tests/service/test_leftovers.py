"""What killed processes left beside models and in trees of cards goes, wherever it lies, and nothing else."""

import fcntl
import os
from pathlib import Path

import pytest

from hashtagd.core.place import Place
from hashtagd.core.troubles import Scope
from hashtagd.core.work import Park
from hashtagd.service.leftovers import PARTS_AGE_S, Leftovers, awaited_places
from hashtagd.service.survey import survey_root
from hashtagd.stages.part import PART_SUFFIX, part_name
from hashtagd.watch import filters
from hashtagd.watch.filters import UNFINISHED_PREFIX
from hashtagd.watch.roots import MARKER_NAME, RootFolder
from support.library import Library
from support.safetensors import write
from support.serving import for_a_person
from support.stage_fakes import NOW, ScriptedPause, StillClock
from support.wishing import end, wish

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


def nothing() -> tuple[Place, ...]:
    """Wait for no download."""
    return ()


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
    assert Leftovers({}, clock, nothing).sweep(root, survey.report.unfinished) == 2
    assert names(root.path) == {"x.safetensors", "busy/.hashtagd-3", "theirs/.hashtag", MARKER_NAME}
    clock.advance(OLD_S)
    assert Leftovers({}, clock, nothing).sweep(root, ["busy", "gone"]) == 1


def test_nothing_is_swept_behind_a_link_that_leads_out_of_the_root(root: RootFolder, tmp_path: Path) -> None:
    """F93, F94."""
    leave(tmp_path / "outside" / ".hashtagd-1")
    victim = leave(tmp_path / "victim")
    (root.path / "out").symlink_to(tmp_path / "outside")
    (root.path / "in").symlink_to("real")
    leave(root.path / "real" / ".hashtagd-2")
    (root.path / ".hashtagd-3").symlink_to(victim)
    os.utime(root.path / ".hashtagd-3", (1e9, 1e9), follow_symlinks=False)
    assert Leftovers({}, StillClock(), nothing).sweep(root, ["out", "in", ""]) == 2
    assert (tmp_path / "outside" / ".hashtagd-1").exists()
    assert victim.read_bytes() == b"half a sidecar"
    assert names(root.path) == {"x.safetensors"}


def test_a_tree_is_looked_through_once_an_hour_and_empty_folders_go(root: RootFolder, tmp_path: Path) -> None:
    """F87."""
    tree, clock = tmp_path / "cards", StillClock()
    leftovers = Leftovers({None: [tree]}, clock, nothing)
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
    assert Leftovers({"loras": [], None: [tree]}, clock, nothing).sweep(root, ()) == 0


# ---- what was fetched of files that nobody waits for


def part(root: RootFolder, relpath: str, age_s: float = PARTS_AGE_S + 60) -> Path:
    path = root.path / relpath
    return leave(path.with_name(part_name(path.name)), age_s)


def test_a_scan_finds_unfinished_downloads_that_nobody_waits_for(library: Library, root: RootFolder) -> None:
    """F87. The wish was taken back; what is waited for, young, or no file of ours stays."""
    gone = part(root, "gone.safetensors"), part(root, "deep/gone.safetensors"), part(root, "g" * 250)
    library.catalog.transfers.want([wish("waits.safetensors"), wish("w" * 250)])
    kept = (
        part(root, "waits.safetensors"),
        part(root, "w" * 250),
        part(root, "young.safetensors", PARTS_AGE_S - 60),
        leave(root.path / "theirs.hashtagd-part", PARTS_AGE_S + 60),
        leave(root.path / ".theirs.part", PARTS_AGE_S + 60),
    )
    clock = StillClock()
    survey = survey_root(root, library.catalog, clock, ScriptedPause())
    leftovers = Leftovers({}, clock, lambda: awaited_places(library.catalog.transfers))
    assert leftovers.sweep(root, survey.report.unfinished) == len(gone)
    assert [it.exists() for it in gone] == [False] * len(gone)
    assert all(it.exists() for it in kept)


@pytest.mark.parametrize("kind, stays", [("place_taken", False), ("login_wanted", True), ("worn_out", True)])
def test_of_downloads_that_wait_for_a_person_only_those_whose_place_is_taken_lose_what_came(
    library: Library,
    root: RootFolder,
    kind: str,
    stays: bool,  # noqa: FBT001
) -> None:
    library.catalog.transfers.want([wish("x")])
    end(library, Park(trouble=for_a_person(kind, Scope.FILE)))
    path = part(root, "x")
    Leftovers({}, StillClock(), lambda: awaited_places(library.catalog.transfers)).sweep(root, [""])
    assert path.exists() is stays


def test_an_unfinished_download_that_somebody_writes_stays_however_old_it_looks(root: RootFolder) -> None:
    """Another machine's clock, or a program that puts times back."""
    path = part(root, "x.safetensors")
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert Leftovers({}, StillClock(), nothing).sweep(root, [""]) == 0
    assert Leftovers({}, StillClock(), nothing).sweep(root, [""]) == 1
    assert not path.exists()


def test_an_unfinished_download_is_not_taken_for_a_temporary_file_by_its_model_s_name(
    root: RootFolder,
) -> None:
    """`hashtagd-x.safetensors` is fetched into a file that begins like the temporary ones."""
    path = part(root, "hashtagd-x.safetensors", OLD_S)
    assert path.name.startswith(UNFINISHED_PREFIX)
    assert Leftovers({}, StillClock(), nothing).sweep(root, [""]) == 0
    assert path.exists()


def test_what_has_the_name_and_is_no_file_stays(root: RootFolder, tmp_path: Path) -> None:
    """F93."""
    victim = leave(tmp_path / "victim", PARTS_AGE_S + 60)
    link = root.path / part_name("link")
    link.symlink_to(victim)
    os.utime(link, (1e9, 1e9), follow_symlinks=False)
    folder = root.path / part_name("folder")
    folder.mkdir()
    os.utime(folder, (1e9, 1e9))
    assert Leftovers({}, StillClock(), nothing).sweep(root, [""]) == 0
    assert (link.is_symlink(), folder.is_dir(), victim.exists()) == (True, True, True)


def test_both_rooms_call_unfinished_downloads_alike() -> None:
    assert filters.PART_SUFFIX == PART_SUFFIX
