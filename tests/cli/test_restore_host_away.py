"""Thousands of missing files while their host is away: one commit puts them off, and each is told of."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import select

from hashtagd.catalog.transfer_table import transfer
from hashtagd.core.card import DownloadUrl
from hashtagd.core.manifest import Entry, json_line
from hashtagd.core.place import Place
from hashtagd.core.transfer import Wanted
from support.commands import Home
from support.depot import Depot
from support.getting import process
from support.safetensors import lora

FILES = 300
AWAY = "127.0.0.1:1"


def at(*urls: str) -> tuple[DownloadUrl, ...]:
    return tuple(DownloadUrl(url=url, source="mirror") for url in urls)


def listed(home: Home, entries: Sequence[Entry]) -> Path:
    path = home.folder / "library.jsonl"
    path.write_text("".join(json_line(it) + "\n" for it in entries), encoding="utf-8")
    return path


def entry(number: int, *urls: str) -> Entry:
    return Entry(root="loras", path=f"{number}.safetensors", sha256=f"{number:064x}", urls=at(*urls))


def claims_of(home: Home) -> list[int]:
    """Tell how often each transfer was claimed."""
    with process(home) as held:
        wanted = select(transfer.c.fence).order_by(transfer.c.id)
        return held.catalog.database.read(lambda it, _now: list(it.execute(wanted).scalars()))


@pytest.fixture
def _away(home: Home) -> None:
    home.settle(network={"allowed_origins": [home.site.url, f"http://{AWAY}"]})


@pytest.mark.usefixtures("_away")
def test_files_behind_a_closed_gate_are_put_off_together(home: Home) -> None:
    """Each was claimed, asked about, and deferred before: two commits a file."""
    library = listed(home, [entry(number, f"http://{AWAY}/{number}") for number in range(FILES)])
    done = home.cli("restore", "--json", library)
    assert done.code == 75
    assert done.json["totals"]["later"] == FILES
    assert {AWAY in it["why"] for it in done.json["files"]} == {True}
    claimed = claims_of(home)
    assert len(claimed) == FILES
    assert sum(claimed) - FILES < 20, "a wish is the first change of a row"


@pytest.mark.usefixtures("_away")
def test_a_file_that_another_host_may_have_is_asked_for_there(home: Home) -> None:
    contents = {number: lora(number) for number in range(5)}
    with Depot() as depot:
        home.settle(network={"allowed_origins": [home.site.url, f"http://{AWAY}", depot.url]})
        entries = [
            Entry(
                root="loras",
                path=f"{number}.safetensors",
                sha256=hashlib.sha256(content).hexdigest(),
                urls=at(f"http://{AWAY}/{number}", depot.put(f"{number}", content)),
            )
            for number, content in contents.items()
        ]
        others = [entry(number, f"http://{AWAY}/{number}") for number in range(5, FILES)]
        done = home.cli("restore", "--json", listed(home, [*others, *entries]))
    assert (done.json["totals"]["later"], done.json["totals"]["fetched"]) == (FILES - 5, 5)


@pytest.mark.usefixtures("_away")
def test_what_was_put_off_says_why_and_is_woken_by_retry(home: Home) -> None:
    home.cli("restore", listed(home, [entry(number, f"http://{AWAY}/{number}") for number in range(20)]))
    downloads = home.cli("status", "--json").json["downloads"]
    assert {(it["state"], it["trouble"]["kind"]) for it in downloads} == {("waiting", "unreachable")}
    assert "20 downloads are due now" in home.cli("retry").out


def test_what_was_claimed_or_wished_for_meanwhile_is_not_put_off(home: Home) -> None:
    wanted = [
        Wanted(place=Place(root="loras", relpath=f"{it}"), sha256=None, size_bytes=None, sources=at("x"))
        for it in range(3)
    ]
    with process(home) as held:
        transfers = held.catalog.transfers
        transfers.want(wanted)
        listed_then = transfers.due(["loras"], None)
        (claim,) = transfers.claim(["loras"], 1)
        transfers.want(wanted[1:2])
        assert transfers.put_off([(row, 60.0, None) for row in listed_then]) == 1
        assert [it.wanted.place.relpath for it in transfers.claim(["loras"], 9)] == ["1"]
        assert claim.wanted.place.relpath == "0"
