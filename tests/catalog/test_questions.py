from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from hashtagd.catalog.questions import Wanted
from hashtagd.catalog.tables import file
from hashtagd.catalog.tables import question as questions
from hashtagd.core import schedule
from hashtagd.core.card import Availability, Confidence, Update
from hashtagd.core.joining import vanished
from hashtagd.core.work import (
    Absent,
    Advance,
    Answered,
    Defer,
    Digested,
    Forget,
    Found,
    HashKind,
    Outcome,
    Park,
    Put,
    QuestionClaim,
    QuestionKey,
    Release,
    Settled,
    Stage,
    Waiting,
)
from support.library import (
    BROKEN,
    BUSY,
    CLOSED,
    HEADER,
    ROOT,
    Library,
    card,
    chain,
    digests,
    place,
    put,
    question,
    sha256,
)


@pytest.fixture
def hashed(library: Library) -> Library:
    """A library with one file that was just hashed."""
    library.note("x")
    library.settle()
    library.digest()
    return library


def say(library: Library, outcome: Outcome, provider: str = "civitai") -> QuestionClaim:
    """Claim the one due question and end the claim so."""
    (claim,) = library.ask(provider)
    assert all(library.catalog.apply_answers([(claim, outcome)]))
    return claim


def found(name: str = "A model", again_in_s: float = 3600.0, **changes: object) -> Advance:
    return Advance(facts=Answered(answer=Found(card=card(name, **changes)), again_in_s=again_in_s))


def test_a_new_hash_is_asked_at_once(hashed: Library) -> None:
    now = hashed.clock.now()
    assert hashed.catalog.waiting("civitai") == Waiting(due=1, oldest_due_at=now)
    assert hashed.catalog.next_question_due("civitai") == now
    (claim,) = hashed.ask()
    assert (claim.key, claim.times_answered, claim.times_absent, claim.answered_at) == (
        question("x"),
        0,
        0,
        None,
    )
    assert hashed.catalog.waiting("civitai") == Waiting(due=0, oldest_due_at=None)
    due_at = hashed.catalog.next_question_due("civitai")
    assert due_at == now + timedelta(seconds=schedule.LEASE_S)


def test_another_provider_has_its_own_questions(hashed: Library) -> None:
    assert hashed.catalog.waiting("civarchive").due == 0
    assert hashed.ask("civarchive") == []
    assert hashed.catalog.next_question_due("civarchive") is None


def test_a_provider_that_was_never_asked_is_asked_about_every_live_hash_once(hashed: Library) -> None:
    hashed.note("copy of x", "y", "lost", "arriving")
    hashed.catalog.apply(
        [
            (claim, Advance(facts=Settled(header=None)))
            for claim in hashed.claim(Stage.SETTLE)
            if claim.place.relpath != "arriving"
        ]
    )
    for claim in hashed.claim(Stage.DIGEST):
        text = claim.place.relpath.removeprefix("copy of ")
        facts = Digested(digests=digests(text), questions=put(question(text, "civitai")))
        hashed.catalog.apply([(claim, Advance(facts=facts))])
    hashed.lose("lost")
    assert hashed.catalog.put_missing_questions(chain("civarchive")) == 2
    assert {claim.key for claim in hashed.ask("civarchive")} == {
        question("x", "civarchive"),
        question("y", "civarchive"),
    }
    before = hashed.catalog.change_token()
    assert hashed.catalog.put_missing_questions(chain("civarchive")) == 0
    assert hashed.catalog.put_missing_questions(chain("civitai")) == 0
    assert hashed.catalog.change_token() == before


def test_nothing_is_asked_about_files_that_are_gone(hashed: Library) -> None:
    hashed.lose("x")
    assert hashed.catalog.waiting("civitai").due == 0
    assert hashed.ask() == []
    assert hashed.catalog.next_question_due("civitai") is None


