"""What CivArchive's answers mean: every dress of a document, marks of deletion, copies, ids, pictures."""

import json
from typing import Any

import pytest

from hashtagd.core.artifacts import JsonMerge, PreviewFile
from hashtagd.core.card import Availability, Card, Confidence
from hashtagd.providers.civarchive.answers import Pointer, pointers, unwrapped
from hashtagd.providers.civarchive.mirrors import Places
from hashtagd.providers.guard import check_url
from hashtagd.writers import make_writer
from support.civarchive_samples import (
    CIVITAI_URL,
    DELETED_AT,
    FACE_URL,
    OTHER,
    SHA,
    card,
    exact,
    file,
    image,
    mirror,
    model,
    version,
)
from support.civitai_samples import captured, captured_json
from support.publish_fakes import target

needs_captures = pytest.mark.skipif(captured() is None, reason="no captured answers beside the project")
FOREIGN = "904473536033245248"


def addresses(made: Card) -> list[tuple[str, str]]:
    return [(item.source, item.url) for item in made.downloads[0].urls]


def camel(value: Any) -> Any:
    """Spell the names of a document as the site did in 2025."""
    if isinstance(value, dict):
        return {_hump(name): camel(item) for name, item in value.items()}
    return [camel(item) for item in value] if isinstance(value, list) else value


def _hump(name: str) -> str:
    first, *rest = name.replace("size_kb", "size_KB").split("_")
    return first + "".join(part[0].upper() + part[1:] for part in rest)


def test_a_whole_answer_becomes_a_whole_card() -> None:
    made = exact(model())
    assert (made.provider, made.by, made.confidence) == ("civarchive", "sha256", Confidence.EXACT)
    assert (made.model_id, made.version_id) == (5, 50)
    assert (made.model_name, made.version_name, made.kind) == ("A model", "v2", "LORA")
    assert made.base_model == "SDXL 1.0"
    assert made.trained_words == ("word one, word two", "word three")
    assert made.tags == ("one", "two")
    assert made.creator == "somebody"
    assert made.nsfw_level == 1
    assert made.page_url == "https://civarchive.com/models/5?modelVersionId=50"
    assert made.availability is Availability.PUBLIC
    assert made.downloadable
    (download,) = made.downloads
    assert (download.file_id, download.sha256, download.size_bytes) == (500, SHA, 57_427_724)


@pytest.mark.parametrize("wrap", ["data", "model", "both", None])
@pytest.mark.parametrize("spell", [camel, lambda value: value])
def test_every_wrapping_and_every_spelling_gives_the_same_card(wrap: str | None, spell: Any) -> None:
    """Quirk 48."""
    document = spell(model())
    if wrap == "both":
        document = {"success": True, "version": "1.0", "data": {"model": document}}
    elif wrap is not None:
        document = {wrap: document}
    assert exact(document) == exact(model())


def test_a_version_beside_its_model_is_read_too() -> None:
    """Quirk 48."""
    about = model(version=...)
    assert exact({"model": about, "version": version()}) == exact(model())


def test_files_beside_the_version_are_its_files() -> None:
    """Quirk 48."""
    made = exact({**model(version(files=...)), "files": [file()]})
    assert made.downloads == exact(model()).downloads


def test_of_two_spellings_the_one_that_says_something_counts() -> None:
    """Quirk 48."""
    assert exact(model(version(deleted_at=None, deletedAt=DELETED_AT))).availability is Availability.DELETED
    assert exact(model(version(deletedAt=None, deleted_at=DELETED_AT))).availability is Availability.DELETED


@pytest.mark.parametrize(
    "size,expected",
    [
        (0.01, None),
        (0, None),
        ("0.01", None),
        ("2.5", 2560),
        (2.5, 2560),
        (-4, None),
        (True, None),
        ("much", None),
        ("nan", None),
        (2.0**60, None),
    ],
)
def test_a_size_that_is_none_is_not_stated(size: object, expected: int | None) -> None:
    """Quirk 48."""
    assert exact(model(version(file(size_kb=size)))).downloads[0].size_bytes == expected


