"""Catalogs whose time the test moves, on both engines."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from hashtagd.catalog.catalog import Catalog
from support.clock import FakeClock
from support.library import Library


@pytest.fixture
def catalog_url(made_url: str) -> str:
    """The address of a catalog without a row, on each engine."""
    return made_url


@pytest.fixture
def open_catalog(catalog_url: str, clock: FakeClock) -> Iterator[Callable[[str], Catalog]]:
    """Open the store as another process would, under the given name; closed after the test."""
    with ExitStack() as stack:

        def opened(owner: str) -> Catalog:
            catalog = Catalog.open(
                catalog_url,
                clock=clock,
                owner=owner,
                chance=lambda: 0.0,
                quiet_s={"quick": 1.0},
                database_clock=False,
            )
            stack.callback(catalog.close)
            return catalog

        yield opened


@pytest.fixture
def catalog(open_catalog: Callable[[str], Catalog]) -> Catalog:
    """A catalog under the name "me"."""
    return open_catalog("me")


@pytest.fixture
def library(catalog: Catalog, clock: FakeClock) -> Library:
    """Moves files through the catalog by hand."""
    return Library(catalog, clock)
