"""Downloads over secure connections: read past the library, too, and trusted no less than anything else."""

import select
import socket
import ssl
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from hashtagd.core.troubles import AskOperator, Scope
from hashtagd.core.work import Defer
from support.downloads import (
    CONTENT,
    HALF,
    KIND,
    Errand,
    errand,
    fetched,
    gives,
    is_there,
    kind_of,
    mirror,
    offsets,
    trouble_of,
)
from support.fault_server import Answer, FaultServer, Line, reply
from support.surroundings import World

_QUIET_S = 5.0


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def secure(authority: trustme.CA, *answers: Answer, not_after: datetime | None = None) -> FaultServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", not_after=not_after).configure_cert(context)
    return FaultServer(*answers, tls=context)


def trusting(authority: trustme.CA, **changes: object) -> World:
    world = World(running=True)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    world.surroundings = replace(world.surroundings, ssl_context=context, **changes)  # type: ignore[arg-type]
    return world


def tunnel(line: Line) -> None:
    """Be a proxy: connect to where the client wants, and carry what the two say."""
    host, port = line.request.split(b" ")[1].decode().split(":")
    line.send(b"HTTP/1.1 200 Connected\r\n\r\n")
    client = line._connection
    with socket.create_connection((host, int(port)), timeout=_QUIET_S) as server, suppress(OSError):
        while True:
            waiting = isinstance(client, ssl.SSLSocket) and client.pending()
            ready = [client] if waiting else select.select([client, server], [], [], _QUIET_S)[0]
            for side in ready:
                data = side.recv(65_536)
                if not data:
                    return
                (server if side is client else client).sendall(data)


def test_a_file_comes_over_a_secure_connection(authority: trustme.CA, tmp_path: Path) -> None:
    with (
        secure(authority, gives()) as server,
        errand(tmp_path, origins=[server.url], world=trusting(authority)) as job,
    ):
        fetched(job.run(mirror(server.url)))
        assert is_there(job)


def test_a_secure_connection_that_is_cut_is_gone_on_with(authority: trustme.CA, tmp_path: Path) -> None:
    """F40: without a word of farewell, so that only the length tells that it was cut."""
    with (
        secure(authority, gives(cut_after=HALF), gives()) as server,
        errand(tmp_path, origins=[server.url], world=trusting(authority)) as job,
    ):
        fetched(job.run(mirror(server.url)))
        assert offsets(server.requests) == [0, HALF]
        assert is_there(job)


def test_a_secure_connection_that_falls_silent_is_left(authority: trustme.CA, tmp_path: Path) -> None:
    """F39."""

    def stall(line: Line) -> None:
        line.send(reply(CONTENT[:HALF], kind=KIND, headers=['ETag: "v1"'], length=len(CONTENT)))
        line.hang()

    with (
        secure(authority, stall, gives()) as server,
        errand(tmp_path, origins=[server.url], world=trusting(authority)) as job,
    ):
        fetched(job.run(mirror(server.url)))
        assert offsets(server.requests) == [0, HALF]


@pytest.mark.parametrize("secure_proxy", [False, True])
def test_a_file_comes_through_a_tunnel(authority: trustme.CA, tmp_path: Path, *, secure_proxy: bool) -> None:
    """F54: through a proxy that is spoken to securely there are two layers, and no socket to read past."""
    with secure(authority, gives()) as server:
        with secure(authority, tunnel) if secure_proxy else FaultServer(tunnel) as proxy:
            world = trusting(authority, proxy=proxy.url)
            with errand(tmp_path, origins=[server.url], world=world) as job:
                fetched(job.run(mirror(server.url)))
                assert is_there(job)
        [asked] = [request.split(b"\r\n")[0] for request in proxy.requests]
        assert asked == b"CONNECT localhost:%d HTTP/1.1" % server.port


def refused(job: Errand, server: FaultServer) -> AskOperator:
    """Insist that the server is not trusted, and that it stays so only as long as it must."""
    outcome = job.run(mirror(server.url))
    assert isinstance(outcome, Defer)
    trouble = trouble_of(outcome)
    assert isinstance(trouble, AskOperator)
    assert (trouble.kind, trouble.scope) == ("untrusted", Scope.PROVIDER)
    assert server.requests == []
    assert job.names == []
    return trouble


def test_an_authority_that_nobody_trusts_gives_no_file(authority: trustme.CA, tmp_path: Path) -> None:
    """F38: a portal of a hotel, say; the file waits for the gate, and goes to another source meanwhile."""
    with secure(trustme.CA(), gives()) as server, FaultServer(gives()) as other:
        world = trusting(authority)
        with errand(tmp_path, origins=[server.url, other.url], world=world) as job:
            assert "the clock is not the reason" in refused(job, server).you
            assert kind_of(job.run(mirror(server.url))) == "untrusted"
            assert [origin for origin, _, _ in world.gates.closings] == [server.url]
            fetched(job.run(mirror(server.url), mirror(other.url)))


def test_an_expired_certificate_gives_no_file(authority: trustme.CA, tmp_path: Path) -> None:
    """F38."""
    expired = secure(authority, gives(), not_after=datetime.now(UTC) - timedelta(days=1))
    with expired as server, errand(tmp_path, origins=[server.url], world=trusting(authority)) as job:
        assert "expired" in refused(job, server).what
