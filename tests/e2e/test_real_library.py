"""The promise as a whole: the real command, 2,000 files with every trap in them, and a site that counts."""

from pathlib import Path

import pytest

from bench.requests import figures_of, per_thousand
from bench.trial import try_library


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_thousand_files_cost_forty_requests_and_a_second_look_costs_nothing(
    tmp_path: Path,
) -> None:
    trial = try_library(tmp_path, count=2000, omitted=5)
    assert trial.wrong == ()
    assert trial.touched == ()
    assert [figure for figure in figures_of(trial) if figure.kept is False] == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_thousand_known_models_cost_at_most_twenty_one_requests(tmp_path: Path) -> None:
    figure = per_thousand(tmp_path)
    assert figure.kept, figure.measured