def test_an_answer_is_kept_and_the_file_is_due(hashed: Library) -> None:
    claim = say(hashed, found("First"))
    assert hashed.claim_one(Stage.PUBLISH).card == card("First")
    hashed.clock.advance(3600)
    (again,) = hashed.ask()
    assert (again.times_answered, again.times_absent) == (1, 0)
    assert again.answered_at == hashed.clock.now() - timedelta(hours=1)
    assert again.question_id == claim.question_id


def test_the_same_answer_again_publishes_nothing(hashed: Library) -> None:
    say(hashed, found("First"))
    hashed.publish()
    hashed.clock.advance(3600)
    say(hashed, found("First"))
    assert hashed.claim(Stage.PUBLISH) == []


def test_another_answer_publishes_every_copy(library: Library) -> None:
    library.note("x", "copy")
    library.settle()
    library.digest(text="same")
    library.answer(card("First"))
    library.publish()
    library.clock.advance(3600)
    library.answer(card("Second"))
    assert [it.card for it in library.claim(Stage.PUBLISH)] == [card("Second")] * 2


def test_a_change_in_the_providers_own_document_publishes_too(hashed: Library) -> None:
    say(hashed, found(raw={"stats": 1}))
    hashed.publish()
    hashed.clock.advance(3600)
    say(hashed, found(raw={"stats": 2}))
    assert len(hashed.claim(Stage.PUBLISH)) == 1


def test_absent_puts_the_next_question_once(hashed: Library) -> None:
    then = question("x", "civarchive")
    absent = Advance(facts=Answered(answer=Absent(), again_in_s=5400.0, then=put(then)))
    say(hashed, absent)
    answered_at = hashed.clock.now()
    hashed.clock.advance(schedule.NEXT_ANSWER_PATIENCE_S)
    claim = hashed.claim_one(Stage.PUBLISH)
    assert (claim.card, claim.answered, claim.checked_at) == (None, True, answered_at)
    (next_asked,) = hashed.ask("civarchive")
    assert next_asked.key == then
    hashed.clock.advance(5400)
    again = say(hashed, absent)
    assert again.times_absent == 1
    assert hashed.catalog.waiting("civarchive").due == 1


def test_an_unknown_file_waits_a_moment_for_the_next_word_and_is_published_once(hashed: Library) -> None:
    then = question("x", "header")
    say(hashed, Advance(facts=Answered(answer=Absent(), again_in_s=5400.0, then=put(then))))
    assert hashed.claim(Stage.PUBLISH) == []
    due_at = hashed.catalog.next_due([Stage.PUBLISH], [ROOT])
    assert due_at == hashed.clock.now() + timedelta(seconds=schedule.NEXT_ANSWER_PATIENCE_S)
    say(hashed, found("By its header"), "header")
    (claim,) = hashed.publish()
    assert claim.card == card("By its header")
    hashed.clock.advance(60)
    assert hashed.claim(Stage.PUBLISH) == []


def test_a_file_that_is_due_earlier_does_not_wait_for_the_next_word(hashed: Library) -> None:
    hashed.clock.advance(schedule.FIRST_ANSWER_PATIENCE_S - 1.0)
    due_at = hashed.catalog.next_due([Stage.PUBLISH], [ROOT])
    then = question("x", "header")
    say(hashed, Advance(facts=Answered(answer=Absent(), again_in_s=5400.0, then=put(then))))
    assert hashed.catalog.next_due([Stage.PUBLISH], [ROOT]) == due_at


def test_a_model_that_vanishes_keeps_its_card(hashed: Library) -> None:
    """F63."""
    say(hashed, found("Known"))
    hashed.publish()
    for _ in range(2):
        hashed.clock.advance(3600)
        say(hashed, Advance(facts=Answered(answer=Absent(), again_in_s=3600.0)))
    kept = hashed.claim_one(Stage.PUBLISH).card
    assert kept == vanished(card("Known"), hashed.clock.now() - timedelta(hours=1))
    assert (kept.model_name, kept.downloadable, kept.availability) == ("Known", False, Availability.DELETED)
    (row,) = hashed.catalog.reports.show(place("x"))
    assert row.card == replace(kept, raw={})
    assert row.state == "published"
    names = [it.name for it in hashed.catalog.reports.history(row).events]
    assert names.count("model_vanished") == 1


