"""Who may fetch a file: leases and fences of transfers, and rows that another machine filled wrongly."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text, update

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.transfer_claims import planned
from hashtagd.catalog.transfer_table import transfer
from hashtagd.core import schedule
from hashtagd.core.card import Card, Update
from hashtagd.core.transfer import Begun, TransferClaim
from hashtagd.core.work import Defer, Park, Release, Stage
from support.clock import FakeClock
from support.library import BROKEN, BUSY, CLOSED, ROOT, Library, card, place
from support.wishing import SOURCE, end, fetched, take, wish


def names(claims: list[TransferClaim]) -> list[str]:
    return [claim.wanted.place.relpath for claim in claims]


def overwrite(library: Library, **values: Any) -> None:
    """Write into the row of `x` what no hashtagd writes."""
    changed = update(transfer).where(transfer.c.relpath == "x").values(**values)
    library.catalog.database.write(lambda it, _now: it.execute(changed))


def test_a_claimed_transfer_is_not_claimed_again_before_its_lease_ends(library: Library) -> None:
    library.catalog.transfers.want([wish()])
    first = take(library)
    library.clock.advance(schedule.LEASE_S - 1)
    assert library.catalog.transfers.claim([ROOT], 9) == []
    library.clock.advance(1)
    second = take(library)
    assert (second.fence, second.attempts) == (first.fence + 1, 2)


def test_what_waited_longest_is_claimed_first_and_no_more_than_asked_for(library: Library) -> None:
    transfers = library.catalog.transfers
    for name in ("c", "a", "b"):
        transfers.want([wish(name)])
        library.clock.advance(1)
    (late,) = transfers.claim([ROOT], 1)
    transfers.apply([(late, Defer(trouble=None, wait_s=0.0))])
    assert names(transfers.claim([ROOT], 2)) == ["a", "b"]
    assert names(transfers.claim([ROOT], 2)) == ["c"]


def test_an_older_number_that_is_due_later_comes_later(library: Library) -> None:
    library.catalog.transfers.want([wish("a")])
    end(library, Defer(trouble=None, wait_s=10.0))
    library.clock.advance(5)
    library.catalog.transfers.want([wish("b")])
    library.clock.advance(5)
    assert names(library.catalog.transfers.claim([ROOT], 9)) == ["b", "a"]


def test_only_transfers_into_the_roots_of_this_machine_are_claimed(library: Library) -> None:
    """F98."""
    transfers = library.catalog.transfers
    transfers.want([wish("x", "elsewhere")])
    assert transfers.claim([ROOT], 9) == []
    assert transfers.claim([], 9) == []
    assert transfers.next_due([ROOT]) is None
    assert names(transfers.claim([ROOT, "elsewhere"], 9)) == ["x"]


def test_a_process_may_look_at_its_own_transfers_only(library: Library) -> None:
    transfers = library.catalog.transfers
    mine, other = transfers.want([wish("mine"), wish("other")])
    assert transfers.claim([ROOT], 9, only=[]) == []
    assert transfers.next_due([ROOT], only=[]) is None
    assert names(transfers.claim([ROOT], 9, only=[mine])) == ["mine"]
    assert transfers.claim([ROOT], 9, only=[mine]) == []
    assert transfers.next_due([ROOT], only=[mine]) == library.clock.now() + timedelta(
        seconds=schedule.LEASE_S
    )
    assert transfers.next_due([ROOT], only=[mine, other]) == library.clock.now()


def test_a_lane_that_finds_nothing_writes_nothing(library: Library) -> None:
    library.catalog.transfers.want([wish()])
    take(library)
    token = library.catalog.change_token()
    assert library.catalog.transfers.claim([ROOT], 9) == []
    assert library.catalog.change_token() == token


def test_the_next_due_time_knows_leases_and_waits(library: Library) -> None:
    transfers, clock = library.catalog.transfers, library.clock
    assert transfers.next_due([ROOT]) is None
    transfers.want([wish()])
    assert transfers.next_due([ROOT]) == clock.now()
    claim = take(library)
    assert transfers.next_due([ROOT]) == clock.now() + timedelta(seconds=schedule.LEASE_S)
    transfers.apply([(claim, Defer(trouble=None, wait_s=300.0))])
    assert transfers.next_due([ROOT]) == clock.now() + timedelta(seconds=300)
    clock.advance(300)
    end(library, fetched())
    assert transfers.next_due([ROOT]) is None


# ---- leases and fences


def test_a_renewed_lease_outlives_its_first_end(library: Library) -> None:
    library.catalog.transfers.want([wish()])
    claim = take(library)
    library.clock.advance(schedule.LEASE_S - 1)
    library.catalog.renew([], [], [claim])
    library.clock.advance(2)
    assert library.catalog.transfers.claim([ROOT], 9) == []
    assert library.catalog.transfers.apply([(claim, fetched())]) == [True]


def test_who_comes_after_another_claim_changes_nothing(library: Library) -> None:
    """F74."""
    transfers = library.catalog.transfers
    transfers.want([wish()])
    late = take(library)
    library.clock.advance(schedule.LEASE_S)
    current = take(library)
    library.catalog.renew([], [], [late])
    assert not transfers.progress(late, 77, Begun(url="https://late.example", etag=None))
    for outcome in (fetched(), Park(trouble=BROKEN), Defer(trouble=BUSY, wait_s=9.0), Release()):
        assert transfers.apply([(late, outcome)]) == [False]
    (row,) = transfers.rows()
    assert (row.state, row.bytes_done, row.trouble) == ("fetching", 0, None)
    assert library.catalog.reports.show(place("x")) == []
    assert transfers.apply([(current, fetched())]) == [True]


def test_a_result_counts_once(library: Library) -> None:
    """F70: the connection was lost during the commit, nobody knows, the result is applied again."""
    transfers = library.catalog.transfers
    transfers.want([wish()])
    claim = take(library)
    assert transfers.apply([(claim, Release()), (claim, fetched())]) == [True, False]
    claim = take(library)
    assert transfers.apply([(claim, fetched())]) == [True]
    assert transfers.apply([(claim, fetched())]) == [False]
    assert not transfers.progress(claim, 5, None)
    assert transfers.apply([]) == []


def test_transfers_of_the_dead_are_free_at_once_and_their_attempts_count(
    open_catalog: Callable[[str], Catalog], clock: FakeClock
) -> None:
    """F73."""
    dead, alive = Library(open_catalog("dead"), clock), Library(open_catalog("alive"), clock)
    dead.catalog.transfers.want([wish("a"), wish("b")])
    (lost,) = dead.catalog.transfers.claim([ROOT], 1)
    (held,) = alive.catalog.transfers.claim([ROOT], 1)
    assert alive.catalog.owners() == {"dead", "alive"}
    assert alive.catalog.release_own(["dead"]) == 1
    assert alive.catalog.owners() == {"alive"}
    assert alive.catalog.transfers.apply([(held, Release())]) == [True]
    assert dead.catalog.transfers.apply([(lost, fetched("a"))]) == [False]
    taken = {it.wanted.place.relpath: it.attempts for it in alive.catalog.transfers.claim([ROOT], 9)}
    assert taken == {"a": 2, "b": 1}


def die(library: Library) -> None:
    """Let whoever holds claims be killed."""
    library.catalog.release_own([library.catalog.owner])


def test_a_transfer_whose_claims_came_to_no_end_waits_for_the_others_and_is_taken_alone(
    library: Library,
) -> None:
    """F83: what kills the process must not be what every start begins with, nor take others along."""
    transfers = library.catalog.transfers
    transfers.want([wish("a"), wish("b")])
    for _ in range(2):
        assert len(transfers.claim([ROOT], 9)) == 2
        die(library)
    transfers.want([wish("c"), wish("d")])
    others = transfers.claim([ROOT], 9)
    assert names(others) == ["c", "d"]
    assert transfers.claim([ROOT], 9) == [], "nobody is beside it"
    transfers.apply([(claim, fetched(claim.wanted.place.relpath)) for claim in others])
    (first,) = transfers.claim([ROOT], 9)
    assert (names([first]), first.attempts, first.unended) == (["a"], 3, 3)
    transfers.want([wish("e")])
    token = library.catalog.change_token()
    assert transfers.claim([ROOT], 9) == [], "nobody comes beside it"
    assert library.catalog.change_token() == token
    transfers.apply([(first, Defer(trouble=BUSY, wait_s=0.0))])
    assert sorted(names(transfers.claim([ROOT], 9))) == ["a", "e"], (
        "what came to an outcome is suspected no more"
    )


def test_who_was_outrun_between_the_look_and_the_claim_gets_nothing(library: Library) -> None:
    transfers = library.catalog.transfers
    transfers.want([wish()])
    take(library)
    assert transfers._take(planned([ROOT], None), 9) == []


def test_deaths_are_counted_until_the_next_outcome_or_the_next_wish(library: Library) -> None:
    transfers = library.catalog.transfers
    transfers.want([wish()])
    ways = (
        lambda: transfers.apply([(take(library), Release())]),
        lambda: transfers.want([wish()]),
        lambda: (transfers.apply([(take(library), Park(trouble=BROKEN))]), transfers.retry()),
    )
    for forget in ways:
        assert [(take(library).unended, die(library))[0] for _ in range(3)] == [1, 2, 3]
        forget()
    assert take(library).unended == 1


# ---- many at once


def test_what_is_due_is_put_off_in_one_commit_unless_it_changed_meanwhile(library: Library) -> None:
    transfers = library.catalog.transfers
    transfers.want([wish("waits"), wish("wished again"), wish("claimed")])
    listed = transfers.due([ROOT], None)
    assert [it.sources for it in listed] == [(SOURCE,)] * 3
    transfers.want([wish("wished again")])
    (claimed,) = transfers.claim([ROOT], 1, only=[listed[2].transfer_id])
    assert transfers.put_off([(it, 60.0, CLOSED) for it in listed]) == 1
    assert transfers.put_off([]) == 0
    row = transfers.rows([listed[0].transfer_id])[0]
    assert (row.state, row.trouble) == ("waiting", CLOSED.to_json())
    assert names(transfers.claim([ROOT], 9)) == ["wished again"]
    assert transfers.apply([(claimed, Release())]) == [True]
    library.clock.advance(60)
    (waited,) = transfers.claim([ROOT], 1, only=[listed[0].transfer_id])
    assert waited.attempts == 1, "nobody tried"


def test_what_is_put_off_without_a_reason_only_waits(library: Library) -> None:
    transfers = library.catalog.transfers
    transfers.want([wish()])
    assert transfers.put_off([(it, 60.0, None) for it in transfers.due([ROOT], None)]) == 1
    assert [(it.state, it.trouble) for it in transfers.rows()] == [("waiting", None)]


def test_what_nobody_could_read_is_not_listed_as_due(library: Library) -> None:
    """F98: the claim parks it."""
    library.catalog.transfers.want([wish("x"), wish("y")])
    overwrite(library, sources=[5])
    assert len(library.catalog.transfers.due([ROOT], None)) == 1


# ---- what another machine wrote (F98)


@pytest.mark.parametrize(
    "nonsense",
    [
        {"relpath": "../x"},
        {"sha256": "no hash"},
        {"sources": 7},
        {"sources": "https://evil.example"},
        {"sources": [["https://evil.example"]]},
        {"sources": [{"url": "https://evil.example"}]},
        {"sources": [{"url": "https://evil.example", "source": "civitai", "run": "it"}]},
        {"sources": [{"url": 5, "source": "civitai"}]},
        {"sources": [{"url": "https://evil.example", "source": None}]},
    ],
    ids=str,
)
def test_a_row_that_somebody_else_wrote_wrongly_is_parked_and_the_others_go_on(
    library: Library, nonsense: dict[str, Any]
) -> None:
    transfers = library.catalog.transfers
    bad, good = transfers.want([wish("x"), wish("y")])
    overwrite(library, **nonsense)
    assert names(transfers.claim([ROOT], 9)) == ["y"]
    assert transfers.next_due([ROOT], only=[bad]) is None
    listed = {row.transfer_id: row for row in transfers.rows()}
    assert listed.pop(good).state == "fetching"
    assert [(row.state, (row.trouble or {})["kind"]) for row in listed.values()] in (
        [],  # it names no place that could be shown
        [("parked", "row_unreadable")],
    )
    assert transfers.cancel([bad]) == 1


def test_a_row_that_was_parked_as_nonsense_is_parked_again_until_it_is_mended(library: Library) -> None:
    transfers = library.catalog.transfers
    transfers.want([wish()])
    overwrite(library, sources=[5])
    for _ in range(2):
        assert transfers.claim([ROOT], 9) == []
        assert transfers.retry() == 1
    transfers.want([wish()])
    assert take(library).wanted == wish()


@pytest.mark.parametrize("begun", [7, "x", [], {}, {"url": 5, "etag": None}, {"url": SOURCE.url}])
def test_a_beginning_that_is_none_counts_as_not_there(library: Library, begun: Any) -> None:
    library.catalog.transfers.want([wish()])
    overwrite(library, begun=begun)
    assert take(library).begun is None


@pytest.mark.parametrize(
    "change",
    [
        {"card": 7},
        {"card": []},
        {"card": {"confidence": "certain"}},
        {"card.provider": None},
        {"card.model_id": "seven"},
        {"card.model_name": {"x": 1}},
        {"card.trained_words": [1]},
        {"card.downloads": 5},
        {"card.update": {"version_id": "new"}},
        {"card.early_access_ends_at": "soon"},
        {"card.early_access_ends_at": "2026-01-01T00:00:00"},
        {"raw": [1]},
    ],
    ids=str,
)
def test_a_card_that_is_none_counts_as_not_there_and_the_file_lands_without_it(
    library: Library, change: dict[str, Any]
) -> None:
    known = card().to_json()
    known.pop("raw")
    values = {name: value for name, value in change.items() if "." not in name}
    parts = {name.partition(".")[2]: value for name, value in change.items() if "." in name}
    library.catalog.transfers.want([wish(card=card())])
    overwrite(library, **({"card": {**known, **parts}} | values))
    assert end(library, fetched()).wanted.card is None
    assert library.state("x") == "asking"


@pytest.mark.parametrize(
    "known, landed",
    [
        (card(model_id=2**70), card(model_id=None)),
        (card(version_id=-(2**70)), card(version_id=None)),
        (card(update=Update(version_id=2**70)), None),  # an update without a number is none
    ],
)
def test_numbers_that_no_store_can_keep_are_none(library: Library, known: Card, landed: Card | None) -> None:
    """The JSON of a server may hold them, the columns of a question may not."""
    library.catalog.transfers.want([wish(card=card())])
    database, data = library.catalog.database, known.to_json()
    data.pop("raw")
    it = "cast(:it as json)" if database.engine.dialect.name == "postgresql" else ":it"
    database.write(
        lambda on, _now: on.execute(text(f"update transfer set card = {it}"), {"it": json.dumps(data)})  # noqa: S608 - ours
    )
    end(library, fetched())
    library.clock.advance(schedule.FIRST_ANSWER_PATIENCE_S)
    assert library.claim_one(Stage.PUBLISH).card == landed


def test_words_that_no_store_can_keep_are_cleaned(library: Library) -> None:
    source = replace(SOURCE, url="https://site.example/\0\udcff")
    library.catalog.transfers.want([wish(card=card(model_name="a\0b\udcff"), sources=(source,))])
    claim = take(library)
    assert [it.url for it in claim.wanted.sources] == ["https://site.example/\ufffd\ufffd"]
    assert library.catalog.transfers.progress(claim, 1, Begun(url="\0", etag="\udcff"))
    library.catalog.transfers.apply([(claim, fetched())])
    assert library.claim_one(Stage.PUBLISH).card == card(model_name="a\ufffdb\ufffd")
