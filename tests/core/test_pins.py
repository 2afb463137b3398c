import json
from dataclasses import replace

import pytest

from hashtagd.core.card import Availability, Card, Confidence, Preview
from hashtagd.core.pins import LOCKABLE, pinned_values, with_pins

PICTURE = Preview(url="https://images.example/1", media="image", width_px=4, height_px=5, nsfw_level=1)
OLD = Card(
    provider="civitai",
    by="sha256",
    confidence=Confidence.EXACT,
    availability=Availability.PUBLIC,
    model_name="Old",
    version_name="v1",
    base_model="SDXL 1.0",
    trained_words=("one",),
    tags=("ink",),
    description_html="<p>old</p>",
    previews=(PICTURE,),
    raw={
        "name": "v1",
        "baseModel": "SDXL 1.0",
        "trainedWords": ["one"],
        "model": {"name": "Old", "tags": ["ink"], "description": "<p>old</p>", "nsfw": False},
    },
)
NEW = replace(
    OLD,
    model_name="New",
    version_name="v2",
    base_model="Pony",
    trained_words=("two",),
    tags=("oil",),
    description_html=None,
    previews=(),
    creator="somebody",
    raw={"name": "v2", "baseModel": "Pony", "trainedWords": ["two"], "model": {"name": "New", "nsfw": True}},
)


def test_what_was_locked_as_a_whole_stays_and_the_rest_follows() -> None:
    pins = json.loads(json.dumps(pinned_values(OLD, LOCKABLE)))
    kept = with_pins(NEW, pins)
    assert kept == replace(OLD, creator="somebody", raw=kept.raw)
    assert kept.raw == {**OLD.raw, "model": {**OLD.raw["model"], "nsfw": True}}


@pytest.mark.parametrize("field", LOCKABLE)
def test_each_field_is_locked_by_itself(field: str) -> None:
    kept = with_pins(NEW, pinned_values(OLD, (field,)))
    assert pinned_values(kept, (field,)) == pinned_values(OLD, (field,))
    others = [name for name in LOCKABLE if name != field]
    assert pinned_values(kept, tuple(others)) == pinned_values(NEW, tuple(others))


def test_a_card_without_a_document_gets_none() -> None:
    assert with_pins(replace(NEW, raw={}), {"model_name": "Old"}).raw == {}
    odd = with_pins(replace(NEW, raw={"model": "no object"}), {"model_name": "Old"})
    assert odd.raw == {"model": {"name": "Old"}}


def test_nothing_can_be_locked_that_has_no_name_here() -> None:
    with pytest.raises(KeyError):
        pinned_values(OLD, ("creator",))
    assert with_pins(NEW, {"a field of tomorrow": 1}) == NEW


def test_values_of_another_kind_count_as_nothing() -> None:
    odd = with_pins(NEW, {"model_name": 5, "tags": "no list", "previews": None, "preview": "no list"})
    assert (odd.model_name, odd.tags, odd.previews) == (None, (), ())
