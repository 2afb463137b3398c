import json
from dataclasses import replace

import pytest

from hashtagd.core.card import (
    Availability,
    Card,
    Confidence,
    Download,
    DownloadUrl,
    License,
    Preview,
    Update,
    strongest,
)

BARE = Card(provider="header", by="header", confidence=Confidence.CLAIMED, availability=Availability.UNKNOWN)
FULL = Card(
    provider="civitai",
    by="sha256",
    confidence=Confidence.EXACT,
    availability=Availability.PUBLIC,
    model_id=11,
    version_id=22,
    model_name="Made up",
    trained_words=("one", "two"),
    tags=("style",),
    license=License(allow_no_credit=True, allow_commercial_use=("Image", "Sell")),
    previews=(
        Preview(url="https://images.example/1", media="image", width_px=4, height_px=5, nsfw_level=None),
    ),
    downloads=(
        Download(
            file_id=33,
            name="made.safetensors",
            type="Model",
            primary=True,
            size_bytes=99,
            sha256=None,
            autov3=None,
            urls=(DownloadUrl(url="https://models.example/33", source="civitai", gated=False, paid=True),),
        ),
    ),
    update=Update(version_id=23, name="v2", published_at="2026-01-02T03:04:05Z"),
    early_access_ends_at="2026-02-03T04:05:06Z",
    raw={"id": 22, "files": [{"id": 33}]},
)


@pytest.mark.parametrize("card", [BARE, FULL])
def test_a_card_survives_the_way_through_json(card: Card) -> None:
    assert Card.from_json(json.loads(json.dumps(card.to_json()))) == card


def test_something_that_is_no_stored_card_is_refused() -> None:
    with pytest.raises(KeyError):
        Card.from_json({"provider": "civitai"})


def test_a_card_is_downloadable_when_an_address_is_known_and_allowed() -> None:
    assert FULL.downloadable
    assert not BARE.downloadable
    assert not replace(FULL, not_downloadable_because="taken down").downloadable
    assert not replace(FULL, downloads=(replace(FULL.downloads[0], urls=()),)).downloadable


def test_the_strongest_card_is_shown_and_among_equals_the_first() -> None:
    claimed, exact = BARE, FULL
    owner = replace(FULL, confidence=Confidence.OWNER)
    second = replace(FULL, provider="civarchive")
    assert strongest([]) is None
    assert strongest([claimed, exact]) is exact
    assert strongest([exact, second]) is exact
    assert strongest([second, exact]) is second
    assert strongest([claimed, exact, owner]) is owner


def test_confidence_has_an_order_with_the_owner_first() -> None:
    order = (Confidence.OWNER, Confidence.EXACT, Confidence.TENSORS, Confidence.CLAIMED)
    assert [item.rank for item in order] == [0, 1, 2, 3]