def test_an_only_file_is_the_primary_one_whatever_its_mark_says() -> None:
    made = exact(model(version(file(is_primary=False))))
    assert [item.primary for item in made.downloads] == [True]
    two = exact(model(version(file(sha256=OTHER, id=501), file())))
    assert [(item.file_id, item.primary) for item in two.downloads] == [(500, False), (501, False)]


def test_our_file_stands_first_and_training_data_last() -> None:
    """Quirk 16."""
    training = file(sha256="11" * 32, type="Training Data", id=1)
    made = exact(model(version(training, file(sha256=OTHER, id=2, is_primary=True), file(id=3))))
    assert [item.file_id for item in made.downloads] == [3, 2, 1]


@pytest.mark.parametrize("stated", [SHA.upper(), f" {SHA} "])
def test_the_hash_is_ours_in_any_case(stated: str) -> None:
    assert exact(model(version(file(sha256=stated)))).confidence is Confidence.EXACT


@pytest.mark.parametrize("stated", [None, SHA[:10], SHA[:-1], 7, ...])
def test_without_our_whole_hash_a_card_is_only_claimed(stated: object) -> None:
    assert exact(model(version(file(sha256=stated)))).confidence is Confidence.CLAIMED


def test_a_version_without_files_is_only_claimed() -> None:
    made = exact(model(version(files=[])))
    assert made.confidence is Confidence.CLAIMED
    assert made.not_downloadable_because == "the archive knows no address of this file"


def test_a_version_whose_files_are_all_others_is_not_about_ours() -> None:
    assert card(model(version(file(sha256=OTHER), file(sha256="11" * 32)))) is None


@pytest.mark.parametrize("where", ["model", "version", "file", "mirror"])
def test_each_mark_of_deletion_means_that_the_original_is_gone(where: str) -> None:
    marked = mirror(deleted_at=DELETED_AT if where == "mirror" else None)
    face = mirror(FACE_URL, "huggingface")
    about = version(
        file(marked, face, deleted_at=DELETED_AT if where == "file" else None),
        deleted_at=DELETED_AT if where == "version" else None,
    )
    made = exact(model(about, deleted_at=DELETED_AT if where == "model" else None))
    assert made.availability is Availability.DELETED
    assert made.downloadable
    # an address that is marked itself is gone; one whose model is gone is tried last
    left = [] if where == "mirror" else [("civitai", CIVITAI_URL)]
    assert addresses(made) == [("huggingface", FACE_URL), *left]


def test_the_mark_of_another_copy_says_nothing_of_the_original() -> None:
    made = exact(model(version(file(mirror(), mirror(FACE_URL, "huggingface", deleted_at=DELETED_AT)))))
    assert made.availability is Availability.PUBLIC
    assert addresses(made) == [("civitai", CIVITAI_URL)]


def test_the_mark_of_another_file_says_nothing_of_ours() -> None:
    made = exact(model(version(file(sha256=OTHER, deleted_at=DELETED_AT), file())))
    assert made.availability is Availability.PUBLIC


@pytest.mark.parametrize("mark", [None, "", "no", False, 0, {}, []])
def test_what_is_no_time_is_no_mark(mark: object) -> None:
    assert exact(model(version(deleted_at=mark))).availability is Availability.PUBLIC


def test_a_deleted_model_without_other_copies_says_so() -> None:
    made = exact(model(deleted_at=DELETED_AT))
    assert made.not_downloadable_because == "it was deleted, and the archive knows no other copy"
    assert not made.downloadable


def test_the_own_address_of_a_file_is_dead_with_the_copy_it_leads_to() -> None:
    other_form = CIVITAI_URL + "?fileId=500"
    made = exact(model(version(file(mirror(other_form, deleted_at=DELETED_AT), download_url=CIVITAI_URL))))
    assert made.downloads[0].urls == ()


