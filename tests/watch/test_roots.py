import threading
from pathlib import Path

import pytest

from hashtagd.core.place import Place
from hashtagd.core.troubles import AskOperator, Scope, Trouble, TryLater
from hashtagd.watch.roots import MARKER_NAME, Change, RootChange, RootFolder, Roots
from support.daemon_process import until
from support.hanging import Hang
from support.watching import loras

X = Place(root="loras", relpath="a/x.safetensors")


def change(kind: Change) -> tuple[RootChange, ...]:
    return (RootChange(root="loras", change=kind),)


def test_a_root_that_is_there_is_reported_once(tmp_path: Path) -> None:
    roots = Roots([loras(tmp_path / "loras")])
    assert roots.check() == change(Change.BACK)
    assert roots.check() == ()
    assert roots.trouble("loras") is None


def test_a_place_is_spelled_as_the_settings_spell_the_root(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    roots = Roots([RootFolder(name="loras", path=tmp_path / "link")])
    assert roots.locate(X) == tmp_path / "link" / "a" / "x.safetensors"


def test_a_root_this_machine_does_not_have_is_a_trouble(tmp_path: Path) -> None:
    roots = Roots([loras(tmp_path / "loras")])
    with pytest.raises(AskOperator) as caught:
        roots.locate(Place(root="other", relpath="x.safetensors"))
    assert (caught.value.scope, caught.value.kind) == (Scope.ROOT, "root_unknown")


def test_a_missing_root_is_away_and_comes_back(tmp_path: Path) -> None:
    """F05."""
    root = loras(tmp_path / "loras")
    roots = Roots([root])
    roots.check()
    root.path.rename(tmp_path / "moved")
    assert roots.check() == change(Change.AWAY)
    assert roots.check() == ()
    trouble = roots.trouble("loras")
    assert isinstance(trouble, TryLater)
    assert (trouble.scope, trouble.kind) == (Scope.ROOT, "root_away")
    assert str(tmp_path) not in str(trouble)
    with pytest.raises(TryLater):
        roots.locate(X)
    (tmp_path / "moved").rename(root.path)
    assert roots.check() == change(Change.BACK)
    assert roots.locate(X).parent.parent == root.path


def test_a_root_that_a_lane_sees_first_is_told_of_by_the_next_check_all_the_same(tmp_path: Path) -> None:
    root = loras(tmp_path / "loras")
    roots = Roots([root])
    assert roots.locate(X).parent.parent == root.path
    assert roots.check() == change(Change.BACK)
    assert roots.check() == ()
    away = loras(tmp_path / "away")
    away.path.rmdir()
    roots = Roots([away])
    for _ in range(2):
        with pytest.raises(TryLater):
            roots.locate(X)
    assert roots.check() == change(Change.AWAY)
    away.path.mkdir()
    assert roots.locate(X).parent.parent == away.path
    assert roots.check() == change(Change.BACK)


def test_a_root_replaced_by_another_folder_is_noticed(tmp_path: Path) -> None:
    """F05."""
    root = loras(tmp_path / "loras")
    roots = Roots([root])
    roots.check()
    root.path.rename(tmp_path / "moved")
    root.path.mkdir()
    with pytest.raises(TryLater):
        roots.locate(X)
    assert roots.check() == change(Change.REPLACED)
    assert roots.locate(X)


def test_a_link_that_leads_elsewhere_now_is_a_replaced_root(tmp_path: Path) -> None:
    """F05."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    link = tmp_path / "link"
    link.symlink_to("one")
    roots = Roots([RootFolder(name="loras", path=link)])
    roots.check()
    link.unlink()
    link.symlink_to("two")
    assert roots.check() == change(Change.REPLACED)


def test_a_bare_mount_point_is_a_root_that_is_away(tmp_path: Path) -> None:
    """F06. The same without mounting: the list of mounts says what lies where."""
    mountinfo = tmp_path / "mountinfo"
    root = loras(tmp_path / "loras")
    with_mount = f"1 0 8:0 / / rw - ext4 a rw\n2 1 8:1 / {root.path.resolve()} rw - xfs b rw\n"
    mountinfo.write_text(with_mount)
    roots = Roots([root], mountinfo)
    roots.check()
    root.path.rename(tmp_path / "the-disk")
    root.path.mkdir()
    mountinfo.write_text(with_mount.splitlines()[0])
    assert roots.check() == change(Change.AWAY)
    with pytest.raises(TryLater, match="mount away"):
        roots.locate(X)
    assert roots.check() == ()
    root.path.rmdir()
    (tmp_path / "the-disk").rename(root.path)
    mountinfo.write_text(with_mount)
    assert roots.check() == change(Change.BACK)


def test_something_mounted_over_a_root_and_taken_away_again_is_no_trouble(tmp_path: Path) -> None:
    """F05, F06."""
    mountinfo = tmp_path / "mountinfo"
    root = loras(tmp_path / "loras")
    mountinfo.write_text("1 0 8:0 / / rw - ext4 a rw\n")
    roots = Roots([root], mountinfo)
    roots.check()
    root.path.rename(tmp_path / "below")
    root.path.mkdir()
    mountinfo.write_text(f"1 0 8:0 / / rw - ext4 a rw\n2 1 8:1 / {root.path.resolve()} rw - xfs b rw\n")
    assert roots.check() == change(Change.REPLACED)
    root.path.rmdir()
    (tmp_path / "below").rename(root.path)
    mountinfo.write_text("1 0 8:0 / / rw - ext4 a rw\n")
    assert roots.check() == change(Change.REPLACED)
    assert roots.trouble("loras") is None


def test_a_root_that_is_no_folder_asks_the_operator(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    roots = Roots([RootFolder(name="loras", path=tmp_path / "file")])
    assert roots.check() == change(Change.AWAY)
    assert [trouble.kind for trouble in [roots.trouble("loras")] if trouble] == ["root_no_folder"]


@pytest.mark.parametrize(
    "content,kind", [("mine\n", None), ("other", "root_foreign"), (None, "root_foreign")]
)
def test_a_marker_tells_folders_of_one_name_apart(
    tmp_path: Path, content: str | None, kind: str | None
) -> None:
    folder = loras(tmp_path / "loras", marker="mine")
    if content is not None:
        (folder.path / MARKER_NAME).write_text(content)
    roots = Roots([folder])
    roots.check()
    trouble = roots.trouble("loras")
    assert (trouble.kind if trouble else None) == kind


def test_a_trouble_raised_a_thousand_times_does_not_grow(tmp_path: Path) -> None:
    roots = Roots([RootFolder(name="loras", path=tmp_path / "nowhere")])
    for _ in range(3):
        with pytest.raises(Trouble) as caught:
            roots.locate(X)
        assert len(caught.traceback) < 5


def test_a_root_whose_disk_hangs_does_not_hold_up_the_look_at_another(tmp_path: Path) -> None:
    hang = Hang()
    (tmp_path / "nas").mkdir()
    roots = Roots([RootFolder(name="nas", path=hang.path(tmp_path / "nas")), loras(tmp_path / "loras")])
    thread = threading.Thread(target=roots.check, args=(["nas"],))
    thread.start()
    try:
        assert hang.met.wait(30)
        assert roots.check(["loras"]) == change(Change.BACK)
        assert roots.trouble("loras") is None
    finally:
        hang.over.set()
        thread.join()


@pytest.mark.slow
def test_nobody_who_looks_for_a_place_is_held_by_a_root_that_hangs(tmp_path: Path) -> None:
    """A scout waits for it; whoever else comes has something better to do."""
    hang = Hang()
    (tmp_path / "nas").mkdir()
    roots = Roots([RootFolder(name="nas", path=hang.path(tmp_path / "nas"))])
    place = Place(root="nas", relpath="x.safetensors")
    try:
        for _ in range(2):
            with pytest.raises(TryLater) as caught:
                roots.locate(place)
            assert (caught.value.scope, caught.value.kind) == (Scope.ROOT, "root_silent")
    finally:
        hang.over.set()
    until(lambda: is_located(roots, place))


def is_located(roots: Roots, place: Place) -> bool:
    try:
        return roots.locate(place).name == place.name
    except TryLater:
        return False
