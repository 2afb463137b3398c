"""Wishes for files: made, made again, taken back, ended, listed, forgotten."""

from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from hashtagd.catalog.transfer_rows import TransferRow
from hashtagd.catalog.transfer_table import transfer
from hashtagd.core import schedule
from hashtagd.core.card import DownloadUrl
from hashtagd.core.place import Place
from hashtagd.core.transfer import Begun, Wanted
from hashtagd.core.troubles import AskOperator
from hashtagd.core.work import Defer, Park, Release
from support.library import BROKEN, BUSY, CLOSED, ROOT, Library, card, place, sha256
from support.wishing import SOURCE, bring, end, fetched, take, wish

OTHER = DownloadUrl(url="https://mirror.example/x", source="mirror")
DAY_S = 86400.0


def shown(library: Library) -> TransferRow:
    """Give the only transfer that is listed."""
    (row,) = library.catalog.transfers.rows()
    return row


def wait_s(library: Library) -> float | None:
    """Tell how long the next transfer waits."""
    due_at = library.catalog.transfers.next_due([ROOT])
    return None if due_at is None else (due_at - library.clock.now()).total_seconds()


def test_a_wish_comes_back_as_it_was_made(library: Library) -> None:
    wanted = wish("d/x", sources=(SOURCE, OTHER), card=card())
    (number,) = library.catalog.transfers.want([wanted])
    claim = take(library)
    assert (claim.transfer_id, claim.wanted, claim.begun, claim.attempts) == (number, wanted, None, 1)


def test_a_wish_may_know_nothing_but_its_place(library: Library) -> None:
    wanted = Wanted(place=place("x"), sha256=None, size_bytes=None, sources=())
    library.catalog.transfers.want([wanted])
    assert take(library).wanted == wanted


def test_numbers_come_in_the_order_of_the_wishes(library: Library) -> None:
    transfers = library.catalog.transfers
    one, two = transfers.want([wish("a"), wish("b")])
    again = transfers.want([wish("b"), wish("c"), wish("a")])
    assert (again[0], again[2]) == (two, one)
    assert len({*again}) == 3
    assert [it.place.relpath for it in transfers.rows([two])] == ["b"]
    assert transfers.want([]) == []


def test_a_size_that_no_store_can_keep_is_none(library: Library) -> None:
    library.catalog.transfers.want([wish(size_bytes=2**70)])
    assert take(library).wanted.size_bytes is None


@pytest.mark.parametrize("relpath", ["x" * 3000, "\udcff"])
def test_a_place_that_no_store_can_keep_is_refused_and_nothing_else_is_fetched(
    library: Library, relpath: str
) -> None:
    with pytest.raises(AskOperator) as caught:
        library.catalog.transfers.want([wish("good"), wish("x", place=Place(root=ROOT, relpath=relpath))])
    assert caught.value.kind == "name_too_long"
    assert library.catalog.transfers.rows() == []


# ---- a place that is asked for twice


def test_of_two_wishes_for_one_place_in_one_call_the_last_counts(library: Library) -> None:
    one, two = library.catalog.transfers.want([wish(), wish(sha256=sha256("other"))])
    assert one == two
    assert take(library).wanted.sha256 == sha256("other")


def test_a_place_that_is_waited_for_is_tried_now_with_the_new_sources(library: Library) -> None:
    transfers = library.catalog.transfers
    (number,) = transfers.want([wish(card=card())])
    end(library, Defer(trouble=BUSY, wait_s=900.0))
    again = wish(sha256=sha256("other"), size_bytes=5, sources=(OTHER,))
    assert transfers.want([again]) == [number]
    assert shown(library).trouble is None
    claim = take(library)
    assert (claim.wanted, claim.attempts) == (again, 1)


def test_a_parked_place_that_is_asked_for_again_is_tried_again(library: Library) -> None:
    transfers = library.catalog.transfers
    (number,) = transfers.want([wish()])
    end(library, Park(trouble=BROKEN))
    assert transfers.want([wish(sources=(OTHER,))]) == [number]
    assert (shown(library).state, shown(library).trouble) == ("waiting", None)
    assert take(library).wanted.sources == (OTHER,)


def test_a_place_that_is_fetched_right_now_is_left_as_it_is(library: Library) -> None:
    transfers = library.catalog.transfers
    (number,) = transfers.want([wish()])
    claim = take(library)
    transfers.progress(claim, 500, None)
    assert transfers.want([wish(sources=(OTHER,))]) == [number]
    assert shown(library).bytes_done == 500
    assert transfers.apply([(claim, Release())]) == [True]
    assert take(library).wanted.sources == (SOURCE,)


