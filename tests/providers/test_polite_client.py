"""The polite client against a server that does everything wrong."""

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hashtagd.core import schedule
from hashtagd.core.ports import Stopping
from hashtagd.core.troubles import AskOperator, Scope, Trouble, TryLater
from hashtagd.providers.http import PoliteClient
from hashtagd.providers.wire import Limits
from support.fault_server import Answer, FaultServer, Line, reply
from support.surroundings import World

HTML = b"<!DOCTYPE html><html><head><title>Sorry</title></head></html>"
QUICK = Limits(connect_s=2.0, read_s=0.2, total_s=0.5, body_bytes=1_000_000)


@contextmanager
def client_of(
    *answers: Answer, world: World | None = None, limits: Limits = QUICK
) -> Iterator[tuple[PoliteClient, FaultServer, World]]:
    world = world or World(running=True)
    with FaultServer(*answers) as server:
        client = PoliteClient(server.url, world.surroundings, limits=limits)
        try:
            yield client, server, world
        finally:
            client.close()


def trouble_of(*answers: Answer, limits: Limits = QUICK) -> tuple[Trouble, int, World]:
    """Ask once; give the trouble, how many requests it took, and the world."""
    with client_of(*answers, limits=limits) as (client, server, world):
        with pytest.raises(Trouble) as caught:
            client.post_json("/ask", ["x"])
        assert caught.value.scope is Scope.PROVIDER
        assert [origin for origin, _, _ in world.gates.closings] == [client.origin]
        return caught.value, len(server.requests), world


def test_a_good_answer_is_given_and_noted_at_the_gate() -> None:
    with client_of(reply(b'["yes"]')) as (client, server, world):
        assert client.post_json("/ask", ["x"]).body == ["yes"]
        assert world.gates.admitted == world.gates.successes == [client.origin]
        assert b'["x"]' in server.requests[0]


def test_it_names_itself_and_no_browser() -> None:
    with client_of(reply()) as (client, server, _):
        client.post_json("/ask", [])
        head = server.requests[0].lower()
        assert b"user-agent: hashtagd/" in head
        for word in (b"mozilla", b"chrome", b"safari", b"firefox", b"opera", b"edge"):
            assert word not in head


def test_a_refused_connection_closes_the_gate_after_three_brief_tries() -> None:
    """F36."""
    world = World()
    with FaultServer(reply()) as server:
        url = server.url
    client = PoliteClient(url, world.surroundings)
    with pytest.raises(TryLater, match="refused") as caught:
        client.get_json("/x")
    client.close()
    assert caught.value.kind == "unreachable"
    assert len(world.gates.admitted) == 3
    assert sum(world.pause.waits_s) < 10


def test_a_name_that_does_not_resolve_says_so() -> None:
    """F36."""
    world = World()
    client = PoliteClient("http://nobody.invalid", world.surroundings)
    with pytest.raises(TryLater, match="could not be resolved"):
        client.get_json("/x")
    client.close()


def test_silence_ends_at_the_limit() -> None:
    """F37 and F39: a black hole, a stall before the head."""
    trouble, _, _ = trouble_of(lambda line: line.hang())
    assert trouble.kind == "unreachable"
    assert "in time" in trouble.what


@pytest.mark.parametrize("where", ["head", "body"])
def test_a_drip_is_ended_by_the_total_deadline(where: str) -> None:
    """F39: each byte comes within the read limit, the whole never ends."""
    whole = reply(b'["' + b"x" * 5000 + b'"]')

    def drip(line: Line) -> None:
        head, _, _ = whole.partition(b"\r\n\r\n")
        if where == "body":
            line.send(head + b"\r\n\r\n")
        line.drip(whole, 0.05)

    trouble, _, _ = trouble_of(drip)
    assert trouble.kind == "unreachable"


