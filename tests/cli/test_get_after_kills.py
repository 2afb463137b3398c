"""What commands that fetch find after killed calls: files without a card, and what kills each time."""

from typing import Any

import pytest

from hashtagd.core import schedule
from hashtagd.core.manifest import Entry, json_line
from hashtagd.core.work import Stage
from hashtagd.service import parts
from hashtagd.service.downloads import Downloads, Listeners
from hashtagd.service.leases import Leases
from hashtagd.service.providers import Providers
from hashtagd.watch.roots import Roots
from support.commands import Home
from support.getting import CONTENT, SHA256, fetched, offer, process
from support.safetensors import lora
from support.serving import Ears


def wish(home: Home, *named: str) -> None:
    """Let models be waited for, and be due now."""
    home.site.fail_next(None, status=503, route="storage")
    assert home.cli("get", *named).code == 75
    home.site.clear_faults()
    home.cli("retry")
    home.site.forget_requests()


def fetch_and_die(home: Home) -> None:
    """Fetch what is waited for, and be killed before anything is written beside it."""
    ears = Ears()
    with process(home) as held:
        providers = Providers(parts.make_providers(held.outside))
        downloads = Downloads(
            held.outside,
            catalog=held.catalog,
            roots=Roots(held.plan.folders),
            chain=providers.chain,
            leases=Leases(),
            listeners=Listeners(ended=lambda _claim, _outcome: None, bug=ears.bug, onward=lambda: None),
        )
        while downloads.works[0].turn() == 0.0:
            pass
        downloads.close()
        providers.close()
    assert (ears.bugs, list(home.loras.glob("*.json"))) == ([], [])


def die_while_fetching(home: Home, times: int) -> None:
    for _ in range(times):
        with process(home) as held:
            assert held.catalog.transfers.claim(["loras"], 1)
            held.catalog.release_own([held.catalog.owner])


def downloads_of(home: Home) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = home.cli("status", "--json").json["downloads"]
    return found


def test_what_a_killed_call_fetched_is_published_by_the_next_that_names_it(home: Home) -> None:
    offer(home)
    wish(home, "22")
    fetch_and_die(home)
    home.site.forget_requests()
    done = home.cli("get", "22")
    assert (done.code, fetched(home)) == (0, [])
    assert (home.loras / "ink.metadata.json").exists()


def test_what_a_killed_call_fetched_is_published_by_the_next_that_fetches_something_else(home: Home) -> None:
    offer(home)
    wish(home, "22")
    fetch_and_die(home)
    offer(home, lora(8), version_id=23, model_id=12, file_id=34, file_name="two.safetensors")
    assert home.cli("get", "23").code == 0
    assert {it.name for it in home.loras.glob("*.json")} == {"ink.metadata.json", "two.metadata.json"}


def test_what_a_killed_restore_fetched_is_published_by_the_next(home: Home) -> None:
    offer(home)
    wish(home, "22")
    fetch_and_die(home)
    entry = Entry(root="loras", path="ink.safetensors", sha256=SHA256, size_bytes=len(CONTENT))
    manifest = home.folder / "library.jsonl"
    manifest.write_text(json_line(entry) + "\n", encoding="utf-8")
    assert "1 already there" in home.cli("restore", manifest).out
    assert (home.loras / "ink.metadata.json").exists()


def test_several_that_were_being_published_when_calls_were_killed_are_all_published(home: Home) -> None:
    """Suspected of killing, they come one at a time; none of them is left out for that."""
    for number in range(3):
        content = lora(20 + number)
        ids = {"version_id": 30 + number, "model_id": 40 + number, "file_id": 50 + number}
        offer(home, content, **ids, file_name=f"{number}.safetensors")
    wish(home, "30", "31", "32")
    fetch_and_die(home)
    for _ in range(2):
        with process(home) as held:
            places = held.catalog.transfers.unpublished(["loras"])
            assert len(places) == 3
            while held.catalog.claim(Stage.PUBLISH, ["loras"], 9, only=places):
                pass
            held.catalog.release_own([held.catalog.owner])
    assert home.cli("get", "30").code == 0
    assert len(list(home.loras.glob("*.metadata.json"))) == 3


def test_a_download_that_kills_the_process_each_time_is_parked_in_the_end(home: Home) -> None:
    """F83: as a file is that kills whoever hashes it."""
    offer(home)
    wish(home, "22")
    die_while_fetching(home, schedule.MAX_ATTEMPTS)
    assert home.cli("run", "--once").code == 1
    (row,) = downloads_of(home)
    assert (row["state"], row["trouble"]["kind"]) == ("parked", "worn_out")
    assert "8 times" in home.cli("status").out
    assert fetched(home) == []
    home.cli("retry")
    assert home.cli("run", "--once").code == 0
    assert (home.loras / "ink.safetensors").read_bytes() == CONTENT


def test_one_death_less_and_it_is_tried(home: Home) -> None:
    offer(home)
    wish(home, "22")
    die_while_fetching(home, schedule.MAX_ATTEMPTS - 1)
    assert home.cli("run", "--once").code == 0
    assert (home.loras / "ink.safetensors").read_bytes() == CONTENT


@pytest.mark.parametrize("is_parked", [False, True])
def test_whoever_wishes_for_it_again_has_it_tried(home: Home, is_parked: bool) -> None:  # noqa: FBT001
    """A restore that a person kills and starts again, over and over, is no file that kills."""
    offer(home)
    wish(home, "22")
    die_while_fetching(home, schedule.MAX_ATTEMPTS)
    if is_parked:
        assert home.cli("run", "--once").code == 1
    assert home.cli("get", "22").code == 0
    assert (home.loras / "ink.safetensors").read_bytes() == CONTENT


def test_a_run_that_ends_tells_of_downloads_that_wait(home: Home) -> None:
    offer(home)
    home.site.fail_next(None, status=503, route="storage")
    assert home.cli("get", "22").code == 75
    done = home.cli("run", "--once")
    assert done.code == 75
    assert "downloads: 1 waiting, 0 parked" in done.out
    assert home.cli("run", "--once", "--json").json["downloads_waiting"] == 1
