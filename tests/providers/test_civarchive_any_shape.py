"""CivArchive's answers with anything dropped, nulled, renamed or retyped: the rest is used."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashtagd.core.card import Confidence
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Absent, Found
from hashtagd.providers.civarchive import CivArchive
from support.any_shape import JUNK, Way, changes, check_storable, spoil
from support.civarchive_samples import FACE_URL, SHA, card, exact, file, image, mirror, model, version
from support.fault_server import FaultServer, reply
from support.surroundings import World, subject


def whole() -> dict[str, Any]:
    """Make an answer in which every field that is read says something."""
    first = file(mirror(), mirror(FACE_URL, "huggingface"), mirror("/a/b", "tensorart", is_gated=True))
    return model(version(first, file(sha256="cd" * 32, id=501), images=[image(), image(type="video")]))


@settings(deadline=None)
@given(changes(whole()), st.sampled_from([None, "data", "model"]))
def test_any_field_may_be_anything(changed: list[tuple[Way, str, Any]], wrap: str | None) -> None:
    """F55, F56, F57."""
    document = whole()
    for way, how, junk in changed:
        spoil(document, way, how, junk)
    made = card(document if wrap is None else {wrap: document})
    if made is not None:
        check_storable(made)
        urls = [url.url for item in made.downloads for url in item.urls]
        assert all(url.startswith(("https://", "http://")) for url in urls)
        assert made.downloadable is (made.not_downloadable_because is None)


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
    st.sampled_from(["drop", "null", "rename", "retype"]),
    JUNK.filter(lambda junk: not junk or isinstance(junk, bool | int | float)),
)
def test_one_broken_field_costs_only_itself(field: str, how: str, junk: Any) -> None:
    """F55."""
    document = whole()
    spoil(document, TOLD[field], how, junk)
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
