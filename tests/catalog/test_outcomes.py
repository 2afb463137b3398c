from datetime import timedelta

import pytest

from hashtagd.core import schedule
from hashtagd.core.place import Stamp
from hashtagd.core.work import (
    Absent,
    Advance,
    Answered,
    Defer,
    Forget,
    Outcome,
    Park,
    Published,
    Release,
    Restart,
    Settled,
    Stage,
)
from support.library import (
    BROKEN,
    BUSY,
    HEADER,
    ROOT,
    Library,
    card,
    digests,
    intended,
    place,
    question,
    sha256,
    stamp_of,
    written,
)


def end(library: Library, stage: Stage, outcome: Outcome) -> None:
    """Claim the one due file and end the claim so."""
    assert library.catalog.apply([(library.claim_one(stage), outcome)]) == [True]


def wait_s(library: Library) -> float | None:
    """Tell how long the next row waits."""
    due_at = library.catalog.next_due(list(Stage), [ROOT])
    return None if due_at is None else (due_at - library.clock.now()).total_seconds()


def test_a_file_goes_from_settle_over_digest_to_publish(library: Library) -> None:
    library.note("x")
    (settled,) = library.settle()
    claim = library.claim_one(Stage.DIGEST)
    assert (claim.header, claim.attempts, claim.fence) == (HEADER, 1, settled.fence + 1)
    library.catalog.apply([(claim, Release())])
    library.digest()
    assert library.state("x") == "asking"
    library.answer(card())
    library.publish()
    assert library.state("x") == "published"
    assert wait_s(library) is None


def test_a_hashed_file_waits_a_minute_for_its_first_answer(library: Library) -> None:
    library.note("x")
    library.settle()
    library.digest()
    assert wait_s(library) == schedule.FIRST_ANSWER_PATIENCE_S


def test_without_a_provider_a_hashed_file_is_published_at_once(library: Library) -> None:
    library.note("x")
    library.settle()
    library.digest(provider=None)
    assert wait_s(library) == 0
    library.publish()
    assert library.state("x") == "unknown"


def test_a_copy_of_an_answered_file_costs_no_question_and_no_wait(library: Library) -> None:
    library.publish_whole("x", card(), text="same bytes")
    library.note("copy")
    library.settle()
    library.digest(text="same bytes")
    assert library.ask() == []
    assert library.claim_one(Stage.PUBLISH).card == card()


def test_two_copies_hashed_together_put_one_question(library: Library) -> None:
    library.note("x", "copy")
    library.settle()
    library.digest(text="same bytes")
    (asked,) = library.ask()
    assert asked.key == question("same bytes")
    assert (asked.subject.digests, asked.subject.header) == (digests("same bytes"), HEADER)


def test_a_deferred_file_waits_and_its_attempt_counts(library: Library) -> None:
    library.note("x")
    end(library, Stage.SETTLE, Defer(trouble=BUSY, wait_s=30.0))
    assert wait_s(library) == 30
    library.clock.advance(30)
    assert library.claim_one(Stage.SETTLE).attempts == 2


def test_plain_waiting_is_no_trouble_and_no_event(library: Library) -> None:
    library.note("x")
    end(library, Stage.SETTLE, Defer(trouble=BUSY, wait_s=0.0))
    end(library, Stage.SETTLE, Defer(trouble=None, wait_s=30.0))
    (row,) = library.catalog.reports.show(place("x"))
    assert row.trouble is None
    assert [it.name for it in library.catalog.reports.history(row).events] == ["file_deferred"]


def test_a_released_file_is_due_as_before_and_uncharged(library: Library) -> None:
    library.note("x")
    end(library, Stage.SETTLE, Release(trouble=BUSY))
    assert wait_s(library) == 0
    assert library.claim_one(Stage.SETTLE).attempts == 1


def test_a_file_released_for_a_while_waits_uncharged_and_says_why(library: Library) -> None:
    library.note("x")
    end(library, Stage.SETTLE, Release(trouble=BUSY, wait_s=300.0))
    assert wait_s(library) == 300
    (row,) = library.catalog.reports.show(place("x"))
    assert row.trouble == BUSY.to_json()
    library.clock.advance(300)
    assert library.claim_one(Stage.SETTLE).attempts == 1


def test_a_parked_file_is_left_alone_and_says_why(library: Library) -> None:
    library.note("x")
    end(library, Stage.SETTLE, Park(trouble=BROKEN))
    assert wait_s(library) is None
    assert library.state("x") == "parked"
    (reported,) = library.catalog.reports.troubles()
    assert (reported.where, reported.trouble) == (f"{ROOT}/x", BROKEN.to_json())


def test_a_restart_clears_the_hashes_and_looks_again_after_the_quiet_time(library: Library) -> None:
    """F31, F32."""
    library.publish_whole("x")
    library.catalog.wake_publish([ROOT])
    library.clock.advance(50)
    before = library.claim_one(Stage.PUBLISH)
    library.catalog.scans.keep_folders(ROOT, {"": b"seen"})
    assert library.catalog.apply([(before, Restart(stamp=stamp_of("x", 1)))]) == [True]
    assert wait_s(library) == 10
    library.clock.advance(10)
    claim = library.claim_one(Stage.SETTLE)
    assert (claim.digests, claim.header, claim.stamp) == (None, None, stamp_of("x", 1))
    assert claim.still_since == library.clock.now() - timedelta(seconds=10)
    assert claim.fence > before.fence + 1
    assert library.catalog.scans.folder_digests(ROOT) == {"": b""}


