import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hashtagd.core.place import Place
from hashtagd.core.troubles import TryLater
from hashtagd.watch import observer as observer_module
from hashtagd.watch.observer import Observer, look, wanted_mode
from hashtagd.watch.posts import Post
from hashtagd.watch.roots import RootFolder, Roots
from support.clock import FakeClock
from support.safetensors import write
from support.watching import Known, loras, run_scan, watched


def test_each_way_a_file_can_arrive_is_a_hint(tmp_path: Path) -> None:
    """F14. Written, linked, renamed into place, moved in from outside: none needs a close event."""
    root = loras(tmp_path / "loras")
    outside = write(tmp_path / "outside.safetensors")
    with watched(root) as here:
        write(root.path / "written.safetensors")
        (root.path / "linked.safetensors").hardlink_to(outside)
        write(root.path / "x.part").rename(root.path / "renamed.safetensors")
        outside.rename(root.path / "moved.safetensors")
        expected = {f"{how}.safetensors" for how in ("written", "linked", "renamed", "moved")}
        here.until(lambda: here.relpaths == expected)


def test_a_file_linked_in_without_ever_having_had_a_name_is_a_hint(tmp_path: Path) -> None:
    """F14."""
    root = loras(tmp_path / "loras")
    with watched(root) as here:
        fd = os.open(root.path, os.O_TMPFILE | os.O_WRONLY)
        os.write(fd, b"x")
        folder = os.open(root.path, os.O_RDONLY)
        os.link(f"/proc/self/fd/{fd}", "x.safetensors", dst_dir_fd=folder, follow_symlinks=True)
        os.close(folder)
        os.close(fd)
        here.until(lambda: here.relpaths == {"x.safetensors"})


def test_changes_and_deletions_are_hints_too(tmp_path: Path) -> None:
    root = loras(tmp_path / "loras")
    grows, goes = write(root.path / "grows.safetensors"), write(root.path / "goes.safetensors")
    with watched(root) as here:
        with grows.open("ab") as file:
            file.write(b"more")
        goes.unlink()
        here.until(lambda: here.relpaths == {"grows.safetensors", "goes.safetensors"})


def test_a_rename_hints_at_both_names(tmp_path: Path) -> None:
    """F16."""
    root = loras(tmp_path / "loras")
    write(root.path / "old.safetensors")
    with watched(root) as here:
        (root.path / "old.safetensors").rename(root.path / "new.safetensors")
        here.until(lambda: here.relpaths == {"old.safetensors", "new.safetensors"})


def test_a_move_between_roots_hints_in_both(tmp_path: Path) -> None:
    """F16."""
    one = RootFolder(name="one", path=tmp_path / "one")
    two = RootFolder(name="two", path=tmp_path / "two")
    two.path.mkdir()
    write(one.path / "x.safetensors")
    with watched(one, two) as here:
        (one.path / "x.safetensors").rename(two.path / "x.safetensors")
        here.until(lambda: {place.root for place in here.places} == {"one", "two"})


def test_folders_filled_at_once_are_found(tmp_path: Path) -> None:
    """F02. Events name the folders; a scan below each finds what is in it, each file once."""
    root, known = loras(tmp_path / "loras"), Known()
    with watched(root) as here:
        for number in range(60):
            write(root.path / f"{number}" / "b" / "c" / "deep.safetensors")
            write(root.path / f"{number}" / "b" / "high.safetensors")
        here.until(lambda: {f"{number}" for number in range(60)} <= {folder for _, folder in here.folders})
        words: list[str] = []
        for _, folder in sorted(here.folders):
            words += run_scan(root, known, below=folder).words
    assert len(known.relpaths) == 120
    assert len(words) == len(set(words)) == 120


def test_a_filled_folder_moved_in_is_listed_and_watched(tmp_path: Path) -> None:
    """F03."""
    root = loras(tmp_path / "loras")
    write(tmp_path / "full" / "old.safetensors")
    with watched(root) as here:
        (tmp_path / "full").rename(root.path / "full")
        here.until(lambda: ("loras", "full") in here.folders)
        here.barrier(root.path)
        here.forget()
        write(root.path / "full" / "later.safetensors")
        here.until(lambda: "full/later.safetensors" in here.relpaths)


def test_what_happens_in_a_folder_moved_out_is_not_believed(tmp_path: Path) -> None:
    """F04. Events may go on under the old path: a look finds nothing there."""
    root = loras(tmp_path / "loras")
    write(root.path / "a" / "x.safetensors")
    with watched(root) as here:
        (root.path / "a").rename(tmp_path / "elsewhere")
        here.until(lambda: ("loras", "a") in here.folders)
        write(tmp_path / "elsewhere" / "ghost.safetensors")
        here.barrier(root.path)
        ghost = Place(root="loras", relpath="a/ghost.safetensors")
        assert look(here.roots, ghost, here.clock).stamp is None
        assert not (root.path / "a").exists()