def test_a_broken_connection_is_tried_once_more_and_heals() -> None:
    """F40."""
    with client_of(lambda line: line.reset(), reply(b'["yes"]')) as (client, server, world):
        assert client.post_json("/ask", []).body == ["yes"]
        assert len(server.requests) == 2
        assert world.gates.closings == []
        assert [event for event, _ in world.told] == ["request_retried"]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(reply(b'["cut', length=500), id="ends before Content-Length"),
        pytest.param(reply(b'["cut', length=None), id="ends early without Content-Length"),
        pytest.param(reply(b'["a","b"]', length=4), id="longer than Content-Length"),
    ],
)
def test_half_a_document_is_never_used(answer: bytes) -> None:
    """F40, F41."""
    trouble, requests, _ = trouble_of(answer)
    assert isinstance(trouble, TryLater)
    assert requests == 3


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(reply(headers=["Transfer-Encoding: chunked"], length=None, body=b"zz\r\n"), id="chunks"),
        pytest.param(reply(headers=["Content-Length: 7"]), id="two lengths"),
        pytest.param(reply(headers=["Content-Length: -7"], length=None), id="negative length"),
        pytest.param(b"HELLO\r\n\r\n", id="garbage status line"),
        pytest.param(reply(headers=["X-Long: " + "x" * 300_000]), id="300 kB header"),
        pytest.param(reply(headers=[f"X-{n}: {n}" for n in range(50_000)]), id="50,000 headers"),
    ],
)
def test_broken_http_is_a_trouble(answer: bytes) -> None:
    """F42."""
    trouble, _, _ = trouble_of(answer)
    assert trouble.kind == "unreachable"


def test_a_gzip_bomb_is_stopped_at_the_limit() -> None:
    """F43."""
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join(packer.compress(bytes(1_000_000)) for _ in range(64)) + packer.flush()
    trouble, _, _ = trouble_of(reply(bomb, headers=["Content-Encoding: gzip"]))
    assert "longer than 1000000 bytes" in trouble.what


def test_gzip_is_understood() -> None:
    body = gzip.compress(json.dumps(["yes"]).encode())
    with client_of(reply(body, headers=["Content-Encoding: gzip"])) as (client, _, _):
        assert client.post_json("/ask", []).body == ["yes"]


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip"])
def test_a_coding_nobody_asked_for_is_refused(coding: str) -> None:
    """F43."""
    trouble, _, _ = trouble_of(reply(headers=[f"Content-Encoding: {coding}"]))
    assert "coding" in trouble.what


def test_gzip_that_ends_early_is_cut_short() -> None:
    body = gzip.compress(json.dumps(["yes"] * 100).encode())
    trouble, requests, _ = trouble_of(reply(body[:-12], headers=["Content-Encoding: gzip"]))
    assert "ends early" in trouble.what
    assert requests == 3


@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden", "404 Not Found", "400 Bad Request"])
def test_a_page_instead_of_data_is_temporary(status: str) -> None:
    """F44, F48. Quirk 33."""
    trouble, requests, _ = trouble_of(reply(HTML, status=status, kind="text/html"))
    assert isinstance(trouble, TryLater)
    assert trouble.kind == "not_json"
    assert requests == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 521, 522, 523, 524, 408, 499])
def test_server_errors_are_tried_three_times_then_close_the_gate(status: int) -> None:
    """F46. Quirk 35."""
    trouble, requests, world = trouble_of(reply(HTML, status=f"{status} Oops", kind="text/html"))
    assert isinstance(trouble, TryLater)
    assert requests == 3
    assert world.gates.closings[0][2] is None


def test_a_probe_is_one_request() -> None:
    """F46: after an outage nothing is repeated before the first request has succeeded."""
    with client_of(reply(HTML, status="503 Oops")) as (client, server, world):
        with pytest.raises(TryLater):
            client.get_json("/x")
        world.clock.elapsed_s += 60
        with pytest.raises(TryLater):
            client.get_json("/x")
        assert len(server.requests) == 3 + 1


