"""What tests of downloads share: an errand to one mirror, and a site on loopback."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from hashtagd.standin import Standin
from support.downloads import Errand, Serve, errand
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