def test_a_renamed_root_with_a_new_one_in_its_place_is_watched_again(tmp_path: Path) -> None:
    """F05. The watcher itself stays silent and alive."""
    root = loras(tmp_path / "loras")
    write(root.path / "x.safetensors")
    with watched(root) as here:
        root.path.rename(tmp_path / "moved")
        root.path.mkdir()
        for change in here.roots.check():
            here.observer.rearm(change.root)
        here.until(lambda: here.scan_roots == {"loras"}, tick=True)
        write(root.path / "new.safetensors")
        here.until(lambda: "new.safetensors" in here.relpaths)


def test_a_deleted_root_made_anew_is_watched_again(tmp_path: Path) -> None:
    """F05. The emitter's thread has ended; the new folder may even have the old inode number."""
    root = loras(tmp_path / "loras")
    with watched(root) as here:
        root.path.rmdir()
        here.until(lambda: here.observer.modes()["loras"] == "away", tick=True)
        root.path.mkdir()
        here.observer.check()
        assert here.observer.modes()["loras"] == "away", "not asked again at once"
        here.clock.advance(observer_module.AWAY_RETRY_S)
        here.until(lambda: here.scan_roots == {"loras"}, tick=True)
        assert here.observer.modes() == {"loras": "events"}
        write(root.path / "new.safetensors")
        here.until(lambda: "new.safetensors" in here.relpaths)


def test_a_root_that_is_away_at_start_is_watched_when_it_comes(tmp_path: Path) -> None:
    """F05, F06."""
    root = RootFolder(name="loras", path=tmp_path / "loras")
    with watched(root) as here:
        assert here.observer.modes() == {"loras": "away"}
        root.path.mkdir()
        [change] = here.roots.check()
        here.observer.rearm(change.root)
        assert here.observer.modes() == {"loras": "events"}
        write(root.path / "x.safetensors")
        here.until(lambda: "x.safetensors" in here.relpaths)


@contextmanager
def held_up(observer: Observer) -> Iterator[None]:
    """Hold the lock of all watches, as a thread does that arms a disk which hangs."""
    held, over = threading.Event(), threading.Event()

    def hang() -> None:
        with observer._lock:
            held.set()
            over.wait()

    thread = threading.Thread(target=hang)
    thread.start()
    held.wait()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_root_that_comes_back_while_a_disk_hangs_is_watched_afterwards(tmp_path: Path) -> None:
    """Whoever arms a disk that hangs holds the lock of all watches; a scan must not wait for that."""
    root = RootFolder(name="loras", path=tmp_path / "loras")
    with watched(root) as here:
        root.path.mkdir()
        [change] = here.roots.check()
        with held_up(here.observer):
            here.observer.rearm(change.root)
            here.observer.check()
            assert here.observer.modes() == {"loras": "away"}
        here.observer.check()
        assert here.observer.modes() == {"loras": "events"}


def test_a_root_that_comes_back_on_another_file_system_while_a_disk_hangs_is_watched_as_that_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, mode = loras(tmp_path / "loras"), "poll"
    monkeypatch.setattr(observer_module, "wanted_mode", lambda _folder: mode)
    with watched(root) as here:
        assert here.observer.modes() == {"loras": "poll"}
        mode = "events"
        with held_up(here.observer):
            here.observer.rearm("loras")
        here.observer.check()
        assert here.observer.modes() == {"loras": "events"}
        write(root.path / "x.safetensors")
        here.until(lambda: "x.safetensors" in here.relpaths)


def test_what_a_disk_held_up_until_all_was_over_is_not_watched_any_more(tmp_path: Path) -> None:
    """Another round in the same process would else have every folder watched twice."""
    one, other = loras(tmp_path / "loras"), RootFolder(name="other", path=tmp_path / "other")
    other.path.mkdir()
    roots = Roots([one, other])
    before = set(threading.enumerate())
    armed, over = threading.Event(), threading.Event()

    class Slow(Observer):
        """The disk of its second root answers only when all is over."""

        def _arm(self, post: Post) -> None:
            if post.folder == other:
                armed.set()
                over.wait()
            super()._arm(post)

    observer = Slow(roots, FakeClock(), lambda: None)
    thread = threading.Thread(target=observer.start)
    thread.start()
    armed.wait()
    observer.stop()
    assert len(set(threading.enumerate()) - before) > 1
    over.set()
    thread.join()
    assert set(threading.enumerate()) <= before


