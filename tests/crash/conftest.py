"""What the tests of the whole program share: a site on loopback."""

from collections.abc import Iterator

import pytest

from hashtagd.standin import Standin


@pytest.fixture
def site() -> Iterator[Standin]:
    """Civitai on loopback."""
    with Standin() as standin:
        yield standin
