"""What can be kept honest of other systems from here: nothing is used that they do not have."""

import hashlib
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import hashtagd
from support.commands import Home

pytestmark = pytest.mark.slow

_IMPORTING = """
import importlib, sys
from support.elsewhere import become
become(sys.argv[1])
for name in sys.argv[2:]:
    importlib.import_module(name)
"""


def python(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    surroundings = os.environ | {"HOME": str(home), "PYTHONPATH": str(Path(__file__).parent.parent)}
    return subprocess.run(
        [sys.executable, *words], env=surroundings, capture_output=True, text=True, check=False, timeout=60
    )


def modules() -> list[str]:
    return [
        it.name for it in pkgutil.walk_packages(hashtagd.__path__, "hashtagd.") if "__main__" not in it.name
    ]


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_every_module_can_be_imported_on_other_systems(system: str, tmp_path: Path) -> None:
    assert len(modules()) > 100
    done = python("-c", _IMPORTING, system, *modules(), home=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def command(system: str, home: Home, *words: str) -> subprocess.CompletedProcess[str]:
    return python("-m", "support.elsewhere", system, "--config", str(home.config), *words, home=home.folder)


def test_without_what_only_linux_has_a_model_is_hashed_named_and_published(home: Home) -> None:
    sha256 = home.put("ink.safetensors", trained_words=("inkwash",))
    done = command("darwin", home, "run", "--once", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["named"] == 1
    sidecar = json.loads((home.loras / "ink.metadata.json").read_text(encoding="utf-8"))
    assert (sidecar["sha256"], sidecar["civitai"]["trainedWords"]) == (sha256, ["inkwash"])
    assert hashlib.sha256((home.loras / "ink.safetensors").read_bytes()).hexdigest() == sha256
    again = command("darwin", home, "run", "--once", "--json")
    assert again.returncode == 0, again.stderr
    told = command("darwin", home, "doctor", "--json", "--offline")
    events = next(it for it in json.loads(told.stdout) if it["check"] == "root loras: events")
    assert events["found"] == "this system tells of no changes, so the root is polled"


def test_where_folders_cannot_be_held_open_nothing_is_written_in_them_and_the_rest_works(home: Home) -> None:
    home.put("ink.safetensors")
    before = sorted(home.loras.iterdir())
    refused = command("win32", home, "run", "--once")
    assert refused.returncode == 78
    assert "WSL 2" in refused.stderr
    assert sorted(home.loras.iterdir()) == before
    checked = command("win32", home, "check-config")
    assert checked.returncode == 0, checked.stderr
    looked = command("win32", home, "lookup", "--json", "2130994")
    assert looked.returncode in (0, 1), looked.stderr
    assert "Traceback" not in looked.stderr
