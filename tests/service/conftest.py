"""A real SQLite catalog whose time the test moves, and ears for what the service tells."""

from collections.abc import Iterator

import pytest

from hashtagd.catalog.catalog import Catalog
from support.clock import FakeClock
from support.library import Library
from support.serving import Ears


@pytest.fixture
def ears() -> Ears:
    return Ears()


@pytest.fixture
def catalog(sqlite_url: str, clock: FakeClock) -> Iterator[Catalog]:
    opened = Catalog.open(sqlite_url, clock=clock, owner="me", chance=lambda: 0.0)
    yield opened
    opened.close()


@pytest.fixture
def other(catalog: Catalog, sqlite_url: str, clock: FakeClock) -> Iterator[Catalog]:
    """The same store as another process sees it."""
    del catalog
    opened = Catalog.open(sqlite_url, clock=clock, owner="other", chance=lambda: 0.0)
    yield opened
    opened.close()


@pytest.fixture
def library(catalog: Catalog, clock: FakeClock) -> Library:
    return Library(catalog, clock)
