"""Files that no hash finds at once: edited, deleted, unknown; and what the owner says of them."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hashtagd.standin import ArchiveStandin, Listing
from hashtagd.standin.archive import copy_at
from hashtagd.standin.pictures import png
from hashtagd.standin.routes import Asked
from support.commands import Home
from support.safetensors import build, lora

pytestmark = pytest.mark.slow

DATA = bytes(range(256)) * 8


@pytest.fixture
def archive(home: Home) -> Iterator[ArchiveStandin]:
    with ArchiveStandin() as site:
        home.settle(
            providers=[
                {"kind": "civitai", "base_url": home.site.url, "requests_per_minute": 6000},
                {"kind": "civarchive", "base_url": site.url, "requests_per_minute": 6000},
                {"kind": "header"},
            ]
        )
        yield site


def put(home: Home, name: str, content: bytes) -> Path:
    """Put a model down that has been resting for an hour."""
    path = home.loras / name
    path.write_bytes(content)
    past_s = path.stat().st_mtime - 3600
    os.utime(path, (past_s, past_s))
    return path


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def run(home: Home, *options: str) -> dict[str, Any]:
    """Do all there is to do, as after a restart."""
    done = home.cli("run", "--once", "--json", *options)
    assert done.code == 0, done.err
    summary: dict[str, Any] = done.json
    return summary


def show(home: Home, wanted: object) -> dict[str, Any]:
    done = home.cli("show", "--json", wanted)
    assert done.code == 0, done.err
    card: dict[str, Any] = done.json
    return card


def edited(home: Home) -> tuple[Path, str]:
    """Put a model down whose header somebody edited; the site knows it as it was. Returns its old hash."""
    original, ours = build(data=DATA), build({"modelspec.title": "Edited"}, data=DATA)
    home.site.add(
        sha256=sha256(original),
        autov3=sha256(DATA)[:12],
        size_bytes=len(original),
        name="Found by its tensors",
        trained_words=("inkwash",),
    )
    return put(home, "edited.safetensors", ours), sha256(original)


def test_a_file_whose_header_was_edited_is_known_by_its_tensors_and_names_the_original(home: Home) -> None:
    path, original = edited(home)
    run(home, "--background")
    card = show(home, path)
    assert (card["model_name"], card["match"]["confidence"]) == ("Found by its tensors", "tensors")
    assert card["downloads"][0]["sha256"] == original
    words = home.cli("show", path).out
    assert "same tensors, another header" in words
    assert original in words
    home.site.forget_requests()
    path.rename(home.loras / "renamed.safetensors")
    again = run(home, "--background")
    assert (again["bytes_hashed"], home.site.requests) == (0, ())
    moved = show(home, home.loras / "renamed.safetensors")
    assert (moved["match"], moved["downloads"]) == (card["match"], card["downloads"])


def test_a_match_by_tensors_stays_in_the_catalog_and_is_written_beside_no_file(home: Home) -> None:
    path, _ = edited(home)
    run(home, "--background")
    sidecar = json.loads(path.with_suffix(".metadata.json").read_text(encoding="utf-8"))
    assert sidecar["model_name"] == "Edited"
    assert not path.with_suffix(".civitai.info").exists()


def test_what_the_owner_locked_of_a_match_by_tensors_is_written_beside_the_file(home: Home) -> None:
    path, _ = edited(home)
    run(home, "--background")
    assert home.cli("lock", path, "model_name").code == 0
    run(home)
    sidecar = json.loads(path.with_suffix(".metadata.json").read_text(encoding="utf-8"))
    assert (sidecar["model_name"], sidecar["trainedWords"]) == ("Found by its tensors", [])
    home.cli("unlock", path)
    run(home)
    sidecar = json.loads(path.with_suffix(".metadata.json").read_text(encoding="utf-8"))
    assert sidecar["model_name"] == "Edited"


def test_a_deleted_model_gets_its_card_its_words_and_a_live_mirror(
    home: Home, archive: ArchiveStandin
) -> None:
    content = lora(1)
    mirrors = [
        copy_at("https://mirror.example/dead.safetensors", "huggingface", dead=True),
        copy_at("https://mirror.example/live.safetensors", "huggingface"),
    ]
    listing = archive.add(sha256=sha256(content), name="Deleted", trained_words=["a word"])
    archive.keep(listing, mirrors=mirrors, deleted=["model", "mirror"])
    path = put(home, "gone.safetensors", content)
    run(home)
    card = show(home, path)
    assert (card["model_name"], card["trained_words"]) == ("Deleted", ["a word"])
    assert (card["match"]["provider"], card["match"]["availability"]) == ("civarchive", "deleted")
    assert card["downloads"][0]["urls"][0]["url"] == "https://mirror.example/live.safetensors"
    assert card["downloadable"]


def test_a_model_that_its_site_deletes_later_keeps_its_card_and_gets_the_mirrors(
    home: Home, archive: ArchiveStandin
) -> None:
    content = lora(1)
    path = put(home, "x.safetensors", content)
    listing = home.site.add(sha256=sha256(content), name="Here today", tags=("ink",))
    run(home)
    home.site.delete(listing)
    archive.adopt(listing, mirrors=[copy_at("https://mirror.example/x", "huggingface")], deleted=["model"])
    assert "1 questions" in home.cli("refresh", path).out
    run(home)
    card = show(home, path)
    assert (card["model_name"], card["tags"]) == ("Here today", ["ink"])
    assert (card["match"]["provider"], card["match"]["availability"]) == ("civitai", "deleted")
    assert card["downloads"][0]["urls"][0]["url"] == "https://mirror.example/x"
    assert "deleted" in home.cli("list").out
    sidecar = json.loads(path.with_suffix(".metadata.json").read_text(encoding="utf-8"))
    assert (sidecar["model_name"], sidecar["civitai_deleted"]) == ("Here today", True)


def test_an_archive_that_wants_silence_for_25_minutes_delays_no_look_up(
    home: Home, archive: ArchiveStandin
) -> None:
    """Quirk 49."""
    archive.fail_next(None, status=429, headers={"Retry-After": "1500"})
    put(home, "nobody.safetensors", lora(1))
    known = put(home, "known.safetensors", lora(2))
    home.site.add(sha256=sha256(lora(2)), name="Known")
    summary = run(home)
    assert (summary["named"], summary["unknown"], summary["waiting"]) == (1, 1, 0)
    assert show(home, known)["model_name"] == "Known"
    later = put(home, "later.safetensors", lora(3))
    home.site.add(sha256=sha256(lora(3)), name="Later")
    assert run(home)["named"] == 2
    assert show(home, later)["model_name"] == "Later"
    assert len(archive.requests) == 1


def other_version(home: Home, **facts: Any) -> Listing:
    """Let the site have a version that no hash leads to."""
    made = {"name": "As the owner says", "version_id": 2130994, "model_id": 1882733, **facts}
    return home.site.add(sha256="a" * 64, **made)


def survives(home: Home, path: Path, content: bytes) -> Iterator[str]:
    """Do to a file what happens to files, one thing after the other."""
    home.cli("refresh")
    run(home)
    yield "refresh"
    home.cli("rescan", "--rehash")
    run(home)
    yield "rescan"
    path.unlink()
    run(home)
    put(home, path.name, content)
    run(home)
    yield "re-download"
    home.cli("refresh", path)
    run(home, "--background")
    yield "restart with background questions"


@pytest.mark.parametrize(
    "named",
    [
        "2130994",
        "urn:air:sdxl:lora:civitai:1882733@2130994",
        "https://civitai.com/models/1882733?modelVersionId=2130994",
        "https://civitai.red/models/1882733/some-name?modelVersionId=2130994",
        "https://civitai.com/api/download/models/2130994",
    ],
)
def test_the_owner_names_a_version_in_any_form(home: Home, named: str) -> None:
    path = put(home, "mine.safetensors", lora(1))
    run(home)
    other_version(home)
    done = home.cli("match", path, named)
    assert (done.code, "As the owner says" in done.out) == (0, True)
    card = show(home, path)
    assert (card["model_name"], card["match"]["confidence"]) == ("As the owner says", "owner")
    looked = home.cli("lookup", "--json", named)
    assert looked.json["model_name"] == "As the owner says"


def test_the_owners_match_survives_refresh_rescan_second_download_and_restart(home: Home) -> None:
    content = lora(1)
    path = put(home, "mine.safetensors", content)
    home.site.add(sha256=sha256(content), name="As the site says", previews=(png(8, 8, 1),))
    run(home)
    picture = path.with_suffix(".preview.png")
    assert picture.read_bytes() == png(8, 8, 1)
    other_version(home, previews=(png(8, 8, 2),))
    assert home.cli("match", path, 2130994).code == 0
    run(home)
    for what in survives(home, path, content):
        assert show(home, path)["model_name"] == "As the owner says", what
        sidecar = json.loads(path.with_suffix(".metadata.json").read_text(encoding="utf-8"))
        assert sidecar["civitai"]["id"] == 2130994, what
        assert picture.read_bytes() == png(8, 8, 2), what
    assert "taken back" in home.cli("unmatch", path).out
    run(home)
    assert show(home, path)["model_name"] == "As the site says"
    assert picture.read_bytes() == png(8, 8, 1)
    assert "you had not said" in home.cli("unmatch", path).out


def test_a_locked_field_survives_refresh_rescan_second_download_and_restart(home: Home) -> None:
    content = lora(1)
    path = put(home, "mine.safetensors", content)
    facts = {"model_id": 11, "version_id": 22, "sha256": sha256(content)}
    listing = home.site.add(**facts, name="First name", trained_words=("one",))
    run(home)
    assert home.cli("lock", path, "model_name").code == 0
    home.site.delete(listing)
    home.site.add(**facts, name="Second name", trained_words=("one", "two"))
    for what in survives(home, path, content):
        card = show(home, path)
        assert (card["model_name"], card["trained_words"]) == ("First name", ["one", "two"]), what
        assert card["locked"] == ["model_name"], what
        info = json.loads(path.with_suffix(".civitai.info").read_text(encoding="utf-8"))
        assert (info["model"]["name"], info["trainedWords"]) == ("First name", ["one", "two"]), what
    assert "unlocked: model_name" in home.cli("unlock", path).out
    assert show(home, path)["model_name"] == "Second name"


def test_the_owners_word_is_kept_while_the_site_is_away_and_filled_in_later(home: Home) -> None:
    path = put(home, "mine.safetensors", lora(1))
    run(home)
    other_version(home)
    home.site.fail_next(None, status=503)
    done = home.cli("match", path, 2130994)
    assert (done.code, "as soon as the site answers" in done.out) == (0, True)
    assert show(home, path)["match"]["confidence"] == "claimed"
    home.site.clear_faults()
    home.cli("retry")
    run(home, "--background")
    assert show(home, path)["model_name"] == "As the owner says"


@pytest.mark.parametrize(
    "named,words",
    [
        ("no version", "names no model"),
        ("https://civitai.com/models/1882733", "no version of it"),
        ("999", "does not know version 999"),
        ("https://civitai.com/models/5?modelVersionId=2130994", "belongs to model 1882733, not to model 5"),
    ],
)
def test_what_names_no_version_changes_nothing(home: Home, named: str, words: str) -> None:
    path = put(home, "mine.safetensors", lora(1))
    run(home)
    other_version(home)
    done = home.cli("match", path, named)
    assert (done.code, words in done.err) == (1, True)
    assert "what you can do" in done.err
    assert show(home, path)["match"]["confidence"] == "claimed"


def test_a_version_that_the_site_deleted_can_be_kept_anyway(home: Home) -> None:
    path = put(home, "mine.safetensors", lora(1))
    run(home)
    assert home.cli("match", path, 999, "--anyway").code == 0
    assert show(home, path)["version_id"] == 999


def test_a_version_that_the_site_deleted_keeps_what_was_told_of_it_when_the_owner_chooses_it(
    home: Home,
) -> None:
    path, original = edited(home)
    run(home, "--background")
    version_id = show(home, path)["version_id"]
    home.site.library.remove(original)
    assert home.cli("match", path, version_id, "--anyway").code == 0
    run(home)
    card = show(home, path)
    assert (card["model_name"], card["trained_words"]) == ("Found by its tensors", ["inkwash"])
    assert card["match"]["confidence"] == "owner"
    sidecar = json.loads(path.with_suffix(".metadata.json").read_text(encoding="utf-8"))
    assert sidecar["model_name"] == "Found by its tensors"


def test_a_newer_version_is_told_until_it_is_there_or_ignored(home: Home) -> None:
    old, new = lora(1), lora(2)
    path = put(home, "old.safetensors", old)
    model = {"model_id": 11, "name": "Grows"}
    home.site.add(**model, sha256=sha256(old), version_id=21, version_name="v1")
    home.site.add(
        **model,
        sha256=sha256(new),
        version_id=22,
        version_name="v2",
        published_at="2026-01-02T00:00:00.000Z",
    )
    run(home)
    assert show(home, path)["update"]["version_id"] == 22
    assert "v2" in home.cli("list", "--updates").out
    assert home.cli("show", path).out.count("update_found") == 1
    home.cli("refresh")
    run(home)
    assert home.cli("show", path).out.count("update_found") == 1
    home.cli("ignore-updates", path)
    assert home.cli("list", "--updates").out == ""
    home.cli("ignore-updates", path, "--undo")
    assert len(home.cli("list", "--updates", "--json").lines) == 1
    assert "you have it" not in home.cli("show", path).out
    put(home, "new.safetensors", new)
    run(home)
    assert home.cli("list", "--updates").out == ""
    assert "v2 (version 22, published 2026-01-02); you have it: loras/new.safetensors" in (
        home.cli("show", path).out
    )
    assert show(home, path)["update_at"] == {"root": "loras", "path": "new.safetensors"}


def test_a_newer_version_stands_in_the_log_once_and_not_for_each_file_of_its_model(home: Home) -> None:
    model = {"model_id": 11, "name": "Grows"}
    for number in (1, 2, 3):
        put(home, f"part{number}.safetensors", lora(number))
        home.site.add(**model, sha256=sha256(lora(number)), version_id=21 + number % 2)
    home.site.add(**model, sha256="b" * 64, version_id=23, published_at="2026-01-02T00:00:00.000Z")
    log = home.cli("run", "--once").err
    assert log.count('"event":"update_found"') == 1
    home.cli("refresh")
    assert "update_found" not in home.cli("run", "--once").err
    assert home.cli("show", "part1").out.count("update_found") == 1


def test_duplicates_are_listed_with_what_they_cost_and_nothing_is_deleted(home: Home) -> None:
    put(home, "one.safetensors", build(data=DATA))
    put(home, "two.safetensors", build(data=DATA))
    put(home, "edited.safetensors", build({"modelspec.title": "Edited"}, data=DATA))
    os.link(home.loras / "one.safetensors", home.loras / "link.safetensors")
    put(home, "other.safetensors", lora(9))
    run(home)
    groups = {group["by"]: group for group in home.cli("list", "--duplicates", "--json").lines}
    size = (home.loras / "one.safetensors").stat().st_size
    assert [file["path"] for file in groups["sha256"]["files"]] == [
        "link.safetensors",
        "one.safetensors",
        "two.safetensors",
    ]
    assert groups["sha256"]["could_free_bytes"] == size
    assert len(groups["tensors"]["files"]) == 4
    words = home.cli("list", "--duplicates").out
    assert "hashtagd deletes nothing" in words
    assert len(list(home.loras.glob("*.safetensors"))) == 5


def test_answers_that_contradict_each_other_are_to_be_reviewed_until_the_owner_decides(home: Home) -> None:
    content = build({"air": "urn:air:sdxl:lora:civitai:5@6"}, data=DATA)
    path = put(home, "x.safetensors", content)
    known = {"autov3": sha256(DATA)[:12], "size_bytes": len(content)}
    home.site.add(sha256="b" * 64, **known, model_id=7, version_id=8)
    run(home, "--background")
    (listed,) = home.cli("list", "--review", "--json").lines
    assert (listed["path"], listed["model_id"]) == ("x.safetensors", 7)
    assert [other["model_id"] for other in listed["contradicted_by"]] == [5]
    assert "header: Edited" not in home.cli("list", "--review").out
    assert "model 5, version 6" in home.cli("list", "--review").out
    assert "model 5, version 6" in home.cli("show", path).out
    home.cli("match", path, 8)
    assert home.cli("list", "--review").out == ""


def test_lists_and_status_say_in_words_how_and_when_files_are_known(home: Home) -> None:
    known = put(home, "known.safetensors", lora(1))
    home.site.add(sha256=sha256(lora(1)), name="Known", early_access_ends_at="2999-01-01T00:00:00.000Z")
    put(home, "nobody.safetensors", lora(2))
    run(home)
    listed = home.cli("list").out
    assert "same SHA-256\tearly access until 2999-01-01" in listed
    assert "the file's own header says so" in listed
    assert " ago\tin " in listed
    shown = home.cli("show", known).out
    assert "early access until 2999" in shown
    assert "last check" in shown
    assert "next check" in shown
    status = home.cli("status").out
    assert "known by: 1 same SHA-256, 1 the file's own header says so" in status
    assert "1 early access" in status
    assert "last answer: " in status
    facts = home.cli("status", "--json").json
    assert (facts["matches"]["exact"], facts["availability"]["early_access"]) == (1, 1)
    assert facts["next_check_at"] > facts["last_check_at"]


def test_what_the_file_tells_of_its_training_is_shown_with_counts(home: Home) -> None:
    path = put(home, "x.safetensors", lora(1, rank=8))
    run(home)
    training = show(home, path)["training"]
    assert (training["rank"], training["images"]) == (8, 24)
    assert training["trigger_candidates"][:2] == [["madestyle", 24], ["1girl", 12]]
    assert "madestyle (24)" in home.cli("show", path).out


def test_a_word_of_the_owner_about_the_version_it_is_loses_nothing_while_the_site_is_away(home: Home) -> None:
    content = lora(1)
    path = put(home, "known.safetensors", content)
    home.site.add(sha256=sha256(content), name="Known", trained_words=("one",), version_id=77, model_id=7)
    run(home)
    before = path.with_suffix(".civitai.info").read_bytes()
    home.site.fail_next(None, status=503)
    assert home.cli("match", path, 77).code == 0
    card = show(home, path)
    assert (card["model_name"], card["trained_words"]) == ("Known", ["one"])
    assert path.with_suffix(".civitai.info").read_bytes() == before


def test_lists_and_search_see_what_is_locked(home: Home) -> None:
    content = lora(1)
    path = put(home, "x.safetensors", content)
    facts = {"sha256": sha256(content), "model_id": 7, "version_id": 77}
    listing = home.site.add(**facts, name="Alpha", base_model="Illustrious")
    run(home)
    home.cli("lock", path, "all")
    home.site.delete(listing)
    home.site.add(**facts, name="Beta", base_model="Pony")
    home.cli("refresh")
    run(home)
    assert len(home.cli("list", "--base", "illustrious", "--json").lines) == 1
    assert home.cli("list", "--base", "Pony").out == ""
    assert len(home.cli("search", "alpha", "--json").lines) == 1


def test_a_pasted_token_is_not_echoed(home: Home) -> None:
    for address in ("https://evil.example/foo?token=SECRETTOKEN", "civitai.com/models/5?token=SECRETTOKEN"):
        done = home.cli("lookup", address)
        assert done.code != 0
        assert "SECRETTOKEN" not in done.out + done.err
    other_version(home)
    done = home.cli("lookup", "https://civitai.com/api/download/models/2130994?token=SECRETTOKEN")
    assert (done.code, "SECRETTOKEN" in done.out + done.err) == (0, False)


def test_the_word_of_an_archive_that_states_no_hash_is_not_called_that_of_the_file(
    home: Home, archive: ArchiveStandin
) -> None:
    content = lora(1)
    path = put(home, "x.safetensors", content)
    listing = archive.add(sha256=sha256(content), name="Perhaps")
    said = archive.archive.answer(Asked.parse("GET", f"/api/sha256/{listing.sha256}", {}, b""))
    hashless = said.body.replace(listing.sha256.encode(), b"")
    archive.fail_next(None, status=200, body=hashless)
    run(home, "--background")
    assert show(home, path)["match"]["confidence"] == "claimed"
    words = home.cli("show", path).out
    assert "civarchive, its word alone, it states no hash" in words
    assert "model_absent\tcivitai\n" in words
    assert "its word alone" in home.cli("list").out
