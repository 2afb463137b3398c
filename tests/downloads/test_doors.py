"""Who is let in: keys, early access, archives, quotas, regions; and mirrors that want to know us."""

from datetime import timedelta
from pathlib import Path

import pytest

from hashtagd.core.troubles import AskOperator, GiveUp, Scope, Trouble, TryLater
from hashtagd.core.work import Defer, Park
from hashtagd.providers.http import PoliteClient
from hashtagd.standin import Standin
from support.downloads import (
    CONTENT,
    KEY,
    KIND,
    Serve,
    errand,
    fetched,
    from_site,
    gives,
    is_there,
    kind_of,
    mirror,
    redirect,
    refusal,
    trouble_of,
)
from support.fault_server import FaultServer, reply
from support.surroundings import START, World, sha

PAGE = b"<!DOCTYPE html><html><head><title>Log in</title></head></html>"
QUOTA = refusal(429, error="We have noticed an unusual amount of downloading from your account")
HOURS_S = 3 * 3_600.0


def offer(site: Standin, **facts: object) -> None:
    """Let the site have the file as version 50."""
    site.add(sha256=sha(1), version_id=50, file_id=60, content=CONTENT, **facts)


def keys_shown(site: Standin) -> list[tuple[str, bool]]:
    """Tell of each request its route, and whether it carried the key."""
    return [(request.route, "authorization" in request.headers) for request in site.requests]


# ---- what the site says


def test_a_file_that_needs_no_key_is_fetched_without_one(tmp_path: Path, site: Standin) -> None:
    """P7."""
    offer(site)
    with errand(tmp_path, site=site.url) as job:
        fetched(job.run(from_site(site.url)))
        assert is_there(job)
    assert keys_shown(site) == [("download", False), ("storage", False)]


def test_the_key_is_shown_once_it_was_asked_for_and_never_to_the_storage(
    tmp_path: Path, site: Standin
) -> None:
    """F47, F50."""
    site.routes.key = KEY
    offer(site, needs_key=True)
    with errand(tmp_path, site=site.url) as job:
        fetched(job.run(from_site(site.url)))
        assert is_there(job)
    assert keys_shown(site) == [("download", False), ("download", True), ("storage", False)]


@pytest.mark.parametrize("as_page", [False, True])
@pytest.mark.parametrize("key", [None, "b" * 32])
def test_a_file_for_others_waits_for_a_person(
    tmp_path: Path, site: Standin, key: str | None, *, as_page: bool
) -> None:
    """F47: without a key, and with one that is not taken; told in JSON, or by a page to log in."""
    site.routes.key, site.routes.login_page = KEY, as_page
    offer(site, needs_key=True)
    world = World(running=True, key=key)
    with errand(tmp_path, site=site.url, world=world) as job:
        outcome = job.run(from_site(site.url))
        assert isinstance(outcome, Park)
        assert isinstance(outcome.trouble, AskOperator)
        assert kind_of(outcome) == "login_wanted"
        assert ("does not take the key" in outcome.trouble.what) is (key is not None)
        assert job.names == []
    assert keys_shown(site) == [("download", shown) for shown in ((False,) if key is None else (False, True))]
    assert world.gates.closings == []


def test_a_key_that_cannot_be_one_is_never_sent(tmp_path: Path, site: Standin) -> None:
    """F91."""
    site.routes.key = KEY
    offer(site, needs_key=True)
    with errand(tmp_path, site=site.url, world=World(running=True, key="bad\nkey")) as job:
        assert kind_of(job.run(from_site(site.url))) == "login_wanted"
    assert keys_shown(site) == [("download", False)]


def test_a_file_that_the_site_does_not_give_comes_from_a_mirror(tmp_path: Path, site: Standin) -> None:
    """P12."""
    offer(site, generation_only=True)
    with FaultServer(gives()) as other, errand(tmp_path, site=site.url, origins=[other.url]) as job:
        fetched(job.run(from_site(site.url), mirror(other.url)))
        assert is_there(job)


