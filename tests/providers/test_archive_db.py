"""The archive database: what it knows, what it does not, and how it leaves the disk."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from hashtagd.core.card import Availability, Card, Confidence
from hashtagd.core.digests import SHA256_OF_NOTHING
from hashtagd.core.troubles import GiveUp, Trouble
from hashtagd.core.work import Absent, Found
from hashtagd.providers.archive_db import ArchiveDb, ArchiveDbOptions
from support.archive_samples import PUBLISHED_S, archive, filled
from support.surroundings import World, sha, subject

DAY_S = 86_400


def ask(path: Path, *hashes: str) -> dict[str, Found | Absent | Trouble]:
    provider = ArchiveDb(ArchiveDbOptions(path=str(path)), World().surroundings)
    try:
        spoken = list(provider.ask([subject(text) for text in hashes]))
    finally:
        provider.close()
    answers = dict(spoken)
    assert len(answers) == len(spoken)
    return answers


def card(path: Path, sha256: str = sha(1)) -> Card:
    answer = ask(path, sha256)[sha256]
    assert isinstance(answer, Found)
    # the catalog keeps it as JSON that every store takes
    text = json.dumps(answer.card.to_json(), allow_nan=False, ensure_ascii=False)
    assert text.encode("utf-8")
    assert "\\u0000" not in text
    return Card.from_json(json.loads(text))


def test_a_known_hash_gives_a_whole_card(tmp_path: Path) -> None:
    filled(tmp_path / "civitai.sqlite")
    made = card(tmp_path / "civitai.sqlite", sha(7))
    assert (made.provider, made.by, made.confidence) == ("archive-db", "sha256", Confidence.EXACT)
    assert (made.model_id, made.version_id) == (7, 20_007)
    assert (made.model_name, made.version_name, made.kind) == ("Model 7", "v20007", "LORA")
    assert (made.base_model, made.creator, made.nsfw_level) == ("SDXL 1.0", "somebody", 1)
    assert (made.trained_words, made.tags) == (("word one", "word two"), ("ink", "style"))
    assert made.published_at == "2024-01-02T00:00:00Z"
    assert made.page_url == "https://civitai.com/models/7?modelVersionId=20007"
    assert made.license.allow_no_credit is True
    assert made.description_html == "<p>About the model</p>"
    assert [item.media for item in made.previews] == ["image"]
    assert (made.availability, made.not_downloadable_because) == (Availability.PUBLIC, None)


def test_the_file_of_the_hash_stands_on_the_card_with_its_address(tmp_path: Path) -> None:
    filled(tmp_path / "civitai.sqlite")
    (file,) = card(tmp_path / "civitai.sqlite", sha(7)).downloads
    assert (file.file_id, file.sha256, file.autov3) == (300_007, sha(7), "abcdef012345")
    assert (file.size_bytes, file.primary, file.type) == (1_049_088, True, "Model")
    assert file.urls[0].url == "https://civitai.com/api/download/models/20007?fileId=300007"
    assert not any("token" in url.url for url in file.urls)


def test_the_document_for_other_programs_is_that_of_the_site(tmp_path: Path) -> None:
    filled(tmp_path / "civitai.sqlite")
    document = card(tmp_path / "civitai.sqlite", sha(7)).raw
    assert (document["id"], document["modelId"], document["source"]) == (20_007, 7, "archive_db")
    assert (document["model"]["name"], document["model"]["tags"]) == ("Model 7", ["ink", "style"])
    assert document["creator"]["username"] == "somebody"
    assert document["files"][0]["hashes"]["SHA256"] == sha(7).upper()
    assert "modelVersionId" not in document["files"][0]
    assert "secret" not in json.dumps(document)


def test_all_files_of_the_version_stand_on_the_card_ours_first(tmp_path: Path) -> None:
    path = tmp_path / "civitai.sqlite"
    with archive(path) as made:
        made.model(1)
        made.version(50, 1)
        made.file(1, 50, 1, sha(9), type="Training Data")
        made.file(2, 50, 1, sha(8))
        made.file(3, 50, 1, sha(1), data={"name": "ours.safetensors"})
    downloads = card(path).downloads
    assert [item.file_id for item in downloads] == [3, 2, 1]
    assert [item.type for item in downloads] == ["Model", "Model", "Training Data"]
    assert [item.sha256 for item in downloads] == [sha(1), sha(8), sha(9)]


def test_a_file_that_only_the_document_of_the_version_lists_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "civitai.sqlite"
    with archive(path) as made:
        made.version(50, 1, data={"files": [{"id": 1, "name": "twice"}, {"id": 4, "type": "VAE"}, 7]})
        made.file(1, 50, 1, sha(1))
    assert [item.file_id for item in card(path).downloads] == [1, 4]


def test_what_is_not_in_there_is_absent(tmp_path: Path) -> None:
    filled(tmp_path / "civitai.sqlite")
    answers = ask(tmp_path / "civitai.sqlite", sha(7), sha(999), sha(300))
    assert isinstance(answers[sha(999)], Absent)
    assert isinstance(answers[sha(7)], Found)
    assert isinstance(answers[sha(300)], Found)


def test_hundreds_of_hashes_are_answered_each_once(tmp_path: Path) -> None:
    filled(tmp_path / "civitai.sqlite")
    wanted = [sha(number) for number in range(250, 600)]
    answers = ask(tmp_path / "civitai.sqlite", *wanted, *wanted)
    assert [text for text in wanted if isinstance(answers[text], Found)] == wanted[:51]
    assert len(answers) == 350


def test_hashes_that_begin_alike_are_told_apart(tmp_path: Path) -> None:
    """The index keeps 64 bits of each."""
    path = tmp_path / "civitai.sqlite"
    begin = "ab" * 8
    first, second, third = (begin + digit * 48 for digit in "123")
    with archive(path) as made:
        made.file(1, 51, 1, first)
        made.file(2, 52, 1, second)
    answers = ask(path, first, second, third)
    assert [answers[text].card.version_id for text in (first, second)] == [51, 52]  # type: ignore[union-attr]
    assert isinstance(answers[third], Absent)


def test_the_hash_of_an_empty_file_is_looked_up_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "civitai.sqlite"
    with archive(path) as made:
        made.file(1, 51, 1, SHA256_OF_NOTHING)
    assert isinstance(ask(path, SHA256_OF_NOTHING)[SHA256_OF_NOTHING], GiveUp)


@pytest.mark.parametrize(
    "versions, chosen",
    [
        ({60: PUBLISHED_S, 61: PUBLISHED_S - DAY_S, 62: PUBLISHED_S + DAY_S}, 61),
        ({62: PUBLISHED_S, 61: PUBLISHED_S}, 61),
        ({60: None, 61: PUBLISHED_S}, 61),
        ({60: 0, 61: PUBLISHED_S}, 61),
        ({60: None, 61: None}, 60),
        ({60: "lost", 61: None}, 61),
    ],
)
def test_of_several_versions_the_oldest_published_counts_then_the_lowest_number(
    tmp_path: Path, versions: dict[int, Any], chosen: int
) -> None:
    path = tmp_path / "civitai.sqlite"
    with archive(path) as made:
        for number, published in versions.items():
            # the numbers of the files run against those of the versions
            made.file(1000 - number, number, 1, sha(1))
            if published != "lost":
                made.version(number, 1, published_at=published)
    assert card(path).version_id == chosen


def test_a_day_that_only_the_document_tells_counts_too(tmp_path: Path) -> None:
    path = tmp_path / "civitai.sqlite"
    with archive(path) as made:
        made.version(50, 1)
        made.version(51, 1, published_at=None, data={"publishedAt": "2023-01-01T00:00:00.000Z"})
        made.file(1, 50, 1, sha(1))
        made.file(2, 51, 1, sha(1))
    found = card(path)
    assert (found.version_id, found.published_at) == (51, "2023-01-01T00:00:00Z")


def test_a_file_that_is_listed_as_archived_says_so_with_the_day(tmp_path: Path) -> None:
    path = tmp_path / "civitai.sqlite"
    filled(path)
    with archive(path) as made:
        made.archived(300_007)
    found = card(path, sha(7))
    assert found.availability is Availability.ARCHIVED
    assert found.not_downloadable_because == "the archive database of 2025-08-07 lists the file as archived"
    assert not found.downloadable
    assert card(path, sha(8)).availability is Availability.PUBLIC


@pytest.mark.parametrize("table, row", [("models", 7), ("model_versions", 20_007), ("model_files", 300_007)])
@pytest.mark.parametrize("mark", ['{"deletedAt": "2025-07-01T00:00:00Z"}', '{"deleted_at": 1751328000}'])
def test_a_mark_of_deletion_counts_wherever_it_stands(
    tmp_path: Path, table: str, row: int, mark: str
) -> None:
    path = tmp_path / "civitai.sqlite"
    filled(path)
    with archive(path) as made:
        made.archived(300_007)
        made.run(f"update {table} set data = '{mark}' where id = {row}")  # noqa: S608 - own words
    found = card(path, sha(7))
    assert found.availability is Availability.DELETED
    assert found.not_downloadable_because == "the archive database of 2025-08-07 says that it was deleted"


def test_what_the_site_said_against_a_download_is_told_with_the_day(tmp_path: Path) -> None:
    path = tmp_path / "civitai.sqlite"
    with archive(path) as made:
        made.model(1, data={"mode": "TakenDown"})
        made.version(50, 1)
        made.file(1, 50, 1, sha(1))
        made.archived(1)
    found = card(path)
    assert found.availability is Availability.TAKEN_DOWN
    assert found.not_downloadable_because == "the site took the model down (as of 2025-08-07)"


def test_rows_without_a_day_are_as_old_as_the_file(tmp_path: Path) -> None:
    path = tmp_path / "civitai.sqlite"
    with archive(path) as made:
        made.version(50, 1, updated_at=None)
        made.file(1, 50, 1, sha(1), data={"deletedAt": "2025-01-01"})
    os.utime(path, (PUBLISHED_S, PUBLISHED_S))
    assert "of 2024-01-02 says" in (card(path).not_downloadable_because or "")


ODD = [
    None,
    "",
    "{",
    "[]",
    "7",
    '"x"',
    '{"a": NaN}',
    '{"name": 3, "tags": {}}',
    "[" * 5000,
    b"\xff\x00",
    "\ud7ff",
]


@pytest.mark.parametrize("data", ODD)
def test_documents_of_any_shape_leave_what_the_columns_say(tmp_path: Path, data: Any) -> None:
    path = tmp_path / "civitai.sqlite"
    with archive(path) as made:
        made.model(1, data=data)
        made.version(50, 1, data=data)
        made.file(1, 50, 1, sha(1), data=data)
    found = card(path)
    assert (found.model_id, found.version_id, found.model_name) == (1, 50, "Model 1")
    assert (found.version_name, found.base_model, found.creator) == ("v50", "SDXL 1.0", "somebody")
    (file,) = found.downloads
    assert (file.file_id, file.sha256, file.type) == (1, sha(1), "Model")
    assert found.published_at == "2024-01-02T00:00:00Z"


def test_columns_that_say_nothing_leave_what_the_documents_say(tmp_path: Path) -> None:
    path = tmp_path / "civitai.sqlite"
    with archive(path) as made:
        made.model(1, name=None, type=" ", username="")
        made.version(50, 1, name="", base_model=None, published_at="soon")
        made.file(1, 50, 1, sha(1), type=None)
    found = card(path)
    assert (found.model_name, found.kind, found.creator) == ("Model 1", "LORA", "somebody")
    assert (found.version_name, found.base_model, found.published_at) == ("v50", "SDXL 1.0", None)
    assert found.downloads[0].type == "Model"


def test_a_type_nobody_knows_and_texts_nobody_can_store_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "civitai.sqlite"
    with archive(path) as made:
        made.model(1, type="Hologram", name="a\x00b")
        made.version(50, 1, base_model=7, updated_at=10**18)
        made.file(1, 50, 1, sha(1), type="Shader")
        made.run("update model_versions set name = cast(x'76ff31' as text)")
    found = card(path)
    assert (found.kind, found.model_name, found.version_name) == ("Hologram", "ab", "v\ufffd1")
    assert found.downloads[0].type == "Shader"


def test_a_document_beyond_all_measure_counts_as_not_said(tmp_path: Path) -> None:
    path = tmp_path / "civitai.sqlite"
    with archive(path) as made:
        made.version(50, 1, data=json.dumps({"description": "x" * 4_000_001, "trainedWords": ["w"]}))
        made.file(1, 50, 1, sha(1))
    assert card(path).trained_words == ()


def test_a_file_whose_version_and_model_are_lost_is_named_by_numbers(tmp_path: Path) -> None:
    path = tmp_path / "civitai.sqlite"
    with archive(path) as made:
        made.file(1, 50, 5, sha(1))
    found = card(path)
    assert (found.model_id, found.version_id, found.model_name) == (5, 50, None)
    assert found.downloads[0].name == "file-1.safetensors"


@pytest.mark.parametrize("version", [None, 0, -4, "x"])
def test_a_row_that_names_no_version_is_no_knowledge(tmp_path: Path, version: Any) -> None:
    path = tmp_path / "civitai.sqlite"
    with archive(path) as made:
        made.file(1, version, 1, sha(1))
        made.file(2, 50, None, sha(2))  # type: ignore[arg-type]
    assert isinstance(ask(path, sha(1))[sha(1)], Absent)
    assert card(path, sha(2)).model_id is None


@pytest.mark.parametrize("stated", [None, "", "ABC", 7, b"\x00", "g" * 64, sha(1)[:-1]])
def test_a_row_without_a_proper_hash_matches_nothing(tmp_path: Path, stated: Any) -> None:
    path = tmp_path / "civitai.sqlite"
    with archive(path) as made:
        made.file(1, 50, 1, stated)
        made.file(2, 51, 1, f" {sha(2)} ")
    answers = ask(path, sha(1), sha(2))
    assert isinstance(answers[sha(1)], Absent)
    assert isinstance(answers[sha(2)], Found)