def test_a_root_with_a_short_quiet_time_is_looked_at_sooner(library: Library) -> None:
    library.note("x", root="quick")
    claim = library.claim_one(Stage.SETTLE, "quick")
    library.catalog.apply([(claim, Restart(stamp=stamp_of("x", 1)))])
    due_at = library.catalog.next_due([Stage.SETTLE], ["quick"])
    assert due_at == library.clock.now() + timedelta(seconds=1)


def test_a_forgotten_file_is_gone_but_a_move_is_recognised(library: Library) -> None:
    """F33."""
    library.publish_whole("x")
    library.catalog.wake_publish([ROOT])
    end(library, Stage.PUBLISH, Forget())
    assert library.state("x") == "gone"
    assert library.catalog.note([library.saw("y", stamp_of("x"))]).moved == 1


def test_settling_without_a_header_clears_the_old_one(library: Library) -> None:
    library.note("x")
    end(library, Stage.SETTLE, Advance(facts=Settled(header=None)))
    assert library.claim_one(Stage.DIGEST).header is None


def test_an_answer_that_lands_during_publishing_publishes_once_more(library: Library) -> None:
    library.note("x")
    library.settle()
    library.digest()
    library.clock.advance(schedule.FIRST_ANSWER_PATIENCE_S)
    held = library.claim_one(Stage.PUBLISH)
    library.answer(card())
    assert library.catalog.apply([(held, Advance(facts=Published(publications=())))]) == [True]
    again = library.claim_one(Stage.PUBLISH)
    assert again.card == card()
    library.catalog.apply([(again, Advance(facts=Published(publications=())))])
    assert wait_s(library) is None


def test_publishing_comes_again_when_something_is_missing(library: Library) -> None:
    library.note("x")
    library.settle()
    library.digest(provider=None)
    end(library, Stage.PUBLISH, Advance(facts=Published(publications=(), again_in_s=90.0, trouble=BUSY)))
    assert wait_s(library) == 90
    assert library.state("x") == "unknown"
    assert library.catalog.reports.troubles()[0].trouble == BUSY.to_json()


def test_an_intention_is_known_until_the_result_is(library: Library) -> None:
    library.note("x")
    library.settle()
    library.digest(provider=None)
    first = library.claim_one(Stage.PUBLISH)
    library.catalog.intend([(first, [intended("x.json", "one"), intended("x.png", "picture")])])
    done = (written("x.json", "one"), written("x.png", "picture"))
    library.catalog.apply([(first, Advance(facts=Published(publications=done)))])
    library.catalog.wake_publish([ROOT])
    second = library.claim_one(Stage.PUBLISH)
    assert set(second.publications) == set(done)
    library.catalog.intend([(second, [intended("x.json", "two")])])
    library.catalog.apply([(second, Release())])
    third = library.claim_one(Stage.PUBLISH)
    (sidecar,) = [it for it in third.publications if it.place == place("x.json")]
    assert sidecar.recognises(sha256("one"))
    assert sidecar.recognises(sha256("two"))
    assert library.catalog.intend([(third, [])]) == {third.file_id}


def test_what_does_not_lie_on_disk_any_more_is_forgotten(library: Library) -> None:
    library.note("x")
    library.settle()
    library.digest(provider=None)
    library.publish(publications=(written("x.json", "one"), written("old/x.json", "old")))
    wrote_at = library.clock.now()
    library.clock.advance(100)
    library.catalog.wake_publish([ROOT])
    library.publish(publications=(written("x.json", "one"),))
    (row,) = library.catalog.reports.show(place("x"))
    (sidecar,) = library.catalog.reports.history(row).sidecars
    assert (sidecar.relpath, sidecar.written_at) == ("x.json", wrote_at)


def test_a_place_that_another_file_publishes_to_changes_hands(library: Library) -> None:
    library.publish_whole("x.safetensors")
    library.publish_whole("x.sft")
    library.catalog.wake_publish([ROOT])
    for name in ("x.safetensors", "x.sft"):
        (claim,) = library.claim(Stage.PUBLISH, limit=1)
        assert claim.place == place(name)
        done = Advance(facts=Published(publications=(written("x.json", "same"),)))
        library.catalog.apply([(claim, done)])
    rows = [library.catalog.reports.show(place(name))[0] for name in ("x.safetensors", "x.sft")]
    assert [len(library.catalog.reports.history(row).sidecars) for row in rows] == [0, 1]


def test_an_outcome_of_a_question_is_a_bug_for_a_file(library: Library) -> None:
    library.note("x")
    claim = library.claim_one(Stage.SETTLE)
    wrong = Advance(facts=Answered(answer=Absent(), again_in_s=1.0))
    with pytest.raises(TypeError):
        library.catalog.apply([(claim, wrong)])
    assert library.catalog.apply([(claim, Release())]) == [True]
    assert library.catalog.apply([]) == []


def test_one_bad_outcome_leaves_nothing_of_its_batch(library: Library) -> None:
    library.note("x", "y")
    one, two = library.claim(Stage.SETTLE)
    wrong = Advance(facts=Answered(answer=Absent(), again_in_s=1.0))
    with pytest.raises(TypeError):
        library.catalog.apply([(one, Park(trouble=BROKEN)), (two, wrong)])
    assert library.catalog.apply([(one, Release()), (two, Release())]) == [True, True]
    assert library.catalog.reports.states()["waiting"] == 2


def test_a_stamp_too_wide_for_a_column_does_not_end_the_batch(library: Library) -> None:
    library.note("x")
    wide = Stamp(size_bytes=1, mtime_ns=15_000_000_000 * 10**9, inode=2**64 - 1)
    end(library, Stage.SETTLE, Restart(stamp=wide))
    library.clock.advance(10)
    assert library.claim_one(Stage.SETTLE).stamp == wide
