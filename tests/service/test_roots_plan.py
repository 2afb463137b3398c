"""Which roots a process works on, and which place a path is (`tests/watch` tests what becomes of roots)."""

import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hashtagd.comfyui.paths import model_folders
from hashtagd.core.place import Place
from hashtagd.core.troubles import AskOperator, Scope
from hashtagd.service.roots import RootPlan, absolute_path, by_device, place_of, plan_roots
from hashtagd.settings import Loaded, SettingsMistakes
from hashtagd.watch.roots import RootFolder
from support import fuse
from support.serving import settings


def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home"), "HASHTAGD_STATE_DIR": str(tmp_path / "state")}


def loaded(tmp_path: Path, **sections: Any) -> Loaded:
    made = {"comfyui": {"path": None, "url": None}, **sections}
    return settings(json.dumps(made), environ(tmp_path))


def plan(tmp_path: Path, *folders: Path, **sections: Any) -> RootPlan:
    return plan_roots(
        loaded(tmp_path, **sections), folders, environ=environ(tmp_path), state_folder=tmp_path / "state"
    )


def names(planned: RootPlan) -> dict[str, Path]:
    return {folder.name: folder.path for folder in planned.folders}


def test_configured_roots_keep_what_their_owner_decided(tmp_path: Path) -> None:
    (tmp_path / "nas").mkdir()
    root = {
        "name": "nas",
        "path": str(tmp_path / "nas"),
        "watch": "poll",
        "quiet_s": 3,
        "scan_interval_s": 60,
        "follow_symlinks": False,
        "extensions": [".gguf"],
        "exclude": ["*/old/*"],
    }
    (folder,) = plan(tmp_path, roots=[root]).folders
    assert folder == RootFolder(
        name="nas",
        path=tmp_path / "nas",
        watch="poll",
        quiet_s=3,
        scan_interval_s=60,
        follow_symlinks=False,
        extensions=(".gguf",),
        exclude=("*/old/*",),
    )


def test_a_configured_root_that_is_away_is_planned_with_a_warning(tmp_path: Path) -> None:
    planned = plan(tmp_path, roots=[{"name": "nas", "path": str(tmp_path / "nas")}])
    assert names(planned) == {"nas": tmp_path / "nas"}
    assert len(planned.warnings) == 1


def test_roots_that_do_not_fit_together_are_mistakes_of_the_settings(tmp_path: Path) -> None:
    """F90."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    roots = [{"name": "a", "path": str(tmp_path / "a")}, {"name": "b", "path": str(tmp_path / "a" / "b")}]
    with pytest.raises(SettingsMistakes):
        plan(tmp_path, roots=roots)


def test_comfyui_s_folders_join_configured_roots_unless_they_overlap(tmp_path: Path) -> None:
    comfy = tmp_path / "ComfyUI"
    for name in ("loras", "vae"):
        (comfy / "models" / name).mkdir(parents=True)
    (tmp_path / "nas").mkdir()
    sections: dict[str, Any] = {"comfyui": {"path": str(comfy), "url": None}}
    alone = plan(tmp_path, **sections)
    assert alone.folders
    beside = plan(tmp_path, **sections, roots=[{"name": "nas", "path": str(tmp_path / "nas")}])
    assert {"nas", *names(alone)} == set(names(beside))
    first = alone.folders[0]
    same_name = plan(tmp_path, **sections, roots=[{"name": first.name, "path": str(tmp_path / "nas")}])
    assert names(same_name)[f"{first.name}-2"] == first.path
    inside = plan(tmp_path, **sections, roots=[{"name": "mine", "path": str(first.path)}])
    assert list(names(inside).values()).count(first.path) == 1


@pytest.mark.parametrize("named", ["/", "home", "home/..", "link", "state"])
def test_what_settings_may_not_name_as_a_root_comfyui_s_extra_paths_may_not_either(
    tmp_path: Path, named: str
) -> None:
    """Another program's file: what it names is scanned, and the sandbox of the unit lets it be written to."""
    comfy = tmp_path / "comfy" / "ComfyUI"
    for folder in (comfy / "models", tmp_path / "home", tmp_path / "state"):
        folder.mkdir(parents=True)
    (tmp_path / "link").symlink_to("/")
    (comfy / "extra_model_paths.yaml").write_text(f"x:\n  loras: {tmp_path / named}\n", encoding="utf-8")
    for planned in (plan(tmp_path, comfyui={"path": str(comfy), "url": None}), plan(tmp_path, comfy)):
        assert list(names(planned).values()) == [comfy / "models"]
        (warning,) = planned.warnings
        assert "is left out: a root must not be" in warning


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[Path]:
    """Mount a folder whose server does not answer, so that no look at it comes back."""
    if fuse.WHY_NOT is not None:
        pytest.skip(fuse.WHY_NOT)
    behind, point = tmp_path / "behind", tmp_path / "cloud"
    for name in ("nas", "loras", "vae"):
        (behind / name).mkdir(parents=True)
    point.mkdir()
    with fuse.mounted(behind, point) as server:
        server.send_signal(signal.SIGSTOP)
        yield point


