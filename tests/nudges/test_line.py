import json
import socket

import pytest

from hashtagd.nudges.line import MAX_BYTES, Line
from hashtagd.nudges.news import Unreachable, Unusable
from hashtagd.service.clock import SystemClock
from support.fault_server import Answer, FaultServer, reply
from support.fault_server import Line as Wire

CLOCK = SystemClock()
OK = reply(b'{"status": "ok"}')


def line(url: str) -> Line:
    return Line(url, CLOCK)


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_question_says_who_asks_and_nothing_more() -> None:
    with FaultServer(OK) as server:
        answer = line(server.url + "/proxy/").get("/x", {"a": "1 ö/"}, until_s=CLOCK.monotonic_s() + 2)
    assert (answer.good, answer.document()) == (True, {"status": "ok"})
    [request] = server.requests
    head, *headers = request.decode().split("\r\n")
    assert head == "GET /proxy/x?a=1+%C3%B6%2F HTTP/1.1"
    names = {header.partition(":")[0].lower() for header in headers if header}
    assert names == {"host", "user-agent", "accept", "accept-encoding", "connection"}


def test_a_document_is_sent_as_json() -> None:
    with FaultServer(OK) as server:
        line(server.url).send("PUT", "/x", {"words": ["ö"]}, until_s=CLOCK.monotonic_s() + 2)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"PUT /x ")
    assert b"Content-Type: application/json" in head
    assert json.loads(body) == {"words": ["ö"]}


def test_nobody_at_the_door_is_not_the_same_as_no_answer() -> None:
    with pytest.raises(Unreachable):
        line(f"http://127.0.0.1:{closed_port()}").get("/x", until_s=CLOCK.monotonic_s() + 2)


def test_a_moment_that_has_passed_asks_nobody() -> None:
    with FaultServer(OK) as server, pytest.raises(Unreachable):
        line(server.url).get("/x", until_s=CLOCK.monotonic_s() - 1)
    assert server.requests == []


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    with FaultServer(OK) as elsewhere:
        away = reply(b"", status="302 Found", headers=[f"Location: {elsewhere.url}/x"])
        with FaultServer(away) as server:
            answer = line(server.url).get("/x", until_s=CLOCK.monotonic_s() + 2)
    assert (answer.status, answer.good, elsewhere.requests) == (302, False, [])


@pytest.mark.parametrize(
    "answer,why",
    [
        (Wire.hang, "no answer in time"),
        (lambda wire: wire.drip(OK, 0.05), "no answer in time"),
        (lambda wire: wire.send(OK[:-4]) and wire.hang(), "no answer in time"),
        (Wire.reset, "breaks off"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "breaks off"),
        (reply(b"x" * (MAX_BYTES + 1)), "longer than"),
        (reply(b"x" * (MAX_BYTES + 1), length=None), "longer than"),
    ],
)
def test_what_cannot_be_used_ends_in_time(answer: Answer, why: str) -> None:
    started_s = CLOCK.monotonic_s()
    with FaultServer(answer) as server, pytest.raises(Unusable, match=why):
        line(server.url).get("/x", until_s=CLOCK.monotonic_s() + 0.5)
    assert CLOCK.monotonic_s() - started_s < 5


@pytest.mark.parametrize("body", [b"<!DOCTYPE html><p>log in", b"[1]", b"", b"[" * 100_000, b'"\xff"'])
def test_what_is_no_json_object_cannot_be_used(body: bytes) -> None:
    with FaultServer(reply(body)) as server:
        answer = line(server.url).get("/x", until_s=CLOCK.monotonic_s() + 2)
    with pytest.raises(Unusable, match="no JSON"):
        answer.document()