def test_a_place_whose_fetcher_let_its_lease_run_out_is_waited_for(library: Library) -> None:
    transfers = library.catalog.transfers
    (number,) = transfers.want([wish()])
    late = take(library)
    library.clock.advance(schedule.LEASE_S)
    assert transfers.want([wish(sources=(OTHER,))]) == [number]
    assert not transfers.progress(late, 500, None), "who comes back finds that it is not his any more"
    assert take(library).wanted.sources == (OTHER,)


def test_a_place_whose_transfer_ended_gets_a_new_one(library: Library) -> None:
    first = bring(library, wish(), fetched())
    (second,) = library.catalog.transfers.want([wish()])
    assert second > first.transfer_id
    assert [it.state for it in library.catalog.transfers.rows()] == ["done", "waiting"]


def test_the_same_path_in_two_roots_is_two_places(library: Library) -> None:
    one, two = library.catalog.transfers.want([wish(), wish(root="other")])
    assert one != two


def test_the_store_itself_keeps_two_open_transfers_of_one_place_apart(library: Library) -> None:
    now = library.clock.now()
    bring(library, wish(), fetched())
    bring(library, wish(), fetched())
    row = {"root": ROOT, "relpath": "x", "sources": [], "wanted_at": now, "due_at": now}
    library.catalog.database.write(lambda it, _now: it.execute(transfer.insert().values(row)))
    with pytest.raises(IntegrityError):
        library.catalog.database.write(lambda it, _now: it.execute(transfer.insert().values(row)))


# ---- on the way


def test_what_is_known_of_an_unfinished_file_is_there_for_the_next_claim(library: Library) -> None:
    transfers = library.catalog.transfers
    transfers.want([wish()])
    claim = take(library)
    begun = Begun(url=SOURCE.url, etag='"1"')
    assert transfers.progress(claim, 400, begun)
    assert (shown(library).state, shown(library).bytes_done) == ("fetching", 400)
    transfers.apply([(claim, Release())])
    assert (shown(library).state, shown(library).bytes_done) == ("waiting", 400)
    again = take(library)
    assert again.begun == begun
    assert transfers.progress(again, 0, None)
    transfers.apply([(again, Release())])
    assert take(library).begun is None


def test_a_deferred_transfer_waits_and_its_attempt_counts(library: Library) -> None:
    library.catalog.transfers.want([wish()])
    end(library, Defer(trouble=CLOSED, wait_s=30.0))
    assert (shown(library).state, shown(library).trouble) == ("waiting", CLOSED.to_json())
    assert wait_s(library) == 30
    assert library.catalog.transfers.claim([ROOT], 9) == []
    library.clock.advance(30)
    assert take(library).attempts == 2


def test_plain_waiting_is_no_trouble(library: Library) -> None:
    library.catalog.transfers.want([wish()])
    end(library, Defer(trouble=BUSY, wait_s=0.0))
    end(library, Defer(trouble=None, wait_s=9.0))
    assert (shown(library).trouble, wait_s(library)) == (None, 9)


def test_a_released_transfer_is_due_as_before_and_uncharged(library: Library) -> None:
    library.catalog.transfers.want([wish()])
    end(library, Release(trouble=BUSY))
    assert wait_s(library) == 0
    assert take(library).attempts == 1


def test_a_parked_transfer_is_left_alone_and_says_why(library: Library) -> None:
    library.catalog.transfers.want([wish()])
    end(library, Park(trouble=BROKEN))
    row = shown(library)
    assert (row.state, row.trouble, row.due_at) == ("parked", BROKEN.to_json(), None)
    assert wait_s(library) is None


def test_a_transfer_that_ended_tells_what_came(library: Library) -> None:
    claim = bring(library, wish(sha256=None, size_bytes=None), fetched("x", "what came"))
    row = shown(library)
    assert (row.transfer_id, row.state, row.done_at) == (claim.transfer_id, "done", library.clock.now())
    assert (row.sha256, row.size_bytes, row.bytes_done) == (sha256("what came"), 1000, 1000)
    assert (row.due_at, row.trouble) == (None, None)
    assert library.catalog.transfers.claim([ROOT], 9) == []


# ---- taken back


