"""Taking back on a bad day, and what is left between two steps of it."""

import errno
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from hashtagd.core.artifacts import Xattr
from hashtagd.core.place import Place
from hashtagd.core.sidecars import SidecarState
from hashtagd.stages.beside import look_beside
from hashtagd.stages.calls import Calls
from hashtagd.stages.ground import Ground
from hashtagd.stages.unpublish import UnpublishStage
from hashtagd.stages.untouched import UntouchedFolder
from support.publish_fakes import World, kind_of, published
from support.stage_fakes import root_away

KEY = "user.hashtagd.test"


class Tagger:
    """A writer of one attribute."""

    name = "tagger"

    def render(self, _card: object, _target: object) -> Sequence[Xattr]:
        return [Xattr(key=KEY, value=b"a,b")]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def ground(world: World) -> Ground:
    """Take the part of the publish stage's planning that unpublishing needs."""
    planning = world.stage()._planning
    return Ground(
        writers=planning.writers,
        locator=planning.locator,
        clock=planning.clock,
        is_model=planning.is_model,
        calls=planning.calls,
    )


def test_ours_goes_and_the_model_stays(world: World) -> None:
    model = world.model()
    world.publish(world.claim(model))
    taken = UnpublishStage(ground(world)).run([world.claim(model)])
    assert set(world.tree()) == {"wisp.safetensors"}
    assert all(it.goes and it.is_over for it in taken)
    again = UnpublishStage(ground(world)).run([world.claim(model)])
    assert {it.seen.state for it in again} == {SidecarState.MISSING}
    assert all(it.is_over and not it.goes for it in again), "a killed one is finished by the next"


def test_nothing_is_forgotten_before_the_removal_is_on_the_disk(world: World) -> None:
    model = world.model()
    world.publish(world.claim(model))

    def fail(_fd: int) -> None:
        raise OSError(errno.EIO, "the disk is ill")

    world.calls = Calls(fsync=fail)
    taken = UnpublishStage(ground(world)).run([world.claim(model)])
    assert not any(it.is_over for it in taken)
    assert {kind_of(it.trouble) for it in taken} == {"write_error"}
    world.calls = None
    assert all(it.is_over for it in UnpublishStage(ground(world)).run([world.claim(model)]))


def test_an_edit_that_was_undone_is_ours_again(world: World) -> None:
    """The records of what somebody edited are kept for that, also over another publishing."""
    model = world.model()
    world.publish(world.claim(model))
    ours = world.tree()
    for name in ("wisp.metadata.json", "wisp.civitai.info", "wisp.preview.png"):
        (world.folder / name).write_bytes(ours[name].replace(b"wisp", b"WISP") + b"\n ")
    published(world.publish(world.claim(model))[0])
    edited = UnpublishStage(ground(world)).run([world.claim(model)])
    assert {(it.seen.state, it.goes) for it in edited} == {(SidecarState.EDITED, False)}
    for name, content in ours.items():
        (world.folder / name).write_bytes(content)
    UnpublishStage(ground(world)).run([world.claim(model)])
    assert set(world.tree()) == {"wisp.safetensors"}


def test_a_file_that_changes_under_our_hands_stays(world: World) -> None:
    model = world.model()
    world.publish(world.claim(model))
    stage = UnpublishStage(ground(world))
    claim = world.claim(model)
    with stage._ground.batch() as batch:
        beside = look_beside(stage._ground, claim, batch)
        [seen] = [it for it in beside if it.place.name == "wisp.civitai.info"]
        (world.folder / "wisp.civitai.info").write_bytes(b'{"mine": true}')
        taken = stage._take(seen, claim, batch, [])
        assert (taken.goes, taken.seen.state) == (False, SidecarState.EDITED)
        (world.folder / "wisp.civitai.info").unlink()
        taken = stage._take(seen, claim, batch, [])
        assert (taken.goes, taken.seen.state) == (False, SidecarState.MISSING)


def test_what_may_have_moved_along_with_its_model_stays_known(world: World) -> None:
    """The daemon has not noticed the move yet, and would take it for a stranger's then."""
    model = world.model()
    world.publish(world.claim(model))
    claim = world.claim(model)
    (world.folder / "deep").mkdir()
    for path in list(world.folder.glob("wisp.*")):
        path.rename(world.folder / "deep" / path.name)
    taken = UnpublishStage(ground(world)).run([claim])
    assert {it.seen.state for it in taken} == {SidecarState.MISSING}
    assert not any(it.is_over for it in taken)
    moved = world.folder / "deep" / "wisp.safetensors"
    facts = published(world.publish(world.claim(moved, file_id=2))[0])
    assert {it.writer for it in facts.publications} == {"lora-manager", "civitai-info", "preview"}


