"""F95: who may look. The table has every combination of what a browser would send for whom."""

import itertools

import pytest

from hashtagd.web.door import own_hosts, refusal

HOSTS = own_hosts("127.0.0.1", 8765)

OWN = ("localhost:8765", "127.0.0.1:8765", "[::1]:8765", "LOCALHOST:8765")
FOREIGN = (
    "evil.example:8765",
    "localhost",
    "localhost:80",
    "127.0.0.1:8765.evil.example",
    "",
    "192.168.1.2:8765",
)
ORIGINS = {
    None: True,
    "http://localhost:8765": True,
    "http://127.0.0.1:8765": True,
    "https://localhost:8765": False,
    "http://localhost": False,
    "http://evil.example:8765": False,
    "null": False,
}
FETCHES = {None: True, "none": True, "same-origin": True, "same-site": False, "cross-site": False}


@pytest.mark.parametrize("host", [*OWN, *FOREIGN])
def test_only_our_own_names_and_pages_are_answered(host: str) -> None:
    for (origin, mine), (fetch, near) in itertools.product(ORIGINS.items(), FETCHES.items()):
        headers = {"host": host}
        if origin is not None:
            headers["origin"] = origin
        if fetch is not None:
            headers["sec-fetch-site"] = fetch
        for method in ("GET", "HEAD"):
            allowed = host in OWN and mine and near
            assert refusal(method, headers, HOSTS) == (None if allowed else 403), headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get", "TRACE"])
def test_nothing_can_be_changed(method: str) -> None:
    assert refusal(method, {"host": "localhost:8765"}, HOSTS) == 405


def test_a_request_without_a_host_is_refused() -> None:
    assert refusal("GET", {}, HOSTS) == 403
    assert refusal("GET", {"host": "localhost:8765,evil.example"}, HOSTS) == 403


def test_an_address_in_the_lan_has_its_own_name_too() -> None:
    assert "192.168.1.2:80" in own_hosts("192.168.1.2", 80)
    assert "[fd00::1]:80" in own_hosts("fd00::1", 80)