def test_a_model_that_comes_back_is_no_longer_marked_as_vanished(hashed: Library) -> None:
    """F63."""
    say(hashed, found("Known"))
    hashed.publish()
    hashed.clock.advance(3600)
    say(hashed, Advance(facts=Answered(answer=Absent(), again_in_s=3600.0)))
    hashed.publish()
    hashed.clock.advance(3600)
    assert say(hashed, found("Known")).times_absent == 1
    assert hashed.claim_one(Stage.PUBLISH).card == card("Known")


def test_a_stronger_answer_replaces_a_weaker_one_and_not_the_other_way_round(hashed: Library) -> None:
    claimed = card("Own word", provider="header", confidence=Confidence.CLAIMED)
    then = question("x", "civitai-mirror")
    say(hashed, Advance(facts=Answered(answer=Found(card=claimed), again_in_s=9e5, then=put(then))))
    assert hashed.claim_one(Stage.PUBLISH).card == claimed
    hashed.clock.advance(schedule.LEASE_S)
    say(hashed, found("Exact"), "civitai-mirror")
    assert hashed.claim_one(Stage.PUBLISH).card == card("Exact")
    hashed.clock.advance(schedule.LEASE_S)
    hashed.publish()
    hashed.clock.advance(10**6)
    other = replace(claimed, model_name="Another word")
    say(hashed, Advance(facts=Answered(answer=Found(card=other), again_in_s=9e5)))
    assert hashed.claim(Stage.PUBLISH) == []


def test_of_equal_answers_the_provider_asked_first_counts(hashed: Library) -> None:
    first = Found(card=card("First"))
    say(hashed, Advance(facts=Answered(answer=first, again_in_s=9e5, then=put(question("x", "b")))))
    hashed.publish()
    say(hashed, found("Second"), "b")
    assert hashed.claim(Stage.PUBLISH) == []


def test_a_question_about_tensors_runs_in_the_background(hashed: Library) -> None:
    then = question("x", "civitai", HashKind.TENSORS)
    say(hashed, Advance(facts=Answered(answer=Absent(), again_in_s=9e5, then=put(then))))
    hashed.publish()
    assert hashed.catalog.waiting("civitai").due == 0
    assert hashed.ask() == []
    assert hashed.catalog.next_question_due("civitai") is not None
    assert hashed.catalog.waiting("civitai", HashKind.TENSORS).due == 1
    assert hashed.catalog.next_question_due("civitai", HashKind.TENSORS) == hashed.clock.now()
    (claim,) = hashed.ask(kind=HashKind.TENSORS)
    assert claim.key == then
    edited = card("Same tensors", confidence=Confidence.TENSORS, by="tensors")
    hashed.catalog.apply_answers(
        [(claim, Advance(facts=Answered(answer=Found(card=edited), again_in_s=9.0)))]
    )
    published = hashed.claim_one(Stage.PUBLISH)
    assert published.card == edited
    assert hashed.state("x") == "published"


def test_nobody_is_asked_about_the_tensors_of_a_file_that_is_known_as_a_whole(hashed: Library) -> None:
    then = question("x", "civitai", HashKind.TENSORS)
    say(hashed, Advance(facts=Answered(answer=Absent(), again_in_s=5400.0, then=put(then))))
    hashed.clock.advance(5400)
    say(hashed, found())
    assert hashed.ask(kind=HashKind.TENSORS) == []
    assert hashed.catalog.next_question_due("civitai", HashKind.TENSORS) is None


def test_a_round_takes_along_what_is_nearly_due_but_does_not_go_for_it(library: Library) -> None:
    library.note("x", "y")
    library.settle()
    library.digest()
    (one, two) = library.ask()
    library.catalog.apply_answers([(one, found(again_in_s=1000.0)), (two, found(again_in_s=1050.0))])
    library.clock.advance(960)
    assert library.ask() == []
    library.clock.advance(40)
    assert len(library.ask()) == 2


