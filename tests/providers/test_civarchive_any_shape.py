"""CivArchive's answers with anything dropped, nulled, renamed or retyped: the rest is used."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashtagd.core.card import Card, Confidence
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Absent, Found
from hashtagd.providers.civarchive import CivArchive
from support.civarchive_samples import FACE_URL, SHA, card, exact, file, image, mirror, model, version
from support.fault_server import FaultServer, reply
from support.surroundings import World, subject

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        [
            *("\x00", "\ud800", "https://", "https://[", "//", "/\\x", "{", "9" * 30, "2025-13-99"),
            *("http://x:99999/", "http://[::1%25]/x", "https://\u2100.example/x", "https://x/?a=1&a"),
        ]
    ),
    st.just([]),
    st.just({}),
    st.just([None]),
    st.just({"name": 3}),
)


def whole() -> dict[str, Any]:
    """Make an answer in which every field that is read says something."""
    first = file(mirror(), mirror(FACE_URL, "huggingface"), mirror("/a/b", "tensorart", is_gated=True))
    return model(version(first, file(sha256="cd" * 32, id=501), images=[image(), image(type="video")]))


def paths(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List the way to every value inside a document."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [way for key in keys for way in ((*before, key), *paths(value[key], (*before, key)))]


WAYS = paths(whole())


def changed(document: Any, way: tuple[Any, ...], how: str, junk: Any) -> None:
    """Drop, rename or replace the value at the end of the way, if the way is still there."""
    for key in way[:-1]:
        try:
            document = document[key]
        except (KeyError, IndexError, TypeError):
            return
    if isinstance(document, dict) and way[-1] in document:
        value = document.pop(way[-1])
        if how == "rename":
            document[f"x_{way[-1]}"] = value
        elif how == "replace":
            document[way[-1]] = junk
    elif isinstance(document, list) and isinstance(way[-1], int) and way[-1] < len(document):
        document[way[-1]] = junk


def stored(made: Card) -> Card:
    """Keep a card the way the catalog does."""
    text = json.dumps(made.to_json(), allow_nan=False, ensure_ascii=False)
    assert text.encode("utf-8")
    assert "\\u0000" not in text
    return Card.from_json(json.loads(text))


CHANGES = st.lists(
    st.tuples(st.sampled_from(WAYS), st.sampled_from(["drop", "rename", "replace"]), JUNK),
    min_size=1,
    max_size=6,
)


@settings(deadline=None)
@given(CHANGES, st.sampled_from([None, "data", "model"]))
def test_any_field_may_be_anything(changes: list[tuple[Any, str, Any]], wrap: str | None) -> None:
    """F55, F56, F57."""
    document = whole()
    for way, how, junk in changes:
        changed(document, way, how, junk)
    made = card(document if wrap is None else {wrap: document})
    if made is not None:
        assert stored(made) == made
        urls = [url.url for item in made.downloads for url in item.urls]
        assert all(url.startswith(("https://", "http://")) for url in urls)


#: what a card says, and from which field alone
TOLD = {
    "model_name": ("name",),
    "kind": ("type",),
    "tags": ("tags",),
    "creator": ("creator_username",),
    "description_html": ("description",),
    "version_name": ("version", "name"),
    "base_model": ("version", "base_model"),
    "trained_words": ("version", "trigger"),
    "previews": ("version", "images"),
    "version_description_html": ("version", "description"),
}


@pytest.mark.parametrize("field", TOLD)
@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(["drop", "rename", "replace"]),
    JUNK.filter(lambda junk: not junk or isinstance(junk, bool | int | float)),
)
def test_one_broken_field_costs_only_itself(field: str, how: str, junk: Any) -> None:
    """F55."""
    document = whole()
    changed(document, TOLD[field], how, junk)
    broken, sound = exact(document), exact(whole())
    for name in TOLD:
        assert getattr(sound, name)
        assert getattr(broken, name) == getattr(sound, name) or name == field
    assert not getattr(broken, field)
    assert broken.confidence is Confidence.EXACT
    assert broken.downloads == sound.downloads


@settings(max_examples=25, deadline=None)  # each example asks a server
@given(JUNK, st.sampled_from([200, 400, 404, 422, 418]))
def test_any_document_at_all_is_an_answer_or_a_trouble(document: Any, status: int) -> None:
    """F55, F56."""
    body = json.dumps(document).encode("utf-8", "surrogatepass")
    with FaultServer(reply(body, status=f"{status} X")) as server:
        provider = CivArchive(CivArchive.Options(base_url=server.url), World(running=True).surroundings)
        try:
            answers = dict(provider.ask([subject(SHA)]))
        except Trouble as trouble:
            answers = {SHA: trouble}
        finally:
            provider.close()
    assert isinstance(answers[SHA], Absent | Trouble)
    assert not isinstance(answers[SHA], Found)
    # only a proper 404 says that a hash is unknown
    assert isinstance(answers[SHA], Absent) == (status == 404)
