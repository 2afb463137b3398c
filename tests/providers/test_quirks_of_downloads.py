"""Habits of the site's download route, one test each; the numbers are those of the list the project keeps."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from hashtagd.core.card import Card
from hashtagd.core.troubles import AskOperator, GiveUp, Scope, Trouble, TryLater
from hashtagd.core.work import Defer, Found, Park
from hashtagd.providers.civitai import Civitai
from hashtagd.providers.civitai.addresses import Addresses
from hashtagd.providers.civitai.download_answers import Bytes, DownloadAnswer, Elsewhere, judge_download
from hashtagd.providers.civitai.shapes import card_of
from hashtagd.providers.fetcher import PreviewFetcher
from hashtagd.providers.http import PoliteClient
from hashtagd.standin import Standin
from hashtagd.standin.pictures import png
from support.civitai_samples import SHA, file, version
from support.downloads import CONTENT, errand, fetched, from_site, gives, mirror
from support.fault_server import FaultServer, reply
from support.surroundings import START, World, sha, subject

KEY = "planted0key1of2thirty3two4hex5dg"


@pytest.fixture
def site() -> Iterator[Standin]:
    with Standin() as standin:
        yield standin


def download(site: Standin, path: str, headers: Mapping[str, str] | None = None) -> DownloadAnswer:
    """Ask the stand-in for a download, without following anything."""
    got = httpx.get(site.url + path, headers=dict(headers or {}), follow_redirects=False)
    names = {name.lower(): got.headers.get_list(name) for name in got.headers}
    return DownloadAnswer(status=got.status_code, headers=names, body=got.content)


def verdict(site: Standin, path: str, key: str | None = None) -> Bytes | Elsewhere | Trouble:
    answer = download(site, path, {"Authorization": f"Bearer {key}"} if key else None)
    return judge_download(site.url + path, answer, with_key=key is not None, now=START)


def card(document: dict[str, object]) -> Card:
    return card_of(document, None, sha256=SHA, addresses=Addresses("https://civitai.com"), now=START)


def test_quirk_38_a_wrong_key_is_no_hindrance_for_look_ups_and_401_for_downloads() -> None:
    world = World(key="a" * 32)
    with Standin() as site:
        site.routes.key = KEY
        site.add(sha256=sha(1), version_id=50, content=b"x", needs_key=True)
        provider = Civitai(Civitai.Options(base_url=site.url), world.surroundings)
        answer = dict(provider.ask([subject(sha(1))]))[sha(1)]
        provider.close()
        assert isinstance(answer, Found)
        # that the site answered says nothing of the key, so it was not even shown
        assert all("authorization" not in request.headers for request in site.requests)
        for shown in (None, "a" * 32):
            refused = verdict(site, "/api/download/models/50", shown)
            assert isinstance(refused, AskOperator)
            assert refused.kind == "login_wanted"
            assert ("does not take the key" in refused.what) is (shown is not None)
            assert "api_key_file" in refused.you
        assert isinstance(verdict(site, "/api/download/models/50", KEY), Elsewhere)


def test_quirk_39_no_key_and_no_token_go_where_a_redirect_leads() -> None:
    world = World(key=KEY, running=True)
    unauthorized = reply(b'{"error":"Unauthorized"}', status="401 X")
    with FaultServer(reply(b"{}")) as other:
        away = reply(b"", status="307 X", headers=[f"Location: {other.url}/?token={KEY}"])
        with FaultServer(unauthorized, away) as server:
            client = PoliteClient(server.url, world.surroundings)
            with pytest.raises(TryLater) as caught:
                client.get_json("/x")
            client.close()
            assert caught.value.kind == "redirected"
            assert KEY.encode() in server.requests[1]
        assert other.requests == []
        picture = reply(png(16, 16), kind="image/png")
        with FaultServer(picture) as storage:
            moved = reply(b"", status="302 X", headers=[f"Location: {storage.url}/b.png"])
            with FaultServer(moved) as host:
                fetcher = PreviewFetcher(world.surroundings, allowed_origins=[host.url, storage.url])
                assert fetcher.fetch(f"{host.url}/a.jpeg", BytesIO(), 100_000) == "image/png"
                fetcher.close()
            for request in (*host.requests, *storage.requests):
                assert KEY.encode() not in request
                assert b"authorization" not in request.lower()


def test_quirk_39_a_signed_place_refuses_a_second_proof_and_is_not_shown() -> None:
    with Standin() as site:
        site.add(sha256=sha(1), version_id=50, file_id=60, content=b"0123")
        found = verdict(site, "/api/download/models/50?fileId=60", KEY)
        assert isinstance(found, Elsewhere)
        assert "X-Amz-Signature" in found.url
        assert "X-Amz-Signature" not in repr(found)
        signed = found.url.removeprefix(site.url)
        assert download(site, signed, {"Authorization": f"Bearer {KEY}"}).status == 403
        assert isinstance(verdict(site, signed), Bytes)
    # no such place gets onto a card
    given = "https://files.example/x.safetensors?X-Amz-Signature=feed"
    made = card(version(files=[file(downloadUrl=given)]))
    assert [url.url for url in made.downloads[0].urls] == [
        "https://civitai.com/api/download/models/50?fileId=500"
    ]


@pytest.mark.parametrize(
    "location",
    [
        "/login?returnUrl=%2Fmodels%2F5&reason=download-auth",
        "https://civitai.com/login?reason=download-auth",
        "https://civitai.red/login/",
    ],
)
def test_quirk_40_a_redirect_to_the_login_page_is_a_401(location: str) -> None:
    url = "https://civitai.com/api/download/models/50?fileId=60"
    answer = DownloadAnswer(status=307, headers={"location": [location]})
    refused = judge_download(url, answer, with_key=False, now=START)
    assert isinstance(refused, AskOperator)
    assert (refused.kind, refused.scope) == ("login_wanted", Scope.FILE)
    with Standin() as site:
        site.routes.login_page = True
        site.add(sha256=sha(1), version_id=50, content=b"x", needs_key=True)
        refused = verdict(site, "/api/download/models/50")
        assert isinstance(refused, AskOperator)
        assert refused.kind == "login_wanted"


def test_quirk_41_where_downloads_are_disabled_nobody_is_sent_to_fetch_a_key() -> None:
    with Standin() as site:
        site.routes.key = KEY
        site.add(sha256=sha(1), version_id=50, content=b"x", generation_only=True)
        refused = verdict(site, "/api/download/models/50", KEY)
    assert isinstance(refused, GiveUp)
    assert (refused.kind, refused.scope) == ("downloads_disabled", Scope.FILE)
    assert "api_key_file" not in refused.you
    assert "no key either" in refused.you


def test_quirk_42_a_download_that_is_404_may_be_there_later() -> None:
    with Standin() as site:
        site.add(sha256=sha(1), version_id=50, content=None)
        refused = verdict(site, "/api/download/models/50")
        assert isinstance(refused, TryLater)
        assert (refused.kind, refused.scope) == ("file_not_found", Scope.FILE)
        assert "other addresses" in refused.does
        # a page that says 404 speaks of the address, and of nothing that was asked for
        page = verdict(site, "/nowhere")
        assert isinstance(page, TryLater)
        assert (page.kind, page.scope) == ("not_json", Scope.PROVIDER)


def test_quirk_43_the_file_s_number_is_in_the_first_address_and_the_typed_one_is_kept() -> None:
    typed = "https://undefined/api/download/models/50?type=Model&format=SafeTensor&size=full&fp=fp16"
    made = card(version(files=[file(downloadUrl=typed)]))
    assert [url.url for url in made.downloads[0].urls] == [
        "https://civitai.com/api/download/models/50?fileId=500",
        "https://civitai.com/api/download/models/50?type=Model&format=SafeTensor&size=full&fp=fp16",
    ]
    assert made.downloads[0].sha256 == SHA  # what the bytes have to be, whichever address gave them
    # a linked VAE belongs to another version, so its number would be asked for at the wrong one
    linked = file(
        id=9, type="VAE", primary=False, hashes={}, downloadUrl="https://x/api/download/models/50?type=VAE"
    )
    vae = card(version(files=[file(), linked])).downloads[1]
    assert [url.url for url in vae.urls] == ["https://civitai.com/api/download/models/50?type=VAE"]
    with Standin() as site:
        for number in (1, 2):
            site.add(sha256=sha(number), version_id=50, file_id=60 + number, content=bytes([number]))
        for number in (1, 2):
            place = verdict(site, f"/api/download/models/50?fileId={60 + number}")
            assert isinstance(place, Elsewhere)
            parts = urlsplit(place.url)
            assert download(site, f"{parts.path}?{parts.query}").body == bytes([number])


# ---- the same with the real downloader and the real stage, to the file or to the reason why there is none


def offer(site: Standin, content: bytes = CONTENT, **facts: object) -> None:
    site.add(sha256=sha(1), version_id=50, file_id=60, content=content, **facts)


def test_quirk_38_a_wrong_key_is_shown_once_and_told_of(site: Standin, tmp_path: Path) -> None:
    site.routes.key = KEY
    offer(site, needs_key=True)
    with errand(tmp_path, site=site.url, world=World(running=True, key="a" * 32)) as job:
        outcome = job.run(from_site(site.url))
        assert isinstance(outcome, Park)
        assert outcome.trouble.kind == "login_wanted"
        assert "does not take the key" in outcome.trouble.what
    assert ["authorization" in request.headers for request in site.requests] == [False, True]


def test_quirk_39_the_right_key_opens_the_site_and_stays_there(site: Standin, tmp_path: Path) -> None:
    site.routes.key = KEY
    offer(site, needs_key=True)
    with errand(tmp_path, site=site.url, world=World(running=True, key=KEY)) as job:
        fetched(job.run(from_site(site.url)))
        assert job.path().read_bytes() == CONTENT
    shown = {request.route: "authorization" in request.headers for request in site.requests}
    # the storage refuses a request with two proofs
    assert shown == {"download": True, "storage": False}


def test_quirk_40_a_page_to_log_in_is_no_model(site: Standin, tmp_path: Path) -> None:
    site.routes.login_page = True
    offer(site, needs_key=True)
    with errand(tmp_path, site=site.url, world=World(running=True)) as job:
        outcome = job.run(from_site(site.url))
        assert isinstance(outcome, Park)
        assert outcome.trouble.kind == "login_wanted"
        assert job.names == []
    assert [request.route for request in site.requests] == ["download"]


def test_quirk_41_where_downloads_are_disabled_the_key_is_not_shown(site: Standin, tmp_path: Path) -> None:
    site.routes.key = KEY
    offer(site, generation_only=True)
    with errand(tmp_path, site=site.url, world=World(running=True, key=KEY)) as job:
        outcome = job.run(from_site(site.url))
        assert isinstance(outcome, Park)
        assert outcome.trouble.kind == "downloads_disabled"
    assert all("authorization" not in request.headers for request in site.requests)


def test_quirk_42_a_404_is_tried_again_and_mirrors_meanwhile(site: Standin, tmp_path: Path) -> None:
    with FaultServer(gives()) as other, errand(tmp_path, site=site.url, origins=[other.url]) as job:
        outcome = job.run(from_site(site.url))
        assert isinstance(outcome, Defer)
        assert outcome.trouble is not None
        assert outcome.trouble.kind == "file_not_found"
        fetched(job.run(from_site(site.url), mirror(other.url)))
        offer(site)
        fetched(job.run(from_site(site.url), name="y.ckpt"))


def test_quirk_43_another_file_than_the_wanted_one_never_gets_its_name(site: Standin, tmp_path: Path) -> None:
    site.add(sha256=sha(2), version_id=50, file_id=59, content=b"another precision")
    offer(site)
    typed = replace(from_site(site.url), url=f"{site.url}/api/download/models/50?type=Model&fp=fp16")
    with errand(tmp_path, site=site.url) as job:
        outcome = job.run(typed)
        assert isinstance(outcome, Park)
        assert outcome.trouble.kind == "wrong_hash"
        assert job.names == []
        fetched(job.run(typed, from_site(site.url)))
        assert job.path().read_bytes() == CONTENT
