from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection, inspect, text

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.connecting import open_database
from hashtagd.catalog.engine import Database
from hashtagd.catalog.migrations import STEPS, migrate
from hashtagd.core.troubles import AskOperator
from support.clock import FakeClock


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

    def third(connection: Connection) -> None:
        connection.execute(text("create table later (x integer)"))

    migrate(database, [*STEPS, third])
    assert versions(database) == [1, 2, 3, 4]


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


def test_an_older_store_gets_the_index_of_intentions(database: Database) -> None:
    migrate(database, STEPS[:2])
    database.write(lambda it, _now: it.execute(text("drop index publication_intended_for")))
    migrate(database)
    (index,) = [
        it
        for it in inspect(database.engine).get_indexes("publication")
        if it["name"] == "publication_intended_for"
    ]
    assert "intended_for" in str(index["dialect_options"][f"{database.engine.dialect.name}_where"])


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
