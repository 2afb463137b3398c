from datetime import timedelta

from sqlalchemy import update

from hashtagd.catalog.pending import parked_files, pending_files, publish_now, queues
from hashtagd.catalog.tables import file
from hashtagd.core.work import Defer, Park, Stage
from support.library import BROKEN, BUSY, ROOT, Library, card


def test_what_is_left_for_a_single_run_is_listed_by_due_time(library: Library) -> None:
    library.publish_whole("done", card())
    library.note("parked", "deferred", "later")
    parked, deferred, later = library.claim(Stage.SETTLE)
    library.catalog.apply([(parked, Park(trouble=BROKEN)), (deferred, Defer(trouble=BUSY, wait_s=5.0))])
    library.catalog.apply([(later, Defer(trouble=None, wait_s=9.0))])
    library.note("elsewhere", root="other")
    left = pending_files(library.catalog.database, [ROOT])
    assert [(it.file_id, it.stage) for it in left] == [
        (deferred.file_id, Stage.SETTLE),
        (later.file_id, Stage.SETTLE),
    ]
    first, second = (it.trouble for it in left)
    assert first is not None
    assert (first.to_json(), second) == (BUSY.to_json(), None)


def test_what_is_due_is_counted_by_stage_with_the_moment_since_when(library: Library) -> None:
    library.note("x", "y")
    library.clock.advance(5.0)
    library.note("z")
    (claim, *_) = library.claim(Stage.SETTLE, limit=1)
    library.catalog.apply([(claim, Defer(trouble=BUSY, wait_s=60.0))])
    library.note("elsewhere", root="other")
    waiting = {it.stage: it for it in queues(library.catalog.database, [ROOT])}
    assert list(waiting) == [stage.value for stage in Stage]
    assert waiting["settle"].due == 2
    assert waiting["settle"].oldest_due_at == library.clock.now() - timedelta(seconds=5.0)
    assert (waiting["digest"].due, waiting["digest"].oldest_due_at) == (0, None)


def test_files_that_wait_for_an_answer_can_be_published_without_one(library: Library) -> None:
    library.note("x", "young")
    library.settle()
    library.digest()
    library.note("settling")
    left = pending_files(library.catalog.database, [ROOT])
    publish_now(library.catalog.database, [it.file_id for it in left])
    assert len(library.claim(Stage.PUBLISH)) == 2


def test_parked_files_are_listed_with_their_kind_and_nonsense_is_left_out(library: Library) -> None:
    """F98."""
    library.note("parked", "odd", "due")
    (parked, odd, _due) = library.claim(Stage.SETTLE)
    library.catalog.apply([(parked, Park(trouble=BROKEN)), (odd, Park(trouble=BROKEN))])
    library.catalog.database.write(
        lambda it, _now: it.execute(update(file).where(file.c.id == odd.file_id).values(relpath="../odd"))
    )
    assert parked_files(library.catalog.database, ROOT) == [(parked.place, BROKEN.kind)]
    assert parked_files(library.catalog.database, "other") == []
