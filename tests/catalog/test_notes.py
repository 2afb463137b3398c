from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.notes import Noted
from hashtagd.core.place import Sighting, Stamp
from hashtagd.core.work import Advance, Defer, Forget, Outcome, Park, Restart, Settled, Stage
from support.clock import FakeClock
from support.library import BROKEN, BUSY, HEADER, ROOT, Library, card, place, sha256, stamp_of


def test_a_new_file_waits_to_settle_at_once(library: Library) -> None:
    assert library.note("a/x.safetensors") == Noted(new=1)
    claim = library.claim_one(Stage.SETTLE)
    assert claim.place == place("a/x.safetensors")
    assert claim.stamp == stamp_of("a/x.safetensors")
    assert (claim.attempts, claim.digests, claim.header) == (1, None, None)
    assert claim.first_seen_at == claim.still_since == library.clock.now()


def test_seeing_the_same_file_again_writes_nothing(library: Library) -> None:
    library.note("x", "y")
    before = library.catalog.change_token()
    assert library.note("x", "y") == Noted(same=2)
    assert library.catalog.note([]) == Noted()
    assert library.catalog.change_token() == before


def test_changed_bytes_take_the_hashes_with_them(library: Library) -> None:
    library.publish_whole("x", card())
    claim_before = library.claim(Stage.PUBLISH)
    assert claim_before == []
    assert library.note("x", version=1).changes == 1
    claim = library.claim_one(Stage.SETTLE)
    assert (claim.digests, claim.header, claim.stamp) == (None, None, stamp_of("x", 1))
    assert library.state("x") == "waiting"


def test_a_file_that_grows_while_in_settle_costs_no_write_a_look(library: Library) -> None:
    """F13."""
    library.note("x")
    before = library.catalog.change_token()
    for version in range(1, 50):
        assert library.note("x", version=version) == Noted(same=1)
    assert library.catalog.change_token() == before


def test_a_stalled_copy_that_moves_again_is_looked_at_now(library: Library) -> None:
    library.note("x")
    library.catalog.apply([(library.claim_one(Stage.SETTLE), Defer(trouble=BUSY, wait_s=3600.0))])
    assert library.note("x", version=1) == Noted(changed=1)
    assert library.claim_one(Stage.SETTLE).stamp == stamp_of("x", 1)


@pytest.mark.parametrize("verdict", [Park(trouble=BROKEN), Forget(), Defer(trouble=BUSY, wait_s=900.0)])
@pytest.mark.parametrize("kept_last", [False, True])
def test_a_verdict_on_bytes_that_a_scan_saw_otherwise_meanwhile_does_not_stand(
    library: Library, verdict: Outcome, *, kept_last: bool
) -> None:
    """F13: the scan keeps what it saw of the folder and will not tell of the file again."""
    catalog = library.catalog
    library.note("x")
    claim = library.claim_one(Stage.SETTLE)
    assert library.note("x", version=1) == Noted(same=1)
    if not kept_last:
        catalog.scans.keep_folders(ROOT, {"": b"seen"})
    assert catalog.apply([(claim, verdict)]) == [True]
    if kept_last:
        catalog.scans.keep_folders(ROOT, {"": b"seen"})
    library.clock.advance(60)
    again = library.claim_one(Stage.SETTLE)
    catalog.apply([(again, Restart(stamp=stamp_of("x", 1)))])
    library.clock.advance(60)
    catalog.apply([(library.claim_one(Stage.SETTLE), Park(trouble=BROKEN))])
    assert library.state("x") == "parked"


def test_a_file_that_grows_while_it_is_looked_at_costs_one_write_a_look(library: Library) -> None:
    """F13."""
    library.note("x")
    claim = library.claim_one(Stage.SETTLE)
    library.note("x", version=1)
    before = library.catalog.change_token()
    for version in range(2, 50):
        assert library.note("x", version=version) == Noted(same=1)
    assert library.catalog.change_token() == before
    library.catalog.apply([(claim, Restart(stamp=stamp_of("x", 49)))])
    assert library.claim(Stage.SETTLE) == []


def test_a_parked_file_wakes_when_its_bytes_change(library: Library) -> None:
    library.note("x")
    library.catalog.apply([(library.claim_one(Stage.SETTLE), Park(trouble=BROKEN))])
    assert library.note("x") == Noted(same=1)
    assert library.claim(Stage.SETTLE) == []
    assert library.note("x", version=1) == Noted(changed=1)
    claim = library.claim_one(Stage.SETTLE)
    assert claim.attempts == 1


