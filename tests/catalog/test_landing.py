"""A fetched file in the catalog: hashed, known, due at once, whatever is known of its place and its bytes."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import select

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.notes import Noted
from hashtagd.catalog.pages import FileRow
from hashtagd.catalog.tables import file
from hashtagd.core import schedule
from hashtagd.core.card import Card, Confidence, Update
from hashtagd.core.work import (
    Absent,
    Advance,
    Answered,
    Forget,
    Park,
    Published,
    Put,
    Restart,
    Settled,
    Stage,
)
from support.clock import FakeClock
from support.library import (
    BROKEN,
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
from support.wishing import bring, fetched, take, wish

PATIENCE_S = schedule.FIRST_ANSWER_PATIENCE_S


def row_of(library: Library, relpath: str = "x") -> FileRow:
    (row,) = library.catalog.reports.show(place(relpath))
    return row


def wait_s(library: Library) -> float | None:
    """Tell how long the next file waits."""
    due_at = library.catalog.next_due(list(Stage), [ROOT])
    return None if due_at is None else (due_at - library.clock.now()).total_seconds()


def told(library: Library, relpath: str = "x") -> list[str]:
    """List what is told of a file."""
    return [it.name for it in library.catalog.reports.history(row_of(library, relpath)).events]


# ---- a place of which nothing is known


def test_a_file_whose_card_is_known_is_published_at_once_and_nobody_is_asked(library: Library) -> None:
    known = card()
    bring(library, wish("d/x", card=known), fetched("d/x"))
    claim = library.claim_one(Stage.PUBLISH)
    assert (claim.place, claim.stamp) == (place("d/x"), stamp_of("d/x"))
    assert (claim.digests, claim.header) == (digests("d/x"), HEADER)
    assert (claim.card, claim.answered, claim.checked_at) == (known, True, library.clock.now())
    assert claim.first_seen_at == claim.still_since == library.clock.now()
    assert library.ask() == []
    assert [library.claim(stage) for stage in (Stage.SETTLE, Stage.DIGEST)] == [[], []]


def test_a_file_that_nobody_knows_yet_waits_a_minute_for_its_first_answer(library: Library) -> None:
    bring(library, wish(sha256=None), fetched(header=None))
    assert wait_s(library) == PATIENCE_S
    assert [it.key for it in library.ask()] == [question("x")]
    library.clock.advance(PATIENCE_S)
    claim = library.claim_one(Stage.PUBLISH)
    assert (claim.digests, claim.header, claim.card, claim.answered) == (digests("x"), None, None, False)


@pytest.mark.parametrize("questions", [(), (Put(key=question("x"), background=True),)])
def test_a_file_about_which_nobody_is_asked_in_a_moment_is_published_at_once(
    library: Library, questions: tuple[Put, ...]
) -> None:
    bring(library, wish(), fetched(questions=questions))
    assert wait_s(library) == 0


def test_what_landed_is_found_by_scans_as_it_lies_there(library: Library) -> None:
    library.catalog.scans.keep_folders(ROOT, {"d": b"seen"})
    bring(library, wish("d/x"), fetched("d/x"))
    assert library.catalog.scans.folder_digests(ROOT) == {"d": b""}
    assert library.catalog.scans.files_in(ROOT, "d") == {"x": stamp_of("d/x")}
    assert library.note("d/x") == Noted(same=1)
    assert told(library, "d/x") == ["file_fetched"]


def test_the_life_of_a_file_that_landed_goes_on_as_ever(library: Library) -> None:
    bring(library, wish(card=card()), fetched())
    library.publish(publications=[written("x.json", "a")])
    assert library.state("x") == "published"
    library.clock.advance(schedule.hit_again_s(0.0) - 1)
    assert library.catalog.waiting("civitai").due == 0
    library.clock.advance(1)
    library.answer(card("Another name"))
    assert (row_of(library).card or card()).model_name == "Another name"
    library.note("x", version=1)
    assert library.claim_one(Stage.SETTLE).digests is None


def test_a_newer_version_that_the_card_tells_of_is_told(library: Library) -> None:
    newer = card(update=Update(version_id=71, name="v2"))
    bring(library, wish(card=newer), fetched())
    assert set(told(library)) == {"file_fetched", "model_found", "update_found"}


# ---- the card that came with the wish


def test_a_card_counts_only_for_the_bytes_it_was_given_for(library: Library) -> None:
    bring(library, wish(card=card()), fetched("x", "other bytes"))
    assert (row_of(library).card, row_of(library).sha256) == (None, sha256("other bytes"))
    assert wait_s(library) == PATIENCE_S
    assert [it.key for it in library.ask()] == [question("other bytes")]


def test_a_card_for_no_certain_bytes_counts_for_none(library: Library) -> None:
    bring(library, wish(sha256=None, card=card()), fetched())
    assert row_of(library).card is None
    assert wait_s(library) == PATIENCE_S


def test_a_card_of_somebody_who_is_not_asked_first_counts_as_well(library: Library) -> None:
    bring(library, wish(card=card(provider="civarchive")), fetched())
    assert library.claim_one(Stage.PUBLISH).card == card(provider="civarchive")
    assert [it.key for it in library.ask()] == [question("x")], "the first one is asked all the same"


def known_elsewhere(library: Library, *answers: Card | None) -> None:
    """Have the same bytes at another place, with what its site said of them, one after the other."""
    library.note("copy")
    library.settle()
    library.digest(text="x")
    for answer in answers:
        library.catalog.ask_again()
        library.answer(answer)
    library.publish()


def test_bytes_that_are_known_from_another_place_cost_no_question_and_no_wait(library: Library) -> None:
    known_elsewhere(library, card())
    bring(library, wish(), fetched())
    claim = library.claim_one(Stage.PUBLISH)
    assert (claim.place, claim.card) == (place("x"), card())
    assert library.ask() == []


def test_bytes_that_their_site_does_not_know_cost_no_wait_either(library: Library) -> None:
    known_elsewhere(library, None)
    bring(library, wish(), fetched())
    assert (library.claim_one(Stage.PUBLISH).card, library.ask()) == (None, [])


@pytest.mark.parametrize("answers", [(card("Said of the hash"),), (card("Said of the hash"), None)])
def test_what_was_said_of_the_very_hash_stands_above_what_the_wish_brought(
    library: Library, answers: tuple[Card | None, ...]
) -> None:
    known_elsewhere(library, *answers)
    bring(library, wish(card=card("Brought along")), fetched())
    found = library.claim_one(Stage.PUBLISH).card
    assert found is not None
    assert found.model_name == "Said of the hash"
    assert row_of(library).card == row_of(library, "copy").card


def test_what_the_wish_brought_stands_above_an_old_no_and_copies_hear_of_it(library: Library) -> None:
    known_elsewhere(library, None)
    assert library.state("copy") == "unknown"
    bring(library, wish(card=card()), fetched())
    assert [(it.place.relpath, it.card) for it in library.publish()] == [("copy", card()), ("x", card())]
    assert library.state("copy") == "published"
    library.clock.advance(schedule.hit_again_s(0.0))
    (claim,) = library.ask()
    assert (claim.times_answered, claim.times_absent) == (2, 0)


def test_a_question_that_is_being_asked_right_now_is_answered_and_its_answer_comes_too_late(
    library: Library,
) -> None:
    library.note("copy")
    library.settle()
    library.digest(text="x")
    (asked,) = library.ask()
    bring(library, wish(card=card()), fetched())
    assert [it.card for it in library.claim(Stage.PUBLISH)] == [card(), card()]
    late = Advance(facts=Answered(answer=Absent(), again_in_s=9.0))
    assert not any(library.catalog.apply_answers([(asked, late)]))
    assert library.catalog.owners() == {library.catalog.owner}, "who holds it now publishes"


def test_a_question_that_was_parked_is_answered(library: Library) -> None:
    library.note("copy")
    library.settle()
    library.digest(text="x")
    library.catalog.apply_answers([(library.ask()[0], Park(trouble=BROKEN))])
    bring(library, wish(card=card()), fetched())
    assert [it.card for it in library.claim(Stage.PUBLISH)] == [card(), card()]
    assert library.catalog.reports.troubles() == []


def test_the_word_of_the_owner_stands_above_it(library: Library) -> None:
    mine = card("Mine", provider="owner", by="owner", confidence=Confidence.OWNER)
    library.catalog.wishes.match(sha256("x"), mine, again_in_s=9.0)
    bring(library, wish(card=card()), fetched())
    assert library.claim_one(Stage.PUBLISH).card == mine


# ---- a place that the watcher noted meanwhile


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("stage", [Stage.SETTLE, Stage.DIGEST])
def test_a_file_that_was_seen_before_it_landed_is_not_read_again(
    library: Library, stage: Stage, *, held: bool
) -> None:
    library.note("x")
    seen_at = library.clock.now()
    if stage is Stage.DIGEST:
        library.settle()
    claims = library.claim(stage) if held else []
    library.clock.advance(5)
    bring(library, wish(card=card()), fetched())
    for claim in claims:
        for outcome in (Forget(), Restart(stamp=stamp_of("x", 1)), Advance(facts=Settled(header=None))):
            assert library.catalog.apply([(claim, outcome)]) == [False], "what he found comes too late"
    assert [library.claim(it) for it in (Stage.SETTLE, Stage.DIGEST)] == [[], []]
    claim = library.claim_one(Stage.PUBLISH)
    assert (claim.digests, claim.header, claim.card, claim.attempts) == (digests("x"), HEADER, card(), 1)
    assert (claim.first_seen_at, claim.still_since) == (seen_at, library.clock.now())


def test_a_file_that_was_parked_before_it_landed_is_parked_no_more(library: Library) -> None:
    library.note("x")
    library.catalog.apply([(library.claim_one(Stage.SETTLE), Park(trouble=BROKEN))])
    bring(library, wish(), fetched())
    assert library.catalog.reports.troubles() == []
    assert wait_s(library) == PATIENCE_S


def test_a_seen_file_whose_settle_was_disturbed_is_undisturbed_when_it_lands(library: Library) -> None:
    library.note("x")
    library.claim(Stage.SETTLE)
    library.note("x", version=1)
    library.note("x")
    bring(library, wish(card=card()), fetched())
    library.publish()
    assert wait_s(library) is None, "published once"


def test_a_file_that_was_there_and_published_is_left_in_peace(library: Library) -> None:
    library.publish_whole("x", card())
    bring(library, wish(card=card("Brought along")), fetched())
    assert wait_s(library) is None
    assert library.state("x") == "published"
    assert "file_fetched" in told(library)


def test_a_file_that_was_there_and_unknown_is_published_with_the_card(library: Library) -> None:
    library.publish_whole("x")
    held = library.clock.now()
    bring(library, wish(card=card()), fetched())
    claim = library.claim_one(Stage.PUBLISH)
    assert (claim.card, claim.first_seen_at) == (card(), held)


def test_a_file_that_is_being_published_keeps_its_claim(library: Library) -> None:
    library.note("x")
    library.settle()
    library.digest(provider=None)
    claim = library.claim_one(Stage.PUBLISH)
    bring(library, wish(card=card()), fetched())
    assert library.catalog.intend([(claim, [intended("x.json", "a")])]) == {claim.file_id}
    library.catalog.apply([(claim, Advance(facts=Published(publications=())))])
    assert library.claim_one(Stage.PUBLISH).card == card(), "and is published once more, with the card"


def test_bytes_that_were_hashed_otherwise_by_the_same_stamp_are_what_was_read_last(library: Library) -> None:
    library.publish_whole("x", card(), text="before")
    bring(library, wish(), fetched())
    assert row_of(library).sha256 == sha256("x")
    assert wait_s(library) == PATIENCE_S


# ---- another file lies there by now


def test_a_place_at_which_another_file_lies_by_now_is_left_to_the_scan(library: Library) -> None:
    library.note("x", version=1)
    library.catalog.scans.keep_folders(ROOT, {"": b"seen"})
    before = row_of(library)
    claim = bring(library, wish(card=card()), fetched())
    assert row_of(library) == before
    assert library.catalog.scans.folder_digests(ROOT) == {"": b""}, "and the scan looks again"
    assert library.catalog.reports.questions().waiting == 0
    assert library.ask() == []
    (row,) = library.catalog.transfers.rows([claim.transfer_id])
    assert row.state == "done"
    assert library.note("x") == Noted(same=1)
    assert library.claim_one(Stage.SETTLE).stamp == stamp_of("x", 1)


# ---- a place at which a file lay before


def test_a_file_that_was_gone_comes_back_as_a_new_one(library: Library) -> None:
    library.publish_whole("x", card())
    library.lose("x")
    library.clock.advance(50)
    bring(library, wish(), fetched("x", stamp=stamp_of("x", 1)))
    claim = library.claim_one(Stage.PUBLISH)
    assert (claim.stamp, claim.card) == (stamp_of("x", 1), card())
    assert claim.first_seen_at == library.clock.now()
    assert row_of(library).published_at is None


def test_what_lies_beside_a_file_that_was_gone_is_swept_no_more(library: Library) -> None:
    library.note("x")
    library.settle()
    library.digest(text="before")
    library.answer(card("Before"))
    library.publish(publications=[written("x.json", "a")])
    library.lose("x")
    library.clock.advance(schedule.SWEEP_AFTER_S)
    sweep = library.claim_one(Stage.PUBLISH)
    assert sweep.stage is Stage.SWEEP
    bring(library, wish(card=card()), fetched("x", stamp=stamp_of("x", 1)))
    assert library.catalog.apply([(sweep, Forget())]) == [False]
    claim = library.claim_one(Stage.PUBLISH)
    assert (claim.stage, claim.card, claim.publications) == (
        Stage.PUBLISH,
        card(),
        (written("x.json", "a"),),
    )


# ---- roots whose inode numbers are not trusted


def test_without_trusted_inodes_the_same_size_and_time_are_the_same_file(library: Library) -> None:
    untrusted = replace(stamp_of("x"), inode=0)
    library.catalog.note([library.saw("x", untrusted)])
    bring(library, wish(card=card()), fetched())
    assert library.claim_one(Stage.PUBLISH).stamp == untrusted
    assert library.catalog.note([library.saw("x", untrusted)]) == Noted(same=1)
    assert library.catalog.scans.files_in(ROOT, "") == {"x": untrusted}


def test_without_trusted_inodes_another_time_is_another_file(library: Library) -> None:
    other = replace(stamp_of("x"), inode=0, mtime_ns=5)
    library.catalog.note([library.saw("x", other)])
    bring(library, wish(card=card()), fetched())
    assert library.claim_one(Stage.SETTLE).stamp == other


def test_a_fetcher_that_knows_no_inode_meets_a_watcher_that_does(library: Library) -> None:
    library.note("x")
    untrusted = replace(stamp_of("x"), inode=0)
    bring(library, wish(card=card()), fetched(stamp=untrusted))
    assert library.claim_one(Stage.PUBLISH).stamp == untrusted


# ---- two at once


def test_two_wishes_that_land_together_are_two_files_of_the_same_bytes(library: Library) -> None:
    transfers = library.catalog.transfers
    transfers.want([wish("a", sha256=sha256("same"), card=card()), wish("b", sha256=sha256("same"))])
    claims = transfers.claim([ROOT], 9)
    results = [(claim, fetched(claim.wanted.place.relpath, "same")) for claim in claims]
    assert transfers.apply(results) == [True, True]
    assert [(it.place.relpath, it.card) for it in library.claim(Stage.PUBLISH)] == [
        ("a", card()),
        ("b", card()),
    ]


def test_a_file_that_another_process_notes_while_it_lands_is_one_row(
    open_catalog: Callable[[str], Catalog], clock: FakeClock
) -> None:
    library, other = Library(open_catalog("me"), clock), Library(open_catalog("other"), clock)
    library.catalog.transfers.want([wish(card=card())])
    claim = take(library)
    other.note("x")
    (settling,) = other.claim(Stage.SETTLE)
    assert library.catalog.transfers.apply([(claim, fetched())]) == [True]
    assert other.catalog.apply([(settling, Forget())]) == [False]
    rows = library.catalog.database.read(lambda it, _now: it.execute(select(file.c.stage)).scalars().all())
    assert rows == [Stage.PUBLISH.value]


# ---- landed, and nobody came to publish


def test_what_landed_is_listed_until_somebody_publishes_it(library: Library) -> None:
    transfers = library.catalog.transfers
    bring(library, wish(card=card()), fetched())
    assert transfers.unpublished([ROOT]) == [place("x")]
    assert transfers.unpublished(["other"]) == []
    claim = library.claim_one(Stage.PUBLISH)
    assert transfers.unpublished([ROOT]) == [], "somebody is at it"
    library.catalog.apply([(claim, Advance(facts=Published(publications=())))])
    assert transfers.unpublished([ROOT]) == []


def test_what_waits_for_an_answer_or_kills_whoever_publishes_it_is_left_alone(library: Library) -> None:
    transfers = library.catalog.transfers
    bring(library, wish(), fetched())
    assert transfers.unpublished([ROOT]) == [], "it waits for its first answer"
    library.clock.advance(PATIENCE_S)
    assert transfers.unpublished([ROOT]) == [place("x")]
    for _ in range(schedule.MAX_ATTEMPTS):
        library.claim_one(Stage.PUBLISH)
        library.catalog.release_own([library.catalog.owner])
    assert transfers.unpublished([ROOT]) == []


# ---- made out of a file that is known


def test_a_twin_is_hashed_and_known_already_and_due_at_once(library: Library) -> None:
    transfers = library.catalog.transfers
    bring(library, wish("x", card=card()), fetched())
    assert transfers.twin_made(place("x"), place("d/twin"), stamp_of("x"))
    assert (library.state("d/twin"), "file_linked" in told(library, "d/twin")) == ("asking", True)
    claims = {it.place.relpath: it for it in library.claim(Stage.PUBLISH)}
    twin, first = claims["d/twin"], claims["x"]
    assert (twin.digests, twin.header, twin.card) == (first.digests, first.header, first.card)


@pytest.mark.parametrize("other", ["size", "unread", "unknown", "gone", "occupied"])
def test_a_twin_of_which_something_is_not_as_it_was_seen_is_left_to_the_scan(
    library: Library, other: str
) -> None:
    transfers, stamp = library.catalog.transfers, stamp_of("x")
    if other == "unread":
        library.note("x")
    elif other != "unknown":
        bring(library, wish(), fetched())
    if other == "size":
        stamp = replace(stamp, size_bytes=stamp.size_bytes + 1)
    if other == "gone":
        library.lose("x")
    if other == "occupied":
        library.note("twin")
    assert not transfers.twin_made(place("x"), place("twin"), stamp)
    assert [it.state for it in library.catalog.reports.show(place("twin"))] == (
        ["waiting"] if other == "occupied" else []
    )
