from collections.abc import Callable

import pytest
from sqlalchemy import text, update

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.tables import file, publication, question
from hashtagd.core import schedule
from hashtagd.core.card import Card, Confidence
from hashtagd.core.work import Advance, Defer, Forget, Release, Settled, Stage
from support.clock import FakeClock
from support.library import BUSY, HEADER, ROOT, Library, card, intended, place, stamp_of


def test_a_claimed_row_is_not_claimed_again_before_its_lease_ends(library: Library) -> None:
    library.note("x")
    first = library.claim_one(Stage.SETTLE)
    assert library.claim(Stage.SETTLE) == []
    library.clock.advance(schedule.LEASE_S)
    second = library.claim_one(Stage.SETTLE)
    assert (second.fence, second.attempts) == (first.fence + 1, 2)


def test_the_row_that_waited_longest_is_claimed_first(library: Library) -> None:
    for name in ("c", "a", "b"):
        library.note(name)
        library.clock.advance(1)
    assert [it.place.relpath for it in library.claim(Stage.SETTLE, limit=2)] == ["c", "a"]


def test_only_the_roots_of_this_machine_are_claimed(library: Library) -> None:
    """F98."""
    library.note("x", root="elsewhere")
    assert library.claim(Stage.SETTLE) == []
    assert library.catalog.next_due([Stage.SETTLE], [ROOT]) is None


def test_a_process_may_claim_files_at_its_own_places_only(library: Library) -> None:
    library.note("x", "y")
    catalog = library.catalog
    assert catalog.claim(Stage.SETTLE, [ROOT], 9, only=[]) == []
    (claim,) = catalog.claim(Stage.SETTLE, [ROOT], 9, only=[place("y"), place("z"), place("x", "other")])
    assert claim.place == place("y")
    catalog.apply([(claim, Release())])
    library.settle()
    library.digest(provider=None)
    assert catalog.claim(Stage.PUBLISH, [ROOT], 9, only=[]) == []
    assert [it.place for it in catalog.claim(Stage.PUBLISH, [ROOT], 9, only=[place("x")])] == [place("x")]
    assert library.claim_one(Stage.PUBLISH).place == place("y")


def test_a_renewed_lease_outlives_its_first_end(library: Library) -> None:
    library.note("x")
    claims = library.claim(Stage.SETTLE)
    library.clock.advance(schedule.LEASE_S - 1)
    library.catalog.renew(claims)
    library.catalog.renew([], [])
    library.clock.advance(2)
    assert library.claim(Stage.SETTLE) == []
    assert library.catalog.apply([(claims[0], Advance(facts=Settled(header=None)))]) == [True]


def test_a_result_that_comes_after_another_claim_changes_nothing(library: Library) -> None:
    """F74."""
    library.note("x")
    late = library.claim_one(Stage.SETTLE)
    library.clock.advance(schedule.LEASE_S)
    current = library.claim_one(Stage.SETTLE)
    assert library.catalog.apply([(late, Forget())]) == [False]
    assert library.catalog.intend([(late, [intended("x.json", "a")])]) == frozenset()
    library.catalog.renew([late])
    assert library.catalog.apply([(current, Advance(facts=Settled(header=HEADER)))]) == [True]
    assert library.state("x") == "hashing"


def test_a_result_counts_once(library: Library) -> None:
    """F70: the connection was lost during the commit, nobody knows, the batch is applied again."""
    library.note("x")
    results = [(library.claim_one(Stage.SETTLE), Release())]
    assert library.catalog.apply(results) == [True]
    assert library.catalog.apply(results) == [False]
    again = library.claim_one(Stage.SETTLE)
    assert again.attempts == 1
    assert library.catalog.apply([(again, Release()), (again, Release())]) == [True, False]


def test_bytes_that_changed_meanwhile_make_the_result_worthless(library: Library) -> None:
    """F31."""
    library.note("x")
    library.settle()
    claim = library.claim_one(Stage.DIGEST)
    library.note("x", version=1)
    assert library.catalog.apply([(claim, Defer(trouble=BUSY, wait_s=9.0))]) == [False]
    assert library.claim_one(Stage.SETTLE).stamp == stamp_of("x", 1)


