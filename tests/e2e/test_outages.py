"""While the site fails nothing is called unknown, nobody knocks at a closed gate, and later all is found.

The real service, turned by hand under a clock that skips its waits, so that half an hour passes at once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from hashtagd.catalog.gates import GateState
from hashtagd.standin import Fault, Standin
from support.crash_driver import TurnedService
from support.crash_lives import rows_of
from support.daemon_process import Home, is_tagged, make_home, publish, sidecar_of
from support.safetensors import lora

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

_FILES = 5
_STEP_S = 0.05


class Outage:
    """A small library, a site that knows it, and a service that is turned by hand."""

    def __init__(self, home: Home, site: Standin, turned: TurnedService) -> None:
        self.home = home
        self.site = site
        self.turned = turned
        self.models = {home.loras / f"{number}.safetensors": f"Model {number}" for number in range(_FILES)}

    def pass_time(self, seconds: float) -> None:
        """Let time pass; nobody may ask while the gate is closed."""
        ends = self.turned.clock.monotonic_s() + seconds
        while self.turned.clock.monotonic_s() < ends:
            gate, before = self.gate, len(self.site.requests)
            wait_s = self.turned.turn()
            if gate is not None and not gate.open:
                assert len(self.site.requests) == before, "somebody knocked at a closed gate"
            if wait_s > 0:
                left_s = ends - self.turned.clock.monotonic_s()
                self.turned.clock.skip(max(min(wait_s, left_s), 0.0) + _STEP_S)

    @property
    def gate(self) -> GateState | None:
        return next((it for it in self.turned.catalog.reports.gates() if it.origin == self.site.url), None)

    @property
    def closed_for_s(self) -> float:
        """Seconds until the gate opens."""
        gate = self.gate
        assert gate is not None
        assert gate.opens_at is not None
        return (gate.opens_at - self.turned.clock.now()).total_seconds()

    def assert_nothing_is_called_unknown(self) -> None:
        rows = rows_of(self.home.catalog, "question")
        assert [row["verdict"] for row in rows if row["provider"] == "civitai"] == [None] * _FILES
        states = self.turned.catalog.reports.states()
        assert states["unknown"] == 0
        assert states["asking"] == _FILES
        for model in self.models:
            assert not sidecar_of(model).get("civitai_deleted")
        gate = self.gate
        assert gate is not None
        assert gate.trouble is not None
        assert all((gate.trouble.what, gate.trouble.does, gate.trouble.you))

    def assert_all_is_found(self) -> None:
        self.pass_time(max(self.closed_for_s, 0.0) + 30)
        for model, name in self.models.items():
            assert is_tagged(model, name)
        assert self.turned.bugs == []
        assert self.turned.catalog.reports.states()["published"] == _FILES
        digested = [values["path"] for event, values in self.turned.told if event == "file_digested"]
        assert len(digested) == len(set(digested)) == _FILES


@contextmanager
def outage(folder: Path, site: Standin) -> Iterator[Outage]:
    """Put files into a root, and let the site know them."""
    home = make_home(folder, site=site.url)
    turned = TurnedService(home.config, home.environ())
    with turned.running():
        made = Outage(home, site, turned)
        for seed, (model, name) in enumerate(made.models.items()):
            model.write_bytes(lora(seed))
            publish(site, model.read_bytes(), name)
        yield made


def test_a_site_that_is_away_leaves_files_asking_until_it_comes_back(tmp_path: Path) -> None:
    """F36."""
    with Standin() as site:
        port = int(site.url.rpartition(":")[2])
    home = make_home(tmp_path / "home", site=site.url)
    turned = TurnedService(home.config, home.environ())
    with turned.running():
        here = Outage(home, site, turned)
        for seed, model in enumerate(here.models):
            model.write_bytes(lora(seed))
        here.pass_time(300)
        here.assert_nothing_is_called_unknown()
        with Standin(port=port) as back:
            here.site = back
            for model, name in here.models.items():
                publish(back, model.read_bytes(), name)
            here.assert_all_is_found()


def test_retry_after_in_seconds_is_obeyed(tmp_path: Path, site: Standin) -> None:
    """F45."""
    with outage(tmp_path / "home", site) as here:
        site.fail_next(None, status=429, headers={"Retry-After": "7"}, route="by-hash")
        here.pass_time(5)
        assert 1 <= here.closed_for_s <= 7
        here.assert_nothing_is_called_unknown()
        asked = len(site.requests)
        here.pass_time(here.closed_for_s - 0.5)
        assert len(site.requests) == asked
        site.clear_faults()
        here.assert_all_is_found()


def test_retry_after_as_a_date_is_obeyed(tmp_path: Path, site: Standin) -> None:
    """F45."""
    with outage(tmp_path / "home", site) as here:
        later = format_datetime(here.turned.clock.now() + timedelta(seconds=300), usegmt=True)
        site.fail_next(1, status=429, headers={"Retry-After": later}, route="by-hash")
        here.pass_time(30)
        assert 260 < here.closed_for_s <= 270
        here.assert_nothing_is_called_unknown()
        assert site.counts["by-hash"] == 1
        here.assert_all_is_found()


def test_an_html_page_instead_of_an_answer_is_an_outage(tmp_path: Path, site: Standin) -> None:
    """F44."""
    with outage(tmp_path / "home", site) as here:
        site.fail_next(None, status=200, html=True)
        here.pass_time(200)
        here.assert_nothing_is_called_unknown()
        site.clear_faults()
        here.assert_all_is_found()


def test_half_an_hour_of_failures_costs_few_requests(tmp_path: Path, site: Standin) -> None:
    """F46: six probes of three tries, and the first."""
    with outage(tmp_path / "home", site) as here:
        site.fail_next(None, status=503)
        here.pass_time(1800)
        here.assert_nothing_is_called_unknown()
        assert 3 <= len(site.requests) <= 24
        site.clear_faults()
        here.assert_all_is_found()


def test_bodies_that_end_early_are_no_answers(tmp_path: Path, site: Standin) -> None:
    """F40."""
    with outage(tmp_path / "home", site) as here:
        site.spoil_next(None, fault=Fault(cut=True))
        here.pass_time(200)
        here.assert_nothing_is_called_unknown()
        site.clear_faults()
        here.assert_all_is_found()


def test_a_gate_that_was_closed_before_a_restart_is_still_closed_after_it(
    tmp_path: Path, site: Standin
) -> None:
    with outage(tmp_path / "home", site) as here:
        site.fail_next(None, status=429, headers={"Retry-After": "600"}, route="by-hash")
        here.pass_time(5)
        asked = len(site.requests)
    turned = TurnedService(here.home.config, here.home.environ())
    with turned.running():
        again = Outage(here.home, site, turned)
        again.pass_time(300)
        assert len(site.requests) == asked
        again.assert_nothing_is_called_unknown()
        assert not any(event == "file_digested" for event, _ in turned.told)
        site.clear_faults()
        again.pass_time(again.closed_for_s + 30)
        assert all(is_tagged(model, name) for model, name in again.models.items())
