"""The real server on loopback, asked by real clients."""

import http.client
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from hashtagd.web.server import MOST_CONNECTIONS, LocalServer, Page
from support.daemon_process import until
from support.surroundings import HandClock


def fine() -> Page:
    return Page(body=b"fine\n", content_type="text/plain; charset=utf-8")


def broken() -> Page:
    raise ZeroDivisionError("secret words")


@pytest.fixture
def broke() -> list[Exception]:
    return []


@pytest.fixture
def server(broke: list[Exception]) -> Iterator[LocalServer]:
    made = LocalServer("127.0.0.1", 0, {"/fine": fine, "/broken": broken}, broke.append, HandClock()).start()
    yield made
    made.close()


def ask(
    server: LocalServer, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def answers(server: LocalServer) -> bool:
    try:
        return ask(server, "/fine")[0] == 200
    except ConnectionError:
        return False


def test_a_page_comes_with_headers_that_let_nobody_use_it(server: LocalServer) -> None:
    status, headers, body = ask(server, "/fine?x=1")
    assert (status, body) == (200, b"fine\n")
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers
    assert "python" not in headers["server"].lower()


def test_a_rebound_name_gets_nothing(server: LocalServer) -> None:
    status, headers, body = ask(server, "/fine", Host=f"evil.example:{server.port}")
    assert (status, body) == (403, b"no\n")
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_refused(server: LocalServer, method: str) -> None:
    assert ask(server, "/fine", method)[0] == 405


def test_a_look_at_the_head_has_no_body(server: LocalServer) -> None:
    status, headers, body = ask(server, "/fine", "HEAD")
    assert (status, headers["content-length"], body) == (200, "5", b"")


def test_what_is_not_there_is_said_so(server: LocalServer) -> None:
    assert ask(server, "/nothing")[0] == 404


def test_a_bug_is_told_here_and_not_there(server: LocalServer, broke: list[Exception]) -> None:
    status, _, body = ask(server, "/broken")
    assert status == 500
    assert b"secret" not in body
    assert isinstance(broke[0], ZeroDivisionError)
    assert ask(server, "/fine")[0] == 200


def test_junk_ends_the_connection_and_nothing_else(server: LocalServer) -> None:
    for junk in (b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"A" * 70_000 + b"\r\n"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
            connection.sendall(junk)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(65536)
    assert ask(server, "/fine")[0] == 200


def test_who_only_connects_is_one_of_so_many_and_the_next_is_sent_away(server: LocalServer) -> None:
    """Each has a thread, and a service may have a hundred of them for everything."""
    with ExitStack() as stack:

        def connect() -> socket.socket:
            made = socket.create_connection(("127.0.0.1", server.port), timeout=20)
            return stack.enter_context(made)

        idle = [connect() for _ in range(MOST_CONNECTIONS)]
        assert connect().recv(1) == b""
        idle[0].sendall(f"GET /fine HTTP/1.1\r\nHost: localhost:{server.port}\r\n\r\n".encode())
        assert idle[0].recv(100).startswith(b"HTTP/1.1 200")
    until(lambda: answers(server), why="all others have hung up")


def test_a_request_that_trickles_in_for_ever_is_ended() -> None:
    class Hasty(HandClock):
        def monotonic_s(self) -> float:
            self.elapsed_s += 3
            return self.elapsed_s

    server = LocalServer("127.0.0.1", 0, {"/fine": fine}, lambda _error: None, Hasty()).start()
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
            connection.sendall(b"GET /fine HTTP/1.1\r\nX-One: 1\r\n")
            assert connection.recv(1) == b""
    finally:
        server.close()


def test_an_address_of_version_6_can_be_listened_at() -> None:
    try:
        server = LocalServer("[::1]", 0, {"/fine": fine}, lambda _error: None, HandClock()).start()
    except OSError:
        pytest.skip("this machine has no IPv6 on loopback")
    try:
        connection = http.client.HTTPConnection("::1", server.port, timeout=5)
        connection.request("GET", "/fine")
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        server.close()