def test_leases_of_the_dead_end_at_once_and_their_attempts_count(
    open_catalog: Callable[[str], Catalog], clock: FakeClock
) -> None:
    """F73."""
    dead, alive = Library(open_catalog("dead"), clock), Library(open_catalog("alive"), clock)
    dead.publish_whole("asked", text="asked")
    dead.note("x", "y")
    dead.claim(Stage.SETTLE, limit=1)
    dead.catalog.ask_again()
    assert len(dead.ask()) == 1
    held = alive.claim(Stage.SETTLE)
    assert alive.catalog.owners() == {"dead", "alive"}
    assert alive.catalog.release_own([]) == 0
    assert alive.catalog.release_own(["dead"]) == 2
    assert alive.catalog.owners() == {"alive"}
    taken = alive.claim_one(Stage.SETTLE)
    assert taken.attempts == 2
    assert taken.file_id != held[0].file_id


def test_a_file_whose_claims_came_to_no_end_waits_for_the_others_and_is_taken_alone(library: Library) -> None:
    """F83: one of a batch may be what kills the process; the innocent must not be parked with it."""
    library.note("a", "b")
    library.settle()
    for _ in range(2):
        assert len(library.claim(Stage.DIGEST)) == 2
        library.catalog.release_own([library.catalog.owner])
    library.note("c", "d")
    library.settle()
    assert {it.place.relpath for it in library.claim(Stage.DIGEST)} == {"c", "d"}
    (first,) = library.claim(Stage.DIGEST)
    (second,) = library.claim(Stage.DIGEST)
    assert {first.place.relpath, second.place.relpath} == {"a", "b"}
    assert (first.attempts, second.attempts) == (3, 3)


def test_a_stop_gives_claims_back_uncharged(library: Library) -> None:
    library.publish_whole("asked")
    library.catalog.ask_again()
    library.note("x")
    claims, questions = library.claim(Stage.SETTLE), library.ask()
    library.catalog.apply([(claim, Release()) for claim in claims])
    library.catalog.apply_answers([(claim, Release()) for claim in questions])
    assert library.claim_one(Stage.SETTLE).attempts == 1
    assert len(library.ask()) == 1


def test_the_next_due_time_knows_leases_and_waits(library: Library) -> None:
    clock, stages = library.clock, list(Stage)
    assert library.catalog.next_due(stages, [ROOT]) is None
    library.note("x")
    assert library.catalog.next_due(stages, [ROOT]) == clock.now()
    claim = library.claim_one(Stage.SETTLE)
    due_at = library.catalog.next_due(stages, [ROOT])
    assert due_at is not None
    assert (due_at - clock.now()).total_seconds() == schedule.LEASE_S
    library.catalog.apply([(claim, Defer(trouble=None, wait_s=7.0))])
    due_at = library.catalog.next_due(stages, [ROOT])
    assert due_at is not None
    assert (due_at - clock.now()).total_seconds() == 7.0


def test_hashing_is_under_way_while_files_are_due_or_held_but_not_while_they_wait(library: Library) -> None:
    assert not library.catalog.digesting([ROOT])
    library.note("x")
    assert library.catalog.digesting([ROOT, "other"])
    assert not library.catalog.digesting(["other"])
    claim = library.claim_one(Stage.SETTLE)
    assert library.catalog.digesting([ROOT])
    library.catalog.apply([(claim, Defer(trouble=None, wait_s=10.0))])
    assert not library.catalog.digesting([ROOT])
    library.clock.advance(10)
    library.settle()
    assert library.catalog.digesting([ROOT])
    library.digest()
    assert not library.catalog.digesting([ROOT])


def test_a_claim_to_publish_brings_card_answer_and_artifacts(library: Library) -> None:
    library.note("x")
    library.settle()
    library.digest()
    library.clock.advance(5)
    library.answer(card())
    answered_at = library.clock.now()
    claim = library.claim_one(Stage.PUBLISH)
    assert (claim.card, claim.answered, claim.checked_at) == (card(), True, answered_at)
    assert claim.header == HEADER
    assert library.catalog.intend([(claim, [intended("x.json", "a")])]) == {claim.file_id}
    library.catalog.apply([(claim, Release())])
    assert library.claim_one(Stage.PUBLISH).publications == (intended("x.json", "a"),)


