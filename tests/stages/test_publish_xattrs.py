"""Extended attributes, for those who asked for them."""

import os
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from hashtagd.core.artifacts import Xattr
from hashtagd.core.work import Publication
from hashtagd.stages.rehearse import Action, Proposal, RehearseStage
from hashtagd.stages.untouched import UntouchedFolder
from support.publish_fakes import World, card, published

KEY = "user.hashtagd.test"


class Tagger:
    """A writer of one attribute."""

    name = "tagger"

    def __init__(self, value: bytes) -> None:
        self.value = value

    def render(self, _card: object, _target: object) -> Sequence[Xattr]:
        return [Xattr(key=KEY, value=self.value)]


class Silent(Tagger):
    """The same writer, with nothing to say."""

    def __init__(self) -> None:
        super().__init__(b"")

    def render(self, _card: object, _target: object) -> Sequence[Xattr]:
        return []


@pytest.fixture
def world(tmp_path: Path) -> World:
    probe = tmp_path / "probe"
    probe.touch()
    try:
        os.setxattr(probe, KEY, b"1")
    except OSError:
        pytest.skip("SKIPPED ALOUD: this file system has no extended attributes")
    probe.unlink()
    return World(tmp_path)


def tag(world: World, value: bytes) -> tuple[Publication, ...]:
    stage = world.stage()
    stage._planning = replace(stage._planning, writers={None: [Tagger(value)]})
    claim = world.claim(world.folder / "wisp.safetensors")
    facts = published(stage.run([claim])[0])
    world._remember(1, facts.publications)
    return facts.publications


def test_an_attribute_is_set_recorded_and_not_set_again(world: World) -> None:
    model = world.model()
    [record] = tag(world, b"a,b")
    assert os.getxattr(model, KEY) == b"a,b"
    assert record.recognises(sha256(b"a,b").hexdigest())
    changed_ns = model.stat().st_ctime_ns
    assert tag(world, b"a,b") == (record,)
    assert model.stat().st_ctime_ns == changed_ns
    assert world.ledger.calls == 1


def test_our_own_value_is_replaced_and_a_foreign_one_stays(world: World) -> None:
    """P6."""
    model = world.model()
    tag(world, b"a")
    tag(world, b"b")
    assert os.getxattr(model, KEY) == b"b"
    os.setxattr(model, KEY, b"mine")
    assert tag(world, b"c") == ()
    assert os.getxattr(model, KEY) == b"mine"


def test_a_value_that_does_not_fit_is_no_trouble(world: World) -> None:
    """F81."""
    world.model()
    assert tag(world, b"x" * 70_000) == ()


def test_an_attribute_moves_with_its_model_and_is_still_ours(world: World) -> None:
    model = world.model()
    tag(world, b"a")
    moved = model.rename(world.folder / "moved.safetensors")
    stage = world.stage()
    stage._planning = replace(stage._planning, writers={None: [Tagger(b"b")]})
    published(stage.run([world.claim(moved, file_id=2)])[0])
    assert os.getxattr(moved, KEY) == b"b"


def test_an_attribute_that_nobody_says_any_more_goes_unless_it_was_changed(world: World) -> None:
    model = world.model()
    tag(world, b"a")
    silent = world.stage()
    silent._planning = replace(silent._planning, writers={None: [Silent()]})
    facts = published(silent.run([world.claim(model)])[0])
    assert (KEY in os.listxattr(model), facts.publications) == (False, ())
    tag(world, b"a")
    os.setxattr(model, KEY, b"mine")
    published(silent.run([world.claim(model)])[0])
    assert os.getxattr(model, KEY) == b"mine"


def test_a_model_that_is_a_link_gets_no_attribute(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """F93."""
    victim = tmp_path_factory.mktemp("victim") / "wisp.safetensors"
    victim.write_bytes(b"the model")
    (world.folder / "wisp.safetensors").symlink_to(victim)
    assert tag(world, b"a") == ()
    assert os.listxattr(victim) == []


def test_attributes_that_do_not_fit_on_ext4_do_not_stop_the_root(world: World) -> None:
    world.model()
    facts = tag(world, b"x" * 5_000)
    assert len(facts) <= 1


def test_all_four_attributes_fit_whatever_the_card_says(world: World) -> None:
    model = world.model()
    long = "läng " * 3_000
    claim = world.claim(model)
    known = card(
        tags=tuple(f"tag {number}" for number in range(500)), model_name=long, page_url="https://x/y"
    )
    world.names = ("xattrs",)
    published(world.publish(replace(claim, card=known))[0])
    assert {"user.xdg.tags", "user.xdg.comment", "user.xdg.origin.url", "user.checksum.sha256"} <= set(
        os.listxattr(model)
    )
    before = model.stat()
    world.publish(world.claim(model, card=None))
    assert set(os.listxattr(model)) == {"user.checksum.sha256"}
    assert (model.stat().st_mtime_ns, model.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_a_rehearsal_tells_of_an_attribute_that_would_go_and_leaves_it(world: World) -> None:
    model = world.model()
    tag(world, b"a")
    planning = replace(world.stage()._planning, writers={None: [Silent()]}, folder=UntouchedFolder)
    [shown] = RehearseStage(planning).run([world.claim(model)])
    assert isinstance(shown, Proposal)
    assert (shown.action, shown.writer, shown.where) == (
        Action.REMOVE,
        f"{Silent.name}:{KEY}",
        "loras/wisp.safetensors",
    )
    assert os.getxattr(model, KEY) == b"a"
