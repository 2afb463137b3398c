from datetime import timedelta

from sqlalchemy import text

from hashtagd.catalog.tables import event
from hashtagd.core import schedule
from hashtagd.core.ports import Admitted
from hashtagd.core.work import Defer, Park, Stage
from support.library import BROKEN, BUSY, CLOSED, ROOT, Library, card, place, sha256


def test_retry_wakes_what_has_a_trouble_and_nothing_else(library: Library) -> None:
    library.note("parked", "deferred", "waiting")
    parked, deferred, waiting = library.claim(Stage.SETTLE)
    library.catalog.apply([(parked, Park(trouble=BROKEN)), (deferred, Defer(trouble=BUSY, wait_s=900.0))])
    library.catalog.apply([(waiting, Defer(trouble=None, wait_s=900.0))])
    assert library.catalog.retry([place("parked"), place("unknown")]) == 1
    woken = library.claim_one(Stage.SETTLE)
    assert (woken.place, woken.attempts) == (place("parked"), 1)
    assert library.catalog.retry() == 1
    assert library.claim_one(Stage.SETTLE).place == place("deferred")
    assert library.catalog.retry() == 0


def test_retry_leaves_gone_files_and_running_work_alone(library: Library) -> None:
    library.note("gone", "running")
    claims = library.claim(Stage.SETTLE)
    library.catalog.apply([(it, Defer(trouble=BUSY, wait_s=0.0)) for it in claims])
    library.lose("gone")
    running = library.claim_one(Stage.SETTLE)
    assert library.catalog.retry() == 0
    assert library.catalog.apply([(running, Park(trouble=BROKEN))]) == [True]


def test_retry_of_everything_asks_stuck_questions_too(library: Library) -> None:
    library.note("x")
    library.settle()
    library.digest()
    library.catalog.apply_answers([(library.ask()[0], Park(trouble=BROKEN))])
    library.catalog.retry()
    assert len(library.ask()) == 1


def test_a_rehash_reads_every_file_of_the_root_once_more(library: Library) -> None:
    library.publish_whole("x", card())
    library.publish_whole("y", card())
    library.lose("y")
    assert library.catalog.rehash([ROOT, "other"]) == 1
    claim = library.claim_one(Stage.SETTLE)
    assert (claim.digests, claim.header) == (None, None)


def test_new_writers_publish_everything_once_more(library: Library) -> None:
    library.publish_whole("x", card())
    library.note("y")
    assert library.catalog.wake_publish([ROOT]) == 1
    assert library.claim_one(Stage.PUBLISH).place == place("x")
    assert library.catalog.wake_publish(["other"]) == 0


def test_asking_again_takes_answered_and_parked_questions(library: Library) -> None:
    for name in ("x", "y"):
        library.publish_whole(name, card())
    assert library.catalog.ask_again([sha256("x")]) == 1
    (claim,) = library.ask()
    assert claim.key.hash == sha256("x")
    library.catalog.apply_answers([(claim, Park(trouble=BROKEN))])
    assert library.catalog.ask_again() == 2
    assert len(library.ask()) == 2
    assert library.catalog.ask_again([sha256("x")]) == 0


def test_times_from_a_wrong_clock_are_pulled_back(library: Library) -> None:
    """F88: everything was written ten years ahead, then the clock was put right."""
    gates = library.catalog.gates({}, 1)
    library.clock.jump(10 * 365 * 86400)
    library.publish_whole("answered", card())
    library.note("due", "held")
    library.catalog.apply([(library.claim(Stage.SETTLE, limit=1)[0], Defer(trouble=None, wait_s=10.0))])
    library.claim(Stage.SETTLE)
    gates.close("https://a.example", CLOSED)
    gates.admit("https://b.example")
    library.clock.jump(-10 * 365 * 86400)
    assert library.claim(Stage.SETTLE) == []
    assert library.catalog.pull_back_absurd() == 9
    assert len(library.claim(Stage.SETTLE)) == 2
    assert len(library.ask()) == 1
    assert gates.admit("https://a.example") == Admitted(probe=True)
    library.clock.advance(60)
    assert gates.admit("https://b.example") == Admitted()
    assert library.catalog.pull_back_absurd() == 0


def test_what_a_clock_that_was_hours_ahead_put_off_goes_on_when_it_is_set_back(library: Library) -> None:
    ahead_s, catalog = 8 * 3600.0, library.catalog
    gates = catalog.gates({}, 1)
    library.publish_whole("known", card())
    catalog.ask_again()
    library.answer(card(), again_in_s=20 * 86400.0)
    library.clock.jump(ahead_s)
    library.note("new", "put off")
    catalog.apply([(library.claim(Stage.SETTLE, limit=1)[0], Defer(trouble=BROKEN, wait_s=600.0))])
    left = gates.close("https://a.example", CLOSED) - library.clock.now()
    library.clock.jump(-ahead_s)
    catalog.set_back(ahead_s)
    claims = library.claim(Stage.SETTLE)
    assert [claim.still_since for claim in claims] == [library.clock.now()] * 2
    # asked again in twenty days still, and a host that wants to be left alone is, for as long as it said
    assert library.ask() == []
    assert gates.list()[0].opens_at == library.clock.now() + left


def test_the_longest_ordinary_wait_is_not_absurd(library: Library) -> None:
    library.publish_whole("x", card())
    library.catalog.ask_again()
    library.answer(card(), again_in_s=schedule.hit_again_s(0.999))
    before = library.catalog.change_token()
    assert library.catalog.pull_back_absurd() == 0
    assert library.catalog.change_token() == before


def test_files_that_were_gone_for_long_are_forgotten_with_their_story(library: Library) -> None:
    library.publish_whole("x", card())
    library.lose("x")
    library.clock.advance(schedule.GONE_KEPT_S - 1)
    assert library.catalog.purge_gone() == 0
    library.clock.advance(1)
    assert library.catalog.purge_gone() == 1
    assert library.catalog.reports.show(place("x")) == []
    assert library.note("x").new == 1


def test_old_events_are_dropped_and_young_ones_kept(library: Library) -> None:
    assert library.catalog.trim_events() == 0
    library.publish_whole("x", card())
    assert library.catalog.trim_events() == 0
    library.clock.advance(timedelta(days=181).total_seconds())
    library.publish_whole("y", card())
    assert library.catalog.trim_events() == 4
    rows = library.catalog.database.read(
        lambda it, _now: it.execute(text("select count(*) from event")).scalar()
    )
    assert rows == 5


def test_a_flood_of_events_is_cut(library: Library) -> None:
    library.publish_whole("x", card())
    late = {"id": 200_003, "at": library.clock.now(), "name": "much later"}
    library.catalog.database.write(lambda it, _now: it.execute(event.insert().values(late)))
    assert library.catalog.trim_events() == 3
