"""What all tests share."""

import warnings

from hypothesis import strategies
from hypothesis.errors import HypothesisSideeffectWarning


def pytest_sessionstart() -> None:
    """Let hypothesis make its table of characters before any test's time runs.

    Once per checkout it does, and under coverage that alone may take longer than a test may.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HypothesisSideeffectWarning)  # slow and early: that is the point
        strategies.text().validate()
