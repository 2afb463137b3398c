"""Habits of the site's documents, one test each; the numbers are those of the list the project keeps."""

import json
import zlib
from typing import Any

import pytest

from hashtagd.core.card import Availability, Card
from hashtagd.providers.civitai.addresses import Addresses
from hashtagd.providers.civitai.shapes import card_of
from hashtagd.standin.pictures import png
from hashtagd.writers import make_writer
from support.civitai_asking import standing
from support.civitai_samples import SHA, file, image, model, version
from support.publish_fakes import target
from support.surroundings import START, sha, subject

SITE = Addresses("https://civitai.com")
OTHER = "ef" * 32


def card(document: dict[str, Any], about: dict[str, Any] | None = None, sha256: str = SHA) -> Card:
    """Make a card, and keep it the way the catalog does."""
    made = card_of(document, about, sha256=sha256, addresses=SITE, now=START)
    assert Card.from_json(json.loads(json.dumps(made.to_json(), allow_nan=False))) == made
    return made


def wanted_previews(made: Card) -> list[str]:
    """Give the addresses that the preview writer would like to have fetched."""
    return [url for item in make_writer("preview").render(made, target()) for url in item.urls]  # type: ignore[union-attr]


def test_quirk_13_no_picture_a_video_first_or_only_explicit_ones_is_no_error() -> None:
    video = image(
        type="video",
        url="https://image.civitai.com/acc/5b6c0d2e-0000-4000-8000-000000000002/original=true/7.mp4",
    )
    assert wanted_previews(card(version(images=[]))) == []
    assert wanted_previews(card(version(images=[image(nsfwLevel=8), image(nsfwLevel=16)]))) == []
    first = card(version(images=[video, image()]))
    assert [item.media for item in first.previews] == ["video", "image"]
    still, of_video = wanted_previews(first)
    assert "/77.jpeg" in still
    assert "anim=false" in of_video
    assert of_video.endswith(".jpeg")
    assert len(first.downloads) == 1


@pytest.mark.parametrize("name", ["files", "images", "trainedWords", "description"])
def test_quirk_14_fields_that_are_missing_entirely_count_as_empty(name: str) -> None:
    made, whole = card(version(**{name: ...})), card(version())
    for field in ("downloads", "previews", "trained_words", "version_description_html"):
        missing = {
            "files": "downloads",
            "images": "previews",
            "trainedWords": "trained_words",
            "description": "version_description_html",
        }[name]
        assert getattr(whole, field)
        assert bool(getattr(made, field)) is (field != missing)
    assert made.base_model == whole.base_model


@pytest.mark.parametrize("mark", [..., False, None, "yes"])
def test_quirk_15_without_a_primary_mark_the_hash_decides_and_then_the_type(mark: object) -> None:
    config = file(id=1, type="Config", primary=mark, hashes={"SHA256": OTHER})
    weights = file(id=2, type="Model", primary=mark)
    assert [item.file_id for item in card(version(files=[config, weights])).downloads] == [2, 1]
    assert [item.file_id for item in card(version(files=[config, weights]), sha256=OTHER).downloads] == [1, 2]
    unhashed = [{**one, "hashes": {}} for one in (config, weights)]
    made = card(version(files=unhashed))
    assert [(item.file_id, item.primary) for item in made.downloads] == [(2, False), (1, False)]


def test_quirk_16_training_data_that_is_listed_first_is_never_taken_for_the_model() -> None:
    with standing() as setting:
        setting.site.add(sha256=sha(1), training_data_first=True)
        downloads = setting.card(1).downloads
        assert [item.type for item in downloads] == ["Model", "Training Data"]
        assert downloads[0].sha256 == sha(1)
    marked = file(id=1, type="Training Data", primary=True, hashes={})
    pending = file(id=2, primary=..., hashes={})
    assert [item.file_id for item in card(version(files=[marked, pending])).downloads] == [2, 1]


def test_quirk_17_two_files_of_one_name_and_one_short_hash_stay_two() -> None:
    half = file(id=1, hashes={"SHA256": SHA.upper(), "AutoV1": "F414C813"})
    full = file(id=2, hashes={"SHA256": OTHER.upper(), "AutoV1": "F414C813"})
    for mine, number in ((SHA, 1), (OTHER, 2)):
        made = card(version(files=[half, full]), sha256=mine)
        assert (made.downloads[0].file_id, made.downloads[0].sha256) == (number, mine)
        assert len({item.urls[0].url for item in made.downloads}) == 2