@pytest.mark.slow
def test_folders_beside_comfyui_whose_disk_hangs_are_planned_and_hold_up_nobody(
    tmp_path: Path, silent: Path
) -> None:
    comfy = tmp_path / "ComfyUI"
    (comfy / "models").mkdir(parents=True)
    (comfy / "models" / "vae").symlink_to(silent / "vae")
    extra = f"x:\n  loras: {silent}/loras\n  vae: {silent}/vae\n"
    (comfy / "extra_model_paths.yaml").write_text(extra, encoding="utf-8")
    nas = {"name": "nas", "path": str(silent / "nas")}
    planned = plan(tmp_path, comfyui={"path": str(comfy), "url": None}, roots=[nas])
    # that of the link is reached through it
    expected = {"nas": silent / "nas", "models": comfy / "models", "loras": silent / "loras"}
    assert names(planned) == expected
    told = [warning for warning in planned.warnings if "does not answer" in warning]
    assert len(told) == len(planned.warnings) == 3
    # and nothing is put where nothing answers
    assert model_folders(comfy, {}) == {}
    (comfy / "models" / "loras").mkdir()
    assert model_folders(comfy, {}) == {"loras": (comfy / "models" / "loras",)}
    assert model_folders(silent, {}) == {}


@pytest.mark.slow
@pytest.mark.parametrize("whole", [False, True])
def test_a_comfyui_whose_disk_hangs_is_planned(tmp_path: Path, silent: Path, *, whole: bool) -> None:
    comfy = silent if whole else tmp_path / "ComfyUI"
    if not whole:
        comfy.mkdir()
        (comfy / "models").symlink_to(silent / "nas")
    planned = plan(tmp_path, comfyui={"path": str(comfy), "url": None})
    assert names(planned) == {"models": comfy / "models"}
    assert planned.warnings == (f"{comfy / 'models'} does not answer; it is watched as soon as it does",)
    assert list(names(plan(tmp_path, comfy)).values()) == [comfy if whole else comfy / "models"]


def test_folders_of_the_command_line_replace_what_is_configured(tmp_path: Path) -> None:
    (tmp_path / "loras").mkdir()
    planned = plan(tmp_path, tmp_path / "loras", roots=[{"name": "nas", "path": str(tmp_path / "nas")}])
    assert list(names(planned).values()) == [tmp_path / "loras"]


def test_a_relative_folder_counts_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loras").mkdir()
    monkeypatch.chdir(tmp_path)
    assert list(names(plan(tmp_path, Path("loras"))).values()) == [tmp_path / "loras"]