def test_a_wish_that_is_taken_back_is_fetched_no_more(library: Library) -> None:
    transfers = library.catalog.transfers
    one, two, three = transfers.want([wish("a"), wish("b"), wish("c")])
    assert transfers.cancel([one, three, 999]) == 2
    assert transfers.cancel([one]) == 0
    assert transfers.cancel([]) == 0
    assert take(library).transfer_id == two


def test_who_fetches_what_was_taken_back_hears_of_it_at_his_next_word(library: Library) -> None:
    transfers = library.catalog.transfers
    (number,) = transfers.want([wish()])
    claim = take(library)
    assert transfers.cancel([number]) == 1
    assert not transfers.progress(claim, 10, None)
    library.catalog.renew([], [], [claim])
    assert transfers.apply([(claim, fetched())]) == [False]
    assert library.catalog.reports.show(place("x")) == [], "the scan will find what lies there"
    assert transfers.rows() == []


def test_what_ended_cannot_be_taken_back(library: Library) -> None:
    claim = bring(library, wish(), fetched())
    assert library.catalog.transfers.cancel([claim.transfer_id]) == 0
    assert shown(library).state == "done"


# ---- waking


def test_retry_wakes_what_is_parked_or_waits_with_a_trouble_and_nothing_else(library: Library) -> None:
    transfers = library.catalog.transfers
    transfers.want([wish(it) for it in ("parked", "deferred", "waiting", "running")])
    claims = {it.wanted.place.relpath: it for it in transfers.claim([ROOT], 9)}
    transfers.apply([(claims["running"], Defer(trouble=BUSY, wait_s=0.0))])
    running = take(library)
    parked, deferred, waiting = (claims[name] for name in ("parked", "deferred", "waiting"))
    transfers.apply([(parked, Park(trouble=BROKEN)), (deferred, Defer(trouble=BUSY, wait_s=900.0))])
    transfers.apply([(waiting, Defer(trouble=None, wait_s=900.0))])
    assert transfers.retry([place("parked"), place("parked"), place("running"), place("unknown")]) == 1
    assert transfers.retry([]) == 0
    woken = take(library)
    assert (woken.wanted.place, woken.attempts) == (place("parked"), 1)
    assert transfers.retry() == 1
    assert take(library).wanted.place == place("deferred")
    assert transfers.retry() == 0
    assert transfers.apply([(running, Release())]) == [True]
    assert take(library).attempts == 2, "what runs is left alone"


# ---- listed and forgotten


def test_what_ended_is_listed_for_a_day_and_kept_for_a_month(library: Library) -> None:
    transfers = library.catalog.transfers
    claim = bring(library, wish(), fetched())
    transfers.want([wish("waiting")])
    library.clock.advance(DAY_S - 1)
    assert [it.place.relpath for it in transfers.rows()] == ["x", "waiting"]
    library.clock.advance(1)
    assert [it.place.relpath for it in transfers.rows()] == ["waiting"]
    assert [it.state for it in transfers.rows([claim.transfer_id])] == ["done"]
    library.clock.advance(29 * DAY_S)
    token = library.catalog.change_token()
    assert transfers.trim() == 0
    assert library.catalog.change_token() == token
    library.clock.advance(1)
    assert transfers.trim() == 1
    assert transfers.rows([claim.transfer_id]) == []
    assert [it.state for it in transfers.rows()] == ["waiting"], "what did not end is never forgotten"


def test_times_from_a_wrong_clock_are_pulled_back(library: Library) -> None:
    """F88: everything was written ten years ahead, then the clock was put right."""
    transfers = library.catalog.transfers
    library.clock.jump(3650 * DAY_S)
    bring(library, wish("done"), fetched("done"))
    transfers.want([wish("due")])
    end(library, Defer(trouble=None, wait_s=10.0))
    transfers.want([wish("held")])
    held = take(library)
    library.clock.jump(-3650 * DAY_S)
    assert transfers.claim([ROOT], 9) == []
    # the file that landed waits to be published, and its question to be asked
    assert library.catalog.pull_back_absurd() == 6
    assert library.catalog.pull_back_absurd() == 0
    claims = transfers.claim([ROOT], 9)
    assert {it.wanted.place.relpath for it in claims} == {"due", "held"}
    assert transfers.apply([(held, Release())]) == [False]
    library.clock.advance(timedelta(days=1).total_seconds())
    assert {it.place.relpath for it in transfers.rows()} == {"due", "held"}
