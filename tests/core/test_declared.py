"""What was read back from a store that others write into holds what its class declares, or does not."""

from dataclasses import replace
from typing import Any

import pytest

from hashtagd.core.card import Availability, Card, Confidence, Download, DownloadUrl, License, Preview, Update
from hashtagd.core.declared import is_as_declared

ADDRESS = DownloadUrl(url="https://a.example/x", source="civitai", gated=None, paid=True)
DOWNLOAD = Download(
    file_id=1,
    name="x",
    type="Model",
    primary=True,
    size_bytes=None,
    sha256="a" * 64,
    autov3=None,
    urls=(ADDRESS,),
)
PREVIEW = Preview(url="https://a.example/x.png", media="image", width_px=1, height_px=None, nsfw_level=1)
FULL = Card(
    provider="civitai",
    by="sha256",
    confidence=Confidence.EXACT,
    availability=Availability.PUBLIC,
    model_id=7,
    trained_words=("one", "two"),
    license=License(allow_no_credit=True, allow_commercial_use=("Sell",)),
    previews=(PREVIEW,),
    downloads=(DOWNLOAD,),
    update=Update(version_id=71),
    raw={"anything": [1, None]},
)


def test_a_card_that_is_read_back_is_as_declared() -> None:
    assert is_as_declared(FULL)
    assert is_as_declared(Card.from_json(FULL.to_json()))


@pytest.mark.parametrize(
    "change",
    [
        {"provider": None},
        {"model_id": "7"},
        {"model_name": ["x"]},
        {"trained_words": ["one"]},
        {"trained_words": ("one", 2)},
        {"confidence": "exact"},
        {"license": License(allow_commercial_use=(1,))},  # type: ignore[arg-type] # the point
        {"update": Update(version_id={})},  # type: ignore[arg-type] # the point
        {"previews": (replace(PREVIEW, media="sound"),)},  # type: ignore[arg-type] # the point
        {"downloads": (replace(DOWNLOAD, urls=(replace(ADDRESS, url=1),)),)},
        {"raw": []},
    ],
    ids=str,
)
def test_a_field_of_another_kind_shows_at_any_depth(change: dict[str, Any]) -> None:
    assert not is_as_declared(replace(FULL, **change))
