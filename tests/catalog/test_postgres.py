"""What only PostgreSQL does: its own clock, broken connections, conflicts between machines."""

import re
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, select, text
from sqlalchemy.exc import ProgrammingError

from hashtagd.catalog import failures, postgres
from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.connecting import open_database
from hashtagd.catalog.notes import Noted
from hashtagd.catalog.pending import pending_files
from hashtagd.catalog.tables import file
from hashtagd.core.ports import Admitted, Closed
from hashtagd.core.troubles import AskOperator, Scope, TryLater
from hashtagd.core.work import Defer, Release, Stage
from support.clock import FakeClock
from support.library import CLOSED, ROOT, Library, card
from support.wishing import fetched, wish

SITE = "https://site.example"


@pytest.fixture
def shared(postgres_url: str, clock: FakeClock) -> Iterator[Catalog]:
    with closing(Catalog.open(postgres_url, clock=clock, owner="me", chance=lambda: 0.0)) as catalog:
        yield catalog


def kill_idle(catalog: Catalog, name: str) -> None:
    """End every other connection of this name and wait for their end, as a restart of the server does."""
    ended = (
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
        " where application_name = :name and pid <> pg_backend_pid()"
    )
    catalog.database.read(lambda it, _now: it.execute(text(ended), {"name": name}).all())


def test_the_clock_of_the_server_counts(shared: Catalog, clock: FakeClock) -> None:
    """F88: machines with wrong clocks share one catalog."""
    library = Library(shared, clock)
    library.note("x")
    due_at = shared.database.read(lambda it, _now: it.execute(select(file.c.due_at)).scalar_one())
    assert (
        abs((datetime.now(UTC) - due_at).total_seconds()) < 60 < abs((clock.now() - due_at).total_seconds())
    )
    claim = library.claim_one(Stage.SETTLE)
    assert claim.attempts == 1
    shared.apply([(claim, Defer(trouble=None, wait_s=60.0))])
    shared.set_back(3600.0)  # ours was; that of the server was right
    assert library.claim(Stage.SETTLE) == []


@pytest.mark.parametrize("ahead_s", [-3600.0, 0.0, 3600.0])
def test_moments_leave_the_catalog_in_the_time_of_the_process_that_asks(
    postgres_url: str, ahead_s: float
) -> None:
    """F88: else a lane sleeps for the hour that its clock is behind, or wakes all the time."""
    clock = FakeClock(datetime.now(UTC) + timedelta(seconds=ahead_s))
    with closing(Catalog.open(postgres_url, clock=clock, owner="me", chance=lambda: 0.0)) as shared:
        library = Library(shared, clock)
        assert shared.next_due(list(Stage), [ROOT]) is None
        shared.transfers.want([wish()])
        assert shared.waiting("civitai").oldest_due_at is None
        library.note("x")
        library.settle()
        library.digest()
        gates = shared.gates({SITE: 1}, 1)
        assert gates.admit(SITE) == Admitted()
        shut = [gates.look(SITE), gates.admit(SITE)]
        opens_at = [it.opens_at for it in shut if isinstance(it, Closed)]
        (pending,) = pending_files(shared.database, [ROOT])
        moments = [
            *((at, 60.0) for at in (*opens_at, pending.due_at, shared.next_due(list(Stage), [ROOT]))),
            (shared.waiting("civitai").oldest_due_at, 0.0),
            (shared.next_question_due("civitai"), 0.0),
            (shared.transfers.next_due([ROOT]), 0.0),
            (shared.transfers.rows()[0].due_at, 0.0),
            (gates.close(SITE, CLOSED, 300.0), 300.0),
        ]
    waits = [((at or datetime.max.replace(tzinfo=UTC)) - clock.now()).total_seconds() for at, _ in moments]
    assert waits == pytest.approx([wait_s for _, wait_s in moments], abs=20)
    assert len(opens_at) == 2


def test_the_end_of_all_time_is_the_same_for_all(postgres_url: str) -> None:
    clock = FakeClock(datetime.now(UTC) + timedelta(hours=1))
    last = datetime.max.replace(tzinfo=UTC)
    with closing(Catalog.open(postgres_url, clock=clock, owner="me", chance=lambda: 0.0)) as shared:
        assert shared.database.local(last) == last


def test_killed_connections_are_replaced_and_missed_news_are_news(
    postgres_url: str, clock: FakeClock
) -> None:
    """F75."""
    name = f"hashtagd-{uuid.uuid4().hex[:8]}"
    url = f"{postgres_url}&application_name={name}"
    with closing(
        Catalog.open(url, clock=clock, owner="me", chance=lambda: 0.0, database_clock=False)
    ) as catalog:
        library = Library(catalog, clock)
        library.publish_whole("x", card())
        token = catalog.change_token()
        kill_idle(catalog, name)
        with pytest.raises(TryLater) as caught:
            catalog.change_token()
        assert caught.value.kind == "catalog_away"
        assert catalog.change_token() != token
        catalog.well()
        kill_idle(catalog, name)
        assert library.note("y").new == 1


