"""One test per habit of the site's documents."""

import json
from typing import Any

import pytest

from hashtagd.core.card import Availability, Card
from hashtagd.providers.civitai.addresses import Addresses
from hashtagd.providers.civitai.shapes import UnknownShape, card_of
from support.civitai_samples import SHA, file, image, model, version
from support.surroundings import START

SITE = Addresses("https://civitai.com")


def card(document: dict[str, Any], about: dict[str, Any] | None = None, sha256: str = SHA) -> Card:
    made = card_of(document, about, sha256=sha256, addresses=SITE, now=START)
    assert Card.from_json(json.loads(json.dumps(made.to_json()))) == made
    return made


def test_an_ordinary_version_becomes_a_card() -> None:
    made = card(version(), model())
    assert (made.model_id, made.version_id, made.model_name, made.version_name) == (5, 50, "A model", "v2")
    assert (made.kind, made.base_model, made.creator) == ("LORA", "SDXL 1.0", "somebody")
    assert made.trained_words == ("word one, word two", "word three")
    assert made.tags == ("one", "two")
    assert made.page_url == "https://civitai.com/models/5?modelVersionId=50"
    assert made.published_at == "2025-01-02T00:00:00Z"
    assert made.license.allow_commercial_use == ("Image", "Rent")
    assert made.availability is Availability.PUBLIC
    assert made.downloadable


@pytest.mark.parametrize(
    "host", ["undefined", "civitai.red", "www.civitai.com", "api.civitai.com", "evil.example"]
)
def test_download_addresses_stand_on_the_canonical_host(host: str) -> None:
    """Quirk 1."""
    given = f"https://{host}/api/download/models/50?type=Model&format=SafeTensor&token=secret"
    urls = [item.url for item in card(version(files=[file(downloadUrl=given)])).downloads[0].urls]
    assert urls == [
        "https://civitai.com/api/download/models/50?fileId=500",
        "https://civitai.com/api/download/models/50?type=Model&format=SafeTensor",
    ]


def test_another_origin_is_its_own_canonical_host() -> None:
    site = Addresses("http://127.0.0.1:8000")
    made = card_of(version(), None, sha256=SHA, addresses=site, now=START)
    assert made.downloads[0].urls[0].url == "http://127.0.0.1:8000/api/download/models/50?fileId=500"
    assert made.page_url == "http://127.0.0.1:8000/models/5?modelVersionId=50"


@pytest.mark.parametrize("base", ["https://civitai.red", "https://civitai.com/", "https://www.civitai.com"])
def test_every_name_of_the_site_leads_to_one(base: str) -> None:
    assert Addresses(base).canonical == "https://civitai.com"


def test_an_archived_version_still_makes_a_card() -> None:
    """Quirk 12."""
    about = {"name": "A model", "type": "LORA", "mode": "Archived"}
    made = card(version(files=[], downloadUrl=..., model=about))
    assert made.availability is Availability.ARCHIVED
    assert not made.downloadable
    assert made.trained_words


def test_a_model_taken_down_has_no_previews() -> None:
    """Quirk 13."""
    made = card(version(images=[], model={"name": "A model", "type": "LORA", "mode": "TakenDown"}))
    assert made.availability is Availability.TAKEN_DOWN
    assert made.previews == ()
    assert made.not_downloadable_because


def test_a_video_may_stand_first() -> None:
    """Quirk 13."""
    video = image(type="video", url="https://image.civitai.com/a/u/original=true/7.mp4")
    made = card(version(images=[video, image(), image(type="audio")]))
    assert [preview.media for preview in made.previews] == ["video", "image"]


def test_fields_may_be_missing_altogether() -> None:
    """Quirk 14."""
    made = card(version(files=..., images=..., trainedWords=..., description=..., modelId=...), model())
    assert (made.downloads, made.previews, made.trained_words) == ((), (), ())
    assert made.model_id == 5
    assert made.not_downloadable_because == "the site lists no file for this version"
    assert made.raw["files"] == []