@pytest.mark.parametrize("what, words", [("missing", "does not exist"), ("file", "is not a folder")])
def test_what_is_no_folder_is_refused_in_words(tmp_path: Path, what: str, words: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(AskOperator, match=words) as refused:
        plan(tmp_path, tmp_path / what)
    assert refused.value.scope is Scope.DAEMON


def test_a_folder_that_holds_everything_is_refused(tmp_path: Path) -> None:
    """F90."""
    (tmp_path / "home").mkdir()
    with pytest.raises(AskOperator) as refused:
        plan(tmp_path, tmp_path / "home")
    assert refused.value.kind == "unfit_folder"


@pytest.fixture
def folders(tmp_path: Path) -> list[RootFolder]:
    (tmp_path / "disk" / "loras" / "sub").mkdir(parents=True)
    (tmp_path / "loras").symlink_to(tmp_path / "disk" / "loras")
    return [
        RootFolder(name="loras", path=tmp_path / "loras"),
        RootFolder(name="vae", path=tmp_path / "vae"),
    ]


def test_a_path_is_placed_by_its_text(folders: list[RootFolder], tmp_path: Path) -> None:
    expected = Place(root="loras", relpath="sub/x.safetensors")
    assert place_of(folders, tmp_path / "loras" / "sub" / "x.safetensors") == expected
    assert place_of(folders, tmp_path / "loras" / "sub" / ".." / "sub" / "x.safetensors") == expected
    assert place_of(folders, tmp_path / "loras") is None
    assert place_of(folders, tmp_path / "loras2" / "x") is None


def test_a_relative_path_is_placed_although_the_shell_has_followed_a_link(
    folders: list[RootFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "loras" / "sub")
    assert place_of(folders, Path("x.safetensors")) == Place(root="loras", relpath="sub/x.safetensors")
    assert place_of(folders, tmp_path / "disk" / "loras" / "y") == Place(root="loras", relpath="y")
    assert place_of(folders, tmp_path / "disk" / "y") is None


def test_the_home_of_nobody_is_a_plain_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert absolute_path(Path("~nobody-of-this-name/x")) == tmp_path / "~nobody-of-this-name" / "x"
    assert absolute_path(Path("~/x")) == tmp_path / "home" / "x"


def test_what_a_daemon_watches_joins_the_plan_and_wins_only_while_it_runs(tmp_path: Path) -> None:
    planned = RootPlan(folders=(RootFolder(name="loras", path=tmp_path / "new", quiet_s=3),))
    watched = {"loras": tmp_path / "old", "adhoc": tmp_path / "adhoc"}
    stale = planned.with_paths(watched, moved=False)
    assert names(stale) == {"loras": tmp_path / "new", "adhoc": tmp_path / "adhoc"}
    running = planned.with_paths(watched, moved=True)
    assert names(running)["loras"] == tmp_path / "old"
    assert running.folders[0].quiet_s == 3
    assert running.path_of("adhoc", "x") == tmp_path / "adhoc" / "x"
    assert running.path_of("elsewhere", "x") is None


def test_a_catalog_that_machines_share_is_shown_whole(tmp_path: Path) -> None:
    own = RootPlan(folders=(RootFolder(name="loras", path=tmp_path),))
    assert own.shown == ("loras",)
    assert replace(own, shared=True).shown is None


def test_who_only_reads_looks_at_no_folder(tmp_path: Path) -> None:
    roots = [{"name": "nas", "path": str(tmp_path / "away")}]
    planned = plan_roots(
        loaded(tmp_path, roots=roots), (), environ=environ(tmp_path), state_folder=None, look=False
    )
    assert (list(names(planned)), planned.warnings) == (["nas"], ())


def test_roots_of_one_disk_share_a_lane_and_one_that_is_away_has_its_own(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    roots = [RootFolder(name=name, path=tmp_path / name) for name in ("a", "away", "b", "gone")]
    groups = [[root.name for root in group] for group in by_device(roots)]
    assert groups == [["a", "b"], ["away"], ["gone"]]