@pytest.mark.parametrize(
    "given,stored,source",
    [
        ("/api/download/models/50", "https://civarchive.com/api/download/models/50", "civarchive"),
        ("//files.example/a.safetensors", "https://files.example/a.safetensors", "files.example"),
        (FACE_URL + "?download=true&token=hf_x", FACE_URL, "huggingface"),
        ("https://u:p@files.example/a?X-Amz-Signature=1#t", "https://files.example/a", "files.example"),
        ("https://civitai.red/api/download/models/50?fileId=5&token=s", CIVITAI_URL + "?fileId=5", "civitai"),
    ],
)
def test_an_address_is_stored_whole_and_without_what_proves_anything(
    given: str, stored: str, source: str
) -> None:
    """Quirk 47; no stored address is signed."""
    made = exact(model(version(file(mirror(given, None), download_url=...))))
    assert addresses(made) == [(source, stored)]
    assert made.raw["files"][0]["mirrors"][0]["url"] == stored
    assert made.raw["downloadUrl"] == stored


@pytest.mark.parametrize(
    "given",
    ["", "x.safetensors", "ftp://x/y", "javascript:alert(1)", "https://[", "http://x:99999/", None, 7],
)
def test_what_is_no_address_is_no_copy(given: object) -> None:
    """Quirk 47."""
    made = exact(model(version(file(mirror(given, "tensorart"), download_url=given))))
    assert made.downloads[0].urls == ()
    assert made.not_downloadable_because


def test_relative_addresses_are_relative_to_the_configured_site() -> None:
    """Quirk 47."""
    made = card(
        model(version(file(mirror("/a/b", "x"), download_url=...))), base_url="http://127.0.0.1:8999/x/"
    )
    assert made is not None
    assert addresses(made) == [("x", "http://127.0.0.1:8999/a/b")]


@pytest.mark.parametrize(
    "gated,paid,expected",
    [
        (False, False, False),
        (True, False, True),
        (False, True, True),
        (..., True, True),
        (..., ..., None),
        (..., False, None),
    ],
)
def test_a_copy_behind_a_door_is_marked(gated: object, paid: object, expected: object) -> None:
    """Quirk 47."""
    marked = mirror(FACE_URL, "HuggingFace", is_gated=gated, is_paid=paid)
    made = exact(model(version(file(marked, download_url=...))))
    said = paid if isinstance(paid, bool) else None
    assert [(item.source, item.gated, item.paid) for item in made.downloads[0].urls] == [
        ("huggingface", expected, said)
    ]


def test_open_doors_come_before_closed_ones() -> None:
    behind = mirror(FACE_URL, "huggingface", is_gated=True)
    made = exact(model(version(file(behind, mirror()))))
    assert addresses(made) == [("civitai", CIVITAI_URL), ("huggingface", FACE_URL)]
    for_money = mirror("https://shop.example/a", "shop", is_paid=True)
    made = exact(model(version(file(for_money, behind, mirror()))))
    assert [source for source, _ in addresses(made)] == ["civitai", "huggingface", "shop"]


def test_a_file_that_only_money_gets_is_not_downloadable() -> None:
    made = exact(model(version(file(mirror(is_paid=True)))))
    assert made.not_downloadable_because == "every copy that the archive knows has to be paid for"
    refused = exact(model(version(allow_download=False)))
    assert refused.not_downloadable_because == "the archive does not offer it for download"


@pytest.mark.parametrize("absurd", [100_000_000, FOREIGN, 0, -5, "5x", None, True, 1.5, 10**30])
def test_absurd_ids_are_nobody_s(absurd: object) -> None:
    """Quirk 48: ids of other platforms begin at a hundred million."""
    none = {"model_id": absurd, "model_version_id": absurd}
    about = version(file(mirror(**none), id=absurd, **none), id=absurd, model_id=absurd)
    made = exact(model(about, id=absurd))
    assert (made.model_id, made.version_id, made.page_url, made.raw) == (None, None, None, {})
    assert made.downloads[0].file_id is None
    assert made.model_name == "A model"