def test_no_file_needs_to_be_primary() -> None:
    """Quirk 15."""
    other = {"SHA256": "ef" * 32}
    files = [file(id=1, type="Config", primary=..., hashes=other), file(id=2, primary=..., hashes={})]
    assert [item.file_id for item in card(version(files=files)).downloads] == [2, 1]


def test_training_data_is_never_first() -> None:
    """Quirk 16."""
    training = file(id=1, type="Training Data", primary=True, hashes={})
    assert [item.file_id for item in card(version(files=[training, file()])).downloads] == [500, 1]
    assert card(version(files=[training, file(hashes={}, primary=...)])).downloads[0].file_id == 500


def test_two_files_of_one_name_are_told_apart_by_their_hash() -> None:
    """Quirk 17."""
    twin = file(id=2, hashes={"SHA256": "ef" * 32, "AutoV1": "F414C813"}, primary=True)
    ours = file(id=3, hashes={"SHA256": SHA, "AutoV1": "F414C813"}, primary=False)
    assert card(version(files=[twin, ours])).downloads[0].file_id == 3


@pytest.mark.parametrize("metadata", [None, ..., {}, {"fp": None, "size": None}, "x"])
@pytest.mark.parametrize("hashes", [{}, None, ..., {"SHA256": None}, {"SHA256": 7}, "x", []])
def test_pending_files_say_little(metadata: object, hashes: object) -> None:
    """Quirk 18."""
    made = card(version(files=[file(metadata=metadata, hashes=hashes)]))
    assert made.downloads[0].sha256 is None
    assert made.downloads[0].autov3 is None


@pytest.mark.parametrize("stated", ["0123456789AB", "0123456789AB" + "C" * 52])
def test_autov3_has_twelve_digits_whatever_the_year(stated: str) -> None:
    """Quirk 19."""
    made = card(version(files=[file(hashes={"SHA256": SHA, "AutoV3": stated})]))
    assert made.downloads[0].autov3 == "0123456789ab"


def test_hashes_of_pictures_and_prompts_are_something_else() -> None:
    """Quirks 20, 21 and 22: only `files[].hashes.SHA256` names a file; CRC32 is not compared at all."""
    made = card(version(files=[file(hashes={"CRC32": "85114A0D"})]), sha256="cd" * 32)
    assert all(item.sha256 != "cd" * 32 for item in made.downloads)
    assert made.raw["images"][0]["hash"] == "U5$|~Q-4Vn+0~EO^5xa"


@pytest.mark.parametrize(
    "said, kept",
    [
        (["Image", "Sell"], ("Image", "Sell")),
        ("Sell", ("Sell",)),
        ("{Image,RentCivit}", ("Image", "RentCivit")),
        ("{}", ()),
        ([], ()),
        (None, None),
        (7, None),
    ],
)
def test_commercial_use_is_said_in_three_ways(said: object, kept: tuple[str, ...] | None) -> None:
    """Quirk 23."""
    assert card(version(), model(allowCommercialUse=said)).license.allow_commercial_use == kept


@pytest.mark.parametrize(
    "tags", [["one", "two"], [{"name": "one"}, {"name": "two"}], ["one", "one", "two", None]]
)
def test_tags_are_texts_or_objects(tags: object) -> None:
    """Quirk 24."""
    made = card(version(), model(tags=tags))
    assert made.tags == ("one", "two")
    assert made.raw["model"]["tags"] == ["one", "two"]


@pytest.mark.parametrize(
    "said, kept",
    [
        ("2025-01-02T03:04:05.000Z", "2025-01-02T03:04:05Z"),
        ("2025-01-02T03:04:05", "2025-01-02T03:04:05Z"),
        ("2025-01-02T03:04:05+02:00", "2025-01-02T01:04:05Z"),
        (None, None),
        ("yesterday", None),
        (17, None),
        ("0001-01-01T00:00:00+14:00", None),
    ],
)
def test_times_come_with_and_without_a_zone(said: object, kept: str | None) -> None:
    """Quirk 25."""
    assert card(version(publishedAt=said)).published_at == kept


