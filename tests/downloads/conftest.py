"""What tests of downloads share: an errand to one mirror, and a site on loopback."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from hashtagd.standin import Standin
from support.downloads import Errand, Serve, errand, run
from support.fault_server import Answer, FaultServer


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Give an errand to one mirror that answers as it is told to."""
    with ExitStack() as stack:

        def make(*answers: Answer, origins: Sequence[str] = (), **facts: Any) -> tuple[Errand, FaultServer]:
            server = stack.enter_context(FaultServer(*answers))
            job = errand(tmp_path / "root", origins=[server.url, *origins], **facts)
            return stack.enter_context(job), server

        yield make


@pytest.fixture
def site() -> Iterator[Standin]:
    """Civitai on loopback."""
    with Standin() as standin:
        yield standin


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of 2 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or not run("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)):
        pytest.skip("SKIPPED ALOUD: needs the right to mount a small tmpfs")
    try:
        yield folder
    finally:
        run("umount", "-l", str(folder))