@pytest.mark.parametrize(
    "facts, kind, acts",
    [
        ({"generation_only": True}, "downloads_disabled", GiveUp),
        ({"archived": True}, "archived", GiveUp),
        ({"paid": True}, "early_access", AskOperator),
    ],
)
def test_what_no_time_heals_is_parked(
    tmp_path: Path, site: Standin, facts: dict[str, object], kind: str, acts: type[Trouble]
) -> None:
    """F48."""
    site.routes.key = KEY
    offer(site, **facts)
    with errand(tmp_path, site=site.url) as job:
        outcome = job.run(from_site(site.url))
        assert isinstance(outcome, Park)
        assert isinstance(outcome.trouble, acts)
        assert (kind_of(outcome), outcome.trouble.scope) == (kind, Scope.FILE)
        assert job.world.gates.closings == []
        assert job.names == []


def test_early_access_is_waited_for_as_long_as_it_lasts(tmp_path: Path, site: Standin) -> None:
    """The site names an end."""
    ends = (START + timedelta(days=2)).isoformat()
    offer(site, early_access_ends_at=ends)
    with errand(tmp_path, site=site.url) as job:
        outcome = job.run(from_site(site.url))
        assert isinstance(outcome, Defer)
        assert kind_of(outcome) == "early_access"
        assert outcome.wait_s == 2 * 86_400.0


def test_a_404_of_the_site_is_no_proof_that_the_file_is_gone(tmp_path: Path, site: Standin) -> None:
    """F48: its look-up of the storage may have failed for a moment."""
    with errand(tmp_path, site=site.url) as job:
        outcome = job.run(from_site(site.url))
        assert isinstance(outcome, Defer)
        assert kind_of(outcome) == "file_not_found"
        assert job.world.gates.closings == []


# ---- what concerns the whole site


@pytest.mark.parametrize(
    "answer, wait_s",
    [
        (QUOTA, HOURS_S),
        (refusal(429, error="quota").replace(b"\r\n", b"\r\nRetry-After: 7200\r\n", 1), 7_200.0),
    ],
)
def test_a_quota_closes_the_gate_of_downloads_for_hours_and_of_nothing_else(
    tmp_path: Path, answer: bytes, wait_s: float
) -> None:
    """F45: look-ups go on, and the next file is not even asked for."""
    with FaultServer(answer, reply(b"{}")) as server:
        gate = f"{server.url}/api/download"
        with errand(tmp_path, site=server.url) as job:
            client = PoliteClient(server.url, job.world.surroundings)
            for _ in range(2):
                outcome = job.run(from_site(server.url))
                assert isinstance(outcome, Defer)
                assert kind_of(outcome) == "rate_limited"
                assert outcome.wait_s == wait_s
            assert [(origin, told) for origin, _, told in job.world.gates.closings] == [(gate, wait_s)]
            assert len(server.requests) == 1
            assert client.get_json("/api/v1/models").body == {}
            client.close()


def test_a_quota_of_the_site_leaves_mirrors_alone(tmp_path: Path) -> None:
    """P12."""
    with (
        FaultServer(QUOTA) as server,
        FaultServer(gives()) as other,
        errand(tmp_path, site=server.url, origins=[other.url]) as job,
    ):
        fetched(job.run(from_site(server.url), mirror(other.url)))


def test_a_storage_that_is_away_costs_the_site_no_question_for_each_file(tmp_path: Path) -> None:
    """P9: each would count as a download, and none could come."""
    with (
        FaultServer(refusal(503, error="no"), gives()) as storage,
        FaultServer(redirect(f"{storage.url}/signed")) as server,
        errand(tmp_path, site=server.url, origins=[storage.url]) as job,
    ):
        source = from_site(server.url)
        for _ in range(3):
            outcome = job.run(source)
            assert isinstance(outcome, Defer)
            assert kind_of(outcome) == "unreachable"
        assert (len(server.requests), len(storage.requests)) == (1, 1)
        assert job.downloader.gate_for(source) == storage.url
        job.world.clock.elapsed_s += 60.0
        assert job.downloader.gate_for(source) == f"{server.url}/api/download"
        fetched(job.run(source))


