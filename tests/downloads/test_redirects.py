"""Where a redirect may lead, and what never goes along."""

from pathlib import Path

import pytest

from hashtagd.core.troubles import GiveUp, Scope
from hashtagd.core.work import Park
from support.downloads import (
    CONTENT,
    KEY,
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
from support.surroundings import World

#: `{port}` stands for that of a server on this machine that nobody allowed
INWARD = [
    "http://127.0.0.1:{port}/x",
    "https://127.0.0.1:{port}/x",
    "https://127.0.0.1/x",
    "https://127.1/x",
    "https://2130706433/x",
    "https://0x7f000001/x",
    "https://[::1]/x",
    "https://[::ffff:127.0.0.1]/x",
    "https://[64:ff9b::7f00:1]/x",
    "https://169.254.169.254/latest/meta-data/",
    "https://10.0.0.1/x",
    "https://user:password@storage.example/x",
    "https://storage.example:8443/x",
    "https://storage.example:0/x",
    "//127.0.0.1:{port}/x",
    "https:///x",
    "https:x",
    "x.bin",
    "/\\127.0.0.1:{port}/x",
    "http://storage.example/x",
]
NO_ADDRESS = ["file:///etc/passwd", "ftp://storage.example/x", "javascript:alert(1)", "data:text/plain,x", ""]


@pytest.mark.parametrize("location", [*INWARD, *NO_ADDRESS])
def test_a_mirror_leads_nowhere_that_nobody_allowed(serve: Serve, location: str) -> None:
    """F49, F92: refused before anything is connected to."""
    with FaultServer(gives()) as victim:
        job, server = serve(redirect(location.format(port=victim.port)))
        outcome = job.run(mirror(server.url))
        assert isinstance(outcome, Park)
        assert isinstance(outcome.trouble, GiveUp)
        assert kind_of(outcome) in ("address_refused", "no_file")
        assert outcome.trouble.scope is Scope.FILE
        assert len(server.requests) == 1
        assert victim.requests == []
        assert job.world.gates.closings == []
        assert job.names == []


@pytest.mark.parametrize("location", [*INWARD, *NO_ADDRESS])
def test_the_site_itself_leads_nowhere_that_nobody_allowed(tmp_path: Path, location: str) -> None:
    """F49, F92: whoever took the site over gets no further."""
    with (
        FaultServer(gives()) as victim,
        FaultServer(redirect(location.format(port=victim.port))) as site,
        errand(tmp_path, site=site.url) as job,
    ):
        assert kind_of(job.run(from_site(site.url))) in ("address_refused", "unreachable")
        assert len(site.requests) == 1
        assert victim.requests == []
        assert job.names == []


@pytest.mark.parametrize("locations", [(), ("https://a.example/", "https://b.example/")])
def test_a_redirect_to_nowhere_or_to_several_places_is_refused(
    serve: Serve, locations: tuple[str, ...]
) -> None:
    """F49."""
    answer = reply(b"", status="302 Found", headers=[f"Location: {location}" for location in locations])
    job, server = serve(answer)
    assert kind_of(job.run(mirror(server.url))) == "no_file"


@pytest.mark.parametrize(
    "location", [b"https://[", b"https://x/\x01", b"https://\xe9xn--.de/", b"https://xn--"]
)
def test_a_redirect_to_nonsense_is_refused_and_blamed_on_nobody(serve: Serve, location: bytes) -> None:
    """F49."""
    answer = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"
    job, server = serve(answer)
    outcome = job.run(mirror(server.url))
    assert isinstance(outcome, Park)
    assert kind_of(outcome) in ("address_refused", "no_file")
    assert job.world.gates.closings == []


def test_a_redirect_loop_ends_after_five_hops(serve: Serve) -> None:
    """F49."""
    job, server = serve(redirect("/x.bin"))
    outcome = job.run(mirror(server.url))
    assert isinstance(outcome, Park)
    assert kind_of(outcome) == "address_refused"
    assert "more than 5 times" in trouble_of(outcome).what
    assert len(server.requests) == 6


def test_a_loop_of_two_hosts_ends_as_well(tmp_path: Path) -> None:
    """F49."""
    with FaultServer(b"") as first, FaultServer(redirect(f"{first.url}/x")) as second:
        first._answers = [redirect(f"{second.url}/x")]
        with errand(tmp_path, origins=[first.url, second.url]) as job:
            assert kind_of(job.run(mirror(first.url))) == "address_refused"
            assert len(first.requests) + len(second.requests) == 6


def test_five_redirects_are_followed(serve: Serve) -> None:
    """F49."""
    job, server = serve(*(redirect(f"/{n}") for n in range(5)), gives())
    fetched(job.run(mirror(server.url)))
    assert [request.split(b" ")[1] for request in server.requests] == [
        b"/x.bin",
        *(b"/%d" % n for n in range(5)),
    ]
    assert is_there(job)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_every_redirect_is_followed_from_gate_to_gate(serve: Serve, status: int) -> None:
    """P9: each hop passes the gate of its host."""
    with FaultServer(gives()) as second:
        job, first = serve(redirect(f"{second.url}/y", status=status), origins=[second.url])
        fetched(job.run(mirror(first.url)))
        assert job.world.gates.admitted == job.world.gates.successes == [first.url, second.url]


@pytest.mark.parametrize("status", [300, 304, 305, 306])
def test_other_statuses_of_that_kind_lead_nowhere(serve: Serve, status: int) -> None:
    """F49."""
    with FaultServer(gives()) as second:
        job, first = serve(redirect(f"{second.url}/y", status=status), origins=[second.url])
        assert kind_of(job.run(mirror(first.url))) == "no_file"
        assert second.requests == []


def test_the_rest_of_a_file_is_asked_for_where_a_redirect_leads(serve: Serve) -> None:
    """F51, F53."""
    with FaultServer(gives(cut_after=1_000_000), gives()) as storage:
        job, first = serve(redirect(f"{storage.url}/1"), redirect(f"{storage.url}/2"), origins=[storage.url])
        fetched(job.run(mirror(first.url)))
        assert b"range: bytes=1000000-" in storage.requests[1].lower()
        assert is_there(job)


# ---- the key


def test_no_key_no_token_and_no_cookie_reaches_a_host_other_than_the_site_s(tmp_path: Path) -> None:
    """P7, F50: three origins, and all that each of them ever saw.

    Everybody sets cookies; the site wants the key, and sends on to its storage with a token in the address;
    the storage breaks off and is asked anew; the mirror says 401, and sends on to the site, which says 401.
    """
    cookies = ["Set-Cookie: session=planted-by-site; Path=/", "Set-Cookie: b=2; Domain=127.0.0.1"]
    with FaultServer(b"") as site, FaultServer(b"") as storage, FaultServer(b"") as other:
        login = reply(b'{"error":"Unauthorized"}', status="401 No", headers=cookies)
        away = redirect(f"{storage.url}/s?X-Amz-Signature=signed", *cookies)
        site._answers = [login, away, login, away, login, login]
        storage._answers = [gives(cut_after=1_000_000, headers=cookies), reply(b"<Error>", status="403 No")]
        storage._answers.append(reply(b"<Error>", status="403 No", headers=cookies))
        other._answers = [redirect(f"{site.url}/api/download/models/1", *cookies)]
        world = World(running=True, key=KEY)
        with errand(tmp_path, site=site.url, origins=[storage.url, other.url], world=world) as job:
            job.run(from_site(site.url), mirror(other.url), from_site(site.url))
        for server in (storage, other):
            assert len(server.requests) >= 1
            for request in server.requests:
                head = request.lower()
                assert KEY.encode() not in request
                assert b"authorization" not in head
                assert b"bearer" not in head
                assert b"cookie" not in head
                assert b"referer" not in head
        shown = [b"authorization: bearer" in request.lower() for request in site.requests]
        assert True in shown
        assert [b"cookie" in request.lower() for request in site.requests] == [False] * len(shown)
        # what a mirror led to is the mirror's question, whoever answers it
        assert all(
            b"authorization" not in request.lower()
            for request in site.requests
            if b"/models/1 " in request.split(b"\r\n")[0]
        )
    assert KEY not in repr(world.told)


def test_a_mirror_that_leads_to_the_site_gets_no_key_shown_there(tmp_path: Path) -> None:
    """F50: else any mirror could let us spend the owner's account."""
    with (
        FaultServer(refusal(401, error="Unauthorized")) as site,
        FaultServer(redirect(f"{site.url}/api/download/models/1")) as other,
        errand(tmp_path, site=site.url, origins=[other.url]) as job,
    ):
        assert kind_of(job.run(mirror(other.url))) == "mirror_closed"
        assert len(site.requests) == 1
        assert KEY.encode() not in site.requests[0]


def test_the_key_stays_behind_when_the_site_sends_to_another_port_of_its_host(tmp_path: Path) -> None:
    """F50: another port is another origin."""
    with FaultServer(refusal(401, error="Unauthorized")) as other:
        away = redirect(f"{other.url}/api/download/models/50")
        with (
            FaultServer(refusal(401, error="Unauthorized"), away) as site,
            errand(tmp_path, site=site.url, origins=[other.url]) as job,
        ):
            job.run(from_site(site.url))
        assert KEY.encode() in site.requests[1]
        assert other.requests
        assert all(KEY.encode() not in request for request in other.requests)


def test_the_key_is_not_sent_in_clear_over_a_network(tmp_path: Path) -> None:
    """P7: a site that is asked by plain http, elsewhere than on this machine, is asked without it."""
    with FaultServer(refusal(401, error="Unauthorized")) as server:
        site = f"http://site.example:{server.port}"
        with errand(tmp_path, site=site, resolve=lambda _host, _port: ["127.0.0.1"]) as job:
            assert kind_of(job.run(from_site(site))) == "login_wanted"
        assert len(server.requests) == 1
        assert KEY.encode() not in server.requests[0]


def test_the_site_s_own_addresses_are_asked_where_the_settings_say_the_site_is(tmp_path: Path) -> None:
    """Cards hold the site's first name; the owner may ask it by another."""
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        raise OSError

    source = from_site("https://civitai.com")
    with errand(tmp_path, site="https://civitai.red", resolve=resolve) as job:
        assert kind_of(job.run(source)) == "unreachable"
        assert [origin for origin, _, _ in job.world.gates.closings] == ["https://civitai.red/api/download"]
    assert asked == ["civitai.red"]


def test_no_word_of_ours_is_a_browser_s(serve: Serve) -> None:
    """The site answers browsers with pages."""
    job, server = serve(gives())
    fetched(job.run(mirror(server.url)))
    [agent] = [line for line in server.requests[0].lower().split(b"\r\n") if line.startswith(b"user-agent: ")]
    assert agent.startswith(b"user-agent: hashtagd/")
    for word in (b"mozilla", b"chrome", b"safari", b"firefox", b"opera", b"edge", b"httpx", b"python"):
        assert word not in agent
    assert job.path().read_bytes() == CONTENT