def test_nothing_is_sent_while_the_gate_is_closed() -> None:
    with client_of(reply(HTML, status="503 Oops")) as (client, server, _):
        for _ in range(5):
            with pytest.raises(TryLater):
                client.get_json("/x")
        assert len(server.requests) == 3


def test_a_server_error_that_names_a_long_wait_is_not_repeated() -> None:
    answer = reply(b'{"error":"busy"}', status="503 Busy", headers=["Retry-After: 120"])
    _, requests, world = trouble_of(answer)
    assert requests == 1
    assert world.gates.closings[0][2] == 120


def test_a_server_error_that_names_a_short_wait_is_repeated_after_it() -> None:
    busy = reply(b'{"error":"busy"}', status="503 Busy", headers=["Retry-After: 2"])
    with client_of(busy, reply(b'["yes"]')) as (client, _, world):
        assert client.post_json("/ask", []).body == ["yes"]
        assert world.pause.waits_s == [2.0]


@pytest.mark.parametrize(
    "headers, wait_s",
    [
        (["Retry-After: 90"], 90.0),
        (["Retry-After: Tue, 01 Sep 2026 12:02:00 GMT"], 120.0),
        (["Retry-After: Tuesday, 01-Sep-26 12:02:00 GMT"], 120.0),
        (["Retry-After: Tue Sep  1 12:02:00 2026"], 120.0),
        ([], None),
        (["Retry-After: 0"], 1.0),
        (["Retry-After: Tue, 01 Sep 2026 11:00:00 GMT"], 1.0),
        (["Retry-After: -5"], None),
        (["Retry-After: 1e9"], None),
        (["Retry-After: inf"], None),
        (["Retry-After: " + "9" * 5000], 86_400.0),
        (["Retry-After: 10", "Retry-After: 40"], 40.0),
    ],
)
def test_too_many_requests_closes_the_gate_for_as_long_as_asked(
    headers: list[str], wait_s: float | None
) -> None:
    """F45. Quirk 34."""
    trouble, requests, world = trouble_of(reply(HTML, status="429 Slow", headers=headers))
    assert trouble.kind == "rate_limited"
    assert requests == 1
    assert world.gates.closings[0][2] == wait_s
    assert world.pause.waits_s == []


def test_too_many_pages_is_no_rate_limit() -> None:
    """Quirk 37."""
    body = b'{"error":"You\'ve requested too many pages, please use cursors instead"}'
    with client_of(reply(body, status="429 Pages")) as (client, server, world):
        assert client.get_json("/x").status == 429
        assert world.gates.closings == []
        assert len(server.requests) == 1


def test_a_blocked_region_stops_the_host_for_a_day() -> None:
    """F47. Quirk 36."""
    trouble, requests, world = trouble_of(reply(b'{"code":"REGION_BLOCKED"}', status="451 Legal"))
    assert isinstance(trouble, AskOperator)
    assert trouble.kind == "region_blocked"
    assert requests == 1
    assert world.gates.closings[0][2] == 86_400


@pytest.mark.parametrize("status", ["404 Not Found", "400 Bad Request", "410 Gone"])
def test_a_refusal_in_json_is_an_answer(status: str) -> None:
    """F48. Quirk 32: `error` is any JSON value."""
    for body in (b'{"error":"no"}', b'{"error":{"issues":[]}}', b'{"message":"a\\nb"}', b"[]", b"null"):
        with client_of(reply(body, status=status)) as (client, _, world):
            assert client.get_json("/x").status == int(status[:3])
            assert world.gates.closings == []


@pytest.mark.parametrize("location", ["https://elsewhere.example/", "/login", "file:///etc/passwd", ""])
def test_redirects_are_not_followed(location: str) -> None:
    """F49, F50."""
    trouble, requests, _ = trouble_of(reply(b"", status="302 Found", headers=[f"Location: {location}"]))
    assert trouble.kind == "redirected"
    assert requests == 1


