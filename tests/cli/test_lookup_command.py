import hashlib
from pathlib import Path

import pytest

from hashtagd.standin import ArchiveStandin
from support.commands import Home
from support.safetensors import build
from support.stage_fakes import as_nobody


def test_a_file_is_asked_about_and_nothing_is_written(home: Home) -> None:
    sha256 = home.put("ink.safetensors", trained_words=("inkwash",), model_id=11, version_id=22)
    before = sorted(home.folder.rglob("*"))
    done = home.cli("lookup", "--json", home.loras / "ink.safetensors")
    assert done.code == 0
    (card,) = done.lines
    assert (card["model_id"], card["version_id"], card["trained_words"]) == (11, 22, ["inkwash"])
    assert card["hashes"]["sha256"] == sha256
    assert card["match"]["confidence"] == "exact"
    assert card["trouble"] is None
    assert sorted(home.folder.rglob("*")) == before


def test_people_see_names_and_nothing_internal(home: Home) -> None:
    sha256 = home.put("ink.safetensors", trained_words=("inkwash",))
    printed = home.cli("lookup", sha256.upper(), home.loras / "ink.safetensors").out
    assert printed.count("inkwash") == 1
    assert "raw" not in printed


def test_a_hash_that_nobody_knows_ends_with_1(home: Home) -> None:
    unknown = hashlib.sha256(b"unknown").hexdigest()
    known = home.put("ink.safetensors")
    done = home.cli("lookup", unknown, known)
    assert done.code == 1
    assert "no site knows this file" in done.out
    (card,) = home.cli("lookup", "--json", unknown).lines
    assert (card["match"], card["trouble"], card["size_bytes"]) == (None, None, None)


def test_a_site_that_is_away_is_no_answer(home: Home) -> None:
    sha256 = home.put("ink.safetensors")
    home.site.fail_next(None, status=503)
    done = home.cli("lookup", sha256)
    assert done.code == 75
    assert "no answer" in done.out


def test_the_budget_of_the_daemon_s_catalog_is_spent(library: Home) -> None:
    library.site.fail_next(None, status=503)
    sha256 = hashlib.sha256(b"unknown").hexdigest()
    assert library.cli("lookup", sha256).code == 75
    (gate,) = [it for it in library.cli("status", "--json").json["gates"] if it["origin"] == library.site.url]
    assert not gate["open"]


@pytest.mark.parametrize("name", ["missing.safetensors", "loras", "0123"])
def test_what_cannot_be_read_is_said_in_words(home: Home, name: str) -> None:
    done = home.cli("lookup", home.folder / name)
    assert done.code == 1
    assert "name a file that can be read" in done.err
    assert home.site.requests == ()


def test_without_a_word_there_is_nothing_to_ask(home: Home) -> None:
    assert home.cli("lookup").code == 2
    assert Path(home.config).exists()


def test_a_file_that_may_not_be_read_is_said_in_words(home: Home) -> None:
    home.put("ink.safetensors")
    secret = home.loras / "ink.safetensors"
    secret.chmod(0)
    for folder in (home.folder, home.loras):
        folder.chmod(0o777)
    with as_nobody():
        done = home.cli("lookup", secret)
    assert done.code == 1
    assert "Permission denied" in done.err


def test_half_a_model_and_a_page_are_asked_nobody_about(home: Home) -> None:
    half = home.loras / "half.safetensors"
    half.write_bytes(build()[:-1])
    page = home.loras / "page.safetensors"
    page.write_text("<!DOCTYPE html><html>please log in</html>")
    for path, words in ((half, "incomplete"), (page, "not a safetensors file")):
        done = home.cli("lookup", path)
        assert done.code == 1
        assert words in done.err
        assert "no site knows" not in done.out
    assert home.site.requests == ()


def test_a_file_whose_header_was_edited_is_asked_about_by_its_tensors(home: Home) -> None:
    data = bytes(range(256)) * 8
    original, ours = build(data=data), build({"modelspec.title": "Edited"}, data=data)
    autov3 = hashlib.sha256(data).hexdigest()[:12]
    home.site.add(sha256=hashlib.sha256(original).hexdigest(), autov3=autov3, name="As it was")
    for name in ("edited", "copy"):
        (home.loras / f"{name}.safetensors").write_bytes(ours)
    (home.loras / "nobody.safetensors").write_bytes(build({"modelspec.title": "Own word"}))
    names = ("edited", "copy", "nobody")
    done = home.cli("lookup", "--json", *(home.loras / f"{name}.safetensors" for name in names))
    assert [(card["model_name"], card["match"]["confidence"]) for card in done.lines] == [
        ("As it was", "tensors"),
        ("Own word", "claimed"),
    ]


def test_what_only_an_archive_knows_is_looked_up_as_deleted(home: Home) -> None:
    sha256 = hashlib.sha256(b"gone").hexdigest()
    with ArchiveStandin() as archive:
        archive.add(sha256=sha256, name="Gone")
        civitai = {"kind": "civitai", "base_url": home.site.url, "requests_per_minute": 6000}
        home.settle(providers=[civitai, {"kind": "civarchive", "base_url": archive.url}])
        (card,) = home.cli("lookup", "--json", sha256).lines
    assert (card["model_name"], card["match"]["availability"]) == ("Gone", "deleted")


def test_a_version_of_another_model_than_was_named_is_refused(home: Home) -> None:
    home.site.add(sha256="a" * 64, model_id=11, version_id=22)
    done = home.cli(
        "lookup", "https://civitai.red/models/12?modelVersionId=22", "urn:air:sdxl:lora:civitai:11@22"
    )
    assert done.code == 1
    assert "version 22 belongs to model 11, not to model 12" in done.out
    assert done.out.count("models/11?modelVersionId=22") == 1


def test_a_version_that_nobody_knows_is_no_file(home: Home) -> None:
    done = home.cli("lookup", "999")
    assert (done.code, "no site knows this version" in done.out) == (1, True)
