"""The key: where it goes, and above all where it does not."""

from io import BytesIO

import pytest
from pydantic import SecretStr

from hashtagd.core.troubles import AskOperator, Trouble, TryLater
from hashtagd.providers.civitai import Civitai
from hashtagd.providers.fetcher import PreviewFetcher
from hashtagd.providers.http import PoliteClient
from hashtagd.providers.keys import LookupKey
from hashtagd.standin import Standin
from hashtagd.standin.pictures import png
from support.fault_server import FaultServer, reply
from support.surroundings import World, sha, subject

KEY = "planted0key1of2thirty3two4hex5dg"
REFUSED = reply(b'{"error":"Unauthorized"}', status="401 Unauthorized")


def test_look_ups_are_anonymous() -> None:
    """Quirk 38: a key could change which file is the primary one."""
    world = World(key=KEY)
    with Standin() as site:
        site.add(sha256=sha(1))
        provider = Civitai(Civitai.Options(base_url=site.url), world.surroundings)
        list(provider.ask([subject(sha(1))]))
        provider.close()
        assert site.requests
        assert all("authorization" not in request.headers for request in site.requests)


def test_a_site_that_insists_gets_the_key() -> None:
    """F47."""
    world = World(key=KEY)
    with FaultServer(REFUSED, reply(b'["yes"]')) as server:
        client = PoliteClient(server.url, world.surroundings)
        assert client.post_json("/ask", []).body == ["yes"]
        client.close()
        assert KEY.encode() not in server.requests[0]
        assert f"Authorization: Bearer {KEY}".encode() in server.requests[1]


def test_a_refused_key_is_put_aside_and_look_ups_go_on_without_it() -> None:
    """F47."""
    world = World(key=KEY)
    with FaultServer(REFUSED, REFUSED, reply(b'["yes"]')) as server:
        client = PoliteClient(server.url, world.surroundings)
        for _ in range(3):
            assert client.post_json("/ask", []).body == ["yes"]
        client.close()
        assert [KEY.encode() in request for request in server.requests] == [False, True, False, False, False]
    assert [event for event, _ in world.told] == ["key_put_aside"]
    assert KEY not in repr(world.told)


@pytest.mark.parametrize("key", [KEY, None])
def test_a_site_that_answers_nobody_needs_a_person(key: str | None) -> None:
    """F47."""
    world = World(key=key)
    with FaultServer(REFUSED) as server:
        client = PoliteClient(server.url, world.surroundings)
        with pytest.raises(AskOperator) as caught:
            client.get_json("/x")
        client.close()
        assert len(server.requests) <= 3
    assert caught.value.kind == "key_refused"
    assert KEY not in f"{caught.value!r} {caught.value} {caught.value.to_json()}"


@pytest.mark.parametrize("key", [f"{KEY} {KEY}", f"{KEY}\r\nX-Evil: 1", f"{KEY}\x00", "ключ-ключ-ключ"])
def test_a_key_that_cannot_be_one_is_never_sent_nor_shown(key: str) -> None:
    world = World(key=key)
    with FaultServer(REFUSED) as server:
        client = PoliteClient(server.url, world.surroundings)
        with pytest.raises(Trouble) as caught:
            client.get_json("/x")
        client.close()
        assert all(b"authorization" not in request.lower() for request in server.requests)
    assert key not in f"{caught.value} {world.told}"


def test_a_newline_around_the_key_is_dropped() -> None:
    world = World(key=f"{KEY}\n")
    with FaultServer(REFUSED, reply(b"[]")) as server:
        client = PoliteClient(server.url, world.surroundings)
        client.post_json("/ask", [])
        client.close()
        assert f"Bearer {KEY}\r\n".encode() in server.requests[1]


def test_surroundings_do_not_print_their_secrets() -> None:
    shown = repr(World(key=KEY).surroundings)
    assert KEY not in shown
    assert str(SecretStr(KEY)) in shown


def test_of_three_hosts_only_the_api_sees_the_key() -> None:
    """F50, P7: the logs of three origins compared, with redirects between them."""
    world = World(key=KEY)
    picture = reply(png(8, 8), headers=["Set-Cookie: a=b"])
    with (
        FaultServer(
            REFUSED, reply(b'["yes"]'), reply(b"", status="302 Found", headers=["Location: /x"])
        ) as api,
        FaultServer(picture) as storage,
        FaultServer(reply(b"", status="302 Found", headers=[f"Location: {storage.url}/b"])) as pictures,
    ):
        client = PoliteClient(api.url, world.surroundings)
        fetcher = PreviewFetcher(world.surroundings, allowed_origins=[pictures.url, storage.url])
        client.post_json("/ask", [])
        with pytest.raises(TryLater):
            client.get_json("/elsewhere")
        for _ in range(2):
            fetcher.fetch(f"{pictures.url}/a?token=mine", BytesIO(), 100_000)
        client.close()
        fetcher.close()
        assert [KEY.encode() in request for request in api.requests] == [False, True, True]
        others = b"".join(pictures.requests + storage.requests)
    assert KEY.encode() not in others
    assert b"authorization" not in others.lower()
    assert b"cookie" not in others.lower()


def test_the_key_is_never_sent_in_clear_over_a_network() -> None:
    assert LookupKey("http://mirror.lan", World(key=KEY).surroundings).refused() is False
    assert LookupKey("https://mirror.lan", World(key=KEY).surroundings).refused() is True