def test_a_vanished_file_is_marked_gone_once(library: Library) -> None:
    library.publish_whole("x")
    assert library.lose("x") == Noted(gone=1)
    assert library.state("x") == "gone"
    assert library.lose("x", "never seen") == Noted(same=2)


def test_a_gone_file_that_returns_unchanged_is_published_and_not_read(library: Library) -> None:
    library.publish_whole("x")
    library.lose("x")
    assert library.note("x") == Noted(new=1)
    claim = library.claim_one(Stage.PUBLISH)
    assert claim.digests is not None


def test_a_gone_file_that_returns_before_it_was_hashed_settles(library: Library) -> None:
    library.note("x")
    library.lose("x")
    library.note("x")
    assert library.claim_one(Stage.SETTLE).digests is None


def test_other_bytes_at_the_place_of_a_gone_file_are_a_new_file(library: Library) -> None:
    library.publish_whole("x")
    library.lose("x")
    library.clock.advance(100)
    assert library.note("x", version=1) == Noted(new=1)
    claim = library.claim_one(Stage.SETTLE)
    assert (claim.digests, claim.first_seen_at) == (None, library.clock.now())


def test_a_moved_file_takes_its_hashes_and_its_age_along(library: Library) -> None:
    """F16."""
    born = library.clock.now()
    library.publish_whole("x", card())
    library.clock.advance(1000)
    assert library.move("x", "deep/y") == Noted(moved=1, gone=1)
    settling = library.claim_one(Stage.SETTLE)
    assert (settling.place, settling.first_seen_at) == (place("deep/y"), born)
    library.catalog.apply([(settling, Advance(facts=Settled(header=HEADER)))])
    assert library.claim(Stage.DIGEST) == []
    claim = library.claim_one(Stage.PUBLISH)
    assert claim.card == card()
    assert claim.answered
    assert library.ask() == []


def test_a_move_is_recognised_when_the_new_place_is_met_first(library: Library) -> None:
    """F16."""
    born = library.clock.now()
    library.publish_whole("x")
    library.clock.advance(1000)
    new = library.saw("y", stamp_of("x"))
    assert library.catalog.note([new]) == Noted(moved=1)
    assert library.lose("x") == Noted(gone=1)
    assert library.claim_one(Stage.SETTLE).first_seen_at == born


def test_chained_moves_keep_the_hashes(library: Library) -> None:
    """F16."""
    library.publish_whole("a")
    library.move("a", "b")
    lost, new = library.saw("b", None), library.saw("c", stamp_of("a"))
    assert library.catalog.note([new, lost]) == Noted(moved=1, gone=1)
    library.settle()
    claim = library.claim_one(Stage.PUBLISH)
    assert (claim.place, claim.digests is not None) == (place("c"), True)


def test_a_hard_link_takes_the_hashes_but_not_the_age(library: Library) -> None:
    """F14."""
    library.publish_whole("x")
    library.clock.advance(1000)
    assert library.catalog.note([library.saw("link", stamp_of("x"))]) == Noted(moved=1)
    assert library.claim_one(Stage.SETTLE).first_seen_at == library.clock.now()


def test_a_move_between_roots_needs_the_same_name(library: Library) -> None:
    """F16."""
    library.publish_whole("a/x")
    assert library.move("a/x", "b/other", new_root="second") == Noted(new=1, gone=1)
    assert library.catalog.note([library.saw("b/x", stamp_of("a/x"), "third")]) == Noted(moved=1)


def test_stamps_without_a_trusted_inode_are_no_proof_of_a_move(library: Library) -> None:
    stamp = replace(stamp_of("x"), inode=0)
    library.catalog.note([library.saw("x", stamp)])
    library.settle()
    library.digest()
    assert library.catalog.note([library.saw("x", None), library.saw("y", stamp)]) == Noted(new=1, gone=1)


def test_of_several_sightings_of_one_place_the_last_counts(library: Library) -> None:
    looks = [library.saw("x", stamp_of("x", version)) for version in (1, 2, 3)]
    assert library.catalog.note(looks) == Noted(new=1)
    assert library.claim_one(Stage.SETTLE).stamp == stamp_of("x", 3)