@pytest.mark.parametrize("metadata", [None, ..., {}, {"fp": None, "size": None, "format": None}])
def test_quirk_18_a_file_may_have_no_metadata_and_no_hashes(metadata: object) -> None:
    made = card(version(files=[file(metadata=metadata, hashes={})])).downloads[0]
    assert (made.sha256, made.autov3) == (None, None)
    assert (made.file_id, made.size_bytes) == (500, 57_427_724)
    assert made.urls


@pytest.mark.parametrize("stated,fits", [(12, True), (64, True), (13, True), (11, False)])
def test_quirk_19_tensor_hashes_of_twelve_and_of_sixty_four_digits_are_compared(
    stated: int,
    fits: bool,  # noqa: FBT001
) -> None:
    ours = sha(0xABCDEF01)
    with standing() as setting:
        listing = setting.site.add(sha256=sha(1), autov3=ours[:stated])
        setting.site.library.by_short[ours[:12].upper()] = [listing]
        answer = dict(setting.provider.by_tensors().ask([subject(sha(2), tensors=ours)]))[ours]
        assert hasattr(answer, "card") is fits
        # a longer statement that differs after the twelfth digit is another file
        other = setting.site.add(sha256=sha(3), autov3=ours[:12] + "0" * 52)
        setting.site.library.by_short[ours[:12].upper()] = [other]
        answer = dict(setting.provider.by_tensors().ask([subject(sha(2), tensors=ours)]))[ours]
        assert not hasattr(answer, "card")


def test_quirk_20_a_crc32_with_its_bytes_turned_around_decides_nothing() -> None:
    usual = f"{zlib.crc32(b'hello world'):08X}"
    theirs = bytes.fromhex(usual)[::-1].hex().upper()
    assert (usual, theirs) == ("0D4A1185", "85114A0D")
    for stated in (usual, theirs):
        only = file(id=1, hashes={"CRC32": stated, "SHA256": OTHER})
        made = card(version(files=[only, file(id=2)]))
        # neither form moves a file in front of the one whose SHA-256 is ours
        assert [item.file_id for item in made.downloads] == [2, 1]
        assert made.raw["files"][0]["hashes"]["CRC32"] == stated


def test_quirk_21_hashes_inside_a_picture_s_prompt_match_no_file() -> None:
    inside = {"hashes": {"SHA256": SHA, "model": SHA[:10]}, "resources": [{"hash": SHA}]}
    made = card(version(files=[file(hashes={"SHA256": OTHER})], images=[image(meta=inside)]))
    assert [item.sha256 for item in made.downloads] == [OTHER]
    assert not made.downloadable
    with standing() as setting:
        body = json.dumps([version(files=[], images=[image(meta=inside)])]).encode()
        setting.site.fail_next(status=200, body=body, route="by-hash")
        assert not hasattr(setting.ask(1)[sha(1)], "card")


@pytest.mark.parametrize("blur", ["U5$|~Q-4Vn+0~EO^5xa", "$|~#", None, 7, ..., "x" * 64])
def test_quirk_22_the_hash_of_a_picture_is_a_blur_and_no_checksum(blur: object) -> None:
    made = card(version(images=[image(hash=blur)]))
    assert made.previews == card(version()).previews
    assert made.raw["images"][0].get("hash", ...) == blur


@pytest.mark.parametrize(
    "said,kept",
    [
        (["Image", "Sell"], ("Image", "Sell")),
        ("Sell", ("Sell",)),
        ("{Image,RentCivit}", ("Image", "RentCivit")),
        ('{"Image", "Rent"}', ("Image", "Rent")),
        ("{}", ()),
        ({"a": 1}, None),
    ],
)
def test_quirk_23_commercial_use_comes_as_a_list_a_word_or_a_database_literal(
    said: object, kept: object
) -> None:
    assert card(version(), model(allowCommercialUse=said)).license.allow_commercial_use == kept


@pytest.mark.parametrize(
    "tags", [["one", "two"], [{"name": "one"}, {"name": "two"}], [{"name": "one"}, "two", {"id": 3}, None]]
)
def test_quirk_24_tags_are_texts_or_objects(tags: object) -> None:
    made = card(version(), model(tags=tags))
    assert made.tags == ("one", "two")
    assert made.raw["model"]["tags"] == ["one", "two"]


