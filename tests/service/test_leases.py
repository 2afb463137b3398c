from datetime import timedelta

import pytest

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.questions import Wanted
from hashtagd.core import schedule
from hashtagd.core.work import Stage
from hashtagd.service.leases import Leases
from support.clock import FakeClock
from support.library import ROOT, Library
from support.wishing import wish


def test_what_is_held_is_renewed_and_what_is_not_held_runs_out(
    catalog: Catalog, other: Catalog, library: Library, clock: FakeClock
) -> None:
    library.note("held", "dropped")
    leases = Leases()
    held, dropped = catalog.claim(Stage.SETTLE, [ROOT], 2)
    with leases.hold_files([held]):
        clock.advance(schedule.LEASE_S - 1)
        leases.renew(catalog)
        clock.advance(2)
        assert [claim.place for claim in other.claim(Stage.SETTLE, [ROOT], 9)] == [dropped.place]
    clock.advance(schedule.LEASE_S + 1)
    leases.renew(catalog)
    assert len(other.claim(Stage.SETTLE, [ROOT], 9)) == 2


def test_questions_are_held_too_and_let_go_when_the_block_breaks(
    catalog: Catalog, other: Catalog, library: Library, clock: FakeClock
) -> None:
    library.note("x")
    library.settle()
    library.digest()
    claims = catalog.claim_questions(Wanted(provider="civitai", limit=9))
    leases = Leases()
    hold = leases.hold_questions(claims)
    hold.__enter__()
    clock.advance(schedule.LEASE_S - 1)
    leases.renew(catalog)
    clock.advance(2)
    assert other.claim_questions(Wanted(provider="civitai", limit=9)) == []
    error = ZeroDivisionError()
    assert not hold.__exit__(ZeroDivisionError, error, None)
    clock.advance(schedule.LEASE_S)
    leases.renew(catalog)
    assert len(other.claim_questions(Wanted(provider="civitai", limit=9))) == 1


def test_a_transfer_is_held_and_who_lost_it_lets_go_of_his_own_claim_only(
    catalog: Catalog, other: Catalog, clock: FakeClock
) -> None:
    catalog.transfers.want([wish()])
    leases = Leases()
    (late,) = catalog.transfers.claim([ROOT], 9)
    lost = leases.hold_transfer(late)
    lost.__enter__()
    clock.advance(schedule.LEASE_S)
    (current,) = catalog.transfers.claim([ROOT], 9)
    with leases.hold_transfer(current):
        lost.__exit__(None, None, None)
        clock.advance(schedule.LEASE_S - 1)
        leases.renew(catalog)
        clock.advance(2)
        assert other.transfers.claim([ROOT], 9) == []
    clock.advance(schedule.LEASE_S)
    leases.renew(catalog)
    assert len(other.transfers.claim([ROOT], 9)) == 1


def test_nothing_held_means_nothing_written(catalog: Catalog) -> None:
    token = catalog.change_token()
    Leases().renew(catalog)
    assert catalog.change_token() == token


def test_a_lane_between_its_claim_and_its_hold_is_no_idle_lane() -> None:
    leases = Leases()
    with leases.at_work(), leases.at_work():
        assert not leases.idle
    assert leases.idle
    with pytest.raises(ZeroDivisionError), leases.at_work():
        raise ZeroDivisionError
    assert leases.idle


def test_a_lease_lasts_longer_than_two_missed_renewals() -> None:
    assert timedelta(seconds=schedule.LEASE_S) > 2 * timedelta(seconds=schedule.RENEW_S)
