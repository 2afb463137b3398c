"""Habits of pictures, names, texts and copies by strangers, one test each, numbered as in the others."""

from io import BytesIO
from pathlib import PurePosixPath

import pytest

from hashtagd.core.card import Confidence
from hashtagd.core.troubles import GiveUp, TryLater
from hashtagd.providers.civarchive.answers import Pointer, pointers, unwrapped
from hashtagd.providers.civitai.addresses import Addresses
from hashtagd.providers.civitai.shapes import card_of
from hashtagd.providers.fetcher import PreviewFetcher
from hashtagd.standin.pictures import png
from hashtagd.writers import make_writer
from support import civarchive_samples as archive
from support.civitai_samples import SHA, file, model, version
from support.fault_server import FaultServer, reply
from support.publish_fakes import target
from support.surroundings import START, World

SITE = Addresses("https://civitai.com")
HTML = '<p>hi</p><script>alert(1)</script><a href="javascript:x">y</a>'


def fetched(*answers: bytes) -> tuple[str, bytes, int]:
    """Fetch a picture; give its type, its bytes and how many requests it took."""
    into, world = BytesIO(), World(running=True)
    with FaultServer(*answers) as server:
        fetcher = PreviewFetcher(world.surroundings, allowed_origins=[server.url])
        try:
            kind = fetcher.fetch(f"{server.url}/a.jpeg", into, 100_000)
        finally:
            fetcher.close()
        return kind, into.getvalue(), len(server.requests)


def test_quirk_44_previews_lie_about_their_kind_move_vanish_and_are_rationed() -> None:
    picture = reply(png(16, 16), kind="image/jpeg")
    assert fetched(picture) == ("image/png", png(16, 16), 1)
    assert fetched(reply(b"", status="301 X", headers=["Location: /b"]), picture)[2] == 2
    with pytest.raises(GiveUp) as gone:
        fetched(reply(b"gone", status="404 X"))
    assert gone.value.kind == "no_picture"
    with pytest.raises(TryLater) as rationed:
        fetched(reply(b"slow", status="429 X", headers=["Retry-After: 40"]))
    assert (rationed.value.kind, rationed.value.after_s) == ("rate_limited", 40.0)


@pytest.mark.parametrize(
    "name",
    [
        "🦊👩‍👩‍👧 fox.safetensors",
        "Лиса в лесу.safetensors",
        "../../etc/passwd",
        "..\\..\\windows\\con",
        "NUL",
        "a" * 200 + ".safetensors",
        "\u202esrotsnetefas.exe",
    ],
)
def test_quirk_45_names_by_strangers_stay_texts_and_never_become_paths(name: str) -> None:
    about = {"name": name, "type": "LORA"}
    made = card_of(
        version(name=name, files=[file(name=name)], model=about),
        None,
        sha256=SHA,
        addresses=SITE,
        now=START,
    )
    assert (made.model_name, made.version_name, made.downloads[0].name) == (name, name, name)
    for writer in ("lora-manager", "civitai-info", "preview"):
        for item in make_writer(writer).render(made, target()):
            # what is written is named after the owner's file
            assert PurePosixPath(item.suffix).name == item.suffix  # type: ignore[union-attr]
            assert name not in item.suffix  # type: ignore[union-attr]


def test_quirk_46_html_is_kept_as_it_came_in_fields_that_say_so_and_nowhere_else() -> None:
    made = card_of(version(description=HTML), model(description=HTML), sha256=SHA, addresses=SITE, now=START)
    assert made.description_html == made.version_description_html == HTML
    told = {name: value for name, value in made.to_json().items() if not name.endswith("_html")}
    assert "<script>" not in str({**told, "raw": None})


def test_quirk_47_mirrors_are_civarchive_s_with_relative_addresses_and_without_ids() -> None:
    claimed = file(mirrors=[{"url": "https://files.example/x", "source": "huggingface"}])
    ours = card_of(version(files=[claimed]), None, sha256=SHA, addresses=SITE, now=START)
    assert {url.source for url in ours.downloads[0].urls} == {"civitai"}
    copies = [
        archive.mirror("/api/download/models/7", "tensorart"),
        archive.mirror(archive.FACE_URL, "huggingface", is_gated=True),
        archive.mirror("https://shop.example/a", "shop", is_paid=True),
        archive.mirror("https://dead.example/a", "dead", deleted_at=archive.DELETED_AT),
    ]
    gone = archive.mirror(deleted_at=archive.DELETED_AT)
    made = archive.exact(archive.model(archive.version(archive.file(gone, *copies))))
    assert [(url.source, url.url, url.gated, url.paid) for url in made.downloads[0].urls] == [
        ("tensorart", "https://civarchive.com/api/download/models/7", False, False),
        ("huggingface", archive.FACE_URL, True, False),
        ("shop", "https://shop.example/a", True, True),
    ]
    assert (made.model_id, made.version_id) == (5, 50)
    assert made.downloadable


@pytest.mark.parametrize("wrap", [None, "data", "model"])
def test_quirk_48_civarchive_answers_in_every_dress_with_ids_as_text_and_a_size_that_is_none(
    wrap: str | None,
) -> None:
    plain = archive.model(archive.version(archive.file(size_kb=0.01, id="500")))
    camel = {
        "id": 5,
        "name": "A model",
        "version": {
            "id": 50,
            "modelId": "5",
            "baseModel": "SDXL 1.0",
            "trigger": ["word one, word two", "word three"],
            "files": [{"id": 500, "sizeKB": 0.01, "sha256": archive.SHA, "downloadUrl": archive.CIVITAI_URL}],
        },
    }
    for document in (plain, camel):
        made = archive.exact(document if wrap is None else {wrap: document})
        assert (made.model_id, made.version_id, made.base_model) == (5, 50, "SDXL 1.0")
        assert made.trained_words == ("word one, word two", "word three")
        assert (made.downloads[0].file_id, made.downloads[0].size_bytes) == (500, None)
        assert made.confidence is Confidence.EXACT
    # an answer that is only files is no card, but says where to ask on
    only = {"files": [{"model_id": "5", "model_version_id": "50"}]}
    said = unwrapped(only if wrap is None else {wrap: only})
    assert said is not None
    assert not said.version
    assert pointers(said, archive.SHA) == [Pointer(model_id=5, version_id=50)]
