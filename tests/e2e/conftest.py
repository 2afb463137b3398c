"""What the tests of the whole program share: a site on loopback."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hashtagd.standin import Standin
from support.daemon_process import Home, make_home
from support.service_manager import Manager


@pytest.fixture
def site() -> Iterator[Standin]:
    """Civitai on loopback."""
    with Standin() as standin:
        yield standin


@pytest.fixture
def home(tmp_path: Path, site: Standin) -> Home:
    """A user's home with one root; the site is that on loopback."""
    return make_home(tmp_path / "home", site=site.url)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    """Who listens where systemd would."""
    with Manager(f"hashtagd-{os.getpid()}-{tmp_path.name}") as made:
        yield made
