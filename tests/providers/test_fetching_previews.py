"""Fetching previews from hosts that lie, stall, redirect and break."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO

import pytest

from hashtagd.core.troubles import GiveUp, Scope, Trouble, TryLater
from hashtagd.providers.fetcher import PreviewFetcher
from hashtagd.providers.media import looks_whole, media_type
from hashtagd.providers.wire import Limits
from hashtagd.standin import Standin
from hashtagd.standin.pictures import png
from support.fault_server import Answer, FaultServer, Line, reply
from support.surroundings import World

KEY = "planted0key1of2thirty3two4hex5dg"
PICTURE = png(16, 16)
QUICK = Limits(connect_s=2.0, read_s=0.2, total_s=0.5)
JPEG = b"\xff\xd8\xff\xe0" + bytes(40)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"></svg>'

NONSENSE = [
    pytest.param(b"https://[", id="half an address"),
    pytest.param(b"https://x/\x01", id="control character"),
    pytest.param(b"https://\xe9\xe9xn--.de/", id="Latin-1"),
    pytest.param(b"https://xn--", id="an empty name of another script"),
    pytest.param(b"https://x:99999999/", id="no port"),
]


@contextmanager
def fetcher_for(world: World, origins: Sequence[str]) -> Iterator[PreviewFetcher]:
    fetcher = PreviewFetcher(world.surroundings, allowed_origins=origins, limits=QUICK)
    try:
        yield fetcher
    finally:
        fetcher.close()


def fetch(*answers: Answer, max_bytes: int = 100_000) -> tuple[str, bytes, World, FaultServer]:
    world = World(running=True, key=KEY)
    into = BytesIO()
    with FaultServer(*answers) as server, fetcher_for(world, [server.url]) as fetcher:
        kind = fetcher.fetch(f"{server.url}/a.jpeg", into, max_bytes)
    return kind, into.getvalue(), world, server


def trouble_of(*answers: Answer, max_bytes: int = 100_000) -> tuple[Trouble, int, World]:
    world = World(running=True, key=KEY)
    with FaultServer(*answers) as server, fetcher_for(world, [server.url]) as fetcher:
        with pytest.raises(Trouble) as caught:
            fetcher.fetch(f"{server.url}/a.jpeg", BytesIO(), max_bytes)
        return caught.value, len(server.requests), world


def test_the_type_is_judged_by_the_bytes_and_not_by_the_name() -> None:
    """Quirk 44."""
    kind, content, world, server = fetch(reply(PICTURE, kind="image/jpeg"))
    assert kind == "image/png"
    assert content == PICTURE
    assert world.gates.successes == [server.url]


def test_no_key_no_cookie_no_coding_is_sent() -> None:
    """P7, F43."""
    _, _, _, server = fetch(reply(PICTURE))
    head = server.requests[0].lower()
    assert KEY.encode() not in head
    assert b"authorization" not in head
    assert b"cookie" not in head
    assert b"accept-encoding: identity" in head


@pytest.mark.parametrize(
    "prefix, kind",
    [
        (PICTURE, "image/png"),
        (JPEG, "image/jpeg"),
        (b"GIF89a" + bytes(30), "image/gif"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00", "image/avif"),
        (b"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00avifmiaf", "image/avif"),
        (b"\x00\x00\x00\x1cftypisom\x00\x00\x02\x00isommp42", "video/mp4"),
        (b"\x1aE\xdf\xa3\x01", "video/webm"),
        (SVG, None),
        (b"PK\x03\x04", None),
        (b"MZ", None),
        (b"", None),
    ],
)
def test_media_types_come_from_a_list(prefix: bytes, kind: str | None) -> None:
    assert media_type(prefix) == kind


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(reply(SVG, kind="image/svg+xml"), id="svg"),
        pytest.param(reply(b"PK\x03\x04" + bytes(60), kind="image/png"), id="zip"),
        pytest.param(reply(b"\x00\x00\x00\x1cftypisom" + bytes(40), kind="image/jpeg"), id="video"),
        pytest.param(reply(b"", kind="image/png"), id="nothing"),
        pytest.param(reply(b"gone", status="404 Not Found"), id="404"),
        pytest.param(reply(b"gone", status="410 Gone"), id="410"),
        pytest.param(reply(b"{}", status="403 Forbidden"), id="403 in JSON"),
        pytest.param(reply(PICTURE, headers=["Content-Encoding: gzip"]), id="encoded"),
        pytest.param(reply(PICTURE + bytes(200_000)), id="too large"),
        pytest.param(reply(PICTURE + bytes(200_000), length=None), id="too large without a length"),
        pytest.param(reply(PICTURE, status="206 Partial Content"), id="a part"),
    ],
)
def test_what_will_never_be_a_picture_is_given_up_without_blaming_the_host(answer: bytes) -> None:
    """F60."""
    trouble, requests, world = trouble_of(answer)
    assert isinstance(trouble, GiveUp)
    assert trouble.scope is Scope.FILE
    assert requests == 1
    assert world.gates.closings == []


@pytest.mark.parametrize(
    "answer, kind, wait_s",
    [
        pytest.param(
            reply(b"", status="429 Slow", headers=["Retry-After: 30"]), "rate_limited", 30.0, id="429"
        ),
        pytest.param(reply(b"", status="503 Busy"), "unreachable", None, id="503"),
        pytest.param(reply(b"", status="524 Late"), "unreachable", None, id="524"),
        pytest.param(reply(b"<!DOCTYPE html><html>", kind="text/html"), "not_json", None, id="login page"),
        pytest.param(
            reply(b"<html>", status="403 No", kind="text/html"), "not_json", None, id="challenge page"
        ),
    ],
)
def test_what_speaks_of_the_host_closes_its_gate(answer: bytes, kind: str, wait_s: float | None) -> None:
    """F44, F45. Quirk 44."""
    trouble, requests, world = trouble_of(answer)
    assert isinstance(trouble, TryLater)
    assert (trouble.scope, trouble.kind) == (Scope.PROVIDER, kind)
    assert requests == 1
    assert world.gates.closings[0][2] == wait_s


def test_a_picture_cut_short_is_fetched_once_more() -> None:
    """F40."""
    kind, content, _, server = fetch(reply(PICTURE[:50], length=len(PICTURE)), reply(PICTURE))
    assert (kind, content) == ("image/png", PICTURE)
    assert len(server.requests) == 2


def test_a_picture_that_stays_cut_closes_the_gate() -> None:
    """F40."""
    trouble, requests, world = trouble_of(reply(PICTURE[:50], length=len(PICTURE)))
    assert trouble.kind == "unreachable"
    assert requests == 2
    assert len(world.gates.closings) == 1


def test_a_picture_without_a_length_must_have_its_end() -> None:
    """F41."""
    trouble, _, _ = trouble_of(reply(PICTURE[:-8], length=None))
    assert trouble.kind == "unreachable"
    assert fetch(reply(PICTURE, length=None))[1] == PICTURE


def test_ends_of_pictures_are_known() -> None:
    assert looks_whole("image/jpeg", b"\xff\xd9")
    assert not looks_whole("image/jpeg", b"\xff")
    assert looks_whole("image/gif", b"\x00;")
    assert not looks_whole("image/gif", b"\x00\x01")


def test_a_dripping_picture_is_ended_by_the_total_deadline() -> None:
    """F39."""

    def drip(line: Line) -> None:
        line.send(reply(PICTURE[:40], length=5000))
        line.drip(bytes(5000), 0.05)

    trouble, _, _ = trouble_of(drip)
    assert trouble.kind == "unreachable"


def redirect(location: str) -> bytes:
    return reply(b"", status="302 Found", headers=[f"Location: {location}"])


def test_a_redirect_on_the_host_is_followed() -> None:
    """Quirk 44."""
    kind, content, _, server = fetch(redirect("/b"), reply(PICTURE))
    assert (kind, content) == ("image/png", PICTURE)
    assert server.requests[1].startswith(b"GET /b ")


def test_a_redirect_loop_ends_after_five_hops() -> None:
    """F49."""
    trouble, requests, _ = trouble_of(redirect("/a.jpeg"))
    assert isinstance(trouble, GiveUp)
    assert requests == 6


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:1/",
        "file:///etc/passwd",
        "ftp://x/",
        "//evil.example/",
        "https:///x",
        "https://127.1/",
    ],
)
def test_a_redirect_to_where_nobody_may_go_is_refused(location: str) -> None:
    """F49."""
    trouble, requests, _ = trouble_of(redirect(location))
    assert isinstance(trouble, GiveUp)
    assert trouble.kind == "address_refused"
    assert requests == 1


@pytest.mark.parametrize("location", NONSENSE)
def test_a_redirect_to_nonsense_is_refused_and_blamed_on_nobody(location: bytes) -> None:
    """F49."""
    answer = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"
    trouble, requests, world = trouble_of(answer)
    assert (type(trouble), trouble.scope, trouble.kind) == (GiveUp, Scope.FILE, "address_refused")
    assert requests == 1
    assert world.gates.closings == []


def test_an_address_that_no_resolver_could_read_is_refused_and_closes_no_gate() -> None:
    world = World()
    with fetcher_for(world, []) as fetcher, pytest.raises(GiveUp) as caught:
        fetcher.fetch("https://xn--/a.jpeg", BytesIO(), 100)
    assert caught.value.scope is Scope.FILE
    assert world.gates.closings == []


def test_a_name_that_the_resolver_chokes_on_is_a_trouble() -> None:
    def choke(_host: str, _port: int) -> Sequence[str]:
        raise ValueError("embedded null character")

    world = World()
    fetcher = PreviewFetcher(world.surroundings, resolve=choke)
    with pytest.raises(TryLater) as caught:
        fetcher.fetch("https://pictures.example/a.jpeg", BytesIO(), 100)
    fetcher.close()
    assert caught.value.kind == "unreachable"


def test_a_redirect_to_nowhere_is_refused() -> None:
    trouble, _, _ = trouble_of(reply(b"", status="302 Found"))
    assert isinstance(trouble, GiveUp)


def test_each_hop_passes_its_own_gate() -> None:
    world = World(running=True)
    with FaultServer(reply(PICTURE)) as second, FaultServer(redirect(f"{second.url}/b")) as first:
        with fetcher_for(world, [first.url, second.url]) as fetcher:
            fetcher.fetch(f"{first.url}/a", BytesIO(), 100_000)
        assert world.gates.admitted == world.gates.successes == [first.url, second.url]


def test_a_redirect_reaches_no_host_that_nobody_allowed() -> None:
    """F50: the key goes to the API and nowhere else; the third host is not even connected to."""
    world = World(running=True, key=KEY)
    with (
        Standin() as site,
        FaultServer(redirect("/next"), redirect(f"{site.url}/image/x/1-0/y/0.jpeg")) as pictures,
        FaultServer(reply(PICTURE)) as stranger,
        fetcher_for(world, [pictures.url, site.url]) as fetcher,
    ):
        with pytest.raises(GiveUp):
            fetcher.fetch(f"{pictures.url}/a", BytesIO(), 100_000)
        with pytest.raises(GiveUp):
            fetcher.fetch(f"{stranger.url}/a", BytesIO(), 100_000)
        seen = b"".join(pictures.requests) + str(site.requests).encode()
        assert stranger.requests == []
    assert KEY.encode() not in seen
    assert b"authorization" not in seen.lower()


def test_one_silent_host_does_not_close_another() -> None:
    """P12."""
    world = World(running=True)
    with (
        FaultServer(reply(b"", status="503 Busy")) as broken,
        FaultServer(reply(PICTURE)) as well,
        fetcher_for(world, [broken.url, well.url]) as fetcher,
    ):
        for _ in range(3):
            with pytest.raises(TryLater):
                fetcher.fetch(f"{broken.url}/a", BytesIO(), 100_000)
        assert len(broken.requests) == 1
        assert fetcher.fetch(f"{well.url}/a", BytesIO(), 100_000) == "image/png"


def test_a_file_that_holds_something_already_keeps_it() -> None:
    world = World(running=True)
    into = BytesIO()
    into.write(b"kept")
    cut = reply(PICTURE[:50], length=len(PICTURE))
    with FaultServer(cut, reply(PICTURE)) as server, fetcher_for(world, [server.url]) as fetcher:
        fetcher.fetch(f"{server.url}/a", into, 100_000)
    assert into.getvalue() == b"kept" + PICTURE
