"""Looking at files without claiming them, and withdrawing what was written."""

from sqlalchemy import update

from hashtagd.catalog.tables import file
from hashtagd.core.work import Stage
from support.library import ROOT, Library, card, digests, place, written


def two(library: Library) -> list[int]:
    """Publish one file with a sidecar and let another wait for it; returns their numbers."""
    library.note("a")
    library.settle()
    library.digest()
    library.answer(card())
    library.publish(publications=[written("a.json", "x")])
    library.note("b")
    library.settle()
    library.digest(text="b")
    library.answer(None)
    return [library.catalog.reports.show(place(name))[0].file_id for name in ("a", "b")]


def test_a_peek_has_all_that_a_claim_has_and_takes_nothing(library: Library) -> None:
    first, second = two(library)
    peeked = library.catalog.peeks.claims([second, first, 99])
    assert [it.place.relpath for it in peeked] == ["b", "a"]
    assert peeked[1].card == card()
    assert peeked[1].publications == (written("a.json", "x"),)
    assert peeked[0].digests == digests("b")
    claim = library.claim_one(Stage.PUBLISH)
    assert (claim.place.relpath, claim.attempts, claim.fence) == ("b", 1, peeked[0].fence + 1)


def test_a_row_that_another_machine_filled_with_nonsense_is_left_out_of_a_peek(library: Library) -> None:
    """F98."""
    first, second = two(library)
    library.catalog.database.write(
        lambda it, _now: it.execute(update(file).where(file.c.id == first).values(relpath="../a"))
    )
    assert [it.file_id for it in library.catalog.peeks.claims([first, second])] == [second]
    assert library.catalog.reports.troubles() == []


def test_what_waits_to_be_published_or_swept_is_listed(library: Library) -> None:
    first, second = two(library)
    assert library.catalog.peeks.waiting_to_publish([ROOT]) == [second]
    assert library.catalog.peeks.waiting_to_publish(["other"]) == []
    library.lose("a")
    assert library.catalog.peeks.waiting_to_publish([ROOT]) == [first, second]


def test_what_was_published_is_listed_also_when_it_is_gone(library: Library) -> None:
    first, second = two(library)
    library.note("c")
    assert library.catalog.peeks.published([ROOT]) == [first, second]
    library.lose("a", "b")
    assert library.catalog.peeks.published([ROOT]) == [first]


def test_what_is_withdrawn_is_due_again_and_what_is_forgotten_is_not_known(library: Library) -> None:
    first, second = two(library)
    library.publish()
    assert library.claim(Stage.PUBLISH) == []
    library.catalog.peeks.withdraw([first])
    library.catalog.peeks.forget([written("a.json", "x"), written("never.json", "x")])
    library.catalog.peeks.forget([])
    claim = library.claim_one(Stage.PUBLISH)
    assert (claim.file_id, claim.publications) == (first, ())
    assert library.catalog.peeks.published([ROOT]) == [first, second]


def test_hashes_that_a_live_file_of_a_root_has_are_picked(library: Library) -> None:
    two(library)
    a, b = digests("a").sha256, digests("b").sha256
    assert library.catalog.peeks.with_a_file([a, b, "no"], [ROOT]) == {a, b}
    assert library.catalog.peeks.with_a_file([a, b], ["other"]) == set()
    library.lose("a")
    assert library.catalog.peeks.with_a_file([a, b], [ROOT]) == {b}
