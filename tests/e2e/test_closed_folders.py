"""Folders that the user hashtagd runs as may not enter: usual where a service is a user of its own."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hashtagd.standin import Standin
from support.daemon_process import Home, command, make_home

Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def home(tmp_path: Path, site: Standin) -> Iterator[Home]:
    """Settings that name a ComfyUI in a folder that nobody else may enter."""
    comfyui = tmp_path / "alice" / "ComfyUI"
    (comfyui / "models" / "loras").mkdir(parents=True)
    made = make_home(tmp_path / "home", site=site.url, comfyui={"path": str(comfyui), "url": None})
    (tmp_path / "alice").chmod(0)
    yield made
    (tmp_path / "alice").chmod(0o755)


@pytest.fixture
def call(home: Home) -> Call:
    """Call a command as somebody for whom the modes of files hold, as they do not for root."""
    before: list[str] = []
    if os.geteuid() == 0:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("SKIPPED ALOUD: without setpriv root cannot be kept from reading everything")
        before = [setpriv, "--bounding-set", "-dac_override,-dac_read_search", "--"]

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*before, *command(home), *words],
            env=home.environ(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_a_comfyui_that_may_not_be_entered_is_named_and_the_other_roots_are_watched(call: Call) -> None:
    checked = call("check-config")
    assert (checked.returncode, "may not be looked at by this user" in checked.stderr) == (0, True)
    findings = json.loads(call("doctor", "--offline", "--json").stdout)
    assert any("may not be looked at" in it["found"] and it["level"] == "warn" for it in findings)
    ran = call("run", "--once")
    assert ran.returncode == 0, ran.stderr
    told = [json.loads(line) for line in ran.stderr.splitlines()]
    assert any("may not be looked at" in it.get("what", "") for it in told)
    assert call("status").returncode == 0


def test_a_folder_of_the_command_line_that_may_not_be_entered_is_refused_in_words(
    call: Call, tmp_path: Path
) -> None:
    ran = call("run", "--once", str(tmp_path / "alice" / "ComfyUI"))
    assert (ran.returncode, "may not be looked at by this user" in ran.stderr) == (78, True), ran.stderr
