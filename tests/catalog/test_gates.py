from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.gates import Gates
from hashtagd.core.ports import Admitted, Closed
from hashtagd.core.troubles import Trouble
from support.clock import FakeClock
from support.library import CLOSED

SITE = "https://civitai.example"


@pytest.fixture
def gates(catalog: Catalog) -> Gates:
    return catalog.gates({SITE: 60}, default_rpm=2)


def opens_in_s(verdict: Admitted | Closed, clock: FakeClock) -> float:
    assert isinstance(verdict, Closed)
    return (verdict.opens_at - clock.now()).total_seconds()


def why(verdict: Admitted | Closed) -> Trouble | None:
    assert isinstance(verdict, Closed)
    return verdict.trouble


def test_a_site_nobody_asked_yet_is_open(gates: Gates) -> None:
    assert gates.look(SITE) == Admitted()
    assert gates.admit(SITE) == Admitted()
    assert gates.look(SITE) == Admitted()


def test_the_budget_of_a_minute_may_go_at_once_and_refills_evenly(gates: Gates, clock: FakeClock) -> None:
    assert [gates.admit("https://other.example") for _ in range(2)] == [Admitted(), Admitted()]
    refused = gates.admit("https://other.example")
    assert (opens_in_s(refused, clock), why(refused)) == (30, None)
    assert gates.look("https://other.example") == refused
    clock.advance(30)
    assert gates.admit("https://other.example") == Admitted()
    assert opens_in_s(gates.admit("https://other.example"), clock) == 30
    clock.advance(3600)
    assert [gates.admit("https://other.example") for _ in range(2)] == [Admitted(), Admitted()]
    assert isinstance(gates.admit("https://other.example"), Closed)


def test_coming_back_at_the_named_moment_is_never_too_early(gates: Gates, clock: FakeClock) -> None:
    for _ in range(60):
        gates.admit(SITE)
    for _ in range(20):
        clock.advance(opens_in_s(gates.admit(SITE), clock))
        assert gates.admit(SITE) == Admitted()


def test_machines_share_one_budget(open_catalog: Callable[[str], Catalog]) -> None:
    one, two = (open_catalog(name).gates({}, default_rpm=2) for name in ("one", "two"))
    assert one.admit(SITE) == two.admit(SITE) == Admitted()
    assert isinstance(one.admit(SITE), Closed)
    assert isinstance(two.look(SITE), Closed)


def test_an_outage_closes_the_gate_for_everybody_and_longer_each_time(gates: Gates, clock: FakeClock) -> None:
    """F36, F46."""
    waits = []
    for _ in range(7):
        opens_at = gates.close(SITE, CLOSED)
        waits.append((opens_at - clock.now()).total_seconds())
        refused = gates.admit(SITE)
        assert opens_in_s(refused, clock) == waits[-1]
        trouble = why(refused)
        assert trouble is not None
        assert trouble.to_json() == CLOSED.to_json()
        clock.advance(waits[-1])
        assert gates.admit(SITE) == Admitted(probe=True)
    assert waits == [30, 60, 120, 240, 480, 900, 900]


def test_half_an_hour_of_outage_sees_at_most_seven_requests(gates: Gates, clock: FakeClock) -> None:
    """F46."""
    sent, end = 0, clock.now() + timedelta(minutes=30)
    while clock.now() < end:
        verdict = gates.admit(SITE)
        if isinstance(verdict, Closed):
            clock.advance(opens_in_s(verdict, clock))
        else:
            sent += 1
            gates.close(SITE, CLOSED)
    assert sent <= 7


def test_after_an_outage_one_probe_goes_and_the_others_wait(gates: Gates, clock: FakeClock) -> None:
    gates.close(SITE, CLOSED, wait_s=5.0)
    clock.advance(5)
    assert gates.look(SITE) == Admitted(probe=True)
    assert gates.admit(SITE) == Admitted(probe=True)
    assert opens_in_s(gates.admit(SITE), clock) == 60
    gates.succeeded(SITE)
    assert gates.admit(SITE) == Admitted()
    (state,) = gates.list()
    assert (state.open, state.failures, state.trouble, state.opens_at) == (True, 0, None, None)


def test_a_probe_that_never_returned_lets_another_one_go_after_a_minute(
    gates: Gates, clock: FakeClock
) -> None:
    gates.close(SITE, CLOSED, wait_s=5.0)
    clock.advance(5)
    gates.admit(SITE)
    clock.advance(60)
    assert gates.admit(SITE) == Admitted(probe=True)


def test_requests_that_fail_together_are_one_outage(gates: Gates, clock: FakeClock) -> None:
    first = gates.close(SITE, CLOSED)
    assert gates.close(SITE, CLOSED) == first
    assert gates.close(SITE, CLOSED, wait_s=1.0) == first
    longer = gates.close(SITE, CLOSED, wait_s=600.0)
    assert (longer - clock.now()).total_seconds() == 600
    (state,) = gates.list()
    assert (state.failures, state.open, state.opens_at) == (1, False, longer)


