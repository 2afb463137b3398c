"""Extended attributes, for those who asked for them."""

import os
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from hashtagd.core.artifacts import Xattr
from hashtagd.core.work import Publication
from support.publish_fakes import World, published

KEY = "user.hashtagd.test"


class Tagger:
    """A writer of one attribute."""

    name = "tagger"

    def __init__(self, value: bytes) -> None:
        self.value = value

    def render(self, _card: object, _target: object) -> Sequence[Xattr]:
        return [Xattr(key=KEY, value=self.value)]


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
