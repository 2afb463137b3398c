"""Reading commands open a catalog without making or changing one."""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import OperationalError

from hashtagd.catalog import failures
from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.connecting import open_database
from hashtagd.catalog.migrations import STEPS, migrate
from hashtagd.catalog.storable import storable_json
from hashtagd.catalog.types import UtcDateTime, WideInteger
from hashtagd.core.troubles import AskOperator
from support.clock import FakeClock


@pytest.fixture
def catalog_url(empty_url: str) -> str:
    """Nothing is there yet."""
    return empty_url


def look(url: str) -> Catalog | None:
    return Catalog.open_made(url, clock=FakeClock(), owner="reader", chance=lambda: 0.0)


def test_a_reader_makes_no_catalog(catalog_url: str, tmp_path: Path) -> None:
    assert look(catalog_url) is None
    assert list(tmp_path.iterdir()) == []


def test_a_reader_opens_what_is_there(catalog_url: str, open_catalog: Callable[[str], Catalog]) -> None:
    open_catalog("writer").scans.keep_root("loras", "token", None)
    found = look(catalog_url)
    assert found is not None
    with closing(found):
        assert found.scans.root_marker("loras") == "token"


def test_a_reader_leaves_an_older_store_as_it_is(catalog_url: str, clock: FakeClock) -> None:
    with closing(open_database(catalog_url, clock=clock, database_clock=False)) as database:
        migrate(database, STEPS[:1])
        with pytest.raises(AskOperator) as caught:
            look(catalog_url)
    assert caught.value.kind == "catalog_older"


def test_a_catalog_that_cannot_be_used_is_closed_again(catalog_url: str, clock: FakeClock) -> None:
    """F67."""
    with closing(open_database(catalog_url, clock=clock, database_clock=False)) as database:
        migrate(database, [*STEPS, lambda _connection: None])
        for opened in (look, lambda url: Catalog.open(url, clock=clock, owner="x", chance=lambda: 0.0)):
            with pytest.raises(AskOperator):
                opened(catalog_url)


def test_a_catalog_that_rests_works_on_when_needed(open_catalog: Callable[[str], Catalog]) -> None:
    catalog = open_catalog("me")
    token = catalog.change_token()
    catalog.database.rest()
    catalog.scans.keep_root("loras", "token", None)
    assert catalog.scans.root_marker("loras") == "token"
    assert catalog.change_token() != token


@pytest.mark.parametrize("url", ["no address", "sqlite://"])
def test_a_reader_is_told_what_is_wrong_with_the_address(url: str) -> None:
    with pytest.raises(AskOperator) as caught:
        look(url)
    assert caught.value.kind == "catalog_address"


def test_moments_sort_as_text_and_need_a_zone() -> None:
    """F88."""
    kind, dialect = UtcDateTime(), sqlite.dialect()
    early, late = datetime(100, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
    kept = [kind.process_bind_param(it, dialect) for it in (early, late)]
    assert kept == sorted(kept)
    assert len({len(it) for it in kept}) == 1
    assert [kind.process_result_value(it, dialect) for it in kept] == [early, late]
    with pytest.raises(ValueError, match="without a zone"):
        kind.process_bind_param(datetime(2026, 1, 1), dialect)  # noqa: DTZ001 - the point


def test_a_number_that_is_not_there_stays_so() -> None:
    kind, dialect = WideInteger(0), sqlite.dialect()
    assert kind.process_bind_param(None, dialect) is None
    assert kind.process_result_value(None, dialect) is None


def test_truth_and_small_numbers_pass_the_border() -> None:
    """F56."""
    assert storable_json([True, None, 3, -(2**63), 2**63, 1e308]) == [True, None, 3, -(2**63), None, 1e308]


def test_an_error_of_sqlite_that_nobody_foresaw_is_a_bug() -> None:
    import sqlite3  # noqa: PLC0415 - only here

    error = OperationalError("select", {}, sqlite3.OperationalError("no such function"))
    assert failures.trouble_of(error) is None
