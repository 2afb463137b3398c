"""Documents with anything dropped, nulled or retyped: a card or a named trouble, never a traceback."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagd.core.card import Availability, Card
from hashtagd.providers.bodies import parse_json
from hashtagd.providers.civitai.addresses import Addresses
from hashtagd.providers.civitai.fields import identity
from hashtagd.providers.civitai.files import hashes_of
from hashtagd.providers.civitai.shapes import UnknownShape, card_of
from support.civitai_samples import SHA, captured, captured_json, model, version
from support.surroundings import START

SITE = Addresses("https://civitai.com")
needs_captures = pytest.mark.skipif(captured() is None, reason="no captured answers beside the project")

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["\x00", "\ud800", "https://", "https://[", "{", "9" * 30, "2025-13-99", "http://x:99999/"]
    ),
    st.just([]),
    st.just({}),
    st.just([None]),
    st.just({"name": 3}),
)


def paths(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List the way to every value inside a document."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [way for key in keys for way in ((*before, key), *paths(value[key], (*before, key)))]


def put(document: Any, way: tuple[Any, ...], junk: Any) -> None:
    """Replace the value at the end of the way, if the way is still there; `...` removes it."""
    for key in way[:-1]:
        if not isinstance(document, dict | list) or (isinstance(document, dict) and key not in document):
            return
        if isinstance(document, list) and not (isinstance(key, int) and key < len(document)):
            return
        document = document[key]
    if isinstance(document, dict) and junk is ...:
        document.pop(way[-1], None)
    elif isinstance(document, dict):
        document[way[-1]] = junk
    elif isinstance(document, list) and isinstance(way[-1], int) and way[-1] < len(document):
        document[way[-1]] = None if junk is ... else junk


def check(about_version: Any, about_model: Any) -> None:
    """Make a card the way the provider does, and store it the way the catalog does."""
    read_version, read_model = (
        parse_json(json.dumps(item).encode("utf-8", "surrogatepass")) for item in (about_version, about_model)
    )
    hashes_of(read_version)
    if identity(read_version.get("id")) is None:
        with pytest.raises(UnknownShape, match="id"):
            card_of(read_version, read_model, sha256=SHA, addresses=SITE, now=START)
        return
    card = card_of(read_version, read_model, sha256=SHA, addresses=SITE, now=START)
    text = json.dumps(card.to_json(), allow_nan=False, ensure_ascii=False)
    assert text.encode("utf-8")
    assert "\\u0000" not in text
    assert Card.from_json(json.loads(text)) == card


@given(
    st.lists(
        st.tuples(st.integers(0, 10_000), st.one_of(st.just(...), JUNK)),
        min_size=1,
        max_size=6,
    ),
    st.booleans(),
)
def test_any_field_may_be_anything(changes: list[tuple[int, Any]], in_model: bool) -> None:  # noqa: FBT001
    """F55, F56, F57."""
    about_version, about_model = version(), model()
    target = about_model if in_model else about_version
    ways = paths(target)
    for number, junk in changes:
        put(target, ways[number % len(ways)], junk)
    check(about_version, about_model)


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