def test_a_claim_to_publish_without_an_answer_says_so(library: Library) -> None:
    library.note("x")
    library.settle()
    library.digest()
    library.clock.advance(schedule.FIRST_ANSWER_PATIENCE_S)
    claim = library.claim_one(Stage.PUBLISH)
    assert (claim.card, claim.answered, claim.checked_at) == (None, False, None)


@pytest.mark.parametrize("known", [None, card(provider="header", confidence=Confidence.CLAIMED)])
def test_a_file_that_only_its_own_header_spoke_for_is_not_answered(
    library: Library, known: Card | None
) -> None:
    """Otherwise a sidecar would say that a site does not have what nobody asked the site for."""
    library.note("x")
    library.settle()
    library.digest(provider="header")
    library.answer(known, "header")
    claim = library.claim_one(Stage.PUBLISH)
    assert (claim.card, claim.answered) == (known, False)


@pytest.mark.parametrize("column", ["relpath", "sha256", "header"])
def test_a_row_that_somebody_else_wrote_wrongly_is_parked(library: Library, column: str) -> None:
    """F98: another machine that shares the store is hostile."""
    nonsense = {
        "relpath": "../../etc/passwd",
        "sha256": "not a hash",
        "header": {"length_bytes": 1, "evil": 2},
    }
    library.note("x", "y")
    library.catalog.database.write(
        lambda it, _now: it.execute(
            update(file).where(file.c.relpath == "x").values({column: nonsense[column]})
        )
    )
    claims = library.claim(Stage.SETTLE)
    assert [it.place.relpath for it in claims] == ["y"]
    (reported,) = library.catalog.reports.troubles()
    assert reported.trouble["kind"] == "row_unreadable"


@pytest.mark.parametrize(
    "nonsense",
    [
        {"confidence": "certain"},
        {"license": ["no", "mapping"]},
        {"model_name": ["a", "list"]},
        {"trained_words": [1]},
        {"downloads": "none"},
        {"early_access_ends_at": "soon"},
        {"early_access_ends_at": "2026-01-01T00:00:00"},
        {"spell": "words"},
    ],
    ids=str,
)
def test_a_card_that_somebody_else_wrote_wrongly_counts_as_none(
    library: Library, nonsense: dict[str, object]
) -> None:
    """F98. A moment without a time zone is none."""
    library.note("x")
    library.settle()
    library.digest()
    library.answer(card())
    whole = {name: value for name, value in card().to_json().items() if name != "raw"}
    library.catalog.database.write(
        lambda it, _now: it.execute(update(question).values(card=whole | nonsense))
    )
    claim = library.claim_one(Stage.PUBLISH)
    assert (claim.card, claim.answered) == (None, True)


def test_an_artifact_record_that_leads_out_of_the_root_is_passed_over(library: Library) -> None:
    """F98."""
    library.note("x")
    library.settle()
    library.digest(provider=None)
    claim = library.claim_one(Stage.PUBLISH)
    library.catalog.intend([(claim, [intended("x.json", "a"), intended("y.json", "b")])])
    library.catalog.database.write(
        lambda it, _now: it.execute(
            update(publication).where(publication.c.relpath == "y.json").values(relpath="../y.json")
        )
    )
    library.catalog.apply([(claim, Release())])
    assert library.claim_one(Stage.PUBLISH).publications == (intended("x.json", "a"),)


def test_the_catalog_answers_that_it_is_well(library: Library) -> None:
    library.catalog.well()
    library.catalog.database.read(lambda it, _now: it.execute(text("select 1")))


def test_anybodys_commit_changes_the_token_and_nothing_else_does(
    open_catalog: Callable[[str], Catalog], clock: FakeClock
) -> None:
    mine, other = open_catalog("mine"), Library(open_catalog("other"), clock)
    before = mine.change_token()
    assert mine.change_token() == before
    other.claim(Stage.SETTLE)
    assert mine.change_token() == before
    other.note("x")
    assert mine.change_token() != before
