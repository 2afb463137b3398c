"""What the owner decides is kept by the hash, and makes the files due that it concerns."""

import pytest

from hashtagd.catalog.filters import Filters
from hashtagd.core.card import Card, Confidence, Update
from hashtagd.core.work import Absent, Advance, Answered, Found, HashKind, Stage
from support.library import Library, card, digests, place, question, sha256


@pytest.fixture
def published(library: Library) -> Library:
    """A library with one file that the site knows."""
    library.publish_whole("x", card("As the site says"))
    return library


OWNERS = card("As the owner says", confidence=Confidence.OWNER, by="owner", version_id=71)


def shown(library: Library) -> Card:
    (row,) = library.catalog.reports.show(place("x"))
    assert row.card is not None
    return row.card


def test_the_owners_word_counts_before_every_other_and_publishes_again(published: Library) -> None:
    published.catalog.wishes.match(sha256("x"), OWNERS, again_in_s=9e5)
    assert published.claim_one(Stage.PUBLISH).card == OWNERS
    assert shown(published).model_name == "As the owner says"
    assert published.state("x") == "published"


def test_the_last_word_of_the_owner_counts(published: Library) -> None:
    wishes = published.catalog.wishes
    wishes.match(sha256("x"), OWNERS, again_in_s=9e5)
    wishes.match(sha256("x"), card("Second thoughts", confidence=Confidence.OWNER), again_in_s=9e5)
    assert shown(published).model_name == "Second thoughts"


def test_a_word_taken_back_leaves_what_the_site_says(published: Library) -> None:
    wishes = published.catalog.wishes
    wishes.match(sha256("x"), OWNERS, again_in_s=9e5)
    assert wishes.unmatch(sha256("x"))
    assert shown(published).model_name == "As the site says"
    assert not wishes.unmatch(sha256("x"))


def test_the_site_is_asked_about_the_version_that_was_named(published: Library) -> None:
    published.catalog.wishes.match(sha256("x"), OWNERS, again_in_s=60.0)
    assert published.ask("owner") == []
    published.clock.advance(60.0)
    (claim,) = published.ask("owner")
    assert claim.subject.version_id == 71
    filled = card("With all it has", confidence=Confidence.OWNER, version_id=71)
    answer = Advance(facts=Answered(answer=Found(card=filled), again_in_s=9e5))
    assert all(published.catalog.apply_answers([(claim, answer)]))
    assert shown(published).model_name == "With all it has"


def test_an_answer_about_an_earlier_word_of_the_owner_does_not_count(published: Library) -> None:
    wishes = published.catalog.wishes
    wishes.match(sha256("x"), OWNERS, again_in_s=0.0)
    (claim,) = published.ask("owner")
    wishes.match(sha256("x"), card("Second thoughts", confidence=Confidence.OWNER), again_in_s=0.0)
    late = Advance(facts=Answered(answer=Absent(), again_in_s=9e5))
    assert not any(published.catalog.apply_answers([(claim, late)]))


def test_a_locked_field_stays_in_reports_and_in_what_is_published(published: Library) -> None:
    published.catalog.wishes.lock(sha256("x"), {"model_name": "Kept", "tags": ["mine"]})
    claim = published.claim_one(Stage.PUBLISH)
    assert claim.card is not None
    assert (claim.card.model_name, claim.card.tags) == ("Kept", ("mine",))
    assert shown(published).model_name == "Kept"
    (row,) = published.catalog.reports.show(place("x"))
    assert row.locked == ("model_name", "tags")
    assert published.catalog.wishes.locked(sha256("x")) == ["model_name", "tags"]


def test_locks_are_let_go_by_name_or_all_at_once(published: Library) -> None:
    wishes = published.catalog.wishes
    wishes.lock(sha256("x"), {"model_name": "Kept", "tags": ["mine"]})
    assert wishes.unlock(sha256("x"), ["tags", "base_model"]) == ["tags"]
    assert wishes.unlock(sha256("x"), None) == ["model_name"]
    assert wishes.unlock(sha256("x"), None) == []
    assert shown(published).model_name == "As the site says"