@pytest.mark.parametrize(
    "location",
    [b"https://[", b"https://x/\x01", b"https://\xe9\xe9xn--.de/", b"https://xn--", b"https://x:99999999/"],
)
def test_a_redirect_to_nonsense_is_a_redirect_like_any_other(location: bytes) -> None:
    """F49."""
    answer = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"
    trouble, requests, _ = trouble_of(answer)
    assert trouble.kind == "redirected"
    assert requests == 1


def test_a_document_of_another_kind_names_the_field() -> None:
    """F55."""
    trouble, _, world = trouble_of(reply(b'{"items":[]}'))
    assert trouble.kind == "unknown_shape"
    assert "`$`" in trouble.what
    assert world.gates.successes == []


@pytest.mark.parametrize(
    "body", ["[1]".encode("utf-16"), b"[1]x", b"[1", b"\xff[1]", b"[" * 100_000, b"[" * 60 + b"]" * 60, b""]
)
def test_what_is_no_proper_json_is_a_trouble(body: bytes) -> None:
    """F55."""
    trouble, _, _ = trouble_of(reply(body))
    assert isinstance(trouble, TryLater)


def test_values_that_no_store_can_hold_are_dropped_at_the_border() -> None:
    """F56, F57."""
    body = (
        b'\xef\xbb\xbf[1180591620717411303424, NaN, 1e999, -Infinity, "a\\u0000b\\ud800c", "\\ud83d\\ude00", '
        + b"9" * 5000
        + b', {"k\\u0000": 7}]'
    )
    with client_of(reply(body)) as (client, _, _):
        assert client.post_json("/ask", []).body == [None, None, None, None, "abc", "😀", None, {"k": 7}]


def test_an_empty_budget_is_waited_for_in_place() -> None:
    world = World()
    world.gates.scarce_s = 4.0
    with client_of(reply(), world=world) as (client, server, _):
        client.post_json("/ask", [])
        client.post_json("/ask", [])
        assert len(server.requests) == 2
        assert sum(world.pause.waits_s) == pytest.approx(4.0)


def test_a_stop_ends_the_wait_for_the_budget() -> None:
    world = World()
    world.gates.scarce_s = 4.0
    world.pause.stop_after = 1
    with client_of(reply(), world=world) as (client, server, _):
        client.post_json("/ask", [])
        with pytest.raises(Stopping):
            client.post_json("/ask", [])
        assert len(server.requests) == 1


def test_a_stop_ends_the_brief_tries() -> None:
    world = World()
    world.pause.stop_after = 1
    with client_of(reply(HTML, status="502 Bad"), world=world) as (client, server, _):
        with pytest.raises(Stopping):
            client.get_json("/x")
        assert len(server.requests) == 1
        assert world.gates.closings == []


def test_an_error_about_one_thing_can_be_told_from_an_outage() -> None:
    failing = reply(b'{"message":"An unexpected error occurred"}', status="500 Oops")
    with client_of(failing) as (client, server, world):
        assert client.get_json("/x", lone=True).status == 500
        assert len(server.requests) == 3
        assert world.gates.closings == []


def test_the_environment_proxy_is_not_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """F54."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with client_of(reply(b'["yes"]')) as (client, _, _):
        assert client.post_json("/ask", []).body == ["yes"]


def test_a_thousand_times_continue_is_no_answer_but_no_harm_either() -> None:
    """F42."""
    with client_of(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000 + reply(b'["yes"]')) as (client, _, _):
        assert client.post_json("/ask", []).body == ["yes"]


def test_half_an_hour_of_outage_costs_two_dozen_requests_at_most() -> None:
    """F46: with the waits that the catalog's gates use."""
    world = World()
    with client_of(reply(HTML, status="503 Oops"), world=world) as (client, server, _):
        for failures in range(1, 100):
            with pytest.raises(TryLater):
                client.get_json("/x")
            world.clock.elapsed_s += schedule.gate_wait_s(failures, 0.0)
            if world.clock.elapsed_s > 1800:
                break
        assert len(server.requests) <= 24