def test_the_largest_proper_id_is_taken() -> None:
    assert exact(model(version(id="99999999"))).version_id == 99_999_999


def test_the_ids_of_another_platform_are_not_civitai_s_however_small() -> None:
    made = exact(model(version(file(mirror(FACE_URL, "huggingface"))), platform="tensorart"))
    assert (made.model_id, made.version_id, made.downloads[0].file_id) == (None, None, None)
    known = exact(
        model(version(civitai_model_id=7, civitai_model_version_id="70"), platform="tensorart", id=FOREIGN)
    )
    assert (known.model_id, known.version_id) == (7, 70)


def test_the_ids_of_civitai_s_copy_serve_where_no_others_are() -> None:
    made = exact(
        model(version(file(model_id=None, model_version_id=None), id=FOREIGN, model_id=None), id=...)
    )
    assert (made.model_id, made.version_id) == (5, 50)


def test_files_only_answers_point_to_where_to_ask() -> None:
    """Quirk 48."""
    said = unwrapped(
        {
            "files": [
                {"modelId": FOREIGN, "modelVersionId": FOREIGN},
                {"model_id": "8", "model_version_id": "80", "platform": "tensorart"},
                {"model_id": "9", "model_version_id": "90", "sha256": OTHER},
                {"model_id": "6", "model_version_id": "60"},
                {"modelId": FOREIGN, "modelVersionId": 70},
                {"model_id": 5, "model_version_id": 50, "sha256": SHA},
                {"model_id": 6, "model_version_id": 60},
                {"model_id": 4},
                7,
            ]
        }
    )
    assert said is not None
    assert pointers(said, SHA) == [
        Pointer(model_id=5, version_id=50),
        Pointer(model_id=6, version_id=60),
        Pointer(model_id=1, version_id=70),
        Pointer(model_id=4, version_id=None),
    ]


@pytest.mark.parametrize("document", [{}, {"data": None}, {"version": {}}, {"error": "x"}, {"files": None}])
def test_an_answer_with_nothing_in_it_is_none(document: dict[str, Any]) -> None:
    assert unwrapped(document) is None


VIDEO = "https://image.civitai.com/acc/5b6c0d2e-0000-4000-8000-000000000001/transcode=true,width=450/77.mp4"
STILL = "https://img.genur.example/sig/width:450/still.jpeg"


@pytest.mark.parametrize(
    "picture,expected",
    [
        (image(), ("image", image()["url"])),
        (image(url="https://x.example/a.mp4", type="video", image_url=STILL), ("image", STILL)),
        (image(url="https://x.example/a.mp4", type=..., image_url=...), ("video", "https://x.example/a.mp4")),
        (image(url=VIDEO, type="video", image_url=STILL), ("video", VIDEO)),
        (image(url=None, image_url=STILL), ("image", STILL)),
        (image(url="/sig/a.jpeg"), ("image", "https://civarchive.com/sig/a.jpeg")),
        (image(url="https://x.example/a.jpeg?sig=abc"), ("image", "https://x.example/a.jpeg")),
        (image(type="audio"), None),
        (image(url=None, image_url=None), None),
    ],
)
def test_a_picture_is_shown_by_the_address_that_gives_a_still(
    picture: dict[str, Any], expected: tuple[str, str] | None
) -> None:
    found = [(item.media, item.url) for item in exact(model(version(images=[picture]))).previews]
    assert found == ([] if expected is None else [expected])


@pytest.mark.parametrize(
    "picture", [image(), image(url=VIDEO, type="video"), image(url="https://c.genur.example/a.png")]
)
def test_the_preview_writer_and_the_fetcher_s_guard_take_the_pictures(picture: dict[str, Any]) -> None:
    made = exact(model(version(images=[picture])))
    (wanted,) = make_writer("preview", {}).render(made, target())
    assert isinstance(wanted, PreviewFile)
    assert [check_url(url, frozenset()) for url in wanted.urls] == list(wanted.urls)
    assert not wanted.urls[0].endswith(".mp4")