def test_a_result_whose_commit_was_cut_off_is_applied_once(shared: Catalog) -> None:
    """F70: the connection dies inside the transaction; applied again, it counts once."""
    library = Library(shared, FakeClock())
    library.note("x")
    claim = library.claim_one(Stage.SETTLE)

    def cut(connection: Connection, _now: datetime) -> None:
        connection.execute(text("update file set attempts = 5"))
        connection.execute(text("select pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(TryLater):
        shared.database.write(cut)
    shared.apply([(claim, Release())])
    assert library.claim_one(Stage.SETTLE).attempts == 1


@pytest.mark.parametrize("state", sorted(failures.RETRIED_IN_PLACE))
def test_a_transaction_that_lost_is_begun_again(shared: Catalog, state: str) -> None:
    """F77."""
    runs: list[int] = []

    def body(connection: Connection, _now: datetime) -> int:
        runs.append(1)
        if len(runs) < 4:
            connection.execute(text(f"do $$ begin raise exception using errcode = '{state}'; end $$"))
        return 7

    assert shared.database.write(body) == 7
    assert len(runs) == 4


def raised(catalog: Catalog, state: str) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one it is, is the question
        catalog.database.write(
            lambda it, _now: it.execute(
                text(f"do $$ begin raise exception using errcode = '{state}'; end $$")
            )
        )
    return caught.value


@pytest.mark.parametrize("state", ["40P01", "53100", "53300", "25006", "57P01", "08006", "58030"])
def test_what_time_heals_is_waited_for(shared: Catalog, state: str) -> None:
    """F75, F77."""
    trouble = raised(shared, state)
    assert isinstance(trouble, TryLater)
    assert (trouble.kind, trouble.scope) == ("catalog_away", Scope.DAEMON)
    assert state in trouble.what


@pytest.mark.parametrize("state", ["28P01", "3D000", "42501"])
def test_what_a_person_must_allow_is_said(shared: Catalog, state: str) -> None:
    trouble = raised(shared, state)
    assert isinstance(trouble, AskOperator)
    assert trouble.kind == "catalog_refused"


def test_what_is_wrong_with_our_own_statements_is_a_bug(shared: Catalog) -> None:
    assert not isinstance(raised(shared, "22003"), (TryLater, AskOperator))
    assert isinstance(raised(shared, "XX000"), Exception)
    assert failures.trouble_of(ProgrammingError("x", {}, ValueError())) is None


def test_two_machines_that_lock_each_other_out_both_finish(shared: Catalog) -> None:
    """F77: a deadlock is resolved by the server, and its loser runs again."""
    Library(shared, FakeClock()).note("x", "y")
    meet = threading.Barrier(2, timeout=8)
    done: list[str] = []

    def lock(first: str, second: str) -> None:
        waited: list[int] = []

        def body(connection: Connection, _now: datetime) -> None:
            connection.execute(text("set local deadlock_timeout = '50ms'"))
            connection.execute(
                text("update file set attempts = attempts + 1 where relpath = :it"), {"it": first}
            )
            if not waited:
                waited.append(1)
                meet.wait()
            connection.execute(
                text("update file set attempts = attempts + 1 where relpath = :it"), {"it": second}
            )

        shared.database.write(body)
        done.append(first)

    other = threading.Thread(target=lock, args=("y", "x"))
    other.start()
    lock("x", "y")
    other.join(8)
    assert sorted(done) == ["x", "y"]


def test_a_server_that_is_not_there_is_waited_for_and_never_quoted(clock: FakeClock) -> None:
    """F75."""
    url = "postgresql://somebody:secret@127.0.0.1:1/db?connect_timeout=2"
    with pytest.raises(TryLater) as caught:
        Catalog.open(url, clock=clock, owner="me", chance=lambda: 0.0)
    assert caught.value.kind == "catalog_away"
    assert "secret" not in str(caught.value)
    assert "somebody" not in str(caught.value)


def test_a_database_of_somebody_else_is_refused(postgres_url: str, clock: FakeClock) -> None:
    database = open_database(postgres_url, clock=clock)
    with closing(database):
        database.write(lambda it, _now: it.execute(text("create table file (precious text)")))
        with pytest.raises(AskOperator) as caught:
            Catalog.open(postgres_url, clock=clock, owner="me", chance=lambda: 0.0)
    assert caught.value.kind == "catalog_refused"


def test_a_dead_link_is_noticed_within_half_a_minute() -> None:
    """F76."""
    from sqlalchemy.engine import make_url  # noqa: PLC0415 - only here

    told = postgres.connect_args(make_url("postgresql://h/d?connect_timeout=3"))
    assert "connect_timeout" not in told
    assert told["keepalives"] == 1
    assert told["keepalives_idle"] + told["keepalives_interval"] * told["keepalives_count"] <= 30
    assert told["tcp_user_timeout"] <= 30_000


def test_without_the_driver_the_owner_is_told_what_to_install(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(AskOperator) as caught:
        open_database("postgresql://h/d", clock=clock)
    assert caught.value.kind == "catalog_driver_missing"


def test_machines_that_start_together_make_one_catalog(postgres_url: str, clock: FakeClock) -> None:
    opened: list[Catalog] = []
    failed: list[Exception] = []

    def start(make: Callable[[], Catalog]) -> None:
        try:
            opened.append(make())
        except Exception as error:  # noqa: BLE001 - told below
            failed.append(error)

    threads = [
        threading.Thread(
            target=start,
            args=(lambda: Catalog.open(postgres_url, clock=clock, owner="m", chance=lambda: 0.0),),
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(8)
    for catalog in opened:
        catalog.close()
    assert failed == []
    assert len(opened) == 3


def test_a_wish_whose_place_another_machine_ends_at_this_moment_is_made_anew(
    postgres_url: str, clock: FakeClock
) -> None:
    """Between the insert that meets the old transfer and the look for it there is a gap."""
    with ExitStack() as stack:
        mine, other = (
            stack.enter_context(
                closing(Catalog.open(postgres_url, clock=clock, owner=name, chance=lambda: 0.0))
            )
            for name in ("mine", "other")
        )
        (old,) = other.transfers.want([wish()])
        (claim,) = other.transfers.claim([ROOT], 1)
        ended: list[bool] = []

        def end_it(*parts: Any) -> None:
            if parts[2].lower().startswith("insert into transfer") and not ended:
                ended.extend(other.transfers.apply([(claim, fetched())]))

        event.listen(mine.database.engine, "after_cursor_execute", end_it)
        (new,) = mine.transfers.want([wish()])
        assert ended == [True]
        assert new > old
        assert [(it.transfer_id, it.state) for it in mine.transfers.rows()] == [
            (old, "done"),
            (new, "waiting"),
        ]


def test_a_file_that_another_machine_notes_while_it_lands_is_not_read_again(
    postgres_url: str, clock: FakeClock
) -> None:
    with ExitStack() as stack:
        mine, other = (
            Library(
                stack.enter_context(
                    closing(Catalog.open(postgres_url, clock=clock, owner=name, chance=lambda: 0.0))
                ),
                clock,
            )
            for name in ("mine", "other")
        )
        mine.catalog.transfers.want([wish(card=card())])
        (claim,) = mine.catalog.transfers.claim([ROOT], 1)
        seen: list[Noted] = []

        def see(*parts: Any) -> None:
            if "update transfer" in parts[2].lower() and not seen:
                seen.append(other.note("x"))

        event.listen(mine.catalog.database.engine, "after_cursor_execute", see)
        assert mine.catalog.transfers.apply([(claim, fetched())]) == [True]
        assert seen == [Noted(new=1)]
        assert other.claim(Stage.SETTLE) == []
        assert mine.claim_one(Stage.PUBLISH).card == card()


@pytest.mark.parametrize("made_url", ["postgresql"], indirect=True)
def test_what_tests_are_given_has_the_shape_of_what_is_made(
    made_url: str, postgres_url: str, clock: FakeClock
) -> None:
    Catalog.open(postgres_url, clock=clock, owner="me", chance=lambda: 0.0).close()
    columns = (
        "select table_name, column_name, data_type, is_nullable, column_default "
        "from information_schema.columns where table_schema = current_schema() order by 1, 2"
    )
    indexes = (
        "select tablename, indexname, replace(indexdef, schemaname || '.', '') "
        "from pg_indexes where schemaname = current_schema() order by 1, 2"
    )

    def shape(url: str) -> list[list[tuple[object, ...]]]:
        import psycopg  # noqa: PLC0415 - an optional dependency

        with psycopg.connect(url) as connection:
            return [connection.execute(question).fetchall() for question in (columns, indexes)]

    def normal(rows: list[tuple[object, ...]]) -> list[str]:
        """Leave out the names of schemas, which defaults repeat."""
        return [re.sub(r"\b[tm][0-9a-f]{32}\.", "", str(row)) for row in rows]

    assert [normal(rows) for rows in shape(made_url)] == [normal(rows) for rows in shape(postgres_url)]
