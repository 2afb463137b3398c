from pathlib import Path

import pytest
from sqlalchemy import text

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.connecting import is_there, open_database
from hashtagd.catalog.migrations import STEPS, is_made, migrate
from hashtagd.core.troubles import AskOperator
from support.clock import FakeClock
from support.library import Library


@pytest.fixture
def catalog_url(empty_url: str) -> str:
    """Nothing is there yet."""
    return empty_url


def open_made(url: str, clock: FakeClock) -> Catalog | None:
    return Catalog.open_made(url, clock=clock, owner="reader", chance=lambda: 0.0, database_clock=False)


def test_a_store_that_is_there_is_opened_as_it_is(
    catalog_url: str, clock: FakeClock, library: Library
) -> None:
    library.note("x")
    token = library.catalog.change_token()
    reader = open_made(catalog_url, clock)
    assert reader is not None
    assert [count.files for count in reader.reports.roots()] == [1]
    reader.close()
    assert library.catalog.change_token() == token


def test_where_there_is_no_store_none_is_made(sqlite_url: str, clock: FakeClock, tmp_path: Path) -> None:
    assert open_made(sqlite_url, clock) is None
    assert list(tmp_path.iterdir()) == []


def test_a_store_without_tables_is_none_yet_and_stays_so(catalog_url: str, clock: FakeClock) -> None:
    database = open_database(catalog_url, clock=clock, database_clock=False)
    assert not is_made(database)
    database.close()
    assert open_made(catalog_url, clock) is None
    assert open_made(catalog_url, clock) is None


@pytest.mark.parametrize("done", [1, 2])
def test_a_store_of_an_older_hashtagd_is_left_to_the_daemon(
    catalog_url: str, clock: FakeClock, done: int
) -> None:
    database = open_database(catalog_url, clock=clock, database_clock=False)
    migrate(database, STEPS[:done])
    with pytest.raises(AskOperator, match=f"shape {done}") as refused:
        open_made(catalog_url, clock)
    assert refused.value.kind == "catalog_older"
    assert is_made(database, STEPS[:done])
    database.close()


def test_a_store_of_a_newer_hashtagd_is_refused(catalog_url: str, clock: FakeClock, library: Library) -> None:
    """F67."""
    library.catalog.database.write(
        lambda it, now: it.execute(
            text("insert into schema_version (version, applied_at) values (99, :now)"), {"now": str(now)}
        )
    )
    with pytest.raises(AskOperator) as refused:
        open_made(catalog_url, clock)
    assert refused.value.kind == "catalog_newer"


@pytest.mark.parametrize("url", ["no address", "postgresql://nobody@127.0.0.1/x", "sqlite://"])
def test_what_opening_can_explain_better_counts_as_there(url: str) -> None:
    assert is_there(url)


def test_it_is_known_whether_somebody_waits_for_the_database(library: Library) -> None:
    """Who watches over the store waits for an answer to what was asked, and for nothing else."""
    database = library.catalog.database
    asked = [database.is_asked, database.read(lambda _connection, _now: database.is_asked), database.is_asked]
    assert asked == [False, True, False]
