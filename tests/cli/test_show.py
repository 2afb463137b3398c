import json
import os
from pathlib import Path

import pytest

from hashtagd.standin.pictures import png
from support.commands import Home

#: the card that product documentation promises, key by key and in its order
CARD_KEYS = [
    "root",
    "path",
    "absolute_path",
    "size_bytes",
    "state",
    "next_check_at",
    "hashes",
    "match",
    "model_id",
    "version_id",
    "air",
    "model_name",
    "version_name",
    "kind",
    "downloadable",
    "not_downloadable_because",
    "base_model",
    "trained_words",
    "tags",
    "nsfw_level",
    "creator",
    "license",
    "page_url",
    "downloads",
    "update",
    "trouble",
    "contradicted_by",
    "locked",
    "updates_ignored",
    "update_at",
    "training",
    "sidecars",
    "gallery",
]
INK = "styles/ink.safetensors"


def test_a_known_model_has_the_whole_card(library: Home) -> None:
    card = library.cli("show", "--json", library.loras / INK).json
    assert list(card) == CARD_KEYS
    assert (card["root"], card["path"], card["state"]) == ("loras", INK, "published")
    assert card["absolute_path"] == str(library.loras / INK)
    assert (card["model_id"], card["version_id"]) == (11, 22)
    assert (card["trained_words"], card["tags"]) == (["inkwash"], ["style"])
    assert card["match"]["confidence"] == "exact"
    assert card["match"]["checked_at"].endswith("Z")
    assert card["next_check_at"].endswith("Z")
    assert card["hashes"]["autov2"] == card["hashes"]["sha256"][:10]
    assert card["hashes"]["autov3"] == card["hashes"]["tensors_sha256"][:12]
    assert set(card["downloads"][0]["urls"][0]) >= {"url", "source"}
    assert card["downloadable"] is True
    assert card["trouble"] is None


def test_the_gallery_is_listed_in_the_card_s_order(home: Home) -> None:
    home.settle(preview={"gallery": 2})
    pictures = [png(8, 8, seed) for seed in range(3)]
    home.put(INK, previews=pictures)
    home.put("private.safetensors", known=False)
    assert home.cli("--quiet", "run", "--once").code == 0
    card = home.cli("show", "--json", "ink").json
    assert [Path(path).read_bytes() for path in card["gallery"]] == pictures[:2]
    folder = home.state / "gallery" / card["hashes"]["sha256"][:2] / card["hashes"]["sha256"]
    assert {Path(path).parent for path in card["gallery"]} == {folder}
    assert f"gallery: 2 pictures in {folder}" in home.cli("show", "ink").out
    assert home.cli("show", "--json", "private").json["gallery"] == []
    assert "gallery:" not in home.cli("show", "private").out


def test_an_unknown_file_has_the_same_keys_and_invents_nothing(library: Home) -> None:
    card = library.cli("show", "--json", library.loras / "private.safetensors").json
    assert list(card) == CARD_KEYS
    assert card["state"] == "unknown"
    assert (card["model_id"], card["version_id"], card["update"]) == (None, None, None)
    assert card["downloads"] == []


