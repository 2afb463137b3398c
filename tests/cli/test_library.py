import os

import pytest

from support.commands import Home

STORED = ("styles/ink.safetensors", "private.safetensors")


def test_people_get_one_line_a_file(library: Home) -> None:
    done = library.cli("list")
    assert done.code == 0
    first, second = sorted(done.out.splitlines())
    assert first.split("\t")[:4] == ["published", "loras/styles/ink.safetensors", "ink", "SDXL 1.0"]
    assert second.split("\t")[:2] == ["unknown", "loras/private.safetensors"]


def test_programs_get_one_card_a_line(library: Home) -> None:
    cards = library.cli("list", "--json").lines
    assert {card["path"] for card in cards} == set(STORED)
    assert {card["absolute_path"] for card in cards} == {str(library.loras / name) for name in STORED}


@pytest.mark.parametrize(
    "options, count",
    [
        (["--state", "published"], 1),
        (["--state", "gone"], 0),
        (["--kind", "lora"], 2),
        (["--base", "sdxl 1.0"], 1),
        (["--base", "Flux.1 D"], 0),
        (["--unmatched"], 1),
        (["--trouble"], 0),
        (["--limit", "1"], 1),
    ],
)
def test_filters_narrow_the_list(library: Home, options: list[str], count: int) -> None:
    done = library.cli("list", "--json", *options)
    assert (done.code, len(done.lines)) == (0, count)


def test_what_waits_is_listed_with_the_reason_and_what_to_do(library: Home) -> None:
    bad = library.loras / "bad.safetensors"
    bad.write_bytes(b"<html></html>" * 9)
    os.utime(bad, (1e9, 1e9))
    library.cli("run", "--once")
    (line,) = library.cli("list", "--trouble").out.splitlines()
    state, where, why, you = line.split("\t")
    assert (state, where) == ("parked", "loras/bad.safetensors")
    assert "HTML" in why
    assert "fetch the file again" in you
    (card,) = library.cli("list", "--trouble", "--json").lines
    assert {"what", "does", "you"} <= set(card["trouble"])
    assert card["hashes"]["sha256"] is None
    assert card["match"] is None


@pytest.mark.parametrize("words, count", [(["ink"], 1), (["INKWASH", "styles"], 1), (["ink", "nothing"], 0)])
def test_a_search_wants_all_words_whatever_their_case(library: Home, words: list[str], count: int) -> None:
    done = library.cli("search", "--json", *words)
    assert (done.code, len(done.lines)) == (0, count)


def test_without_a_catalog_lists_are_empty_and_nothing_is_made(home: Home) -> None:
    for words in (["list"], ["list", "--json"], ["search", "x"]):
        done = home.cli(*words)
        assert (done.code, done.out) == (0, "")
    assert home.cli("show", "x.safetensors").code == 1
    assert not home.state.exists()
