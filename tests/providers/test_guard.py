"""Addresses by strangers: F92 and F49 in the form of tables."""

import ipaddress
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagd.core.troubles import GiveUp, Scope, TryLater
from hashtagd.providers.fetcher import PreviewFetcher
from hashtagd.providers.guard import check_addresses, check_location, check_url, is_inside
from support.surroundings import World

INSIDE = [
    "127.0.0.1",
    "10.0.0.1",
    "172.16.5.5",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",  # noqa: S104 - it is to be refused
    "255.255.255.255",
    "224.0.0.1",
    "240.0.0.1",
    "192.0.0.8",
    "192.0.2.1",
    "198.18.0.1",
    "192.88.99.1",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fec0::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::1",
    "2002:a9fe:a9fe::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "no address",
    "",
]
ODD_HOSTS = [
    "127.1",
    "0x7f000001",
    "0x7f.1",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "127.0.0.1.",
    "0",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[::ffff:0:0]",
]
ODD_URLS = [
    "http://example.com/a.png",
    "file:///etc/passwd",
    "ftp://example.com/a.png",
    "//example.com/a.png",
    "https:///a.png",
    "https://",
    "https://user:password@example.com/a.png",
    "https://user@example.com/a.png",
    "https://@example.com/a.png",
    "https://example.com:8443/a.png",
    "https://example.com:0/a.png",
    "https://example.com:99999/a.png",
    "https://example.com\\@evil.example/a.png",
    "https://exa mple.com/a.png",
    "https://example.com/a\r\nHost: evil",
    "https://exämple.com/a.png",
    "https://[::1/a.png",
    "javascript:alert(1)",
    "data:image/png;base64,AAAA",
    "https://example.com/" + "a" * 3000,
    "",
]


@pytest.mark.parametrize("address", INSIDE)
def test_an_inner_address_is_refused_in_every_wrapping(address: str) -> None:
    """F92."""
    assert is_inside(address)
    with pytest.raises(GiveUp):
        check_addresses("some.example", ["1.1.1.1", address])


@pytest.mark.parametrize("address", ["1.1.1.1", "104.16.0.1", "2606:4700::1111", "::ffff:1.1.1.1"])
def test_a_public_address_is_fine(address: str) -> None:
    check_addresses("some.example", [address])


def test_a_host_without_addresses_is_refused() -> None:
    with pytest.raises(GiveUp):
        check_addresses("some.example", [])


@pytest.mark.parametrize("host", ODD_HOSTS)
def test_odd_spellings_of_inner_addresses_are_refused_before_anything_is_resolved(host: str) -> None:
    """F92."""
    with pytest.raises(GiveUp) as caught:
        check_url(f"https://{host}/a.png", ())
    assert caught.value.scope is Scope.FILE


@pytest.mark.parametrize("url", ODD_URLS)
def test_odd_addresses_are_refused(url: str) -> None:
    """F49, F60."""
    with pytest.raises(GiveUp):
        check_url(url, ())


@pytest.mark.parametrize(
    "url, form",
    [
        ("https://Example.COM:443/a b.png#x", None),
        ("https://Example.COM:443/a.png#x", "https://example.com/a.png"),
        ("https://example.com", "https://example.com/"),
        ("https://example.com/ü.png?w=1", "https://example.com/%C3%BC.png?w=1"),
        ("https://example.com/%C3%BC.png", "https://example.com/%C3%BC.png"),
        ("https://1.1.1.1/a.png", "https://1.1.1.1/a.png"),
    ],
)
def test_a_proper_address_is_given_in_the_form_to_ask_for(url: str, form: str | None) -> None:
    assert check_url(url, ()) == (form or "https://example.com/a%20b.png")


def test_what_the_owner_allows_may_be_plain_http_on_any_port() -> None:
    allowed = frozenset({"http://127.0.0.1:8000"})
    assert check_url("http://127.0.0.1:8000/a.png", allowed) == "http://127.0.0.1:8000/a.png"
    for other in ("http://127.0.0.1:8001/a.png", "https://127.0.0.1:8000/a.png", "http://127.1:8000/a.png"):
        with pytest.raises(GiveUp):
            check_url(other, allowed)


@pytest.mark.parametrize(
    "location",
    [
        "",
        "//evil.example/",
        "/\\evil.example",
        "ftp://x/",
        "https:x",
        "x.png",
        "https:///x",
        "https://\\x",
        "http://?",
    ],
)
def test_clever_redirects_are_refused(location: str) -> None:
    """F49."""
    with pytest.raises(GiveUp):
        check_location(location)


def test_a_name_with_one_inner_address_among_public_ones_is_not_connected_to() -> None:
    """F92."""
    world = World()
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["1.1.1.1", "127.0.0.1"]

    fetcher = PreviewFetcher(world.surroundings, resolve=resolve)
    with pytest.raises(GiveUp, match="not on the public internet"):
        fetcher.fetch("https://two.example/a.png", _Nowhere(), 1000)
    fetcher.close()
    assert asked == ["two.example"]
    assert world.gates.closings == []


def test_a_name_that_answers_differently_the_second_time_is_resolved_once() -> None:
    """F92: the connection goes to the address that was checked."""
    world = World()
    answers = iter([["192.0.2.1"], ["127.0.0.1"]])
    fetcher = PreviewFetcher(world.surroundings, resolve=lambda _host, _port: next(answers))
    with pytest.raises(GiveUp):
        fetcher.fetch("https://rebound.example/a.png", _Nowhere(), 1000)
    fetcher.close()
    assert next(answers) == ["127.0.0.1"]


def test_a_name_that_does_not_resolve_closes_the_gate_of_its_host_alone() -> None:
    """F36."""
    world = World()

    def resolve(_host: str, _port: int) -> list[str]:
        raise OSError

    fetcher = PreviewFetcher(world.surroundings, resolve=resolve)
    with pytest.raises(TryLater):
        fetcher.fetch("https://gone.example/a.png", _Nowhere(), 1000)
    fetcher.close()
    assert [origin for origin, _, _ in world.gates.closings] == ["https://gone.example"]


@given(st.ip_addresses(v=4))
def test_wrapping_an_address_never_makes_it_public(address: ipaddress.IPv4Address) -> None:
    """F92."""
    number = int(address)
    mapped = ipaddress.IPv6Address((0xFFFF << 32) | number)
    assert is_inside(str(mapped)) == is_inside(str(address))
    assert is_inside(str(ipaddress.IPv6Address((0x64FF9B << 96) | number)))
    assert is_inside(str(ipaddress.IPv6Address((0x2002 << 112) | (number << 80))))
    assert is_inside(str(ipaddress.IPv6Address(number)))


class _Nowhere(BytesIO):
    """A file that nothing may be written to."""

    def write(self, _data: object) -> int:
        raise AssertionError("something was fetched")