def test_a_model_is_found_by_whatever_names_it(library: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    sha256 = library.cli("show", "--json", library.loras / INK).json["hashes"]["sha256"]
    tensors = library.cli("show", "--json", library.loras / INK).json["hashes"]["tensors_sha256"]
    link = library.folder / "by-another-name"
    link.symlink_to(library.loras / "styles")
    for wanted in (sha256, sha256.upper(), sha256[:10], tensors[:12], "11", "22", f"loras/{INK}"):
        assert library.cli("show", "--json", wanted).json["path"] == INK, wanted
    assert library.cli("show", "--json", link / "ink.safetensors").json["path"] == INK
    monkeypatch.chdir(library.loras / "styles")
    assert library.cli("show", "--json", "ink.safetensors").json["path"] == INK
    assert library.cli("show", "--json", "../styles/ink.safetensors").json["path"] == INK


def test_a_name_that_is_unique_needs_neither_root_nor_suffix(library: Home) -> None:
    for wanted in ("ink", "ink.safetensors", "styles/ink", "loras/styles/ink"):
        assert library.cli("show", "--json", wanted).json["path"] == INK, wanted
    for wanted in ("in", "k.safetensors", "nk", "INK", "styles", "%"):
        assert library.cli("show", wanted).code == 1, wanted


def test_of_several_files_of_one_name_none_is_taken_and_all_are_named(library: Home) -> None:
    for number in range(6):
        library.put(f"more/{number}/ink.safetensors", known=False)
    library.cli("--quiet", "run", "--once")
    done = library.cli("show", "ink")
    assert done.code == 1
    assert "7 files are called ink: loras/more/0/ink.safetensors, " in done.err
    assert "and 2 more" in done.err
    assert "ROOT/PATH" in done.err
    assert library.cli("show", "--json", "3/ink").json["path"] == "more/3/ink.safetensors"


@pytest.mark.parametrize(
    "wanted",
    [
        "nothing.safetensors",
        "loras/nothing.safetensors",
        "loras/",
        "/",
        "",
        "..",
        "99",
        "9" * 40,
        "9" * 5000,
        "0" * 18,
        "abc",
        "deadbeef",
        "~nobody-here/x",
        "\udcff.safetensors",
        "a\x1b[2J",
    ],
)
def test_what_nobody_knows_ends_with_1_and_three_clauses(library: Home, wanted: str) -> None:
    done = library.cli("show", wanted)
    assert done.code == 1
    assert "what you can do" in done.err
    assert "\x1b" not in done.err
    assert "Traceback" not in done.err


def test_a_search_for_bytes_that_are_no_text_finds_nothing(library: Home) -> None:
    assert library.cli("search", "\udcff").out == ""


def test_copies_of_one_file_are_all_shown(library: Home) -> None:
    copy = library.loras / "copy.safetensors"
    copy.write_bytes((library.loras / INK).read_bytes())
    library.cli("--quiet", "run", "--once")
    sha256 = library.cli("show", "--json", library.loras / INK).json["hashes"]["sha256"]
    cards = library.cli("show", "--json", sha256).json
    assert [card["path"] for card in cards] == ["copy.safetensors", INK]
    printed = library.cli("show", sha256).out
    assert printed.count("AutoV2") == 2
    assert "\n\n" in printed


def test_people_see_the_model_what_was_written_and_its_story(library: Home) -> None:
    printed = library.cli("show", library.loras / INK).out
    for words in (
        "trigger words  inkwash",
        "same SHA-256",
        "sidecars:",
        "styles/ink.metadata.json",
        "story:",
    ):
        assert words in printed
    assert str(library.loras / INK) in printed


def test_each_sidecar_is_told_with_whose_it_is(library: Home) -> None:
    """Somebody edited one, put another there, and threw one away."""
    styles = library.loras / "styles"
    edited = styles / "ink.metadata.json"
    edited.write_text(json.dumps({**json.loads(edited.read_bytes()), "notes": "mine"}), "utf-8")
    (styles / "ink.preview.png").unlink()
    (styles / "ink.preview.png").write_bytes(b"my own picture")
    (styles / "ink.civitai.info").unlink()
    seen = {it["writer"]: it for it in library.cli("show", "--json", library.loras / INK).json["sidecars"]}
    assert {writer: it["state"] for writer, it in seen.items()} == {
        "lora-manager": "edited",
        "preview": "edited",
        "civitai-info": "missing",
    }
    assert seen["lora-manager"]["path"] == "styles/ink.metadata.json"
    assert seen["lora-manager"]["written_at"].endswith("Z")
    (other,) = library.cli("show", "--json", library.loras / "private.safetensors").json["sidecars"]
    assert (other["writer"], other["state"]) == ("lora-manager", "ours")
    printed = library.cli("show", library.loras / INK).out
    assert "somebody changed it" in printed
    assert "as hashtagd wrote it" in library.cli("show", library.loras / "private.safetensors").out


def test_an_edited_sidecar_is_still_called_edited_after_it_was_published_over(library: Home) -> None:
    """And one that was there from the start is somebody else's, also after a merge."""
    edited = library.loras / "private.metadata.json"
    edited.write_text(json.dumps({**json.loads(edited.read_bytes()), "sha256": "", "notes": "mine"}), "utf-8")
    library.put("styles/theirs.safetensors")
    (library.loras / "styles" / "theirs.metadata.json").write_text('{"notes": "theirs"}', "utf-8")
    (library.loras / "styles" / "theirs.jpg").write_bytes(b"their picture")
    library.settle(preview={"width_px": 300})
    library.cli("--quiet", "run", "--once")
    assert json.loads(edited.read_bytes())["sha256"], "it was published over"
    (told,) = library.cli("show", "--json", library.loras / "private.safetensors").json["sidecars"]
    assert told["state"] == "edited"
    seen = library.cli("show", "--json", library.loras / "styles" / "theirs.safetensors").json["sidecars"]
    assert {it["path"]: it["state"] for it in seen} == {
        "styles/theirs.civitai.info": "ours",
        "styles/theirs.jpg": "foreign",
        "styles/theirs.metadata.json": "foreign",
    }
    assert {it["written_at"] is None for it in seen if it["state"] == "foreign"} == {True}


def test_where_the_disk_is_away_sidecars_are_told_without_whose_they_are(library: Home) -> None:
    library.loras.rename(library.folder / "away")
    seen = library.cli("show", "--json", "ink").json["sidecars"]
    assert [it["state"] for it in seen] == [None, None, None]
    assert library.cli("show", "ink").out.count("it could not be looked at") == 3


def test_the_story_says_why_something_did_not_work(library: Home) -> None:
    bad = library.loras / "bad.safetensors"
    bad.write_bytes(b"<html></html>" * 9)
    past_s = bad.stat().st_mtime - 3600
    os.utime(bad, (past_s, past_s))
    library.cli("--quiet", "run", "--once")
    printed = library.cli("show", bad).out
    assert "trouble" in printed
    assert printed.count("this is not a safetensors file") >= 2


def test_a_hostile_name_takes_over_no_terminal(home: Home) -> None:
    """F97."""
    name = "a\x1b[31m\u202egnp\n.safetensors"
    home.put(name, known=False)
    home.cli("--quiet", "run", "--once")
    for words in (["list"], ["list", "--json"], ["show", home.loras / name], ["search", "gnp"], ["status"]):
        done = home.cli(*words)
        assert done.code == 0
        assert "\x1b" not in done.out
        assert "\u202e" not in done.out
    assert Path(home.cli("list", "--json").lines[0]["absolute_path"]).name == name