def test_a_well_watched_root_is_not_armed_twice(tmp_path: Path) -> None:
    root = loras(tmp_path / "loras")
    with watched(root) as here:
        here.observer.rearm("loras")
        assert not here.drain()


def test_our_own_reading_makes_no_hint(tmp_path: Path) -> None:
    """F11."""
    root = loras(tmp_path / "loras")
    for number in range(300):
        write(root.path / f"{number}.safetensors")
    with watched(root) as here:
        for path in root.path.iterdir():
            path.read_bytes()
            path.chmod(0o600)
        here.barrier(root.path)
        assert not here.places
        assert not here.folders


def test_our_own_artifacts_make_no_hint(tmp_path: Path) -> None:
    """F12."""
    root = loras(tmp_path / "loras")
    with watched(root) as here:
        for number in range(50):
            (root.path / f".hashtagd-{number}.tmp").write_text("{}")
            (root.path / f".hashtagd-{number}.tmp").rename(root.path / f"{number}.metadata.json")
            (root.path / f"{number}.preview.png").write_bytes(b"png")
        here.barrier(root.path)
        assert not here.places
        assert not here.folders


def test_a_file_written_in_many_pieces_is_one_hint(tmp_path: Path) -> None:
    """F13."""
    root = loras(tmp_path / "loras")
    with watched(root) as here:
        with (root.path / "x.safetensors").open("wb", buffering=0) as file:
            for _ in range(20_000):
                file.write(b"x" * 16)
        here.barrier(root.path)
        assert here.relpaths == {"x.safetensors"}
        assert not here.scan_roots


def test_strange_names_travel_through_events(tmp_path: Path) -> None:
    """F18."""
    root = loras(tmp_path / "loras")
    with watched(root) as here:
        write(root.path / "new\nline.safetensors")
        Path(os.fsdecode(os.fsencode(root.path) + b"/\xff.safetensors")).touch()
        write(root.path / "\u202egpj.safetensors")
        here.barrier(root.path)
        assert here.relpaths == {"new\nline.safetensors", "\u202egpj.safetensors"}


def test_linked_folders_are_watched_under_the_name_of_the_link(tmp_path: Path) -> None:
    """F17."""
    root = loras(tmp_path / "loras")
    (tmp_path / "outside" / "deep").mkdir(parents=True)
    (root.path / "link").symlink_to(tmp_path / "outside")
    (root.path / "circle").symlink_to(root.path)
    with watched(root) as here:
        write(tmp_path / "outside" / "deep" / "x.safetensors")
        here.until(lambda: "link/deep/x.safetensors" in here.relpaths)


def test_a_link_made_later_is_scanned_and_watched(tmp_path: Path) -> None:
    """F17."""
    root = loras(tmp_path / "loras")
    (tmp_path / "outside").mkdir()
    with watched(root) as here:
        (root.path / "link").symlink_to(tmp_path / "outside")
        here.until(lambda: here.scan_roots == {"loras"}, tick=True)
        here.observer.check()
        write(tmp_path / "outside" / "x.safetensors")
        here.until(lambda: "link/x.safetensors" in here.relpaths)


def test_a_link_whose_target_cannot_even_be_looked_up_ends_nothing(tmp_path: Path) -> None:
    """F17. A target with a name too long is an error of its own, not a link that leads nowhere."""
    root = loras(tmp_path / "loras")
    with watched(root) as here:
        (root.path / "too-long").symlink_to("a" * 300)
        (root.path / "circle").symlink_to("circle")
        here.barrier(root.path)
        here.observer.check()
        assert (here.scan_roots, here.observer.modes()) == (set(), {"loras": "events"})


def test_a_folder_that_two_roots_link_to_may_be_given_up_by_both(tmp_path: Path) -> None:
    """F17. The watcher knows one watch for one path, whoever asked for it."""
    roots = [RootFolder(name=name, path=tmp_path / name) for name in ("one", "two")]
    (tmp_path / "outside").mkdir()
    (tmp_path / "other").mkdir()
    for root in roots:
        root.path.mkdir()
        (root.path / "link").symlink_to(tmp_path / "outside")
    with watched(*roots) as here:
        for root in roots:
            (root.path / "link").unlink()
            (root.path / "more").symlink_to(tmp_path / "other")
        here.until(lambda: here.scan_roots == {"one", "two"}, tick=True)
        here.observer.check()
        assert here.observer.modes() == {"one": "events", "two": "events"}


