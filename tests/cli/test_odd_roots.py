"""`init` and `doctor` over a ComfyUI with extra paths: a read-only disk, and one that tells of nothing."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support import fuse
from support.commands import Done, Home

NOBODY = "http://127.0.0.1:9"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(fuse.WHY_NOT is not None, reason=str(fuse.WHY_NOT)),
]


@pytest.fixture
def tree(home: Home) -> Iterator[Path]:
    """A ComfyUI where it usually lies, whose extra paths name a read-only disk and a FUSE mount."""
    comfyui, shelf, cloud = (home.folder / name for name in ("user/ComfyUI", "shelf", "cloud"))
    behind = home.folder / "behind"
    (comfyui / "models" / "loras").mkdir(parents=True)
    (comfyui / "main.py").write_bytes(b"")
    for folder in (behind / "loras", shelf / "loras", cloud):
        folder.mkdir(parents=True)
    extra = {
        "shelf": {"base_path": str(shelf), "loras": "loras"},
        "cloud": {"base_path": str(cloud), "loras": "loras"},
    }
    (comfyui / "extra_model_paths.yaml").write_text(yaml.safe_dump(extra), encoding="utf-8")
    subprocess.run(["mount", "--bind", "-o", "ro", str(shelf), str(shelf)], check=True)
    try:
        with fuse.mounted(behind, cloud):
            yield comfyui
    finally:
        subprocess.run(["umount", "--lazy", str(shelf)], check=True)


def told(done: Done) -> dict[str, dict[str, Any]]:
    return {it["check"]: it for it in done.json}


def test_init_says_of_each_folder_what_cannot_be_done_there_and_doctor_agrees(home: Home, tree: Path) -> None:
    done = home.bare("init", "--url", NOBODY, "--write")
    assert done.code == 0, done.err
    written = Path(done.out.split(" was written")[0])
    text = written.read_text(encoding="utf-8")
    assert yaml.safe_load(text)["comfyui"]["path"] == str(tree)
    shelf, cloud = home.folder / "shelf" / "loras", home.folder / "cloud" / "loras"
    of_shelf, of_cloud = (
        next(it for it in text.splitlines() if f"adds {path}" in it) for path in (shelf, cloud)
    )
    assert "nothing can be written there (EROFS)" in of_shelf
    assert "it is polled" not in of_shelf
    assert "fuse does not tell of all changes, so it is polled" in of_cloud
    assert "written there" not in of_cloud
    assert home.bare("check-config").code == 0

    found = told(home.bare("doctor", "--offline", "--json"))
    by_path = {
        it["found"].split(" is there")[0]: check for check, it in found.items() if " is there" in it["found"]
    }
    own = next(check for path, check in by_path.items() if path.startswith(str(tree)))
    assert found[f"{own}: writing"]["level"] == "ok"
    assert "a change is told at once" in found[f"{own}: events"]["found"]
    read_only, remote = by_path[str(shelf)], by_path[str(cloud)]
    assert (found[f"{read_only}: writing"]["level"], "EROFS" in found[f"{read_only}: writing"]["found"]) == (
        "warn",
        True,
    )
    assert "json-tree" in found[f"{read_only}: writing"]["you"]
    assert "nothing can be written there" in found[f"{read_only}: events"]["found"]
    assert found[f"{remote}: writing"]["level"] == "ok"
    assert found[f"{remote}: events"] == {
        "check": f"{remote}: events",
        "level": "ok",
        "found": "fuse does not tell of all changes, so the root is polled",
        "you": None,
    }


def test_events_that_are_insisted_on_where_none_come_are_warned_of(home: Home, tree: Path) -> None:
    del tree
    home.settle(roots=[{"name": "cloud", "path": str(home.folder / "cloud"), "watch": "events"}])
    found = told(home.cli("doctor", "--offline", "--json"))["root cloud: events"]
    assert (found["level"], "through this very mount" in found["found"]) == ("warn", True)
    assert "`watch: poll`" in found["you"]


def test_init_waits_for_no_disk_that_another_program_names_and_that_does_not_answer(home: Home) -> None:
    behind, cloud = home.folder / "behind", home.folder / "cloud"
    for folder in (behind / "loras", behind / "all", cloud):
        folder.mkdir(parents=True)
    manager = home.folder / "user" / ".config" / "ComfyUI-LoRA-Manager" / "settings.json"
    manager.parent.mkdir(parents=True)
    manager.write_text(json.dumps({"folder_paths": {"loras": [str(cloud / "loras")]}}), encoding="utf-8")
    (home.folder / "user" / "ComfyUI" / "models").mkdir(parents=True)
    other = home.folder / "user" / "comfy" / "ComfyUI"
    other.mkdir(parents=True)
    (other / "models").symlink_to(cloud / "all")
    with fuse.mounted(behind, cloud) as server:
        assert f"path: {cloud}/loras" in home.bare("init", "--url", NOBODY).out
        server.send_signal(signal.SIGSTOP)
        done = home.bare("init", "--url", NOBODY)
        assert done.code == 0
        assert f"left out {cloud}/loras: it does not answer" in done.err
        assert f"left out {other}: it does not answer" in done.err
        assert f"path: {home.folder}/user/ComfyUI" in done.out
        assert str(cloud) not in done.out
