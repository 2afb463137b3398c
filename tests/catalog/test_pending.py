from datetime import timedelta

from hashtagd.catalog.pending import PendingFile, pending_files, publish_now
from hashtagd.core.work import Defer, Park, Stage
from support.library import BROKEN, BUSY, ROOT, Library, card


def pending(library: Library, *roots: str) -> dict[str, PendingFile]:
    """Give what is pending, by the file's path."""
    found = pending_files(library.catalog.database, roots or (ROOT,))
    rows = {file.file_id: library.catalog.reports.file(file.file_id) for file in found}
    return {row.relpath: file for file in found if (row := rows[file.file_id]) is not None}


def test_files_that_wait_for_work_or_for_their_time_are_pending_with_the_reason(library: Library) -> None:
    library.note("due", "plain", "busy")
    busy, due, plain = sorted(library.claim(Stage.SETTLE), key=lambda claim: claim.place.relpath)
    library.catalog.give_back([due])
    library.catalog.apply(
        [(plain, Defer(trouble=None, wait_s=9.0)), (busy, Defer(trouble=BUSY, wait_s=60.0))]
    )
    found = pending(library)
    now = library.clock.now()
    assert found["due"].due_at <= now
    assert (found["due"].root, found["due"].stage, found["due"].trouble) == (ROOT, Stage.SETTLE, None)
    assert found["plain"].due_at == now + timedelta(seconds=9)
    assert found["plain"].trouble is None
    assert str(found["busy"].trouble) == str(BUSY)
    assert found["busy"].still_since <= now
    assert list(found) == ["due", "plain", "busy"]


def test_a_file_that_is_being_worked_on_is_still_pending(library: Library) -> None:
    library.note("leased")
    library.claim_one(Stage.SETTLE)
    assert list(pending(library)) == ["leased"]


def test_parked_gone_published_and_foreign_files_are_not_pending(library: Library) -> None:
    library.publish_whole("done", card())
    library.note("parked", "gone")
    library.note("elsewhere", root="vae")
    for claim in library.claim(Stage.SETTLE):
        library.catalog.apply([(claim, Park(trouble=BROKEN))])
    library.lose("gone")
    assert pending(library) == {}
    assert list(pending(library, "vae")) == ["elsewhere"]


def test_files_that_wait_for_their_first_answer_can_be_published_at_once(library: Library) -> None:
    library.note("a", "b")
    library.settle()
    library.digest()
    assert library.claim(Stage.PUBLISH) == []
    publish_now(library.catalog.database, [file.file_id for file in pending(library).values()])
    assert sorted(claim.place.relpath for claim in library.claim(Stage.PUBLISH)) == ["a", "b"]


def test_nothing_else_is_hurried(library: Library) -> None:
    library.note("settling")
    claim = library.claim_one(Stage.SETTLE)
    library.catalog.apply([(claim, Defer(trouble=None, wait_s=9.0))])
    publish_now(library.catalog.database, [claim.file_id])
    publish_now(library.catalog.database, [])
    assert library.claim(Stage.SETTLE) == []
