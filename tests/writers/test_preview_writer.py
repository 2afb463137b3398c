"""Which picture is asked for, and in which size."""

from typing import Any

import pytest

from hashtagd.core.artifacts import PreviewFile
from hashtagd.core.card import Preview
from hashtagd.writers import make_writer
from support.publish_fakes import PICTURE, SMALL_PICTURE, card, preview, target

VIDEO = "https://image.civitai.com/acc/0a1b2c3d-0000-4000-8000-000000000002/original=true/12.mp4"
STILL = (
    "https://image.civitai.com/acc/0a1b2c3d-0000-4000-8000-000000000002/"
    "anim=false,transcode=true,width=450,optimized=true/12.jpeg"
)


def urls(*previews: Preview, **options: Any) -> tuple[str, ...]:
    found = make_writer("preview", options).render(card(previews=previews), target())
    assert all(isinstance(item, PreviewFile) for item in found)
    return tuple(url for item in found if isinstance(item, PreviewFile) for url in item.urls)


@pytest.mark.parametrize(
    "url,expected",
    [
        (PICTURE, SMALL_PICTURE),
        (
            PICTURE.replace("image.civitai.com", "imagecache.civitai.com"),
            SMALL_PICTURE.replace("image.civ", "imagecache.civ"),
        ),
        (
            PICTURE.replace("civitai.com", "civitai.com.evil.example"),
            PICTURE.replace("civitai.com", "civitai.com.evil.example"),
        ),
        (
            PICTURE.replace("image.civitai.com", "notcivitai.com"),
            PICTURE.replace("image.civitai.com", "notcivitai.com"),
        ),
        ("https://image.civitai.com/plain/11.jpeg", "https://image.civitai.com/plain/11.jpeg"),
        ("https://elsewhere.example/a/b/c/d.png?x=1", "https://elsewhere.example/a/b/c/d.png?x=1"),
    ],
)
def test_the_size_is_asked_for_only_where_the_host_understands_it(url: str, expected: str) -> None:
    assert urls(preview(url)) == (expected,)


def test_the_width_is_an_option() -> None:
    assert urls(preview(), width_px=320) == (SMALL_PICTURE.replace("450", "320"),)


def test_a_configured_origin_is_treated_like_the_image_host() -> None:
    local = PICTURE.replace("https://image.civitai.com", "http://127.0.0.1:8999/image")
    assert urls(preview(local)) == (local,)
    small = SMALL_PICTURE.replace("https://image.civitai.com", "http://127.0.0.1:8999/image")
    assert urls(preview(local), image_origins=["http://127.0.0.1:8999"]) == (small,)


def test_pictures_come_before_stills_of_videos() -> None:
    assert urls(preview(VIDEO, media="video"), preview()) == (SMALL_PICTURE, STILL)


def test_a_video_that_nobody_makes_a_still_of_is_not_asked_for() -> None:
    assert urls(preview("https://elsewhere.example/a.mp4", media="video")) == ()


@pytest.mark.parametrize(
    "level,limit,wanted",
    [
        (1, 1, True),
        (2, 1, False),
        (0, 1, False),
        (None, 1, False),
        (16, 31, True),
        (None, 32, True),
        (32, 32, True),
        (0, 32, True),
    ],
)
def test_only_rated_and_harmless_enough_pictures_are_wanted(
    level: int | None, limit: int, *, wanted: bool
) -> None:
    assert bool(urls(preview(nsfw_level=level), max_nsfw_level=limit)) is wanted


def test_at_most_four_different_addresses_are_tried() -> None:
    many = [preview(f"https://elsewhere.example/{number // 2}.png") for number in range(20)]
    assert urls(*many) == tuple(f"https://elsewhere.example/{number}.png" for number in range(4))


def test_the_rating_goes_with_each_address() -> None:
    [found] = make_writer("preview", {"max_nsfw_level": 3}).render(
        card(previews=(preview(VIDEO, media="video", nsfw_level=2), preview())), target()
    )
    assert isinstance(found, PreviewFile)
    assert found.nsfw_levels == (1, 2)