def test_a_deferred_question_waits_alone(hashed: Library) -> None:
    say(hashed, Defer(trouble=BUSY, wait_s=100.0))
    hashed.clock.advance(99)
    assert hashed.ask() == []
    hashed.clock.advance(1)
    (claim,) = hashed.ask()
    hashed.catalog.apply_answers([(claim, Defer(trouble=None, wait_s=1.0))])
    assert hashed.catalog.reports.troubles() == []


def test_an_outage_leaves_questions_due(hashed: Library) -> None:
    """F46."""
    say(hashed, Release(trouble=CLOSED))
    assert hashed.catalog.waiting("civitai").due == 1


def test_a_parked_question_is_asked_after_retry(hashed: Library) -> None:
    say(hashed, Park(trouble=BROKEN))
    assert hashed.ask() == []
    assert hashed.catalog.next_question_due("civitai") is None
    (row,) = hashed.catalog.reports.show(place("x"))
    assert hashed.catalog.reports.history(row).events[-1].name == "question_parked"
    hashed.catalog.retry([place("x")])
    assert len(hashed.ask()) == 1


def test_late_and_double_answers_change_nothing(hashed: Library) -> None:
    """F70, F74."""
    (late,) = hashed.ask()
    hashed.clock.advance(schedule.LEASE_S)
    (current,) = hashed.ask()
    ends = [(late, found("Late")), (current, found("Current")), (current, found("Double"))]
    held = [kept.held for end in ends for kept in hashed.catalog.apply_answers([end])]
    assert held == [False, True, False]
    assert hashed.catalog.apply_answers([]) == []
    assert hashed.claim_one(Stage.PUBLISH).card == card("Current")


def test_renewed_questions_are_kept(hashed: Library) -> None:
    claims = hashed.ask()
    hashed.clock.advance(schedule.LEASE_S - 1)
    hashed.catalog.renew([], claims)
    hashed.clock.advance(2)
    assert hashed.ask() == []


def test_an_outcome_of_a_file_is_a_bug_for_a_question(hashed: Library) -> None:
    (claim,) = hashed.ask()
    with pytest.raises(TypeError):
        hashed.catalog.apply_answers([(claim, Forget())])


def test_a_question_whose_file_was_written_wrongly_is_passed_over(hashed: Library) -> None:
    """F98."""
    hashed.catalog.database.write(
        lambda it, _now: it.execute(update(file).values(header={"length_bytes": 1, "evil": 1}))
    )
    assert hashed.ask() == []


def test_an_answer_wakes_a_file_parked_in_publish(hashed: Library) -> None:
    hashed.clock.advance(schedule.FIRST_ANSWER_PATIENCE_S)
    hashed.catalog.apply([(hashed.claim_one(Stage.PUBLISH), Park(trouble=BROKEN))])
    say(hashed, found())
    assert hashed.claim_one(Stage.PUBLISH).attempts == 1


def test_hostile_answers_are_stored_clean(hashed: Library) -> None:
    """F56, F57."""
    nasty = card(
        "NUL \0 and lone \ud800",
        model_id=2**70,
        tags=("\u202eright to left", "ok"),
        availability=Availability.TAKEN_DOWN,
        raw={
            "huge": 10**5000,
            "nan": float("nan"),
            "inf": [float("inf"), 1.5],
            "\0": "\udfff",
            "deep": [[{}]],
        },
    )
    say(hashed, Advance(facts=Answered(answer=Found(card=nasty), again_in_s=9.0)))
    kept = hashed.claim_one(Stage.PUBLISH).card
    assert kept is not None
    assert (kept.model_name, kept.model_id) == ("NUL \ufffd and lone \ufffd", None)
    assert kept.tags == nasty.tags
    assert kept.raw == {"huge": None, "nan": None, "inf": [None, 1.5], "\ufffd": "\ufffd", "deep": [[{}]]}


