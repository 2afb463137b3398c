"""Servers that cannot prove who they are: F38."""

import socket
import ssl
import threading
import warnings
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from hashtagd.core.troubles import AskOperator, TryLater
from hashtagd.providers.http import PoliteClient
from hashtagd.providers.surroundings import Surroundings
from support.fault_server import FaultServer, reply
from support.surroundings import HandClock, OpenGates, QuickPause, World

NOW = datetime(2026, 9, 1, tzinfo=UTC)


def ask(server: FaultServer, authority: trustme.CA | None, now: datetime = NOW) -> object:
    """Ask a server, trusting one authority only; no clock in here is the machine's."""
    clock = HandClock(now)
    gates = OpenGates(clock)
    context = ssl.create_default_context()
    if authority is not None:
        authority.configure_trust(context)
    surroundings = Surroundings(clock=clock, pause=QuickPause(clock), gatekeeper=gates, ssl_context=context)
    client = PoliteClient(server.url, surroundings)
    try:
        return client.post_json("/ask", []).body
    finally:
        client.close()
        assert len(gates.admitted) == 1  # an untrusted server is not asked again within seconds


def served(authority: trustme.CA, name: str = "localhost", not_after: datetime | None = None) -> FaultServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, not_after=not_after).configure_cert(context)
    return FaultServer(reply(b'["yes"]'), tls=context)


def test_a_server_that_can_prove_itself_is_asked() -> None:
    authority = trustme.CA()
    with served(authority) as server:
        assert ask(server, authority) == ["yes"]


def test_an_unknown_authority_needs_a_person_and_is_not_blamed_on_the_clock() -> None:
    with served(trustme.CA()) as server, pytest.raises(AskOperator) as caught:
        ask(server, None)
    assert caught.value.kind == "untrusted"
    assert "the clock is not the reason" in caught.value.you
    assert server.requests == []


def test_another_hosts_certificate_is_refused() -> None:
    authority = trustme.CA()
    with served(authority, "elsewhere.example") as server, pytest.raises(AskOperator) as caught:
        ask(server, authority)
    assert "does not hold" in caught.value.what
    assert server.requests == []


def test_an_expired_certificate_names_the_clock_to_be_checked() -> None:
    authority = trustme.CA()
    expired = served(authority, not_after=datetime.now(UTC) - timedelta(days=1))
    with expired as server, pytest.raises(AskOperator) as caught:
        ask(server, authority)
    assert "expired" in caught.value.what
    assert "check the clock" in caught.value.you


def test_a_clock_from_before_the_program_was_made_is_called_wrong() -> None:
    with served(trustme.CA()) as server, pytest.raises(AskOperator) as caught:
        ask(server, None, now=datetime(1970, 1, 3, tzinfo=UTC))
    assert "looks wrong: it says 1970-01-03" in caught.value.you


def test_an_old_protocol_is_refused() -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")  # so that it is the version which is refused
    with FaultServer(reply(), tls=context) as server, pytest.raises(AskOperator) as caught:
        ask(server, authority)
    assert "no secure connection" in caught.value.what


def test_a_server_that_breaks_off_the_handshake_is_asked_again_and_no_person_is() -> None:
    """F37: a server that is being restarted."""

    def hang_up() -> None:
        for _ in range(3):
            connection, _ = listener.accept()
            connection.recv(65_536)
            connection.close()

    world = World()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        client = PoliteClient(f"https://localhost:{listener.getsockname()[1]}", world.surroundings)
        with pytest.raises(TryLater) as caught:
            client.get_json("/x")
        client.close()
        thread.join(5.0)
    assert caught.value.kind == "unreachable"
    assert "secure connection" in caught.value.what
    assert len(world.gates.admitted) == 3
