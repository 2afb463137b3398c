from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection, inspect, text

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.connecting import open_database
from hashtagd.catalog.engine import Database
from hashtagd.catalog.migrations import STEPS, migrate
from hashtagd.core.card import Update
from hashtagd.core.troubles import AskOperator
from hashtagd.core.work import Advance, Answered, Found
from support.clock import FakeClock
from support.library import Library, card


@pytest.fixture
def database(catalog_url: str, clock: FakeClock) -> Iterator[Database]:
    opened = open_database(catalog_url, clock=clock, database_clock=False)
    yield opened
    opened.close()


def versions(database: Database) -> list[int]:
    def body(connection: Connection, _now: object) -> list[int]:
        rows = connection.execute(text("select version from schema_version order by version"))
        return list(rows.scalars())

    return database.read(body)


def test_every_step_is_taken_once_and_remembered(database: Database) -> None:
    migrate(database)
    migrate(database)
    assert versions(database) == [1, 2, 3]


def test_a_later_step_is_added_to_an_old_store(database: Database) -> None:
    migrate(database, STEPS[:1])

    def fourth(connection: Connection) -> None:
        connection.execute(text("create table later (x integer)"))

    migrate(database, [*STEPS, fourth])
    assert versions(database) == [1, 2, 3, 4]


def test_a_store_that_told_of_newer_versions_before_tells_of_them_no_second_time(
    catalog: Catalog, library: Library
) -> None:
    seen = card(update=Update(version_id=99))
    library.publish_whole("x", seen)

    def grow_young(connection: Connection, _now: object) -> None:
        connection.execute(text("drop table told_update"))
        connection.execute(text("delete from schema_version where version > 2"))

    catalog.database.write(grow_young)
    migrate(catalog.database)
    library.clock.advance(3600)
    (claim,) = library.ask()
    found = Advance(facts=Answered(answer=Found(card=seen), again_in_s=9.0))
    assert [kept.newer for kept in catalog.apply_answers([(claim, found)])] == [None]


def test_a_newer_store_is_refused_and_nothing_is_written(catalog_url: str, database: Database) -> None:
    """F67."""
    migrate(database)
    database.write(
        lambda it, _now: it.execute(
            text("insert into schema_version values (99, '2026-01-01T00:00:00.000000Z')")
        )
    )
    with pytest.raises(AskOperator) as caught:
        Catalog.open(catalog_url, clock=FakeClock(), owner="old", chance=lambda: 0.0)
    assert caught.value.kind == "catalog_newer"
    assert versions(database) == [1, 2, 3, 99]


def test_a_step_that_another_process_took_meanwhile_is_not_taken_twice(database: Database) -> None:
    taken: list[str] = []

    def first(_connection: Connection) -> None:
        taken.append("first")

    def second(_connection: Connection) -> None:
        taken.append("second")

    class Late(Database):
        """Reads the version of before the other process came."""

        def read(self, body: Callable[..., object]) -> int:  # type: ignore[override] # only `migrate` asks it
            return super().read(body) and 0  # type: ignore[return-value] # a number

    late = Late(database.engine, clock=FakeClock(), database_clock=False, path=database._path)
    migrate(database, [first, second])
    migrate(late, [first, second])
    assert taken == ["first", "second"]


def test_a_failed_step_leaves_no_trace(database: Database) -> None:
    def broken(connection: Connection) -> None:
        connection.execute(text("create table half (x integer)"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        migrate(database, [*STEPS, broken])
    assert versions(database) == [1, 2, 3]
    migrate(database, [*STEPS, lambda it: it.execute(text("create table half (x integer)"))])
    assert versions(database) == [1, 2, 3, 4]


def test_on_both_engines_indexes_hold_only_the_rows_that_are_looked_for(catalog: Catalog) -> None:
    engine = catalog.database.engine
    conditions = {
        index["name"]: str(index.get("dialect_options", {}).get(f"{engine.dialect.name}_where"))
        for table in ("file", "question")
        for index in inspect(engine).get_indexes(table)
    }
    partial = ("file_due", "question_due", "file_sha256", "file_tensors")
    columns = ("due_at", "due_at", "gone_at", "gone_at")
    assert all(column in conditions[name] for name, column in zip(partial, columns, strict=True))
    assert conditions["file_stamp"] == "None"
