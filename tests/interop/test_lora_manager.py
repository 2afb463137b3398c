"""Runs the trial with the real LoRA Manager where somebody has one: `LORA_MANAGER=PATH make test`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_real_lora_manager_shows_what_we_wrote_and_leaves_it_alone() -> None:
    checkout = os.environ.get("LORA_MANAGER")
    if not checkout:
        pytest.skip("LORA_MANAGER names no checkout of ComfyUI-Lora-Manager; see tests/interop/README.md")
    python = os.environ.get("LORA_MANAGER_PYTHON", sys.executable)
    script = Path(__file__).with_name("lora_manager.py")
    done = subprocess.run(
        [sys.executable, str(script), checkout, "--python", python],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
