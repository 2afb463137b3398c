"""Which files a list holds: twins, those with a newer version, those whose answers contradict each other."""

import sqlite3
from collections.abc import Callable

import pytest
from sqlalchemy import event, update

from hashtagd.catalog.filters import Filters
from hashtagd.catalog.tables import file
from hashtagd.core.card import Availability, Confidence, Update
from hashtagd.core.digests import SHA256_OF_NOTHING, Digests
from hashtagd.core.work import Advance, Answered, Digested, Found, Stage
from support.library import Library, card, chain, place, put, question, sha256


def listed(library: Library, **filters: bool) -> list[str]:
    return [row.relpath for row in library.catalog.reports.list_files(Filters(**filters))]


def hashed(library: Library, name: str, known: Digests) -> None:
    library.note(name)
    library.settle()
    facts = Digested(digests=known, questions=put(question(name)))
    library.catalog.apply([(library.claim_one(Stage.DIGEST), Advance(facts=facts))])


def test_files_with_the_same_bytes_or_the_same_tensors_are_twins(library: Library) -> None:
    for name, whole, tensors in (
        ("a", "one", "t"),
        ("copy of a", "one", "t"),
        ("edited a", "two", "t"),
        ("alone", "three", "u"),
    ):
        hashed(library, name, Digests(sha256=sha256(whole), tensors_sha256=sha256(tensors)))
    for name in ("empty", "empty, too"):
        hashed(library, name, Digests(sha256=sha256(name), tensors_sha256=SHA256_OF_NOTHING))
    assert listed(library, duplicates=True) == ["a", "copy of a", "edited a"]


def test_a_newer_version_is_listed_until_a_file_has_it_or_the_owner_ignores_it(library: Library) -> None:
    library.publish_whole("old", card(version_id=1, update=Update(version_id=2)))
    library.publish_whole("current", card(version_id=5, model_id=8))
    assert listed(library, updates=True) == ["old"]
    library.catalog.wishes.ignore_updates(7, ignore=True)
    assert listed(library, updates=True) == []
    library.catalog.wishes.ignore_updates(7, ignore=False)
    assert listed(library, updates=True) == ["old"]
    library.publish_whole("new", card(version_id=2))
    assert listed(library, updates=True) == []
    library.lose("new")
    assert listed(library, updates=True) == ["old"]


def test_answers_that_name_different_models_are_to_be_reviewed_until_the_owner_decides(
    library: Library,
) -> None:
    hashed(library, "x", Digests(sha256=sha256("x")))
    claims = card("Its own word", confidence=Confidence.CLAIMED, provider="header", model_id=5)
    (claim,) = library.ask()
    found = Answered(answer=Found(card=claims), again_in_s=9e5, then=put(question("x", "archive")))
    library.catalog.apply_answers([(claim, Advance(facts=found))])
    assert listed(library, review=True) == []
    library.answer(card("The archive says"), "archive")
    assert listed(library, review=True) == ["x"]
    (row,) = library.catalog.reports.show(place("x"))
    assert [rival.model_id for rival in row.rivals] == [5]
    library.catalog.wishes.match(sha256("x"), card(confidence=Confidence.OWNER), again_in_s=9e5)
    assert listed(library, review=True) == []
    (row,) = library.catalog.reports.show(place("x"))
    assert row.rivals == ()


def test_matches_are_counted_by_how_sure_they_are_and_what_can_be_had(library: Library) -> None:
    library.publish_whole("known", card())
    library.publish_whole("claimed", card(confidence=Confidence.CLAIMED))
    library.publish_whole("nobody")
    census = library.catalog.reports.census()
    assert census.confidence == {"owner": 0, "exact": 1, "tensors": 0, "claimed": 1}
    assert census.availability == {"public": 2}
    questions = library.catalog.reports.questions()
    assert questions.last_at == library.clock.now()
    assert questions.next_at is not None


def test_what_an_archive_alone_knows_is_counted_and_shown_as_deleted(library: Library) -> None:
    hashed(library, "x", Digests(sha256=sha256("x")))
    library.answer(None, then=question("x", "archive"))
    library.answer(card("Kept", provider="archive"), "archive")
    library.clock.advance(60)
    (claim,) = library.publish()
    assert claim.card is not None
    assert claim.card.availability is Availability.DELETED
    (row,) = library.catalog.reports.show(place("x"))
    assert row.card is not None
    assert row.card.availability is Availability.DELETED
    assert library.catalog.reports.census().availability == {"deleted": 1}


def test_a_no_of_the_site_that_comes_after_the_archive_makes_the_file_due(library: Library) -> None:
    library.note("x")
    library.settle()
    library.digest(provider="archive")
    library.answer(card("Kept", provider="archive"), "archive")
    library.publish()
    library.catalog.put_missing_questions(chain("civitai"))
    library.answer(None)
    library.clock.advance(60)
    (claim,) = library.publish()
    assert claim.card is not None
    assert claim.card.availability is Availability.DELETED