def test_statistics_of_any_year_do_not_matter() -> None:
    """Quirk 26."""
    for stats in (None, {}, {"downloadCount": None}, {"rating": 4.9, "ratingCount": 3}, "x"):
        assert card(version(stats=stats)).version_id == 50


@pytest.mark.parametrize(
    "old, level",
    [
        ({"nsfwLevel": 4}, 4),
        ({"nsfwLevel": 0}, None),
        ({"nsfwLevel": ..., "nsfw": False}, 1),
        ({"nsfwLevel": ..., "nsfw": True}, 8),
        ({"nsfwLevel": ..., "nsfw": "None"}, 1),
        ({"nsfwLevel": ..., "nsfw": "Soft"}, 2),
        ({"nsfwLevel": ..., "nsfw": "Mature"}, 4),
        ({"nsfwLevel": "X", "nsfw": "X"}, 8),
        ({"nsfwLevel": ...}, None),
    ],
)
def test_ratings_of_any_year_are_read(old: dict[str, Any], level: int | None) -> None:
    """Quirk 27."""
    assert card(version(images=[image(**old)])).previews[0].nsfw_level == level


def test_a_missing_rating_is_not_invented() -> None:
    """Quirk 27."""
    assert card(version(nsfwLevel=...)).nsfw_level is None
    assert card(version(nsfwLevel=0)).nsfw_level is None


def test_words_of_next_year_are_kept_as_they_are() -> None:
    """Quirk 28."""
    document = version(baseModel="Next 9", files=[file(type="Hologram")])
    made = card({**document, "model": {"name": "x", "type": "Hypercube"}})
    assert (made.base_model, made.kind, made.downloads[0].type) == ("Next 9", "Hypercube", "Hologram")


@pytest.mark.parametrize("creator", [..., None, {}, {"username": None, "image": None}, "x"])
def test_a_creator_may_be_missing(creator: object) -> None:
    """Quirk 29."""
    assert card(version(), model(creator=creator)).creator is None


@pytest.mark.parametrize("usage", ["Generation", "InternalGeneration", "ExternalGeneration", "NextYears"])
def test_what_may_only_be_used_on_the_site_is_not_downloadable(usage: str) -> None:
    """Quirk 30."""
    made = card(version(usageControl=usage))
    assert made.availability is Availability.GENERATION_ONLY
    assert usage in (made.not_downloadable_because or "")
    assert not made.downloadable


@pytest.mark.parametrize(
    "early, until",
    [
        ({"paidAccess": {"permanent": False, "endsAt": None}}, "paid access"),
        ({"paidAccess": {"permanent": True}}, "paid access"),
        ({"paidAccess": {"endsAt": "2027-01-01T00:00:00Z"}}, "paid access until 2027-01-01 00:00 UTC"),
        ({"earlyAccessEndsAt": "2027-01-01T00:00:00.000Z"}, "early access until 2027-01-01 00:00 UTC"),
        ({"publishedAt": "2026-08-31T00:00:00", "earlyAccessTimeFrame": 7}, "early access until 2026-09-07"),
        ({"availability": "EarlyAccess"}, "early access"),
    ],
)
def test_what_must_be_paid_for_is_not_downloadable(early: dict[str, Any], until: str) -> None:
    """Quirk 30."""
    made = card(version(**early))
    assert made.availability is Availability.EARLY_ACCESS
    assert (made.not_downloadable_because or "").startswith(until)


@pytest.mark.parametrize(
    "over",
    [
        {"paidAccess": None, "earlyAccessEndsAt": None},
        {"earlyAccessEndsAt": "2026-01-01T00:00:00.000Z"},
        {"earlyAccessTimeFrame": 7},
        {"earlyAccessTimeFrame": 0},
        {"earlyAccessTimeFrame": 10**15},
    ],
)
def test_early_access_that_is_over_is_over(over: dict[str, Any]) -> None:
    """Quirk 30."""
    assert card(version(**over)).downloadable


