import os
import socket
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hashtagd.core.place import Stamp
from hashtagd.core.ports import Stopping
from hashtagd.core.troubles import AskOperator, Scope, TryLater
from hashtagd.watch.filters import Kind, Names
from hashtagd.watch.roots import RootFolder
from hashtagd.watch.scan import scan, still_since
from support.clock import FakeClock
from support.safetensors import write
from support.stage_fakes import as_nobody
from support.watching import Known, StopAfter, loras, run_scan


@pytest.fixture
def open_path() -> Iterator[Path]:
    """Give a folder that other users may enter: pytest's own are shut for them."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_new_tree_is_reported_and_then_nothing_more(tmp_path: Path) -> None:
    root, known = loras(tmp_path / "loras"), Known()
    write(root.path / "x.safetensors")
    write(root.path / "a" / "b" / "y.sft")
    (root.path / "a" / "x.metadata.json").write_text("{}")
    assert run_scan(root, known).words == ["+a/b/y.sft", "+x.safetensors"]
    known.reads.clear()
    again = run_scan(root, known)
    assert (again.words, again.differences, known.reads) == ([], [], [])
    assert (again.report.files, again.report.folders, again.report.troubles) == (2, 3, [])


def test_a_sighting_holds_the_stamp_and_rests_since_the_last_change(tmp_path: Path) -> None:
    root, clock = loras(tmp_path / "loras"), FakeClock(datetime(2100, 1, 1, tzinfo=UTC))
    path = write(root.path / "x.safetensors")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    found = path.stat()
    [seen] = run_scan(root, Known(), clock=clock).differences[0].sightings
    assert seen.stamp == Stamp(size_bytes=found.st_size, mtime_ns=found.st_mtime_ns, inode=found.st_ino)
    assert seen.seen_at == clock.now()
    assert seen.still_since == datetime.fromtimestamp(found.st_ctime, UTC)


def test_a_file_from_the_future_rests_since_now(tmp_path: Path) -> None:
    path = write(tmp_path / "x.safetensors")
    now = datetime(2001, 1, 1, tzinfo=UTC)
    assert still_since(path.stat(), now) == now


def test_only_folders_that_differ_are_read_from_the_catalog(tmp_path: Path) -> None:
    root, known = loras(tmp_path / "loras"), Known()
    for name in ("a", "b", "c"):
        write(root.path / name / "x.safetensors")
    run_scan(root, known)
    known.reads.clear()
    write(root.path / "b" / "new.safetensors")
    assert run_scan(root, known).words == ["+b/new.safetensors"]
    assert known.reads == ["b"]


def test_changed_deleted_and_renamed_files_are_reported(tmp_path: Path) -> None:
    root, known = loras(tmp_path / "loras"), Known()
    for name in ("stays", "grows", "goes", "old"):
        write(root.path / f"{name}.safetensors")
    run_scan(root, known)
    with (root.path / "grows.safetensors").open("ab") as file:
        file.write(b"more")
    (root.path / "goes.safetensors").unlink()
    (root.path / "old.safetensors").rename(root.path / "new.safetensors")
    expected = ["+grows.safetensors", "+new.safetensors", "-goes.safetensors", "-old.safetensors"]
    assert run_scan(root, known).words == expected


def test_folders_that_vanish_take_their_rows_along(tmp_path: Path) -> None:
    root, known = loras(tmp_path / "loras"), Known()
    write(root.path / "stays.safetensors")
    gone = write(root.path / "a" / "b" / "x.safetensors")
    run_scan(root, known)
    gone.unlink()
    gone.parent.rmdir()
    scanned = run_scan(root, known)
    assert scanned.words == ["-a/b/x.safetensors"]
    assert [difference.digest for difference in scanned.differences] == [None]
    assert run_scan(root, known).differences == []


def test_rows_that_only_an_event_told_of_are_missed_too(tmp_path: Path) -> None:
    root, known = loras(tmp_path / "loras"), Known()
    write(root.path / "stays.safetensors")
    run_scan(root, known)
    known.rows["never-scanned"] = {"x.safetensors": Stamp(size_bytes=1, mtime_ns=1, inode=1)}
    assert run_scan(root, known).words == ["-never-scanned/x.safetensors"]


def test_only_the_folder_an_event_named_is_walked(tmp_path: Path) -> None:
    """F02, F03. A folder that came or went is compared with what is known below it, nothing else."""
    root, known = loras(tmp_path / "loras"), Known()
    write(root.path / "a" / "x.safetensors")
    write(root.path / "ab" / "y.safetensors")
    run_scan(root, known)
    write(root.path / "ab" / "unseen.safetensors")
    write(root.path / "a" / "deep" / "z.safetensors")
    assert run_scan(root, known, below="a").words == ["+a/deep/z.safetensors"]
    (root.path / "a").rename(tmp_path / "elsewhere")
    assert run_scan(root, known, below="a").words == ["-a/deep/z.safetensors", "-a/x.safetensors"]
    assert run_scan(root, known).words == ["+ab/unseen.safetensors"]


def test_a_stop_request_ends_the_walk_between_folders(tmp_path: Path) -> None:
    root = loras(tmp_path / "loras")
    for name in ("a", "b", "c"):
        write(root.path / name / "x.safetensors")
    walk = scan(root, Known(), FakeClock(), StopAfter(2))
    assert next(walk).folder == "a"
    with pytest.raises(Stopping):
        list(walk)


def test_writes_by_another_machine_are_found_without_any_event(tmp_path: Path) -> None:
    """F10, F15. Whoever wrote it, and however: the next scan compares stamps."""
    root, known = loras(tmp_path / "loras"), Known()
    path = write(root.path / "x.safetensors")
    run_scan(root, known)
    found = path.stat()
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + 1))
    assert run_scan(root, known).words == ["+x.safetensors"]


def test_a_hard_link_and_a_rename_into_place_are_files_of_their_own(tmp_path: Path) -> None:
    """F14."""
    root, known = loras(tmp_path / "loras"), Known()
    path = write(root.path / "x.safetensors")
    (root.path / "twin.safetensors").hardlink_to(path)
    write(root.path / "y.safetensors.part").rename(root.path / "y.safetensors")
    assert run_scan(root, known).words == ["+twin.safetensors", "+x.safetensors", "+y.safetensors"]


def test_each_kind_of_link_has_its_rule(tmp_path: Path) -> None:
    """F17."""
    root, known = loras(tmp_path / "loras"), Known()
    outside = write(tmp_path / "outside" / "deep" / "o.safetensors")
    write(root.path / "real" / "x.safetensors")
    (root.path / "to-file.safetensors").symlink_to(outside)
    (root.path / "to-folder").symlink_to(tmp_path / "outside")
    (root.path / "to-folder-again").symlink_to(tmp_path / "outside")
    (root.path / "to-itself").symlink_to("to-itself")
    (root.path / "dangling.safetensors").symlink_to("nowhere")
    (root.path / "real" / "up").symlink_to("..")
    (tmp_path / "outside" / "back").symlink_to(root.path)
    scanned = run_scan(root, known)
    expected = ["+real/x.safetensors", "+to-file.safetensors", "+to-folder/deep/o.safetensors"]
    assert scanned.words == expected
    assert scanned.report.skipped == 4, "dangling, up, back, and the second link to one folder"
    assert run_scan(root, known).differences == []


def test_links_are_left_alone_where_the_owner_says_so(tmp_path: Path) -> None:
    """F17."""
    root = loras(tmp_path / "loras", follow_symlinks=False)
    outside = write(tmp_path / "outside" / "o.safetensors")
    (root.path / "to-file.safetensors").symlink_to(outside)
    (root.path / "to-folder").symlink_to(outside.parent)
    scanned = run_scan(root, Known())
    assert (scanned.words, scanned.report.skipped) == ([], 1)


def test_folders_that_link_to_each_other_end(tmp_path: Path) -> None:
    """F17. Twelve folders, each with links to all others: every file is listed at most twice."""
    root = loras(tmp_path / "loras")
    folders = [root.path / f"f{number:02}" for number in range(12)]
    for folder in folders:
        write(folder / "x.safetensors")
    for folder in folders:
        for other in folders:
            (folder / f"to-{other.name}").symlink_to(other)
    scanned = run_scan(root, Known())
    assert 12 <= scanned.report.files <= 24
    assert scanned.report.folders <= 25


def test_names_are_processed_or_counted_by_rule(tmp_path: Path) -> None:
    """F18."""
    root, known = loras(tmp_path / "loras"), Known()
    good = [
        "new\nline.safetensors",
        "\u202eevil.safetensors",
        "n" * 243 + ".safetensors",
        "case.sft",
        "CASE.sft",
    ]
    twins = ["e\u0301.safetensors", "\u00e9.safetensors"]
    for name in good + twins:
        write(root.path / name)
    top = os.fsencode(root.path)
    for name in (b"\xff.safetensors", b"\xfe"):
        path = Path(os.fsdecode(top + b"/" + name))
        path.mkdir() if name == b"\xfe" else path.touch()
    write(Path(os.fsdecode(top + b"/\xfe")) / "lost.safetensors")
    scanned = run_scan(root, known)
    assert known.relpaths == sorted(good + twins)
    assert scanned.report.unspeakable == 1


def test_a_file_replaced_with_its_times_kept_is_seen(tmp_path: Path) -> None:
    """F19. Edited in place with its mtime put back it is not seen: that is documented."""
    root, known = loras(tmp_path / "loras"), Known()
    path = write(root.path / "x.safetensors", data=b"a" * 16)
    write(root.path / "stays.safetensors")
    run_scan(root, known)
    found = path.stat()
    other = write(tmp_path / "other", data=b"b" * 16)
    os.utime(other, ns=(found.st_atime_ns, found.st_mtime_ns))
    other.replace(path)
    assert run_scan(root, known).words == ["+x.safetensors"]
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert run_scan(root, known).words == []


def test_an_unreadable_folder_is_reported_and_nothing_below_it_is_forgotten(open_path: Path) -> None:
    """F20."""
    tmp_path = open_path
    root, known = loras(tmp_path / "loras"), Known()
    write(root.path / "sibling" / "x.safetensors")
    write(root.path / "shut" / "deep" / "y.safetensors")
    run_scan(root, known)
    (root.path / "sibling" / "x.safetensors").unlink()
    (root.path / "shut").chmod(0)
    try:
        with as_nobody():
            scanned = run_scan(root, known)
    finally:
        (root.path / "shut").chmod(0o755)
    assert scanned.words == ["-sibling/x.safetensors"]
    [trouble] = scanned.report.troubles
    assert isinstance(trouble, AskOperator)
    assert (trouble.scope, trouble.kind) == (Scope.FILE, "folder_unreadable")
    assert "shut" in trouble.what
    assert str(tmp_path) not in str(trouble)
    assert run_scan(root, known).report.troubles == []


class Racing:
    """Rules under which a file goes just when it was listed and is not looked at yet."""

    exclude = ("never",)

    def __init__(self, names: Names, going: Path) -> None:
        self._names = names
        self._going = going

    def __getattr__(self, name: str) -> Any:
        return getattr(self._names, name)

    def kind_of_name(self, name: str, relpath: str) -> Kind:
        if name == self._going.name:
            self._going.unlink()
        return self._names.kind_of_name(name, relpath)


def test_a_file_that_goes_while_its_folder_is_listed_hides_nothing_else(tmp_path: Path) -> None:
    """F20."""
    root, known = loras(tmp_path / "loras"), Known()
    for name in ("a", "racing", "z", "sub/y"):
        write(root.path / f"{name}.safetensors")
    run_scan(root, known)
    write(root.path / "sub" / "new.safetensors")
    object.__setattr__(root, "names", Racing(root.names, root.path / "racing.safetensors"))
    scanned = run_scan(root, known)
    assert (scanned.words, scanned.report.troubles) == (["+sub/new.safetensors", "-racing.safetensors"], [])


def test_a_file_that_cannot_be_looked_at_is_reported_and_not_missing(open_path: Path) -> None:
    """F20. A folder that may be listed and not entered: its names are known, what they stand for is not."""
    root, known = loras(open_path / "loras"), Known()
    for name in ("dim/x", "dim/goes", "dim/deep/y", "gray/only", "bright/z"):
        write(root.path / f"{name}.safetensors")
    run_scan(root, known)
    for gone in ("dim/goes", "bright/z"):
        (root.path / f"{gone}.safetensors").unlink()
    dim = [root.path / "dim", root.path / "gray"]
    for folder in dim:
        folder.chmod(0o444)
    try:
        with as_nobody():
            scanned, again = run_scan(root, known), run_scan(root, known)
    finally:
        for folder in dim:
            folder.chmod(0o755)
    assert scanned.words == ["-bright/z.safetensors", "-dim/goes.safetensors"]
    assert {trouble.kind for trouble in scanned.report.troubles} == {"file_unreadable", "folder_unreadable"}
    assert again.differences == []
    (root.path / "gray" / "only.safetensors").unlink()
    (root.path / "dim" / "x.safetensors").unlink()
    assert run_scan(root, known).words == ["-dim/x.safetensors", "-gray/only.safetensors"]


def test_what_a_link_leads_to_is_not_missing_while_it_cannot_be_looked_at(open_path: Path) -> None:
    """F17, F20."""
    root, known = loras(open_path / "loras"), Known()
    write(open_path / "outside" / "deep" / "x.safetensors")
    (root.path / "file.safetensors").symlink_to(open_path / "outside" / "deep" / "x.safetensors")
    (root.path / "folder").symlink_to(open_path / "outside" / "deep")
    (root.path / ".hidden").symlink_to(open_path / "outside" / "deep")
    (root.path / "too-long").symlink_to("a" * 300)
    (root.path / "too-long.safetensors").symlink_to("a" * 300)
    run_scan(root, known)
    (open_path / "outside").chmod(0)
    try:
        with as_nobody():
            scanned = run_scan(root, known)
    finally:
        (open_path / "outside").chmod(0o755)
    assert scanned.words == []
    kinds = sorted(trouble.kind for trouble in scanned.report.troubles)
    assert kinds == ["file_unreadable", "folder_unreadable"], "nobody asked for the hidden one"
    assert run_scan(root, known).report.troubles == []
    assert known.relpaths == ["file.safetensors", "folder/x.safetensors"]


def test_what_only_has_the_name_of_a_model_is_skipped(tmp_path: Path) -> None:
    """F21."""
    root = loras(tmp_path / "loras")
    (root.path / "folder.safetensors").mkdir()
    write(root.path / "folder.safetensors" / "inside.safetensors")
    os.mkfifo(root.path / "fifo.safetensors")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(root.path, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{here}/s.safetensors")
        os.close(here)
        scanned = run_scan(root, Known())
    assert scanned.words == ["+folder.safetensors/inside.safetensors"]
    assert scanned.report.skipped == 3


def test_a_root_that_lost_all_its_files_is_not_believed(tmp_path: Path) -> None:
    """F06. Folders are still there, ten files are not: that is rather a fault than a wish."""
    root, known = loras(tmp_path / "loras"), Known()
    files = [write(root.path / "a" / f"{number}.safetensors") for number in range(10)]
    run_scan(root, known)
    for path in files:
        path.unlink()
    scanned = run_scan(root, known)
    assert scanned.words == []
    [trouble] = scanned.report.troubles
    assert isinstance(trouble, AskOperator)
    assert (trouble.scope, trouble.kind) == (Scope.ROOT, "root_empty")
    assert len(known.relpaths) == 10
    assert len(run_scan(root, known, believe_empty=True).words) == 10


def test_the_last_three_files_may_be_deleted(tmp_path: Path) -> None:
    root, known = loras(tmp_path / "loras"), Known()
    files = [write(root.path / f"{number}.safetensors") for number in range(3)]
    (root.path / "notes.txt").touch()
    run_scan(root, known)
    for path in files:
        path.unlink()
    scanned = run_scan(root, known)
    assert (len(scanned.words), scanned.report.troubles) == (3, [])


def test_a_root_that_is_bare_is_not_believed_even_for_one_file(tmp_path: Path) -> None:
    """F06."""
    root, known = loras(tmp_path / "loras"), Known()
    path = write(root.path / "x.safetensors")
    run_scan(root, known)
    path.unlink()
    scanned = run_scan(root, known)
    assert (scanned.words, [trouble.kind for trouble in scanned.report.troubles]) == ([], ["root_empty"])


def test_a_root_that_is_away_is_a_trouble_and_nothing_is_forgotten(tmp_path: Path) -> None:
    """F05, F06."""
    root, known = loras(tmp_path / "loras"), Known()
    write(root.path / "x.safetensors")
    run_scan(root, known)
    root.path.rename(tmp_path / "moved")
    scanned = run_scan(root, known)
    assert scanned.words == []
    [trouble] = scanned.report.troubles
    assert isinstance(trouble, TryLater)
    assert trouble.kind == "root_away"


def test_a_root_swapped_while_it_is_walked_forgets_nothing(tmp_path: Path) -> None:
    """F05."""
    root, known = loras(tmp_path / "loras"), Known()
    write(root.path / "a" / "x.safetensors")
    gone = write(root.path / "b" / "y.safetensors")
    run_scan(root, known)
    gone.unlink()
    write(root.path / "a" / "new.safetensors")
    walk = scan(root, known, FakeClock(), StopAfter(99))
    assert next(walk).folder == "a"
    root.path.rename(tmp_path / "moved")
    root.path.mkdir()
    assert list(walk) == []


def test_inodes_that_all_moved_are_distrusted_instead_of_hashing_a_library_again(tmp_path: Path) -> None:
    root, known = loras(tmp_path / "loras"), Known()
    for number in range(12):
        write(root.path / f"{number % 3}" / f"{number}.safetensors")
    run_scan(root, known)
    _remount(known)
    scanned = run_scan(root, known)
    assert (scanned.differences, scanned.report.inodes_moved) == ([], True)
    untrusting = run_scan(root, known, trust_inodes=False)
    assert (untrusting.words, untrusting.report.inodes_moved) == ([], False)
    new = write(root.path / "0" / "new.safetensors")
    [difference] = run_scan(root, known, trust_inodes=False).differences
    [seen] = difference.sightings
    assert seen.stamp == Stamp(size_bytes=new.stat().st_size, mtime_ns=new.stat().st_mtime_ns, inode=0)
    assert run_scan(root, known, trust_inodes=False).differences == []


def test_a_few_moved_inodes_are_replaced_files(tmp_path: Path) -> None:
    """F19."""
    root, known = loras(tmp_path / "loras"), Known()
    for number in range(9):
        write(root.path / f"{number % 3}" / f"{number}.safetensors")
    run_scan(root, known)
    _remount(known)
    scanned = run_scan(root, known)
    assert (len(scanned.words), scanned.report.inodes_moved, scanned.report.files) == (9, False, 9)


def test_one_inode_that_stayed_proves_the_others(tmp_path: Path) -> None:
    root, known = loras(tmp_path / "loras"), Known()
    for number in range(20):
        write(root.path / "a" / f"{number}.safetensors")
    stays = write(root.path / "z" / "stays.safetensors").stat().st_ino
    run_scan(root, known)
    _remount(known)
    known.rows["z"] = {
        "stays.safetensors": Stamp(
            size_bytes=known.rows["z"]["stays.safetensors"].size_bytes,
            mtime_ns=known.rows["z"]["stays.safetensors"].mtime_ns,
            inode=stays,
        )
    }
    scanned = run_scan(root, known)
    assert (len(scanned.words), scanned.report.inodes_moved) == (20, False)


def test_excluded_files_go_and_come_with_the_setting(tmp_path: Path) -> None:
    root, known = loras(tmp_path / "loras"), Known()
    write(root.path / "keep.safetensors")
    write(root.path / "old" / "x.safetensors")
    run_scan(root, known)
    without = RootFolder(name="loras", path=root.path, exclude=("old",))
    assert run_scan(without, known).words == ["-old/x.safetensors"]
    assert run_scan(root, known).words == ["+old/x.safetensors"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from("wdm"), st.integers(0, 3), st.integers(0, 3)), max_size=12))
def test_after_any_history_the_catalog_equals_the_disk(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    root, known = loras(tmp_path_factory.mktemp("roots") / "loras"), Known()
    (root.path / "notes.txt").touch()
    for what, folder, file in steps:
        path = root.path / f"f{folder}" / f"{file}.safetensors"
        if what == "w":
            write(path, data=bytes([folder]) * (file + 1))
        elif what == "d":
            path.unlink(missing_ok=True)
        elif path.parent.exists() and not (root.path / f"g{file}").exists():
            path.parent.rename(root.path / f"g{file}")
        run_scan(root, known)
        on_disk = {str(found.relative_to(root.path)) for found in root.path.rglob("*.safetensors")}
        assert set(known.relpaths) == on_disk
        assert run_scan(root, known).differences == []


def _remount(known: Known) -> None:
    """Let every known inode number be another, as after a new mount of a network share."""
    for rows in known.rows.values():
        for name, stamp in rows.items():
            rows[name] = Stamp(
                size_bytes=stamp.size_bytes, mtime_ns=stamp.mtime_ns, inode=stamp.inode + 1_000_000
            )
    known.digests = dict.fromkeys(known.digests, b"of other inodes")
