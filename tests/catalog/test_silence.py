"""A site that says nothing for a week is not waited for."""

from hashtagd.core import schedule
from hashtagd.core.work import Absent, Advance, Answered, Found, HashKind
from support.library import Library, card, chain, put, question

CHAIN = chain("civitai", "archive", "header", slow=["archive"], by_tensors=["civitai"])


def hashed(library: Library, *names: str) -> None:
    library.note(*names)
    library.settle()
    library.digest()


def test_after_a_week_of_silence_the_next_ones_are_asked_too(
    library: Library,
) -> None:
    hashed(library, "x")
    library.clock.advance(schedule.SILENCE_S - 1)
    assert library.catalog.pass_on_questions(CHAIN) == 0
    library.clock.advance(1)
    assert library.catalog.pass_on_questions(CHAIN) == 2
    assert [claim.key for claim in library.ask("archive")] == [question("x", "archive")]
    assert [claim.key for claim in library.ask("header")] == [question("x", "header")]
    assert library.ask("civitai", HashKind.TENSORS) == []
    assert library.catalog.waiting("civitai").due == 1


def test_nobody_is_asked_twice_and_nothing_is_written_for_nothing(library: Library) -> None:
    hashed(library, "x")
    library.clock.advance(schedule.SILENCE_S)
    library.catalog.pass_on_questions(CHAIN)
    before = library.catalog.change_token()
    assert library.catalog.pass_on_questions(CHAIN) == 0
    assert library.catalog.change_token() == before


def test_a_site_that_spoke_is_not_passed_over(library: Library) -> None:
    hashed(library, "x")
    library.answer(card())
    library.clock.advance(schedule.SILENCE_S)
    assert library.catalog.pass_on_questions(CHAIN) == 0


def test_a_provider_that_the_settings_name_later_is_asked_about_old_misses(library: Library) -> None:
    hashed(library, "x", "known")
    for claim in library.ask():
        said = Absent() if claim.key == question("x") else Found(card=card())
        facts = Answered(answer=said, again_in_s=9e5, then=put(question("x", "header")))
        library.catalog.apply_answers([(claim, Advance(facts=facts))])
    assert library.catalog.pass_on_questions(chain("civitai", "header")) == 0
    assert library.catalog.pass_on_questions(CHAIN) == 1
    assert [claim.key for claim in library.ask("archive")] == [question("x", "archive")]