def test_a_linked_vae_keeps_the_address_it_was_given() -> None:
    """Quirk 43: its number belongs to another version."""
    vae = file(
        id=9, type="VAE", primary=False, hashes={}, downloadUrl="https://x/api/download/models/50?type=VAE"
    )
    urls = [item.url for item in card(version(files=[file(), vae])).downloads[1].urls]
    assert urls == ["https://civitai.com/api/download/models/50?type=VAE"]


def test_a_file_without_a_number_is_numbered_by_its_address() -> None:
    """Quirk 43."""
    given = "https://civitai.com/api/download/models/50?fileId=77"
    made = card(version(files=[file(id=..., downloadUrl=given)]))
    assert made.downloads[0].file_id == 77
    assert [item.url for item in made.downloads[0].urls] == [given]


@pytest.mark.parametrize("name", ["\U0001f3a8 model/..\\CON", "a" * 200, "\ufeff name ", "\u202egnp"])
def test_names_are_texts_from_strangers_and_stay_texts(name: str) -> None:
    """Quirk 45: making a file's name of them is somebody else's work."""
    assert card(version(files=[file(name=name)])).downloads[0].name == name.strip()


def test_html_is_kept_as_it_came() -> None:
    """Quirk 46."""
    html = "<script>alert(1)</script><p>hi</p>"
    made = card(version(description=html), model(description=html))
    assert made.description_html == made.version_description_html == html


def test_mirrors_in_a_version_are_no_download_of_ours() -> None:
    """Quirk 47."""
    assert len(card(version(files=[file(mirrors=[{"url": "/x"}])])).downloads) == 1


def test_sizes_are_exact_bytes() -> None:
    assert card(version()).downloads[0].size_bytes == 57_427_724


@pytest.mark.parametrize("size", [None, "12", True, -1, 0, float("1e300"), [], ...])
def test_odd_sizes_are_not_said(size: object) -> None:
    """F56."""
    assert card(version(files=[file(sizeKB=size)])).downloads[0].size_bytes is None


@pytest.mark.parametrize("number", [None, "x", -5, 2**63, 1.5, True, {}, []])
def test_a_version_without_a_number_is_no_version(number: object) -> None:
    """F55, F56."""
    with pytest.raises(UnknownShape) as caught:
        card(version(id=number))
    assert caught.value.path == "id"


@pytest.mark.parametrize("number", ["50", 50.0])
def test_a_number_may_come_as_text_or_as_a_fraction(number: object) -> None:
    assert card(version(id=number)).version_id == 50


def test_the_raw_document_is_filled_in_and_free_of_proofs() -> None:
    """R14: no signed query, no token, in any address."""
    signed = "https://image.civitai.com/a/u/original=true/7.jpeg?X-Amz-Signature=feed&width=450"
    raw = card(version(images=[image(url=signed)]), model()).raw
    assert raw["model"]["description"] == "<p>About the model</p>"
    assert raw["model"]["allowDerivatives"] is False
    assert raw["creator"]["username"] == "somebody"
    assert raw["files"][0]["downloadUrl"] == "https://civitai.com/api/download/models/50?fileId=500"
    assert raw["images"][0]["url"] == "https://image.civitai.com/a/u/original=true/7.jpeg"
    assert raw["images"][0]["meta"]["prompt"] == "https:// is not an address here"
    assert "modelVersions" not in raw["model"]
    for word in ("Signature", "token", "undefined"):
        assert word not in json.dumps(raw)


@pytest.mark.parametrize(
    "url", [None, 7, "", "javascript:alert(1)", "//x/y.png", "https://", "https://[::1/x", "data:image/png,x"]
)
def test_previews_without_a_web_address_are_left_out(url: object) -> None:
    assert card(version(images=[image(url=url), image()])).previews[0].width_px == 832
    assert len(card(version(images=[image(url=url), image()])).previews) == 1


def test_a_previews_size_may_be_unknown() -> None:
    made = card(version(images=[image(width=None, height=...)])).previews[0]
    assert (made.width_px, made.height_px) == (None, None)
