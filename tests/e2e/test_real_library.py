"""The promise as a whole: the real command, a library with every trap in it, and a site that counts.

The ordinary run has fewer files: `make bench ARGS=requests` counts for 2,000 of them, as the long run does.
"""

import os
from pathlib import Path

import pytest

from bench.requests import figures_of, per_thousand
from bench.trial import try_library

_LONG = os.environ.get("HASHTAGD_LONG") == "1"
_COUNT, _OMITTED = (2000, 5) if _LONG else (300, 5)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_a_library_costs_two_requests_a_hundred_and_a_second_look_costs_nothing(tmp_path: Path) -> None:
    trial = try_library(tmp_path, count=_COUNT, omitted=_OMITTED)
    assert trial.wrong == ()
    assert trial.touched == ()
    assert [figure for figure in figures_of(trial) if figure.kept is False] == []
    hundreds = -(-len(trial.manifest.known) // 100)
    # the first names are not kept waiting for company, so there are a few rounds that are not full
    assert trial.first.first_answers <= 2 * hundreds + 6 + _OMITTED


@pytest.mark.skipif(not _LONG, reason="counted by `make bench ARGS=requests` and `make long`")
def test_a_thousand_known_models_cost_at_most_twenty_one_requests(tmp_path: Path) -> None:
    figure = per_thousand(tmp_path)
    assert figure.kept, figure.measured
