"""What becomes of rows and records when files are renamed, swapped, replaced or deleted."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import update

from hashtagd.catalog.notes import Noted
from hashtagd.catalog.pending import pending_files, publish_now
from hashtagd.catalog.tables import file, publication
from hashtagd.core import schedule
from hashtagd.core.place import Sighting
from hashtagd.core.work import (
    Advance,
    Claim,
    Defer,
    Forget,
    Outcome,
    Park,
    Publication,
    Published,
    Release,
    Restart,
    Settled,
    Stage,
    Swept,
)
from support.library import (
    BROKEN,
    BUSY,
    HEADER,
    REFUSED,
    ROOT,
    Library,
    card,
    digests,
    intended,
    place,
    sha256,
    stamp_of,
    written,
)


def publish(library: Library, relpath: str, *items: Publication, shared: bool = False) -> None:
    """Bring a new file to its publishing, with these artifacts or with the trouble of a shared name."""
    library.note(relpath)
    library.settle()
    library.digest()
    library.answer(card())
    claims = library.claim(Stage.PUBLISH)
    facts = Published(publications=items, trouble=REFUSED if shared else None)
    assert all(library.catalog.apply([(it, Advance(facts=facts)) for it in claims]))


def made(relpath: str, model: str, content: str = "x") -> Publication:
    """Make the record of an artifact that tells of a model."""
    return replace(written(relpath, content), written_for=sha256(model))


def saw(library: Library, **bytes_of: str | None) -> list[Sighting]:
    """See files by name, each with the bytes that were first seen under the other name."""
    return [library.saw(at, None if it is None else stamp_of(it)) for at, it in bytes_of.items()]


def sweeps(library: Library) -> list[Claim]:
    return [it for it in library.claim(Stage.PUBLISH) if it.stage is Stage.SWEEP]


def hashed_as(library: Library, relpath: str, bytes_of: str) -> bool:
    (row,) = library.catalog.reports.show(place(relpath))
    return row.sha256 == sha256(bytes_of)


# ---- hashes go with the bytes


@pytest.mark.parametrize("target_gone", [False, True])
def test_a_file_renamed_onto_a_known_name_is_not_read_again(library: Library, *, target_gone: bool) -> None:
    """F16."""
    born = library.clock.now()
    library.publish_whole("a")
    library.publish_whole("c", card())
    library.clock.advance(1000)
    if target_gone:
        library.move("a", "b")
    library.clock.advance(1000)
    assert library.catalog.note(saw(library, a="c", c=None)) == Noted(moved=1, gone=1)
    library.settle()
    assert library.claim(Stage.DIGEST) == []
    (claim,) = [it for it in library.claim(Stage.PUBLISH) if it.place == place("a")]
    assert (claim.digests, claim.first_seen_at, claim.card) == (digests("c"), born, card())
    assert library.ask() == []


@pytest.mark.parametrize("late", [False, True])
def test_what_is_renamed_onto_a_known_name_keeps_its_age(library: Library, *, late: bool) -> None:
    """F16."""
    library.publish_whole("a")
    library.clock.advance(1000)
    born = library.clock.now()
    library.publish_whole("c")
    library.clock.advance(1000)
    library.lose("a")
    looks = saw(library, a="c"), saw(library, c=None)
    for look in looks if late else reversed(looks):
        library.catalog.note(look)
    assert library.claim_one(Stage.SETTLE).first_seen_at == born


def test_two_files_that_swap_their_names_are_not_read_again(library: Library) -> None:
    """F16."""
    library.publish_whole("a")
    library.publish_whole("b")
    assert library.catalog.note(saw(library, a="b", b="a")) == Noted(moved=2)
    library.settle()
    assert library.claim(Stage.DIGEST) == []
    assert hashed_as(library, "a", "b")
    assert hashed_as(library, "b", "a")


def test_a_hard_link_in_place_of_a_known_file_takes_the_hashes_but_not_the_age(library: Library) -> None:
    """F14."""
    library.publish_whole("c")
    library.clock.advance(1000)
    born = library.clock.now()
    library.publish_whole("a")
    library.catalog.note(saw(library, a="c", c="c"))
    claim = library.claim_one(Stage.SETTLE)
    assert (claim.digests, claim.first_seen_at) == (digests("c"), born)


def test_other_bytes_that_are_known_from_nowhere_are_read(library: Library) -> None:
    library.publish_whole("a")
    library.publish_whole("c")
    assert library.note("a", version=1) == Noted(changed=1)
    library.settle()
    assert library.claim_one(Stage.DIGEST).place == place("a")


@pytest.mark.parametrize("stage", [Stage.SETTLE, Stage.PUBLISH])
def test_a_stage_that_finds_bytes_known_from_elsewhere_has_their_hashes(
    library: Library, stage: Stage
) -> None:
    """F16. The look of a stage may come before that of the scan."""
    library.publish_whole("c")
    if stage is Stage.PUBLISH:
        library.publish_whole("a")
        library.catalog.wake_publish([ROOT])
    else:
        library.note("a")
    [claim] = [it for it in library.claim(stage) if it.place == place("a")]
    library.catalog.apply([(claim, Restart(stamp=stamp_of("c")))])
    library.clock.advance(60)
    library.settle()
    assert library.claim(Stage.DIGEST) == []
    assert hashed_as(library, "a", "c")


# ---- what a claim knows of what was written


def test_a_claim_knows_what_was_written_beside_the_file_for_others_of_its_name(library: Library) -> None:
    old = made("d/same.json", "d/same.safetensors", "one")
    about_model = written("d/same.safetensors", "attribute")
    publish(library, "d/same.safetensors", old, about_model)
    publish(library, "d/same.b.safetensors", made("d/same.b.json", "d/same.b.safetensors"))
    publish(library, "d/samegood.safetensors", made("d/samegood.json", "d/samegood.safetensors"))
    library.lose("d/same.safetensors")
    library.note("d/same.sft")
    library.settle()
    library.digest()
    library.answer(card())
    (claim,) = [it for it in library.claim(Stage.PUBLISH) if it.stage is Stage.PUBLISH]
    assert (claim.publications, claim.nearby, claim.twins) == ((), (old,), ())
    took_over = Published(publications=(), removed=(old,))
    library.catalog.apply([(claim, Advance(facts=took_over))])
    library.clock.advance(schedule.SWEEP_AFTER_S)
    assert library.claim_one(Stage.PUBLISH).publications == (about_model,)


def test_a_record_goes_over_to_the_file_that_writes_at_its_place(library: Library) -> None:
    publish(library, "same.safetensors", made("same.json", "same.safetensors"))
    publish(library, "same.sft", made("same.json", "same.sft", "anew"))
    library.catalog.wake_publish([ROOT])
    claims = {it.place.relpath: it for it in library.claim(Stage.PUBLISH)}
    assert claims["same.safetensors"].publications == ()
    assert claims["same.sft"].publications == (made("same.json", "same.sft", "anew"),)
    assert claims["same.safetensors"].nearby == claims["same.sft"].publications


def test_a_claim_knows_what_was_written_for_the_same_bytes_where_it_may_be_read(library: Library) -> None:
    """Another root may lie on a disk that hangs: copies are recognised there, what is gone looked at."""
    publish(library, "c", made("c.json", "c"))
    library.catalog.note([library.saw("d/c", stamp_of("c")), library.saw("c", stamp_of("c"), "other")])
    for root in (ROOT, "other"):
        library.settle(root)
    (near,) = library.claim(Stage.PUBLISH)
    (far,) = library.claim(Stage.PUBLISH, "other")
    assert (near.twins, near.far_twins) == ((made("c.json", "c"),), ())
    assert (far.twins, far.far_twins) == ((), (made("c.json", "c"),))
    library.catalog.apply([(far, Release())])
    library.lose("c")
    (far,) = library.claim(Stage.PUBLISH, "other")
    assert (far.twins, far.far_twins) == ((made("c.json", "c"),), ())


def test_an_intention_leaves_what_is_known_to_be_written(library: Library) -> None:
    """P4."""
    before = replace(made("x.json", "x", "one"), nsfw_level=1)
    publish(library, "x", before)
    library.catalog.wake_publish([ROOT])
    claim = library.claim_one(Stage.PUBLISH)
    wish = replace(intended("x.json", "two"), intended_for=sha256("y"), nsfw_level=2)
    library.catalog.intend([(claim, [wish])])
    library.catalog.apply([(claim, Release())])
    both = replace(before, intended_sha256=sha256("two"), intended_for=sha256("y"), nsfw_level=2)
    assert library.claim_one(Stage.PUBLISH).publications == (both,)
    assert both.made_for(sha256("one")) == sha256("x")
    assert both.made_for(sha256("two")) == sha256("y")


def test_what_was_only_intended_elsewhere_for_the_same_bytes_is_known_as_well(library: Library) -> None:
    """P4. The process was killed, or the model moved on while it was published."""
    publish(library, "c")
    library.catalog.wake_publish([ROOT])
    claim = library.claim_one(Stage.PUBLISH)
    wish = replace(intended("c.json", "new"), intended_for=sha256("c"))
    library.catalog.intend([(claim, [wish])])
    library.catalog.apply([(claim, Release())])
    library.catalog.note(saw(library, **{"d/c": "c", "c": None}))
    library.settle()
    (near,) = [it for it in library.claim(Stage.PUBLISH) if it.place == place("d/c")]
    assert near.twins == (wish,)


def test_what_a_file_keeps_is_no_news_where_another_is_about_to_write(library: Library) -> None:
    """P5. Both were published together; the new owner of the name was held up over another artifact."""
    old = made("same.json", "same.sft")
    publish(library, "same.sft", old)
    publish(library, "same.safetensors")
    library.catalog.wake_publish([ROOT])
    claims = {it.place.name: it for it in library.claim(Stage.PUBLISH)}
    first, second = claims["same.safetensors"], claims["same.sft"]
    wish = replace(intended("same.json", "new"), intended_for=sha256("same.safetensors"))
    library.catalog.intend([(first, [wish])])
    kept: Outcome = Advance(facts=Published(publications=(old,)))
    library.catalog.apply([(first, Defer(trouble=None, wait_s=2.0)), (second, kept)])
    library.clock.advance(2)
    both = replace(old, intended_sha256=wish.intended_sha256, intended_for=wish.intended_for)
    assert library.claim_one(Stage.PUBLISH).publications == (both,)


def test_what_a_file_that_is_gone_was_about_to_write_goes_over_to_who_keeps_it(library: Library) -> None:
    """F16. The scout saw the rename before the publishing of the old name ended."""
    publish(library, "same.safetensors")
    library.catalog.wake_publish([ROOT])
    claim = library.claim_one(Stage.PUBLISH)
    wish = replace(intended("same.json", "new"), intended_for=sha256("same.safetensors"))
    library.catalog.intend([(claim, [wish])])
    library.catalog.note(saw(library, **{"same.sft": "same.safetensors", "same.safetensors": None}))
    kept = replace(wish, intended_sha256=None, intended_for=None, written_sha256=wish.intended_sha256)
    assert library.catalog.apply([(claim, Advance(facts=Published(publications=(kept,))))]) == [False]
    library.settle()
    (heir,) = [it for it in library.claim(Stage.PUBLISH) if it.place == place("same.sft")]
    assert heir.nearby == (wish,)
    library.catalog.apply([(heir, Advance(facts=Published(publications=(kept,))))])
    library.catalog.wake_publish([ROOT])
    assert library.claim_one(Stage.PUBLISH).publications == (kept,)


@pytest.mark.parametrize("first", [True, False])
def test_of_two_files_that_tell_of_one_place_the_one_that_wrote_there_counts(
    library: Library, *, first: bool
) -> None:
    """P5."""
    old = made("same.json", "same.sft")
    publish(library, "same.sft", old)
    publish(library, "same.safetensors")
    library.catalog.wake_publish([ROOT])
    claims = {it.place.name: it for it in library.claim(Stage.PUBLISH)}
    new = made("same.json", "same.safetensors", "new")
    wish = replace(new, intended_sha256=new.written_sha256, intended_for=new.written_for, written_sha256=None)
    library.catalog.intend([(claims["same.safetensors"], [wish])])
    results: list[tuple[Claim, Outcome]] = [
        (claims["same.safetensors"], Advance(facts=Published(publications=(new,)))),
        (claims["same.sft"], Advance(facts=Published(publications=(old,)))),
    ]
    library.catalog.apply(results if first else results[::-1])
    library.catalog.wake_publish([ROOT])
    known = {it.place.name: it.publications for it in library.claim(Stage.PUBLISH)}
    assert known == {"same.safetensors": (new,), "same.sft": ()}


def test_an_intention_may_tell_what_lies_there_until_then(library: Library) -> None:
    """P4. It was intended only so far, and was seen on the disk meanwhile."""
    publish(library, "x")
    for text in ("one", "two"):
        library.catalog.wake_publish([ROOT])
        claim = library.claim_one(Stage.PUBLISH)
        wish = replace(intended("x.json", text), intended_for=sha256("x"))
        if text == "two":
            wish = replace(wish, written_sha256=sha256("one"), written_for=sha256("x"))
        library.catalog.intend([(claim, [wish])])
        library.catalog.apply([(claim, Release())])
    assert library.claim_one(Stage.PUBLISH).publications == (wish,)


# ---- what is left behind


def test_what_a_vanished_file_left_is_due_to_be_swept_after_a_moment(library: Library) -> None:
    publish(library, "x", made("x.json", "x"))
    library.lose("x")
    assert library.claim(Stage.PUBLISH) == []
    wait = library.catalog.next_due([Stage.PUBLISH], [ROOT])
    assert wait is not None
    assert (wait - library.clock.now()).total_seconds() == schedule.SWEEP_AFTER_S
    library.clock.advance(schedule.SWEEP_AFTER_S)
    claim = library.claim_one(Stage.PUBLISH)
    assert (claim.stage, claim.publications) == (Stage.SWEEP, (made("x.json", "x"),))
    assert library.state("x") == "gone"
    assert library.catalog.apply([(claim, Advance(facts=Swept(publications=())))]) == [True]
    assert library.catalog.next_due([Stage.PUBLISH], [ROOT]) is None
    (row,) = library.catalog.reports.show(place("x"))
    history = library.catalog.reports.history(row)
    assert (history.sidecars, history.events[-1].name) == ((), "artifacts_swept")


def test_who_differs_in_letter_case_only_is_published_again_after_a_sweep(library: Library) -> None:
    """F18. It may have shown the picture that is gone."""
    publish(library, "d/x.safetensors", made("d/x.png", "d/x.safetensors"))
    for other in ("d/X.safetensors", "d/y.safetensors", "X.safetensors"):
        publish(library, other)
    library.lose("d/x.safetensors")
    library.clock.advance(schedule.SWEEP_AFTER_S)
    (claim,) = sweeps(library)
    library.catalog.apply([(claim, Advance(facts=Swept(publications=claim.publications)))])
    assert library.claim(Stage.PUBLISH) == []
    library.note("d/x.safetensors")
    library.claim(Stage.PUBLISH)
    library.lose("d/x.safetensors")
    library.clock.advance(schedule.SWEEP_AFTER_S)
    (claim,) = sweeps(library)
    library.catalog.apply([(claim, Advance(facts=Swept(publications=())))])
    assert library.claim_one(Stage.PUBLISH).place == place("d/X.safetensors")


def test_a_file_that_left_nothing_is_not_swept(library: Library) -> None:
    publish(library, "x")
    library.lose("x")
    assert library.catalog.next_due([Stage.PUBLISH], [ROOT]) is None


def test_a_file_that_a_stage_finds_gone_is_swept_as_well(library: Library) -> None:
    publish(library, "x", made("x.json", "x"))
    library.note("x", version=1)
    library.catalog.apply([(library.claim_one(Stage.SETTLE), Forget())])
    library.clock.advance(schedule.SWEEP_AFTER_S)
    (claim,) = sweeps(library)
    assert (claim.digests, claim.publications) == (None, (made("x.json", "x"),))


@pytest.mark.parametrize(
    "outcome, wait_s",
    [
        (Release(), 0.0),
        (Defer(trouble=BUSY, wait_s=30.0), 30.0),
        (Park(trouble=BROKEN), None),
        (Forget(), None),
        (Restart(stamp=stamp_of("x", 1)), None),
        (Advance(facts=Swept(publications=(made("x.json", "x"),))), None),
    ],
)
def test_a_sweep_ends_or_comes_again(library: Library, outcome: Outcome, wait_s: float | None) -> None:
    publish(library, "x", made("x.json", "x"))
    library.lose("x")
    library.clock.advance(schedule.SWEEP_AFTER_S)
    (claim,) = sweeps(library)
    assert library.catalog.apply([(claim, outcome)]) == [True]
    assert library.state("x") == "gone"
    due_at = library.catalog.next_due([Stage.SWEEP], [ROOT])
    wait = None if due_at is None else (due_at - library.clock.now()).total_seconds()
    assert wait == wait_s
    library.note("x")
    assert library.claim_one(Stage.PUBLISH).publications == (made("x.json", "x"),)


def test_a_file_that_returns_while_it_is_swept_ends_the_sweep(library: Library) -> None:
    publish(library, "x", made("x.json", "x"))
    library.lose("x")
    library.clock.advance(schedule.SWEEP_AFTER_S)
    (claim,) = sweeps(library)
    library.note("x")
    assert library.catalog.apply([(claim, Advance(facts=Swept(publications=())))]) == [False]
    again = library.claim_one(Stage.PUBLISH)
    assert (again.stage, again.attempts, again.publications) == (Stage.PUBLISH, 1, (made("x.json", "x"),))


def test_nothing_is_swept_before_the_bytes_are_published_at_their_new_place(library: Library) -> None:
    """F16. They may want to take the picture along."""
    publish(library, "x", made("x.json", "x"))
    library.move("x", "y")
    library.clock.advance(schedule.SWEEP_AFTER_S)
    assert library.claim(Stage.PUBLISH) == []
    library.settle()
    library.clock.advance(schedule.SWEEP_AGAIN_S)
    (claim,) = library.claim(Stage.PUBLISH)
    assert (claim.place, claim.twins) == (place("y"), (made("x.json", "x"),))
    library.catalog.apply([(claim, Advance(facts=Published(publications=(made("y.json", "x"),))))])
    library.clock.advance(schedule.SWEEP_AGAIN_S)
    assert library.claim_one(Stage.PUBLISH).place == place("x")


def test_a_gone_file_with_nonsense_in_its_row_is_not_swept_again(library: Library) -> None:
    """F98."""
    publish(library, "x", made("x.json", "x"))
    library.lose("x")
    library.clock.advance(schedule.SWEEP_AFTER_S)
    library.catalog.database.write(
        lambda it, _now: it.execute(update(file).values(sha256="no hash", tensors_sha256=None))
    )
    assert library.claim(Stage.PUBLISH) == []
    assert library.catalog.next_due([Stage.PUBLISH], [ROOT]) is None


def test_records_that_lead_out_of_the_root_are_passed_over(library: Library) -> None:
    """F98."""
    publish(library, "x", made("x.json", "x"), made("y.json", "x"))
    library.catalog.database.write(
        lambda it, _now: it.execute(
            update(publication).where(publication.c.relpath == "y.json").values(relpath="../y.json")
        )
    )
    library.catalog.wake_publish([ROOT])
    assert library.claim_one(Stage.PUBLISH).publications == (made("x.json", "x"),)


def test_a_single_run_waits_for_a_sweep_that_is_near_and_for_no_other(library: Library) -> None:
    publish(library, "x", made("x.json", "x"))
    library.lose("x")
    database = library.catalog.database
    (pending,) = pending_files(database, [ROOT])
    assert (pending.stage, pending.trouble) == (Stage.PUBLISH, None)
    publish_now(database, [pending.file_id])
    (claim,) = sweeps(library)
    library.catalog.apply([(claim, Defer(trouble=BUSY, wait_s=60.0))])
    assert pending_files(database, [ROOT]) == []


# ---- names that two files share


@pytest.mark.parametrize("seen_by", ["scan", "stage"])
def test_a_file_whose_namesake_goes_is_published_again(library: Library, seen_by: str) -> None:
    publish(library, "d/same.safetensors")
    publish(library, "d/same.sft", shared=True)
    publish(library, "d/other.sft", shared=True)
    publish(library, "same.sft", shared=True)
    if seen_by == "scan":
        library.lose("d/same.safetensors")
    else:
        library.note("d/same.safetensors", version=1)
        library.catalog.apply([(library.claim_one(Stage.SETTLE), Forget())])
    assert library.claim_one(Stage.PUBLISH).place == place("d/same.sft")


def test_a_file_that_had_the_name_for_itself_all_along_is_left_alone_when_its_namesake_goes(
    library: Library,
) -> None:
    publish(library, "same.safetensors")
    publish(library, "same.sft", shared=True)
    library.lose("same.sft")
    assert library.claim(Stage.PUBLISH) == []


def test_a_namesake_that_moves_frees_the_name(library: Library) -> None:
    publish(library, "same.safetensors")
    publish(library, "same.sft", shared=True)
    library.move("same.safetensors", "other.safetensors")
    settling: Sequence[Claim] = library.claim(Stage.SETTLE)
    library.catalog.apply([(it, Advance(facts=Settled(header=HEADER))) for it in settling])
    assert {it.place.name for it in library.claim(Stage.PUBLISH)} == {"same.sft", "other.safetensors"}