@pytest.mark.parametrize(
    "said,kept",
    [
        ("2025-01-02T03:04:05.678Z", "2025-01-02T03:04:05.678000Z"),
        ("2025-01-02T03:04:05", "2025-01-02T03:04:05Z"),
        ("2025-01-02T03:04:05+02:00", "2025-01-02T01:04:05Z"),
        (None, None),
        (..., None),
        ("0001-01-01T00:00:00+14:00", None),
    ],
)
def test_quirk_25_times_come_with_a_zone_without_one_or_not_at_all(said: object, kept: object) -> None:
    assert card(version(publishedAt=said)).published_at == kept
    # also where a time decides something
    early = card(version(earlyAccessEndsAt="2027-01-01T00:00:00", publishedAt=said))
    assert early.early_access_ends_at == "2027-01-01T00:00:00Z"


@pytest.mark.parametrize(
    "stats", [None, ..., {}, {"downloadCount": None}, {"rating": 4.9, "ratingCount": 3}, [], "many"]
)
def test_quirk_26_statistics_of_any_year_change_nothing_on_the_card(stats: object) -> None:
    made, usual = card(version(stats=stats), model(stats=stats)), card(version(), model())
    assert {**made.to_json(), "raw": None} == {**usual.to_json(), "raw": None}


@pytest.mark.parametrize(
    "said,level",
    [
        ({"nsfwLevel": 4}, 4),
        ({"nsfwLevel": ..., "nsfw": False}, 1),
        ({"nsfwLevel": ..., "nsfw": True}, 8),
        ({"nsfwLevel": ..., "nsfw": "Soft"}, 2),
        ({"nsfwLevel": ..., "nsfw": "Mature"}, 4),
        ({"nsfwLevel": ..., "nsfw": "Sometimes"}, None),
        ({"nsfwLevel": ...}, None),
    ],
)
def test_quirk_27_ratings_of_any_year_are_read_and_none_is_invented(
    said: dict[str, Any], level: int | None
) -> None:
    made = card(version(nsfwLevel=..., images=[image(**said)]))
    assert made.nsfw_level is None
    assert made.previews[0].nsfw_level == level
    # what nobody rated is not put beside a model
    assert bool(wanted_previews(made)) is (level == 1)


def test_quirk_28_words_of_next_year_are_kept_as_text() -> None:
    about = {"name": "x", "type": "Hypercube", "mode": "Levitating"}
    document = version(
        baseModel="Next 9", files=[file(type="Hologram")], usageControl="Dreaming", model=about
    )
    made = card(document)
    assert (made.base_model, made.kind, made.downloads[0].type) == ("Next 9", "Hypercube", "Hologram")
    assert made.availability is Availability.GENERATION_ONLY
    assert "Dreaming" in (made.not_downloadable_because or "")


@pytest.mark.parametrize("creator", [..., None, {}, {"username": None, "image": None}, {"username": ""}, []])
def test_quirk_29_a_creator_may_be_missing_or_nameless(creator: object) -> None:
    made = card(version(), model(creator=creator))
    assert made.creator is None
    assert made.tags == ("one", "two")


@pytest.mark.parametrize(
    "said,availability,reason",
    [
        ({"usageControl": "Generation"}, Availability.GENERATION_ONLY, "use on the site only"),
        ({"usageControl": "ExternalGeneration"}, Availability.GENERATION_ONLY, "use on the site only"),
        ({"paidAccess": {"permanent": False, "endsAt": None}}, Availability.EARLY_ACCESS, "paid access"),
        ({"paidAccess": {"permanent": True}}, Availability.EARLY_ACCESS, "paid access"),
    ],
)
def test_quirk_30_what_is_not_for_download_is_recorded_as_such(
    said: dict[str, Any], availability: Availability, reason: str
) -> None:
    made = card(version(**said))
    assert made.availability is availability
    assert reason in (made.not_downloadable_because or "")
    assert not made.downloadable
    # the addresses stay known, with what stands in the way
    paid = True if "paidAccess" in said else None
    assert [(url.paid, url.gated) for url in made.downloads[0].urls] == [(paid, paid)] * 2
    with standing() as setting:
        setting.site.add(sha256=sha(1), previews=(png(),), paid=paid is True, generation_only=not paid)
        assert setting.card(1).availability is availability
        assert "download" not in setting.site.counts