def test_what_is_no_json_is_a_bug(hashed: Library) -> None:
    (claim,) = hashed.ask()
    with pytest.raises(TypeError, match="not a JSON value: object"):
        hashed.catalog.apply_answers([(claim, found(raw={"x": object()}))])


def test_a_large_round_is_one_claim(library: Library) -> None:
    names = [f"f{at}" for at in range(1100)]
    library.note(*names)
    library.catalog.database.write(lambda it, _now: it.execute(update(questions).values(provider="nobody")))
    for stage in (library.settle, library.digest):
        while stage(ROOT):
            pass
    claims = library.catalog.claim_questions(Wanted(provider="civitai", limit=10_000))
    assert len({it.key for it in claims}) == 1100
    assert all(library.catalog.apply_answers([(it, found()) for it in claims]))
    assert library.catalog.reports.questions().waiting == 1100


def test_a_newer_version_is_a_story_once(hashed: Library) -> None:
    newer = Update(version_id=99, name="v2")
    for again in (newer, newer, Update(version_id=100)):
        (claim,) = hashed.ask()
        seen = Advance(facts=Answered(answer=Found(card=card(update=again)), again_in_s=60.0))
        hashed.catalog.apply_answers([(claim, seen)])
        hashed.clock.advance(60)
    (row,) = hashed.catalog.reports.show(place("x"))
    names = [it.name for it in hashed.catalog.reports.history(row).events]
    assert names.count("update_found") == 2


def test_a_newer_version_is_news_once_whatever_number_of_files_it_concerns(library: Library) -> None:
    library.note("v1", "a copy with another header", "v0")
    library.settle()
    library.digest()
    newer = Update(version_id=99, name="v2")
    told: list[Update | None] = []
    for again in (newer, None, newer, Update(version_id=100)):
        for claim in library.ask():
            seen = Advance(facts=Answered(answer=Found(card=card(update=again)), again_in_s=60.0))
            told += [kept.newer for kept in library.catalog.apply_answers([(claim, seen)])]
        library.clock.advance(60)
    assert [it for it in told if it is not None] == [newer, Update(version_id=100)]


def test_of_two_answers_in_one_round_the_first_brings_the_news(library: Library) -> None:
    library.note("v1", "v0")
    library.settle()
    library.digest()
    newer = Update(version_id=99)
    seen = Advance(facts=Answered(answer=Found(card=card(update=newer)), again_in_s=60.0))
    kept = library.catalog.apply_answers([(claim, seen) for claim in library.ask()])
    assert [it.newer for it in kept] == [newer, None]


def test_a_question_knows_whether_its_last_answer_was_a_card(hashed: Library) -> None:
    assert not say(hashed, found(again_in_s=60.0)).was_found
    hashed.clock.advance(60)
    assert say(hashed, Advance(facts=Answered(answer=Absent(), again_in_s=60.0))).was_found
    hashed.clock.advance(60)
    assert not say(hashed, Advance(facts=Answered(answer=Absent(), again_in_s=60.0))).was_found


def test_a_card_that_another_machine_spoiled_vanishes_without_a_mark(hashed: Library) -> None:
    """F98."""
    say(hashed, found(again_in_s=60.0))
    hashed.publish()
    hashed.catalog.database.write(lambda it, _now: it.execute(update(questions).values(card={"evil": 1})))
    hashed.clock.advance(60)
    say(hashed, Advance(facts=Answered(answer=Absent(), again_in_s=60.0)))
    (row,) = hashed.catalog.reports.show(place("x"))
    assert row.card is None


