"""Documents with anything dropped, nulled or retyped: a card or a named trouble, never a traceback."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashtagd.core.card import Availability, Card, Download
from hashtagd.providers.civitai.addresses import Addresses
from hashtagd.providers.civitai.fields import identity
from hashtagd.providers.civitai.files import hashes_of
from hashtagd.providers.civitai.shapes import UnknownShape, card_of
from support.any_shape import HOWS, JUNK, Way, changes, check_storable, received, spoil, ways
from support.civitai_samples import SHA, captured, captured_json, file, image, model, version
from support.surroundings import START

SITE = Addresses("https://civitai.com")
needs_captures = pytest.mark.skipif(captured() is None, reason="no captured answers beside the project")


def check(about_version: Any, about_model: Any) -> Card | None:
    """Make a card the way the provider does, and store it the way the catalog does."""
    read_version, read_model = received(about_version), received(about_model)
    hashes_of(read_version)
    if identity(read_version.get("id")) is None:
        with pytest.raises(UnknownShape, match="id"):
            card_of(read_version, read_model, sha256=SHA, addresses=SITE, now=START)
        return None
    card = card_of(read_version, read_model, sha256=SHA, addresses=SITE, now=START)
    check_storable(card)
    return card


def whole_version() -> dict[str, Any]:
    """Make a version in which every field that is read says something."""
    return version(files=[file(), SECOND], images=[image(), image(type="video")], earlyAccessEndsAt=AHEAD)


def whole_model() -> dict[str, Any]:
    """Make a model in which every field that is read says something."""
    newer = {"id": 60, "name": "v3", "baseModel": "SDXL 1.0", "publishedAt": AHEAD, "files": [{"id": 1}]}
    return model(modelVersions=[newer, {"id": 50, "baseModel": "SDXL 1.0", "files": [{"id": 500}]}])


AHEAD = "2027-01-01T00:00:00.000Z"
SECOND = file(id=501, name="second.safetensors", primary=False, hashes={"SHA256": "cd" * 32})
OF_VERSION, OF_MODEL = ways(whole_version()), ways(whole_model())


@given(changes(whole_version()), changes(whole_model()))
def test_any_field_may_be_anything(of_version: list[Any], of_model: list[Any]) -> None:
    """F55, F56, F57."""
    about_version, about_model = whole_version(), whole_model()
    for way, how, junk in of_version:
        spoil(about_version, way, how, junk)
    for way, how, junk in of_model:
        spoil(about_model, way, how, junk)
    card = check(about_version, about_model)
    if card is not None:
        urls = [url.url for item in card.downloads for url in item.urls]
        assert all(url.startswith("https://civitai.com/api/download/models/") for url in urls)
        assert card.downloadable is (card.not_downloadable_because is None)


#: which fields of a card may change with a field of the version, and of the model; those not named: none
TOLD_BY_VERSION = {
    "name": {"version_name"},
    "nsfwLevel": {"nsfw_level"},
    "publishedAt": {"published_at", "update"},
    "trainedWords": {"trained_words"},
    "baseModel": {"base_model", "update"},
    "description": {"version_description_html"},
    "usageControl": {"availability", "not_downloadable_because", "early_access_ends_at"},
    "earlyAccessEndsAt": {"availability", "not_downloadable_because", "early_access_ends_at"},
    "air": {"air"},
    "modelId": {"model_id", "page_url"},
    "files": {"downloads", "update"},
    "images": {"previews"},
}
TOLD_BY_MODEL = {
    "name": {"model_name"},
    "description": {"description_html"},
    "type": {"kind"},
    "allowNoCredit": {"license"},
    "allowCommercialUse": {"license"},
    "allowDerivatives": {"license"},
    "allowDifferentLicense": {"license"},
    "creator": {"creator"},
    "tags": {"tags"},
    "modelVersions": {"update"},
}


def told_by(in_model: bool, way: Way) -> set[str]:  # noqa: FBT001 - the document that was spoiled
    """Give the fields of a card that may differ when this value is spoiled."""
    return (TOLD_BY_MODEL if in_model else TOLD_BY_VERSION).get(way[0], set()) | {"raw"}


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.tuples(st.just(False), st.sampled_from([way for way in OF_VERSION if way != ("id",)])),  # noqa: FBT003
        st.tuples(st.just(True), st.sampled_from(OF_MODEL)),  # noqa: FBT003
    ),
    st.sampled_from(HOWS),
    JUNK,
)
def test_one_spoiled_field_costs_only_what_it_told(place: tuple[bool, Way], how: str, junk: Any) -> None:
    """F55: all that is right is still used."""
    in_model, way = place
    about_version, about_model = whole_version(), whole_model()
    sound = check(about_version, about_model)
    spoil(about_model if in_model else about_version, way, how, junk)
    spoiled = check(about_version, about_model)
    assert sound is not None
    assert spoiled is not None
    for field in dataclasses.fields(Card):
        if field.name not in told_by(in_model, way):
            assert getattr(spoiled, field.name) == getattr(sound, field.name), field.name


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(ways(file())), st.sampled_from([how for how in HOWS if how != "twice"]), JUNK)
def test_one_spoiled_field_of_a_file_costs_only_itself(way: Way, how: str, junk: Any) -> None:
    """F55."""
    told = {
        "id": {"file_id", "urls"},
        "sizeKB": {"size_bytes"},
        "name": {"name"},
        "type": {"type"},
        "hashes": {"sha256", "autov3"},
        "primary": {"primary"},
        "downloadUrl": {"urls"},
    }
    first = file()
    spoil(first, way, how, junk)
    card = check(version(files=[first, SECOND]), model())
    sound = check(version(files=[file(), SECOND]), model())
    assert card is not None
    assert sound is not None
    assert sound.downloads[1] in card.downloads
    (spoiled,) = (item for item in card.downloads if item != sound.downloads[1])
    for field in dataclasses.fields(Download):
        if field.name not in told.get(way[0], set()):
            assert getattr(spoiled, field.name) == getattr(sound.downloads[0], field.name), field.name


def version_names() -> list[str]:
    folder = captured()
    return (
        []
        if folder is None
        else sorted(f"by-hash/{path.name}" for path in (folder / "by-hash").glob("*.json"))
    )


def model_names() -> list[str]:
    folder = captured()
    names = [] if folder is None else sorted(path.name for path in (folder / "models").glob("*.json"))
    return [f"models/{name}" for name in names if not name.startswith(("enums", "seed", "list"))]


@needs_captures
@pytest.mark.parametrize("name", version_names())
def test_every_captured_version_becomes_a_card(name: str) -> None:
    document = captured_json(name)
    card = card_of(document, None, sha256=None, addresses=SITE, now=START)
    assert card.version_id == document["id"]
    assert card.base_model == document["baseModel"]
    assert card.model_name == document.get("model", {}).get("name")
    assert len(card.downloads) == len(document["files"])
    check(document, {})


@needs_captures
@pytest.mark.parametrize("name", model_names())
def test_every_version_of_every_captured_model_becomes_a_card(name: str) -> None:
    about = captured_json(name)
    for document in about["modelVersions"]:
        for stated in (hashes_of(document) or {None}) if document.get("files") else ():
            card = card_of(document, about, sha256=stated, addresses=SITE, now=START)
            assert (card.model_id, card.version_id) == (about["id"], document["id"])
            assert (card.model_name, card.kind) == (about["name"], about["type"])
            assert stated is None or card.downloads[0].sha256 == stated
            kinds = [item.type for item in card.downloads[1:]]
            assert "Training Data" not in kinds or kinds[-1] == "Training Data"
            assert len(card.tags) == len(set(card.tags)) == len(about.get("tags", []))
            assert card.license.allow_commercial_use is not None
            assert all(
                url.url.startswith("https://civitai.com/") for item in card.downloads for url in item.urls
            )
        check(document, about)


@needs_captures
def test_the_constructed_ones_say_why_nothing_can_be_fetched() -> None:
    """Quirks 12, 13, 30."""
    expected = {
        "archived": Availability.ARCHIVED,
        "taken-down": Availability.TAKEN_DOWN,
        "paid-and-pending": Availability.EARLY_ACCESS,
    }
    for name, availability in expected.items():
        document = captured_json(f"by-hash/{name}.constructed.json")
        card = card_of(document, None, sha256=None, addresses=SITE, now=START)
        assert card.availability is availability
        assert card.not_downloadable_because
        assert not card.downloadable


@needs_captures
def test_the_newest_form_of_a_version_with_three_files_is_read() -> None:
    """Quirk 43."""
    document = captured_json("by-hash/checkpoint-three-files-2983680-trimmed.json")
    card = card_of(document, None, sha256=None, addresses=SITE, now=START)
    assert [(item.type, item.file_id) for item in card.downloads] == [
        ("Model", 2863158),
        ("Text Encoder", 2863150),
        ("VAE", None),
    ]
    assert card.downloads[2].urls[0].url == "https://civitai.com/api/download/models/2983680?type=VAE"