def test_names_no_store_can_keep_are_passed_over(library: Library) -> None:
    """F18, F57."""
    names = ["bad\udcff", "l" * 3000, "good"]
    assert library.note(*names) == Noted(new=1)
    assert set(library.catalog.scans.files_in(ROOT, "")) == {"good"}


def test_numbers_beyond_the_signed_range_come_back_as_they_were(library: Library) -> None:
    """F88: file times of 1901, 2107 and 2446; inodes are unsigned."""
    times = [-(2**31) * 10**9, -1, 4_328_000_000 * 10**9, 15_000_000_000 * 10**9]
    stamps = [Stamp(size_bytes=2**40, mtime_ns=time, inode=2**64 - 1 - at) for at, time in enumerate(times)]
    library.catalog.note(library.saw(f"f{at}", stamp) for at, stamp in enumerate(stamps))
    assert {it.stamp for it in library.claim(Stage.SETTLE)} == set(stamps)
    again = [library.saw(f"f{at}", stamp) for at, stamp in enumerate(stamps)]
    assert library.catalog.note(again) == Noted(same=4)


def test_a_time_no_column_can_hold_is_kept_as_the_nearest(library: Library) -> None:
    """F88."""
    library.catalog.note([library.saw("x", Stamp(size_bytes=1, mtime_ns=2**70, inode=1))])
    assert library.claim_one(Stage.SETTLE).stamp.mtime_ns > 2**63


def test_rest_is_counted_from_what_the_look_says(library: Library) -> None:
    since = datetime(1970, 1, 2, tzinfo=UTC)
    look = Sighting(place=place("x"), stamp=stamp_of("x"), seen_at=library.clock.now(), still_since=since)
    library.catalog.note([look])
    assert library.claim_one(Stage.SETTLE).still_since == since


def test_two_processes_that_note_one_file_make_one_row(
    open_catalog: Callable[[str], Catalog], clock: FakeClock
) -> None:
    one, two = Library(open_catalog("one"), clock), Library(open_catalog("two"), clock)
    one.note("x")
    assert two.note("x") == Noted(same=1)
    assert two.catalog.scans.count_files(ROOT) == 1


def test_a_library_larger_than_one_transaction_is_noted_whole(library: Library) -> None:
    names = [f"d{at % 7}/f{at}" for at in range(1201)]
    assert library.note(*names) == Noted(new=1201)
    assert library.catalog.scans.count_files(ROOT) == 1201
    assert library.lose(*names).gone == 1201


def test_a_difference_makes_the_scan_look_into_the_folder_again(library: Library) -> None:
    library.note("a/x", "b/y", "z")
    library.catalog.scans.keep_folders(ROOT, {"a": b"1", "b": b"2", "": b"3"})
    assert library.catalog.scans.folder_digests(ROOT) == {"a": b"1", "b": b"2", "": b"3"}
    library.lose("a/x")
    library.note("c/new")
    assert library.catalog.scans.folder_digests(ROOT) == {"b": b"2", "": b"3", "c": b""}


def test_folders_are_kept_forgotten_and_read_by_name(library: Library) -> None:
    library.note("a/x", "a/deep/y")
    library.catalog.scans.keep_folders(ROOT, {"a": b"1", "bad\udcff": b"2"})
    library.catalog.scans.keep_folders(ROOT, {"a": b"4", "a/deep": b"5"})
    library.catalog.scans.keep_folders(ROOT, {"a/deep": None})
    library.catalog.scans.keep_folders(ROOT, {})
    assert library.catalog.scans.folder_digests(ROOT) == {"a": b"4", "a/deep": b""}
    assert library.catalog.scans.files_in(ROOT, "a") == {"x": stamp_of("a/x")}
    assert library.catalog.scans.files_in("other", "a") == {}


def test_a_root_keeps_its_marker_and_fingerprint(library: Library) -> None:
    catalog = library.catalog
    assert (catalog.scans.root_marker(ROOT), catalog.scans.root_fingerprint(ROOT)) == (None, None)
    catalog.scans.keep_root(ROOT, "token", None)
    catalog.scans.keep_root(ROOT, "token", sha256("writers"))
    assert (catalog.scans.root_marker(ROOT), catalog.scans.root_fingerprint(ROOT)) == (
        "token",
        sha256("writers"),
    )