def test_a_picture_that_nobody_rated_is_not_put_beside_a_model() -> None:
    made = exact(model(version(images=[image(nsfw_level=0), image(nsfw_level=...)])))
    assert [item.nsfw_level for item in made.previews] == [None, None]
    assert make_writer("preview", {}).render(made, target()) == []


def test_lora_manager_learns_all_of_it_and_from_whom() -> None:
    made = _exact_for_target(deleted_at=DELETED_AT)
    (merge,) = make_writer("lora-manager", {}).render(made, target())
    assert isinstance(merge, JsonMerge)
    assert merge.owned["metadata_source"] == "civarchive"
    assert merge.owned["civitai_deleted"] is True
    assert merge.fill["model_name"] == "A model"
    assert merge.fill["base_model"] == "SDXL 1.0"
    assert merge.fill["tags"] == ["one", "two"]
    assert merge.union["trainedWords"] == ("word one, word two", "word three")
    about = merge.update["civitai"]
    assert (about["id"], about["modelId"], about["source"]) == (50, 5, "civarchive")
    assert about["trainedWords"] == ["word one, word two", "word three"]
    assert about["model"]["type"] == "LORA"
    assert about["creator"] == {"username": "somebody"}
    assert about["files"][0]["hashes"] == {"SHA256": target().digests.sha256.upper()}
    assert make_writer("civitai-info", {}).render(made, target()) == []


def _exact_for_target(**changes: Any) -> Card:
    sha256 = target().digests.sha256
    made = card(model(version(file(sha256=sha256)), **changes), sha256=sha256)
    assert made is not None
    return made


def test_the_document_for_writers_holds_only_what_was_said() -> None:
    bare = exact({"version": {"id": 50, "files": [{"sha256": SHA}]}})
    assert bare.raw == {
        "id": 50,
        "trainedWords": [],
        "model": {"tags": []},
        "files": [{"type": "Model", "primary": True, "hashes": {"SHA256": SHA.upper()}, "mirrors": []}],
        "images": [],
        "source": "civarchive",
    }


CAPTURED = [
    (
        "model-camelcase-2025-10.json",
        "e2b7a280d6539556f23f380b3f71e4e22bc4524445c4c96526e117c6005c6ad3",
        ("Illustrious", "mxpln", 1976567, ["civitai"]),
    ),
    (
        "page-model-snakecase-2026-06.json",
        "67cf1c234f8930472437c3fb9f940d1e05c95261a749c75956831b4ee25fba4d",
        ("Wan Video 2.2 T2V-A14B", "ArcaneStyle", 2474081, ["civitai", "huggingface"]),
    ),
]


@needs_captures
@pytest.mark.parametrize("name,sha256,expected", CAPTURED)
def test_a_captured_answer_becomes_a_card(name: str, sha256: str, expected: tuple[Any, ...]) -> None:
    """Quirks 47 and 48."""
    document = captured_json(f"civarchive/{name}")
    made = card(document, sha256=sha256)
    assert made is not None
    base_model, word, version_id, sources = expected
    assert (made.base_model, made.trained_words, made.version_id) == (base_model, (word,), version_id)
    assert made.model_name == document["name"]
    assert made.tags == tuple(document["tags"])
    assert made.confidence is Confidence.EXACT
    assert made.availability is Availability.PUBLIC
    assert [item.source for item in made.downloads[0].urls] == sources
    assert make_writer("preview", {}).render(made, target())
    assert Card.from_json(json.loads(json.dumps(made.to_json()))) == made
    assert card({"data": document}, sha256=sha256) == made


def test_a_place_without_a_host_is_no_base() -> None:
    with pytest.raises(ValueError, match="host"):
        Places("civarchive.com")
