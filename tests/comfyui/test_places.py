import json
import os
from pathlib import Path
from typing import Any

import pytest

from hashtagd.comfyui.places import leads


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def comfyui(folder: Path) -> Path:
    for name in ("loras", "checkpoints"):
        (folder / "models" / name).mkdir(parents=True)
    (folder / "main.py").write_bytes(b"")
    return folder


def found(home: Path, told: dict[str, Any] | None = None) -> list[tuple[Path, bool]]:
    return [(lead.path, lead.comfyui) for lead in leads({"HOME": str(home)}, home, told or {})]


def test_nothing_is_found_where_nothing_is(home: Path) -> None:
    assert found(home) == []


def test_comfyui_is_found_where_it_usually_lies(home: Path) -> None:
    own = comfyui(home / "ComfyUI")
    assert found(home) == [(own, True)]


def test_a_running_comfyui_tells_where_it_is_and_where_else_it_looks(home: Path) -> None:
    own, nas = comfyui(home / "my" / "comfy"), home / "nas" / "loras"
    nas.mkdir(parents=True)
    told = {
        "/system_stats": {"system": {"argv": [str(own / "main.py"), "--listen"]}},
        "/experiment/models": [
            {"name": "loras", "folders": [str(own / "models" / "loras"), str(nas)]},
            {"name": "custom_nodes", "folders": [str(own / "custom_nodes")]},
            {"name": "checkpoints", "folders": ["/not/here", 7, None]},
            "nonsense",
        ],
    }
    assert found(home, told) == [(own, True), (nas, False)]


def test_a_base_directory_counts_before_the_program_s_folder(home: Path) -> None:
    program, base = comfyui(home / "program"), comfyui(home / "base")
    told = {"/system_stats": {"system": {"argv": [str(program / "main.py"), "--base-directory", str(base)]}}}
    assert found(home, told)[0] == (base, True)


def test_a_base_directory_may_be_told_in_one_word(home: Path) -> None:
    base = comfyui(home / "base")
    told = {"/system_stats": {"system": {"argv": ["main.py", f"--base-directory={base}"]}}}
    assert found(home, told) == [(base, True)]


def test_a_folder_that_another_holds_is_none_of_its_own_whichever_is_told_first(home: Path) -> None:
    own, nas = comfyui(home / "ComfyUI"), home / "nas"
    (nas / "loras" / "styles").mkdir(parents=True)
    (own / "models" / "linked").symlink_to(nas / "linked")
    (nas / "linked" / "deep").mkdir(parents=True)
    folders = [nas / "loras" / "styles", nas / "loras", own / "models" / "linked", nas / "linked" / "deep"]
    told = {"/experiment/models": [{"name": "loras", "folders": [str(it) for it in folders]}]}
    assert found(home, told) == [(nas / "loras", False), (own, True)]


@pytest.mark.parametrize("whole", ["/", "."])
def test_a_whole_machine_or_home_is_no_folder_of_models(home: Path, whole: str) -> None:
    nas = home / "nas"
    nas.mkdir()
    told = {"/experiment/models": [{"name": "x", "folders": [os.path.normpath(home / whole), str(nas)]}]}
    assert found(home, told) == [(nas, False)]


def test_a_server_in_a_container_tells_of_folders_that_are_not_here(home: Path) -> None:
    told = {
        "/system_stats": {"system": {"argv": ["/app/main.py"]}},
        "/experiment/models": [{"name": "loras", "folders": ["/app/models/loras"]}],
    }
    assert found(home, told) == []


def test_desktop_and_lora_manager_are_asked_for_their_settings(home: Path) -> None:
    desktop, other = comfyui(home / "Documents" / "Comfy"), home / "other loras"
    other.mkdir()
    config = home / ".config"
    (config / "ComfyUI").mkdir(parents=True)
    nas = home / "nas" / "loras"
    nas.mkdir(parents=True)
    (config / "ComfyUI" / "extra_models_config.yaml").write_text(
        f"comfyui:\n  base_path: {desktop}\n  is_default: true\n  loras: models/loras/\n"
        f"  custom_nodes: ./\n  download_model_base: models\nmine:\n  loras: {nas}\n  vae: /not/here\n",
        encoding="utf-8",
    )
    (config / "ComfyUI-LoRA-Manager").mkdir()
    (config / "ComfyUI-LoRA-Manager" / "settings.json").write_text(
        json.dumps(
            {"folder_paths": {"loras": [str(other), str(desktop / "models" / "loras")], "unet": None}}
        ),
        encoding="utf-8",
    )
    assert found(home) == [(desktop, True), (nas, False), (other, False)]


def test_stabilitymatrix_s_models_are_found(home: Path) -> None:
    models = home / "StabilityMatrix" / "Data" / "Models"
    models.mkdir(parents=True)
    assert found(home) == [(models, False)]


@pytest.mark.parametrize(
    "told",
    [
        {"/system_stats": None, "/experiment/models": None},
        {"/system_stats": [], "/experiment/models": {}},
        {"/system_stats": {"system": {"argv": "main.py"}}, "/experiment/models": [{"folders": "x"}]},
        {"/system_stats": {"system": {"argv": ["/a\0/main.py", "--base-directory", "/\ud800"]}}},
        {"/experiment/models": [{"name": [], "folders": ["/a\0b", "/\ud800", "/" + "q" * 5000, "x", 5]}]},
    ],
)
def test_nonsense_tells_nothing(home: Path, told: dict[str, Any]) -> None:
    assert found(home, told) == []


def test_a_folder_that_is_told_with_dots_is_proposed_as_settings_may_name_it(home: Path) -> None:
    (home / "more").mkdir()
    told = {"/experiment/models": [{"name": "loras", "folders": [f"{home}/more/../more"]}]}
    assert found(home, told) == [(Path(os.path.realpath(home)) / "more", False)]


def test_one_folder_by_two_names_is_found_once(home: Path) -> None:
    own = comfyui(home / "ComfyUI")
    (home / "comfyui").symlink_to(own)
    assert found(home) == [(own, True)]