@pytest.mark.parametrize("name", ["x"])
def test_a_header_that_another_machine_spoiled_counts_as_none(library: Library, name: str) -> None:
    """F98."""
    library.publish_whole(name, card())
    library.catalog.database.write(lambda it, _now: it.execute(update(file).values(header={"evil": 1})))
    (row,) = library.catalog.reports.show(place(name))
    assert row.header is None


@pytest.mark.parametrize("page,limit", [(1, None), (2, None), (3, 2), (2, 4), (500, None), (2, 3)])
def test_a_long_list_is_read_a_page_at_a_time(library: Library, page: int, limit: int | None) -> None:
    names = ["a", "b/c", "b/d", "ä", "z"]
    library.note(*names)
    library.note("other", root="another")
    everything = [(row.root, row.relpath) for row in library.catalog.reports.list_files()]
    rows = library.catalog.reports.each_file(Filters(limit=limit), page)
    assert [(row.root, row.relpath) for row in rows] == everything[:limit]
    assert len(everything) == len(names) + 1


def test_the_last_check_of_a_file_that_only_speaks_for_itself_is_when_anybody_was_asked(
    library: Library,
) -> None:
    hashed(library, "x", Digests(sha256=sha256("x")))
    library.answer(None, then=question("x", "header"))
    library.answer(card(provider="header", confidence=Confidence.CLAIMED), "header", again_in_s=9e5)
    library.clock.advance(3600)
    library.answer(None)
    (row,) = library.catalog.reports.show(place("x"))
    assert row.checked_at == library.clock.now()
    library.clock.advance(9e5)
    library.answer(card(provider="header", confidence=Confidence.CLAIMED), "header")
    assert library.catalog.reports.questions().last_at == row.checked_at


def test_a_newer_version_that_the_library_holds_is_named_with_its_place(library: Library) -> None:
    library.publish_whole("old", card(version_id=1, update=Update(version_id=2)))
    (old,) = library.catalog.reports.show(place("old"))
    assert old.update_at is None
    for name in ("z", "new"):
        library.publish_whole(name, card(version_id=2), text="the same bytes")
    (old,) = library.catalog.reports.show(place("old"))
    assert old.update_at == ("loras", "new")
    assert [row.update_at for row in library.catalog.reports.list_files()] == [None, ("loras", "new"), None]
    library.lose("new", "z")
    (old,) = library.catalog.reports.show(place("old"))
    assert old.update_at is None


def test_a_header_that_claims_to_be_the_newer_version_hides_no_update(library: Library) -> None:
    library.publish_whole("old", card(version_id=1, update=Update(version_id=2)))
    library.publish_whole("claims", card(version_id=2, confidence=Confidence.CLAIMED))
    assert listed(library, updates=True) == ["old"]
    (old,) = library.catalog.reports.show(place("old"))
    assert old.update_at is None


def test_what_its_site_denies_has_no_newer_version(library: Library) -> None:
    hashed(library, "x", Digests(sha256=sha256("x")))
    library.answer(None, then=question("x", "archive"))
    library.answer(card("Kept", provider="archive", update=Update(version_id=9)), "archive")
    assert listed(library, updates=True) == []


def test_the_store_reads_no_more_than_it_has_to_for_updates_and_numbers(library: Library) -> None:
    """Counted in steps of the store's machine, which no other work on this machine changes."""
    names = [f"m{number:03}" for number in range(300)]
    library.note(*names)
    library.settle()
    library.digest()
    for number, claim in enumerate(library.ask()):
        known = card(
            model_id=1000 + number, version_id=5000 + number, update=Update(version_id=5001 + number)
        )
        answer = Answered(answer=Found(card=known), again_in_s=9e5)
        library.catalog.apply_answers([(claim, Advance(facts=answer))])
    everything = steps(library, library.catalog.reports.list_files)
    assert steps(library, lambda: library.catalog.reports.list_files(Filters(updates=True))) <= 3 * everything
    assert steps(library, lambda: library.catalog.reports.show(1007)) * 10 <= everything
    assert [row.relpath for row in library.catalog.reports.show(5007)] == ["m007"]


def steps(library: Library, read: Callable[[], object]) -> int:
    """Count in tens what SQLite does; 0 with another engine."""
    counted = 0

    def count() -> None:
        nonlocal counted
        counted += 1

    def listen(connection: sqlite3.Connection, _record: object, _proxy: object) -> None:
        connection.set_progress_handler(count, 10)

    engine = library.catalog.database.engine
    if engine.dialect.name == "sqlite":
        event.listen(engine, "checkout", listen)
    read()
    if engine.dialect.name == "sqlite":
        event.remove(engine, "checkout", listen)
    return counted
