from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from sqlalchemy import Connection, inspect, text

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.connecting import open_database
from hashtagd.catalog.engine import Database
from hashtagd.catalog.migrations import STEPS, is_made, migrate
from hashtagd.catalog.tables import metadata
from hashtagd.core.card import Update
from hashtagd.core.troubles import AskOperator
from hashtagd.core.work import Advance, Answered, Found
from support.clock import FakeClock
from support.library import Library, card
from support.wishing import take, wish


@pytest.fixture
def catalog_url(empty_url: str) -> str:
    """Nothing is there yet."""
    return empty_url


#: the numbers of all steps
ALL = list(range(1, 9))


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
    assert versions(database) == ALL


@pytest.mark.parametrize("done", [1, 2])
def test_later_steps_are_added_to_an_old_store_one_by_one(database: Database, done: int) -> None:
    """A store that a release left with fewer steps; also one that was killed while it was made."""
    migrate(database, STEPS[:done])
    assert versions(database) == list(range(1, done + 1))

    def broken(_connection: Connection) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        migrate(database, [*STEPS, broken])
    assert versions(database) == ALL, "each is kept that could be taken"
    assert database.read(lambda it, _now: inspect(it).has_table("transfer"))
    migrate(database, [*STEPS, lambda _connection: None])
    assert versions(database) == [*ALL, len(ALL) + 1]


@pytest.mark.parametrize("done", [0, 1, 2])
def test_a_new_store_and_an_old_one_come_to_the_same_shape(database: Database, done: int) -> None:
    migrate(database, STEPS[:done])
    migrate(database)

    def shape(connection: Connection, _now: object) -> list[str]:
        store = inspect(connection)
        return sorted([*store.get_table_names(), *store.get_view_names()])

    expected = [it.name for it in metadata.sorted_tables]
    assert database.read(shape) == sorted([*expected, "model"])


def test_nobody_sees_half_of_a_store_that_is_being_made(catalog_url: str, database: Database) -> None:
    """A page that is opened while the daemon starts for the first time waits for all of it."""
    seen: list[object] = []
    with closing(open_database(catalog_url, clock=FakeClock(), database_clock=False)) as other:

        def look(_connection: Connection) -> None:
            seen.append(is_made(other, [*STEPS, look]))
            seen.append(other.read(lambda it, _now: inspect(it).get_table_names()))

        migrate(database, [*STEPS, look])
        assert seen == [False, []]
        assert is_made(other, [*STEPS, look])


def test_of_a_new_store_that_cannot_be_made_nothing_is_left(database: Database) -> None:
    def broken(connection: Connection) -> None:
        connection.execute(text("create table half (x integer)"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        migrate(database, [*STEPS, broken])
    assert database.read(lambda it, _now: inspect(it).get_table_names()) == []
    assert not is_made(database)
    migrate(database)
    assert versions(database) == ALL


def test_a_store_that_told_of_newer_versions_before_tells_of_them_no_second_time(
    catalog: Catalog, library: Library
) -> None:
    seen = card(update=Update(version_id=99))
    library.publish_whole("x", seen)

    def grow_young(connection: Connection, _now: object) -> None:
        connection.execute(text("drop table told_update"))
        connection.execute(text("delete from schema_version where version > 4"))

    catalog.database.write(grow_young)
    migrate(catalog.database)
    library.clock.advance(3600)
    (claim,) = library.ask()
    found = Advance(facts=Answered(answer=Found(card=seen), again_in_s=9.0))
    assert [kept.newer for kept in catalog.apply_answers([(claim, found)])] == [None]


def test_transfers_of_an_old_store_begin_without_a_death(catalog: Catalog, library: Library) -> None:
    """A store from before they were counted has no column for them."""
    library.catalog.transfers.want([wish()])

    def grow_young(connection: Connection, _now: object) -> None:
        connection.execute(text("alter table transfer drop column unended"))
        connection.execute(text("delete from schema_version where version > 5"))

    catalog.database.write(grow_young)
    migrate(catalog.database)
    assert take(library).unended == 1


def test_an_older_store_notes_from_now_on_of_which_version_a_picture_is(catalog: Catalog) -> None:
    def grow_young(connection: Connection, _now: object) -> None:
        connection.execute(text("alter table publication drop column version_id"))
        connection.execute(text("delete from schema_version where version > 7"))

    catalog.database.write(grow_young)
    migrate(catalog.database)
    found = catalog.database.read(lambda it, _now: inspect(it).get_columns("publication"))
    assert [column["nullable"] for column in found if column["name"] == "version_id"] == [True]


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
    assert versions(database) == [*ALL, 99]


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
    migrate(database, [first])
    migrate(late, [first, second])
    migrate(late, [first, second])
    assert taken == ["first", "second"]


def test_a_failed_step_leaves_no_trace(database: Database) -> None:
    migrate(database)

    def broken(connection: Connection) -> None:
        connection.execute(text("create table half (x integer)"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        migrate(database, [*STEPS, broken])
    assert versions(database) == ALL
    migrate(database, [*STEPS, lambda it: it.execute(text("create table half (x integer)"))])
    assert versions(database) == [*ALL, len(ALL) + 1]


def test_an_older_store_gets_the_index_of_intentions(database: Database) -> None:
    migrate(database, STEPS[:3])
    database.write(lambda it, _now: it.execute(text("drop index publication_intended_for")))
    migrate(database)
    (index,) = [
        it
        for it in inspect(database.engine).get_indexes("publication")
        if it["name"] == "publication_intended_for"
    ]
    assert "intended_for" in str(index["dialect_options"][f"{database.engine.dialect.name}_where"])


def test_an_older_store_gets_the_narrow_indexes(database: Database) -> None:
    migrate(database, STEPS[:6])
    names = ("question_told", "question_troubled", "question_leased", "file_troubled")
    for name in names:
        database.write(lambda it, _now, name=name: it.execute(text(f"drop index {name}")))
    migrate(database)
    store = inspect(database.engine)
    found = {it["name"]: it for table in ("file", "question") for it in store.get_indexes(table)}
    where = f"{database.engine.dialect.name}_where"
    conditions = [str(found[name].get("dialect_options", {}).get(where)) for name in names]
    assert conditions[0] == "None"
    assert all(word in it for word, it in zip(("trouble", "lease", "trouble"), conditions[1:], strict=True))


def test_on_both_engines_indexes_hold_only_the_rows_that_are_looked_for(catalog: Catalog) -> None:
    engine = catalog.database.engine
    conditions = {
        index["name"]: str(index.get("dialect_options", {}).get(f"{engine.dialect.name}_where"))
        for table in ("file", "question", "transfer")
        for index in inspect(engine).get_indexes(table)
    }
    partial = ("file_due", "question_due", "file_sha256", "file_tensors", "transfer_due")
    columns = ("due_at", "due_at", "gone_at", "gone_at", "due_at")
    assert all(column in conditions[name] for name, column in zip(partial, columns, strict=True))
    assert conditions["file_stamp"] == "None"
    assert "done_at" in conditions["transfer_one_a_place"]