def test_a_root_that_is_itself_a_link_is_watched(tmp_path: Path) -> None:
    """F17."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with watched(RootFolder(name="loras", path=tmp_path / "link")) as here:
        write(tmp_path / "real" / "a" / "x.safetensors")
        here.until(lambda: ("loras", "a") in here.folders)


def test_nested_roots_each_get_their_hints(tmp_path: Path) -> None:
    outer = RootFolder(name="outer", path=tmp_path / "outer")
    inner = RootFolder(name="inner", path=tmp_path / "outer" / "inner")
    inner.path.mkdir(parents=True)
    with watched(outer, inner) as here:
        write(inner.path / "x.safetensors")
        expected = {
            Place(root="outer", relpath="inner/x.safetensors"),
            Place(root="inner", relpath="x.safetensors"),
        }
        here.until(lambda: here.places == expected)


@pytest.mark.parametrize("mode", ["poll", "off"])
def test_roots_that_are_not_to_be_watched_are_not(tmp_path: Path, mode: str) -> None:
    root = loras(tmp_path / "loras", watch=mode)
    beside = RootFolder(name="beside", path=tmp_path / "beside")
    beside.path.mkdir()
    with watched(root, beside) as here:
        assert here.observer.modes() == {"loras": mode, "beside": "events"}
        write(root.path / "x.safetensors")
        here.barrier(beside.path)
        assert not here.places


def test_the_file_system_decides_in_mode_auto(tmp_path: Path) -> None:
    """F10."""
    assert wanted_mode(loras(tmp_path / "loras")) in ("events", "poll")
    assert wanted_mode(RootFolder(name="proc", path=Path("/proc"), watch="events")) == "events"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_watcher_that_dies_is_replaced_and_the_roots_scanned(tmp_path: Path) -> None:
    """F09. The third time within ten minutes the roots are polled instead."""
    root, clock = loras(tmp_path / "loras"), FakeClock()
    fuse = threading.Event()

    def on_hint() -> None:
        if fuse.is_set():
            fuse.clear()
            raise RuntimeError("planted")

    roots = Roots([root])
    observer = Observer(roots, clock, on_hint)
    observer.start()
    try:
        for death in range(1, 4):
            _kill_watcher(observer, root.path / f"{death}.safetensors", fuse)
            observer.check()
            assert observer.drain().scan_roots == {"loras"}
            assert observer.modes() == {"loras": "events" if death < 3 else "poll"}
        assert observer.troubles()["loras"].kind == "watcher_dies"
    finally:
        observer.stop()


def test_a_look_gives_the_stamp_and_rests_since_now(tmp_path: Path) -> None:
    root, clock = loras(tmp_path / "loras"), FakeClock()
    path = write(root.path / "x.safetensors")
    roots = Roots([root])
    seen = look(roots, Place(root="loras", relpath="x.safetensors"), clock)
    assert seen.stamp is not None
    assert (seen.stamp.size_bytes, seen.stamp.inode) == (path.stat().st_size, path.stat().st_ino)
    assert seen.still_since == seen.seen_at == clock.now()
    distrusted = look(roots, seen.place, clock, trust_inodes=False)
    assert distrusted.stamp is not None
    assert distrusted.stamp.inode == 0


def test_a_look_at_what_is_no_model_file_finds_nothing(tmp_path: Path) -> None:
    """F21."""
    root = loras(tmp_path / "loras")
    os.mkfifo(root.path / "fifo.safetensors")
    (root.path / "folder.safetensors").mkdir()
    (root.path / "loop.safetensors").symlink_to("loop.safetensors")
    write(root.path / ".cache" / "x.safetensors")
    roots = Roots([root])
    for relpath in ("fifo", "folder", "loop", "none", "fifo.safetensors/x", ".cache/x"):
        place = Place(root="loras", relpath=f"{relpath}.safetensors")
        assert look(roots, place, FakeClock()).stamp is None


def test_a_look_at_a_link_heeds_the_rule_of_the_root(tmp_path: Path) -> None:
    """F17."""
    target = write(tmp_path / "target")
    place = Place(root="loras", relpath="x.safetensors")
    for follows in (True, False):
        root = loras(tmp_path / "loras", follow_symlinks=follows)
        (root.path / "x.safetensors").unlink(missing_ok=True)
        (root.path / "x.safetensors").symlink_to(target)
        stamp = look(Roots([root]), place, FakeClock()).stamp
        assert (stamp is not None) == follows


def test_a_look_into_a_root_that_is_away_is_a_trouble(tmp_path: Path) -> None:
    """F06."""
    roots = Roots([RootFolder(name="loras", path=tmp_path / "nowhere")])
    with pytest.raises(TryLater):
        look(roots, Place(root="loras", relpath="x.safetensors"), FakeClock())


def _kill_watcher(observer: Observer, path: Path, fuse: threading.Event) -> None:
    """Let the next event raise in the watcher's thread, and wait until that has ended."""
    watcher = observer._watcher
    assert watcher is not None
    fuse.set()
    path.touch()
    watcher._observer.join(timeout=8)
    assert not watcher.lives()
