"""Pictures of ours beside models that turn out to be another version."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hashtagd.core.card import Card, Confidence
from hashtagd.core.work import Claim
from support.publish_fakes import World, before_renames, card, host_closed, kind_of, png, preview, published

PICTURE = "wisp.preview.png"
FIRST, SECOND = "https://images.example/first.png", "https://images.example/second.png"


class KilledError(BaseException):
    """Nobody handles it."""


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Two versions of a model, each with a picture."""
    made = World(tmp_path)
    made.fetcher.pages = {FIRST: (png(1), "image/png"), SECOND: (png(2), "image/png")}
    return made


def first() -> Card:
    return card(version_id=1, previews=(preview(FIRST),))


def second(**changes: Any) -> Card:
    return replace(card(version_id=2, previews=(preview(SECOND),)), **changes)


def publish(world: World, path: Path, said: Card, **changes: Any) -> None:
    published(world.publish(world.claim(path, card=said, **changes))[0])


def test_the_picture_of_a_version_that_it_is_not_gives_way_to_that_of_the_one_it_is(world: World) -> None:
    model = world.model()
    publish(world, model, first())
    assert world.tree()[PICTURE] == png(1)
    publish(world, model, second())
    before = world.tree()
    assert before[PICTURE] == png(2)
    publish(world, model, second())
    assert (world.tree(), world.fetcher.asked) == (before, [FIRST, SECOND])
    publish(world, model, first())
    assert world.tree()[PICTURE] == png(1)


def test_the_picture_of_a_version_that_it_is_not_goes_where_there_is_no_other(world: World) -> None:
    model = world.model()
    publish(world, model, first())
    publish(world, model, second(previews=()))
    assert PICTURE not in world.tree()
    assert json.loads(world.tree()["wisp.metadata.json"])["preview_url"] == ""


def test_the_picture_of_a_version_that_it_is_not_goes_at_once_when_its_own_cannot_be_had_yet(
    world: World,
) -> None:
    model = world.model()
    publish(world, model, first())
    world.fetcher.pages[SECOND] = host_closed(90.0)
    facts = published(world.publish(world.claim(model, card=second()))[0])
    assert (facts.again_in_s, kind_of(facts.trouble)) == (90.0, "gate_closed")
    assert PICTURE not in world.tree()


def test_a_picture_that_a_person_put_there_stays_whichever_version_it_is(world: World) -> None:
    model = world.model()
    publish(world, model, first())
    (world.folder / PICTURE).write_bytes(b"theirs")
    publish(world, model, second())
    assert world.tree()[PICTURE] == b"theirs"


@pytest.mark.parametrize(
    "said", [second(confidence=Confidence.CLAIMED), None], ids=["claimed", "nobody knows"]
)
def test_a_picture_stays_where_nobody_surely_says_that_it_is_of_another_version(
    world: World, said: Card | None
) -> None:
    model = world.model()
    publish(world, model, first())
    published(world.publish(world.claim(model, card=said))[0])
    assert world.tree()[PICTURE] == png(1)


def test_a_picture_of_which_nobody_noted_the_version_stays(world: World) -> None:
    """A store from before it was noted."""
    model = world.model()
    publish(world, model, first())
    world.known[1] = tuple(replace(it, version_id=None) for it in world.known[1])
    publish(world, model, second())
    assert world.tree()[PICTURE] == png(1)


def test_a_picture_that_was_about_to_be_replaced_when_the_process_died_is_replaced_then(world: World) -> None:
    """Its record tells of the picture that was to come."""
    model = world.model()
    publish(world, model, first())

    def die() -> None:
        raise KilledError

    world.calls = before_renames(die)
    claim: Claim = world.claim(model, card=second())
    with pytest.raises(KilledError):
        world.publish(claim)
    world.remember_intentions()
    world.calls = None
    assert world.tree()[PICTURE] == png(1)
    publish(world, model, second())
    assert world.tree()[PICTURE] == png(2)


def test_a_copy_takes_no_picture_along_that_is_of_another_version(world: World) -> None:
    publish(world, world.model(), first())
    copy = world.model("copy/wisp.safetensors")
    publish(world, copy, second(), file_id=2)
    assert world.tree()["copy/" + PICTURE] == png(2)