def test_an_answer_that_was_under_way_does_not_open_a_closed_gate(gates: Gates) -> None:
    gates.close(SITE, CLOSED, wait_s=100.0)
    gates.succeeded(SITE)
    assert isinstance(gates.admit(SITE), Closed)


def test_success_without_failures_writes_nothing(gates: Gates, catalog: Catalog) -> None:
    gates.succeeded(SITE)
    gates.admit(SITE)
    before = catalog.change_token()
    gates.succeeded(SITE)
    assert catalog.change_token() == before


def test_a_closed_gate_survives_a_restart(open_catalog: Callable[[str], Catalog], clock: FakeClock) -> None:
    before = open_catalog("before")
    before.gates({}, 10).close(SITE, CLOSED)
    before.close()
    assert opens_in_s(open_catalog("after").gates({}, 10).look(SITE), clock) == 30


def test_a_clock_that_goes_back_gives_no_budget_away(gates: Gates, clock: FakeClock) -> None:
    """F88."""
    for _ in range(2):
        gates.admit("https://other.example")
    clock.jump(-3600)
    assert isinstance(gates.admit("https://other.example"), Closed)


def test_retry_opens_every_gate(gates: Gates, catalog: Catalog) -> None:
    gates.close(SITE, CLOSED, wait_s=1000.0)
    catalog.retry()
    assert gates.admit(SITE) == Admitted()
    assert catalog.reports.gates() == gates.list()


@pytest.fixture
def generous(open_catalog: Callable[[str], Catalog]) -> Gates:
    """A gatekeeper with a budget of four requests a second."""
    return open_catalog("generous").gates({SITE: 240}, default_rpm=2)


def admitted(gates: Gates) -> int:
    """Ask until there is no more; returns how many times that went well."""
    count = 0
    while isinstance(gates.admit(SITE), Admitted):
        count += 1
    return count


def test_a_large_budget_is_spent_with_one_commit_for_a_second_of_it(
    generous: Gates, catalog: Catalog
) -> None:
    generous.admit(SITE)
    before = catalog.change_token()
    assert [generous.admit(SITE) for _ in range(3)] == [Admitted()] * 3
    assert catalog.change_token() == before
    generous.admit(SITE)
    assert catalog.change_token() != before


def test_machines_that_spend_in_advance_share_one_budget_all_the_same(
    open_catalog: Callable[[str], Catalog],
) -> None:
    one, two = (open_catalog(name).gates({SITE: 240}, default_rpm=2) for name in ("one", "two"))
    assert two.admit(SITE) == Admitted()
    assert admitted(one) + admitted(two) == 239


def test_nobody_is_sent_away_while_something_is_reserved(generous: Gates, clock: FakeClock) -> None:
    for _ in range(240 - 1):
        generous.admit(SITE)
    assert generous.look(SITE) == Admitted()
    assert generous.admit(SITE) == Admitted()
    assert opens_in_s(generous.look(SITE), clock) == opens_in_s(generous.admit(SITE), clock) == 0.25


def test_a_gate_closed_elsewhere_is_seen_by_who_has_requests_in_reserve(
    generous: Gates, gates: Gates, clock: FakeClock
) -> None:
    """F36."""
    generous.admit(SITE)
    gates.close(SITE, CLOSED)
    assert opens_in_s(generous.admit(SITE), clock) == 30


def test_after_an_outage_one_probe_goes_whatever_was_reserved(generous: Gates, clock: FakeClock) -> None:
    """F46."""
    generous.admit(SITE)
    generous.close(SITE, CLOSED, wait_s=5.0)
    clock.advance(5)
    assert generous.admit(SITE) == Admitted(probe=True)
    assert opens_in_s(generous.admit(SITE), clock) == 60
    generous.succeeded(SITE)
    assert generous.admit(SITE) == Admitted()


def test_what_was_reserved_before_a_quiet_minute_gives_no_more_than_the_budget(
    generous: Gates, clock: FakeClock
) -> None:
    generous.admit(SITE)
    clock.advance(60)
    assert admitted(generous) == 240


def test_a_clock_that_goes_back_makes_the_reserve_worth_nothing(
    generous: Gates, catalog: Catalog, clock: FakeClock
) -> None:
    """F88."""
    generous.admit(SITE)
    clock.jump(-1)
    before = catalog.change_token()
    assert generous.admit(SITE) == Admitted()
    assert catalog.change_token() != before


def test_threads_that_spend_a_reserve_together_spend_no_request_twice(generous: Gates) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda _: admitted(generous), range(4))) == 240
