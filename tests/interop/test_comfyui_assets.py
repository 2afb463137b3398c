"""Runs the trial with the real ComfyUI where somebody has one: `COMFYUI=PATH make test`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_real_comfyui_shows_what_it_was_told_and_keeps_it() -> None:
    checkout = os.environ.get("COMFYUI")
    if not checkout:
        pytest.skip("COMFYUI names no checkout of ComfyUI; see tests/interop/README.md")
    python = os.environ.get("COMFYUI_PYTHON", sys.executable)
    script = Path(__file__).with_name("comfyui_assets.py")
    done = subprocess.run(
        [sys.executable, str(script), checkout, "--python", python],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