def test_a_large_file_is_asked_about_by_what_it_claims_until_it_is_read(library: Library) -> None:
    claimed = sha256("what the header says")
    asked = Put(
        key=QuestionKey(hash_kind=HashKind.TENSORS, hash=claimed, provider="civitai"), background=True
    )
    library.note("x")
    facts = Settled(header=HEADER, claimed_tensors_sha256=claimed, questions=(asked,))
    library.catalog.apply([(library.claim_one(Stage.SETTLE), Advance(facts=facts))])
    (claim,) = library.ask(kind=HashKind.TENSORS)
    assert (claim.subject.hash, claim.subject.digests, claim.subject.header) == (claimed, None, HEADER)
    weak = card("Perhaps", confidence=Confidence.TENSORS, by="tensors")
    library.catalog.apply_answers([(claim, Advance(facts=Answered(answer=Found(card=weak), again_in_s=9e5)))])
    (row,) = library.catalog.reports.show(place("x"))
    assert (row.state, row.card) == ("hashing", replace(weak, confidence=Confidence.CLAIMED, raw={}))
    library.digest()
    (row,) = library.catalog.reports.show(place("x"))
    assert row.card is None
    assert library.ask(kind=HashKind.TENSORS) == []


def test_headers_stay_on_the_disk_for_those_who_do_not_look_at_them(hashed: Library) -> None:
    (claim,) = hashed.catalog.claim_questions(Wanted(provider="civitai", limit=9, headers=False))
    assert claim.subject.header is None
    hashed.clock.advance(schedule.LEASE_S)
    (claim,) = hashed.catalog.claim_questions(Wanted(provider="civitai", limit=9))
    assert claim.subject.header == HEADER


def ask_an_archive(library: Library, again_in_s: float) -> None:
    """Let the site not know the file, and an archive, which is asked behind all others, neither."""
    library.catalog.put_missing_questions(chain("archive", "civitai", slow=["archive"]))
    library.answer(None)
    library.answer(None, "archive", again_in_s=again_in_s)
    library.clock.advance(3600)


def test_no_archive_is_asked_about_what_the_site_gives_out_until_it_does_not_any_more(
    hashed: Library,
) -> None:
    """The archive is run by volunteers: it is asked only about what the site does not give out."""
    ask_an_archive(hashed, 60.0)
    hashed.answer(card("Indexed meanwhile"))
    hashed.publish()
    assert hashed.ask("archive") == []
    assert hashed.catalog.waiting("archive").due == 0
    (row,) = hashed.catalog.reports.show(place("x"))
    assert row.next_check_at is not None
    assert row.next_check_at > hashed.clock.now()
    hashed.clock.advance(3600)
    hashed.answer(card("Indexed meanwhile", availability=Availability.ARCHIVED))
    assert len(hashed.ask("archive")) == 1


@pytest.mark.parametrize("gone", [None, Availability.ARCHIVED, Availability.TAKEN_DOWN])
def test_archives_are_asked_at_once_about_what_the_site_gave_out_until_now(
    hashed: Library, gone: Availability | None
) -> None:
    ask_an_archive(hashed, 9e5)
    hashed.answer(card("Indexed meanwhile"))
    hashed.clock.advance(3600)
    hashed.answer(None if gone is None else card("Indexed meanwhile", availability=gone))
    assert len(hashed.ask("archive")) == 1


def test_archives_are_not_asked_more_often_about_what_stays_gone(hashed: Library) -> None:
    ask_an_archive(hashed, 9e5)
    for _ in range(2):
        hashed.answer(card("Archived", availability=Availability.ARCHIVED))
        hashed.clock.advance(3600)
    assert hashed.ask("archive") == []


def test_asking_again_counts_only_what_is_asked(hashed: Library) -> None:
    ask_an_archive(hashed, 60.0)
    hashed.answer(card("Indexed meanwhile"))
    assert hashed.catalog.ask_again() == 1
    assert hashed.catalog.ask_again([sha256("x")]) == 1


def test_the_owners_word_is_asked_about_also_where_the_site_knows_the_file(hashed: Library) -> None:
    hashed.answer(card("Known"))
    hashed.catalog.wishes.match(
        sha256("x"),
        card("Chosen", confidence=Confidence.OWNER),
        again_in_s=60.0,
    )
    hashed.clock.advance(60)
    assert len(hashed.ask("owner")) == 1
