"""What `hashtagd restore` fetches: verified, published, told of; and what it does where it cannot."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hashtagd.catalog.transfer_table import transfer
from hashtagd.catalog.transfers import TransferRow
from hashtagd.cli.context import Context
from hashtagd.cli.hands import hands
from hashtagd.core.card import DownloadUrl
from hashtagd.core.manifest import Entry, json_line
from hashtagd.core.place import Place
from hashtagd.core.restoring import Step, Verdict
from hashtagd.core.transfer import Wanted
from hashtagd.core.troubles import Scope, TryLater
from hashtagd.core.work import Defer
from hashtagd.service.feeding import Feeding
from hashtagd.service.fetching import Following
from hashtagd.service.resolving import Told
from hashtagd.service.restoring import Ending, Missing
from support.commands import Done, Home
from support.depot import Depot
from support.safetensors import lora
from support.serving import later

CONTENT = lora(7)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
INK = Entry(root="loras", path="styles/ink.safetensors", sha256=SHA256, size_bytes=len(CONTENT))


@pytest.fixture
def mirror(home: Home) -> Iterator[Depot]:
    with Depot() as depot:
        home.settle(network={"allowed_origins": [home.site.url, depot.url]})
        yield depot


def offer(home: Home, **facts: Any) -> None:
    """Let the site have the file."""
    home.site.add(
        **{
            "sha256": SHA256,
            "size_bytes": len(CONTENT),
            "content": CONTENT,
            "name": "Ink wash",
            "file_name": "ink.safetensors",
            **facts,
        }
    )


def listed(home: Home, *entries: Entry) -> Path:
    path = home.folder / "list.jsonl"
    path.write_text("".join(f"{json_line(it)}\n" for it in entries), "utf-8")
    return path


def at(url: str) -> tuple[DownloadUrl, ...]:
    return (DownloadUrl(url=url, source="mirror"),)


def endings(done: Done) -> list[str]:
    return [file["ending"] for file in done.json["files"]]


def files(home: Home) -> list[str]:
    return sorted(it.relative_to(home.loras).as_posix() for it in home.loras.rglob("*") if it.is_file())


def test_what_is_missing_is_fetched_and_published_at_once(home: Home) -> None:
    offer(home)
    done = home.cli("restore", listed(home, INK))
    assert (done.code, done.out.splitlines()[-2]) == (0, "1 fetched")
    assert "loras/styles/ink.safetensors: done" in done.err
    model = home.loras / "styles/ink.safetensors"
    assert model.read_bytes() == CONTENT
    sidecar = json.loads(model.with_suffix(".metadata.json").read_bytes())
    assert (sidecar["model_name"], sidecar["sha256"]) == ("Ink wash", SHA256)
    home.site.forget_requests()
    assert home.cli("restore", listed(home, INK)).out == "1 already there\n"
    summary = home.cli("run", "--once", "--json").json
    assert (summary["bytes_hashed"], summary["written"], summary["requests"]) == (0, 0, {})


def test_two_hundred_models_are_fetched_for_four_questions(home: Home) -> None:
    entries = []
    for number in range(200):
        content = lora(number)
        sha256 = hashlib.sha256(content).hexdigest()
        home.site.add(sha256=sha256, size_bytes=len(content), content=content)
        entries.append(Entry(root="loras", path=f"{number}.safetensors", sha256=sha256))
    done = home.cli("restore", "--json", listed(home, *entries))
    assert (done.code, done.json["totals"]["fetched"]) == (0, 200)
    asked = [it for it in home.site.requests if it.path.startswith("/api/v1")]
    assert len(asked) == 4
    assert all((home.loras / f"{number}.safetensors").read_bytes() == lora(number) for number in range(200))


def test_a_rehearsal_fetches_and_writes_nothing(home: Home) -> None:
    offer(home)
    assert home.cli("restore", "--dry-run", listed(home, INK)).code == 0
    assert not any(it.path.startswith(("/api/download", "/storage")) for it in home.site.requests)
    assert list(home.loras.iterdir()) == []
    assert home.cli("status", "--json").json["downloads"] == []


def test_twins_of_what_was_fetched_are_linked(home: Home) -> None:
    offer(home)
    twins = [Entry(root="loras", path=f"{name}.safetensors", sha256=SHA256) for name in "abc"]
    done = home.cli("restore", "--json", listed(home, *twins))
    assert (done.code, sorted(endings(done))) == (0, ["fetched", "linked", "linked"])
    assert home.site.counts["storage"] == 1
    assert len({(home.loras / f"{name}.safetensors").stat().st_ino for name in "abc"}) == 1
    # and published, without a daemon that would have to find them first
    assert {it.name for it in home.loras.glob("*.metadata.json")} == {f"{it}.metadata.json" for it in "abc"}
    assert "file_linked" in "".join(home.cli("show", f"loras/{it}.safetensors").out for it in "abc")
    summary = home.cli("run", "--once", "--json").json
    assert (summary["bytes_hashed"], summary["written"], summary["named"]) == (0, 0, 3)


def test_a_file_behind_a_login_is_told_apart(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.site.routes.key = "k" * 32
    offer(home, needs_key=True)
    done = home.cli("restore", listed(home, INK))
    assert done.code == 1
    assert "needs a key\tloras/styles/ink.safetensors" in done.out
    assert files(home) == []
    monkeypatch.setenv("CIVITAI_API_KEY", "k" * 32)
    assert endings(home.cli("restore", "--json", listed(home, INK))) == ["fetched"]


def test_a_host_that_is_away_is_asked_again_later_and_the_others_go_on(home: Home, mirror: Depot) -> None:
    offer(home)
    home.site.fail_next(None, status=503, route="storage")
    other = lora(8)
    sha256 = hashlib.sha256(other).hexdigest()
    kept = Entry(root="loras", path="kept.safetensors", sha256=sha256, urls=at(mirror.put("kept", other)))
    done = home.cli("restore", "--json", listed(home, INK, kept))
    assert (done.code, sorted(endings(done))) == (75, ["fetched", "later"])
    assert (home.loras / "kept.safetensors").read_bytes() == other
    home.site.clear_faults()
    assert home.cli("retry").code == 0
    assert sorted(endings(home.cli("restore", "--json", listed(home, INK, kept)))) == ["fetched", "there"]


def test_a_closed_gate_costs_a_host_one_request_for_all_its_files(home: Home) -> None:
    entries = []
    for number in range(20):
        content = lora(number)
        sha256 = hashlib.sha256(content).hexdigest()
        home.site.add(sha256=sha256, size_bytes=len(content), content=content)
        entries.append(Entry(root="loras", path=f"{number}.safetensors", sha256=sha256))
    home.site.fail_next(None, status=503, route="download")
    done = home.cli("restore", "--json", listed(home, *entries))
    assert (done.code, set(endings(done))) == (75, {"later"})
    assert home.site.counts["download"] <= 2  # one for each lane


def test_wrong_bytes_of_a_mirror_never_get_the_name(home: Home, mirror: Depot) -> None:
    wrong = Entry(root="loras", path="x.safetensors", sha256=SHA256, urls=at(mirror.put("x", lora(99))))
    done = home.cli("restore", listed(home, wrong))
    assert done.code == 1
    assert "their SHA-256 differs" in done.out
    assert files(home) == []
    right = Entry(
        root="loras",
        path="x.safetensors",
        sha256=SHA256,
        urls=(*at(f"{mirror.url}/x"), *at(mirror.put("y", CONTENT))),
    )
    assert home.cli("restore", listed(home, right)).code == 0
    assert (home.loras / "x.safetensors").read_bytes() == CONTENT


def test_what_no_host_has_any_more_is_gone_and_nobody_tries_it_again(home: Home, mirror: Depot) -> None:
    at_site = f"{home.site.url}/api/download/models/5"
    urls = (DownloadUrl(url=at_site, source="civitai"), *at(f"{mirror.url}/lost"))
    lost = Entry(root="loras", path="x.safetensors", sha256=SHA256, urls=urls)
    done = home.cli("restore", "--json", listed(home, lost))
    assert (done.code, endings(done)) == (1, ["gone"])
    assert home.cli("status", "--json").json["downloads"] == []


def test_without_a_place_files_go_by_their_type(home: Home) -> None:
    comfyui = home.folder / "ComfyUI"
    for name in ("loras", "vae"):
        (comfyui / "models" / name).mkdir(parents=True)
    home.settle(roots=[], comfyui={"path": str(comfyui), "url": None})
    offer(home)
    vae = lora(8)
    sha256 = hashlib.sha256(vae).hexdigest()
    home.site.add(sha256=sha256, size_bytes=len(vae), content=vae, kind="VAE", file_name="soft.safetensors")
    names = home.folder / "names.txt"
    names.write_text(f"{SHA256}\n{sha256}\n")
    assert home.cli("restore", names).code == 0
    assert (comfyui / "models/loras/ink.safetensors").read_bytes() == CONTENT
    assert (comfyui / "models/vae/soft.safetensors").read_bytes() == vae


def test_without_settings_all_goes_where_the_owner_says(home: Home) -> None:
    home.settle(roots=[])
    offer(home)
    names = home.folder / "names.txt"
    names.write_text(f"{SHA256}\n")
    assert home.cli("restore", names).code == 1
    assert home.cli("restore", "--to", home.loras, names).code == 0
    assert (home.loras / "ink.safetensors").read_bytes() == CONTENT
    assert (home.loras / "ink.metadata.json").exists()


def test_a_wish_for_another_file_at_the_place_gives_way_to_the_list(home: Home, mirror: Depot) -> None:
    at_ink = {"model_id": 11, "version_id": 22, "file_id": 33}
    offer(home, **at_ink)
    home.site.fail_next(None, status=503, route="storage")
    assert home.cli("get", "22").code == 75  # it waits for its host
    other = lora(8)
    sha256 = hashlib.sha256(other).hexdigest()
    entry = Entry(root="loras", path="ink.safetensors", sha256=sha256, urls=at(mirror.put("other", other)))
    done = home.cli("restore", "--json", listed(home, entry))
    assert (done.code, endings(done)) == (0, ["fetched"])
    assert (home.loras / "ink.safetensors").read_bytes() == other


def test_what_breaks_the_asking_is_raised_when_all_that_came_is_fetched(home: Home, mirror: Depot) -> None:
    context = Context(config=home.config, volume=None, environ=dict(os.environ))
    told = Told(listed=INK, entry=replace(INK, urls=at(mirror.put("ink", CONTENT))))
    place = Place(root="loras", relpath="styles/ink.safetensors")
    step = Step(entry=INK, verdict=Verdict.FETCH, target=place)

    def missing() -> Iterator[Missing]:
        yield Missing(step=step, told=told)
        raise later("catalog_away", scope=Scope.DAEMON)

    with hands(context, context.known_roots()) as held:
        feeding = Feeding(held, lambda _rows, _here: None)
        with pytest.raises(TryLater, match="catalog_away"):
            list(feeding(missing()))
    assert (home.loras / "styles/ink.safetensors").read_bytes() == CONTENT


def test_thousands_of_wishes_are_a_commit_a_hundred(home: Home, mirror: Depot) -> None:
    context = Context(config=home.config, volume=None, environ=dict(os.environ))
    steps = [
        Step(
            entry=Entry(sha256=f"{number:064x}"),
            verdict=Verdict.FETCH,
            target=Place(root="loras", relpath=f"{number}.safetensors"),
        )
        for number in range(150)
    ]
    urls = at(f"{mirror.url}/nothing")
    missing = [
        Missing(step=it, told=Told(listed=it.entry, entry=replace(it.entry, urls=urls))) for it in steps
    ]
    commits: set[datetime] = set()
    wished = select(transfer.c.wanted_at)
    with hands(context, context.known_roots()) as held:

        def watch(_rows: Sequence[TransferRow], _here: Mapping[int, int]) -> None:
            commits.update(held.catalog.database.read(lambda it, _now: it.execute(wished).scalars().all()))

        results = list(Feeding(held, watch)(missing))
    assert {it.ending for it in results} == {Ending.GONE}
    assert [it.step for it in results] == steps
    assert len(commits) == 2


def test_of_thousands_each_is_tried_before_any_is_tried_again(home: Home) -> None:
    context = Context(config=home.config, volume=None, environ=dict(os.environ))
    wanted = [
        Wanted(
            place=Place(root="loras", relpath=f"{number}.safetensors"),
            sha256=None,
            size_bytes=None,
            sources=at("https://mirror.example/x"),
        )
        for number in range(1100)
    ]
    away = later("away", scope=Scope.PROVIDER)
    with hands(context, context.known_roots()) as held:
        transfers = held.catalog.transfers
        following = Following(held.catalog, transfers.want(wanted))
        tried: set[str] = set()
        for _ in range(3):
            following.look(context.clock.now())
            claims = transfers.claim(["loras"], 500, only=following.open)
            tried |= {claim.wanted.place.relpath for claim in claims}
            transfers.apply([(claim, Defer(trouble=away, wait_s=60.0)) for claim in claims])
            following.look(context.clock.now())
            transfers.retry()  # they are due again
        assert following.all_rest
    assert len(tried) == len(wanted)