def test_a_lock_says_again_what_it_holds(published: Library) -> None:
    wishes = published.catalog.wishes
    wishes.lock(sha256("x"), {"model_name": "First"})
    wishes.lock(sha256("x"), {"model_name": "Second"})
    assert shown(published).model_name == "Second"


def test_updates_are_ignored_by_model_and_told_again(published: Library) -> None:
    wishes = published.catalog.wishes
    for ignore in (True, True, False):
        wishes.ignore_updates(7, ignore=ignore)
        (row,) = published.catalog.reports.show(place("x"))
        assert row.updates_ignored is ignore


def test_a_question_of_the_owner_about_a_tensor_hash_is_none(published: Library) -> None:
    published.catalog.wishes.match(sha256("x"), OWNERS, again_in_s=0.0)
    assert published.ask("owner", HashKind.TENSORS) == []
    assert question("x").hash == digests("x").sha256


def test_a_word_that_the_site_could_not_confirm_changes_nothing_until_it_does(published: Library) -> None:
    published.catalog.wishes.match_later(sha256("x"), 71)
    assert shown(published).model_name == "As the site says"
    (claim,) = published.ask("owner")
    assert claim.subject.version_id == 71
    answer = Advance(facts=Answered(answer=Found(card=OWNERS), again_in_s=9e5))
    published.catalog.apply_answers([(claim, answer)])
    assert shown(published).model_name == "As the owner says"


def test_a_second_word_that_the_site_does_not_know_does_not_call_the_first_deleted(
    published: Library,
) -> None:
    wishes = published.catalog.wishes
    wishes.match(sha256("x"), OWNERS, again_in_s=9e5)
    wishes.match_later(sha256("x"), 72)
    (claim,) = published.ask("owner")
    assert claim.subject.version_id == 72
    absent = Advance(facts=Answered(answer=Absent(), again_in_s=60.0))
    assert all(published.catalog.apply_answers([(claim, absent)]))
    assert shown(published).availability is OWNERS.availability
    assert shown(published).version_id == OWNERS.version_id
    published.clock.advance(60)
    (claim,) = published.ask("owner")
    found = Found(card=card("The second", confidence=Confidence.OWNER, version_id=72))
    published.catalog.apply_answers([(claim, Advance(facts=Answered(answer=found, again_in_s=9e5)))])
    assert shown(published).model_name == "The second"


def test_a_locked_text_is_found_by_search_and_base(published: Library) -> None:
    published.catalog.wishes.lock(sha256("x"), {"base_model": "Mine", "tags": ["Ölfarbe"], "preview": []})
    reports = published.catalog.reports
    assert len(reports.list_files(Filters(base="mine"))) == 1
    assert reports.list_files(Filters(base="Illustrious")) == []
    assert len(reports.list_files(Filters(words=("ölfarbe",)))) == 1


def test_of_updates_that_are_ignored_there_is_no_story_and_no_news(published: Library) -> None:
    published.catalog.wishes.ignore_updates(7, ignore=True)
    published.clock.advance(3600)
    (claim,) = published.ask()
    newer = card("As the site says", update=Update(version_id=99))
    seen = Advance(facts=Answered(answer=Found(card=newer), again_in_s=60.0))
    assert [kept.newer for kept in published.catalog.apply_answers([(claim, seen)])] == [None]
    (row,) = published.catalog.reports.show(place("x"))
    assert "update_found" not in [it.name for it in published.catalog.reports.history(row).events]
    published.catalog.wishes.ignore_updates(7, ignore=False)
    published.clock.advance(60)
    (claim,) = published.ask()
    assert [kept.newer for kept in published.catalog.apply_answers([(claim, seen)])] == [newer.update]