def test_where_the_site_has_more_storages_than_the_one_that_is_away_it_is_asked(tmp_path: Path) -> None:
    with (
        FaultServer(refusal(503, error="no")) as one,
        FaultServer(gives()) as two,
        FaultServer(*(redirect(f"{it.url}/signed") for it in (two, one, two))) as server,
        errand(tmp_path, site=server.url, origins=[one.url, two.url]) as job,
    ):
        fetched(job.run(from_site(server.url), name="a.ckpt"))
        job.run(from_site(server.url), name="b.ckpt")
        fetched(job.run(from_site(server.url), name="c.ckpt"))


def test_a_region_that_is_not_served_closes_downloads_for_a_day(tmp_path: Path) -> None:
    """F45: 451."""
    blocked = refusal(451, error="no", code="REGION_BLOCKED")
    with FaultServer(blocked) as server, errand(tmp_path, site=server.url) as job:
        outcome = job.run(from_site(server.url))
        assert isinstance(outcome, Defer)
        assert kind_of(outcome) == "region_blocked"
        assert [told for _, _, told in job.world.gates.closings] == [86_400.0]


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 524, 408, 499])
def test_an_outage_of_the_site_closes_the_gate_by_its_schedule(tmp_path: Path, status: int) -> None:
    """F46."""
    with FaultServer(refusal(status, error="oops")) as server, errand(tmp_path, site=server.url) as job:
        for _ in range(3):
            outcome = job.run(from_site(server.url))
            assert isinstance(outcome, Defer)
            assert kind_of(outcome) == "unreachable"
        assert len(server.requests) == 1
        assert job.world.gates.closings[0][2] is None


def test_a_probe_that_is_answered_opens_the_gate_though_the_file_is_elsewhere(
    tmp_path: Path, site: Standin
) -> None:
    """P9: a redirect, and a refusal of one file, are proper answers."""
    offer(site)
    gate = f"{site.url}/api/download"
    with errand(tmp_path, site=site.url) as job:
        fetched(job.run(from_site(site.url)))
        assert job.world.gates.successes == [gate, gate]
        job.run(from_site(site.url, 51), name="y.ckpt")
        assert job.world.gates.successes == [gate] * 3


# ---- pages for people, at every hop


@pytest.mark.parametrize(
    "page",
    [
        reply(PAGE, kind="text/html"),
        reply(PAGE, kind=KIND),
        reply(b" \r\n\xef\xbb\xbf<HTML>", kind=KIND),
        reply(PAGE, kind=KIND, length=None),
        reply(PAGE, status="403 Forbidden", kind="text/html; charset=utf-8"),
        reply(PAGE, status="503 Service Unavailable", kind="text/html"),
    ],
)
@pytest.mark.parametrize("hop", ["site", "storage", "mirror"])
def test_a_page_for_people_is_never_a_model(tmp_path: Path, page: bytes, hop: str) -> None:
    """F44: maintenance, log-in, captive portal; whoever sends it is asked nothing for a while."""
    with FaultServer(page) as bad, FaultServer(redirect(f"{bad.url}/s")) as api:
        site = bad.url if hop == "site" else api.url
        source = mirror(bad.url) if hop == "mirror" else from_site(site)
        with errand(tmp_path, site=site, origins=[bad.url]) as job:
            outcome = job.run(source, content=None)
            assert isinstance(outcome, Defer)
            trouble = trouble_of(outcome)
            assert isinstance(trouble, TryLater)
            assert trouble.kind in ("not_json", "unreachable")
            assert trouble.scope is Scope.PROVIDER
            assert [origin for origin, _, _ in job.world.gates.closings] == [
                f"{bad.url}/api/download" if hop == "site" else bad.url
            ]
            assert job.names == []


def test_a_page_that_comes_byte_by_byte_is_known_too(serve: Serve) -> None:
    """F44."""
    job, server = serve(lambda line: line.drip(reply(PAGE, kind=KIND), 0.001))
    assert kind_of(job.run(mirror(server.url))) == "not_json"
    assert job.names == []


def test_in_the_middle_of_a_file_any_bytes_may_stand(serve: Serve) -> None:
    """A model may hold the words that a page begins with."""
    content = CONTENT[:1000] + PAGE + CONTENT[1000:]
    job, server = serve(gives(content, cut_after=1000), gives(content))
    fetched(job.run(mirror(server.url), content=content))