def test_where_the_root_is_away_everything_stays_known(world: World) -> None:
    model = world.model()
    world.publish(world.claim(model))
    claim = world.claim(model)
    world.locator.trouble = root_away()
    taken = UnpublishStage(ground(world)).run([claim])
    assert {it.seen.state for it in taken} == {None}
    assert not any(it.is_over for it in taken)
    assert {kind_of(it.trouble) for it in taken} == {kind_of(root_away())}


def test_records_that_name_a_model_or_lead_out_of_the_root_remove_nothing(world: World) -> None:
    """F98: another machine may have written them."""
    model, other = world.model(), world.model("other.safetensors", b"another")
    outside = world.folder.parent / f"{world.folder.name}-outside"
    outside.mkdir()
    (world.folder / "out").symlink_to(outside)
    (outside / "x.json").write_bytes(b"another")
    world.publish(world.claim(model))
    known = replace(world.known[1][0], written_sha256=None, intended_sha256=None)
    wrong = replace(known, written_sha256=world.claim(other).digests.sha256)  # type: ignore[union-attr]
    claim = world.claim(model)
    claim = replace(
        claim,
        publications=(
            replace(wrong, place=Place(root="loras", relpath="other.safetensors")),
            replace(wrong, place=Place(root="loras", relpath="out/x.json")),
            replace(wrong, place=Place(root="loras", relpath="never/x.json")),
        ),
    )
    taken = UnpublishStage(ground(world)).run([claim])
    assert {it.seen.state for it in taken[:2]} == {SidecarState.FOREIGN}
    assert taken[2].seen.state is SidecarState.MISSING
    assert other.exists()
    assert (outside / "x.json").exists()


def seen(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Look at every name; that it was read, which a look may leave behind, is no change."""
    found = {path.name: path.lstat() for path in folder.iterdir()}
    return {name: (it.st_ino, it.st_mtime_ns, it.st_ctime_ns) for name, it in found.items()}


def test_a_look_changes_nothing_at_all(world: World) -> None:
    model = world.model()
    world.publish(world.claim(model))
    stray = world.folder / ".hashtagd-0123456789abcdef"
    stray.write_bytes(b"left by a killed process")
    os.utime(stray, (1e9, 1e9))
    before = seen(world.folder)
    looking = replace(ground(world), folder=UntouchedFolder)
    taken = UnpublishStage(looking, detach=lambda _fd, _key: None).run([world.claim(model)])
    assert [it.goes for it in taken] == [True] * 3
    assert seen(world.folder) == before


def test_an_attribute_that_somebody_changes_under_our_hands_stays(world: World) -> None:
    model = world.model()
    try:
        os.setxattr(model, "user.theirs", b"1")
    except OSError:
        pytest.skip("SKIPPED ALOUD: this file system has no extended attributes")
    stage = world.stage()
    stage._planning = replace(stage._planning, writers={None: [Tagger()]})
    facts = published(stage.run([world.claim(model)])[0])
    claim = replace(world.claim(model), publications=facts.publications)
    here = UnpublishStage(replace(ground(world), writers={None: [Tagger()]}))
    with here._ground.batch() as batch:
        [seen] = look_beside(here._ground, claim, batch)
        os.setxattr(model, KEY, b"theirs")
        taken = here._take(seen, claim, batch, [])
        assert (taken.goes, taken.seen.state) == (False, SidecarState.EDITED)
        assert os.getxattr(model, KEY) == b"theirs"
        os.removexattr(model, KEY)
        taken = here._take(seen, claim, batch, [])
        assert (taken.goes, taken.seen.state) == (False, SidecarState.MISSING)


def test_an_attribute_of_ours_goes_and_one_that_somebody_changed_stays(world: World) -> None:
    model = world.model()
    try:
        os.setxattr(model, "user.theirs", b"1")
    except OSError:
        pytest.skip("SKIPPED ALOUD: this file system has no extended attributes")
    stage = world.stage()
    stage._planning = replace(stage._planning, writers={None: [Tagger()]})
    facts = published(stage.run([world.claim(model)])[0])
    claim = replace(world.claim(model), publications=facts.publications)
    here = replace(ground(world), writers={None: [Tagger()]})
    os.setxattr(model, KEY, b"theirs")
    [edited] = UnpublishStage(here).run([claim])
    assert (edited.seen.state, edited.goes) == (SidecarState.EDITED, False)
    os.setxattr(model, KEY, b"a,b")
    [gone] = UnpublishStage(here).run([claim])
    assert (gone.seen.state, gone.goes) == (SidecarState.OURS, True)
    assert os.listxattr(model) == ["user.theirs"]
    os.setxattr(model, KEY, b"x")
    [foreign] = UnpublishStage(here).run([replace(claim, publications=())])
    assert (foreign.seen.state, foreign.seen.writer) == (SidecarState.FOREIGN, f"tagger:{KEY}")
