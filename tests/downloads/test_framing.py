"""How the end of a body is told: by its length, by chunks, by nobody; and codings nobody asked for."""

from collections.abc import Callable

import pytest

from hashtagd.core.work import Defer, Park
from support.downloads import (
    CONTENT,
    HALF,
    KIND,
    Serve,
    fetched,
    gives,
    is_there,
    kind_of,
    mirror,
    offsets,
)
from support.fault_server import Line, reply


def chunked(*sizes: int, end: bytes = b"0\r\n\r\n") -> Callable[[Line], None]:
    """Serve the file in chunks."""

    def answer(line: Line) -> None:
        at, out = 0, reply(b"", kind=KIND, headers=["Transfer-Encoding: chunked"], length=None)
        for size in sizes:
            out += b"%x\r\n" % size + CONTENT[at : at + size] + b"\r\n"
            at += size
        line.send(out + end)

    return answer


def test_a_body_in_chunks_is_taken(serve: Serve) -> None:
    """F42."""
    job, server = serve(chunked(1, 1_000_000, HALF, len(CONTENT) - HALF - 1_000_001))
    fetched(job.run(mirror(server.url)))
    assert is_there(job)


def test_chunks_that_break_off_are_a_cut(serve: Serve) -> None:
    """F42."""
    job, server = serve(chunked(1_000_000, HALF, end=b""), gives())
    fetched(job.run(mirror(server.url)))
    assert offsets(server.requests) == [0, 1_000_000 + HALF]
    assert is_there(job)


def test_broken_chunks_are_a_cut(serve: Serve) -> None:
    """F42."""
    job, server = serve(chunked(1_000_000, end=b"zz\r\n"), gives())
    fetched(job.run(mirror(server.url)))
    assert offsets(server.requests) == [0, 1_000_000]


def test_a_length_that_chunks_make_void_limits_nothing(serve: Serve) -> None:
    """F42: both in one answer; the chunks count."""

    def both(line: Line) -> None:
        head = reply(b"", kind=KIND, headers=["Transfer-Encoding: chunked"], length=5)
        line.send(head + b"%x\r\n" % len(CONTENT) + CONTENT + b"\r\n0\r\n\r\n")

    job, server = serve(both)
    fetched(job.run(mirror(server.url)))
    assert is_there(job)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n",
        b"HTTP/9 nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000 + b"\r\n\r\n",
        b"",
    ],
)
def test_a_head_that_breaks_the_rules_closes_the_gate(serve: Serve, head: bytes) -> None:
    """F42."""
    job, server = serve(head + CONTENT if head else b"")
    outcome = job.run(mirror(server.url))
    assert isinstance(outcome, Defer)
    assert kind_of(outcome) == "unreachable"
    assert len(job.world.gates.closings) == 1
    assert job.names == []


def test_the_same_length_twice_is_one_length(serve: Serve) -> None:
    """F42: the rules allow it."""
    job, server = serve(reply(CONTENT, kind=KIND, headers=[f"Content-Length: {len(CONTENT)}"]))
    fetched(job.run(mirror(server.url)))
    assert is_there(job)


@pytest.mark.parametrize("first", [0, 1, 7, 64, 65, 100_000])
def test_a_body_that_comes_along_with_the_head_loses_no_byte(serve: Serve, first: int) -> None:
    """The library reads on behind the head; what it read so comes first, and the rest from the connection."""

    def answer(line: Line) -> None:
        line.send(reply(CONTENT[:first], kind=KIND, length=len(CONTENT)))
        line.drip(CONTENT[first : first + 20], 0.005)
        line.send(CONTENT[first + 20 :])

    job, server = serve(answer)
    fetched(job.run(mirror(server.url)))
    assert is_there(job)


@pytest.mark.parametrize("size", [0, 1, 8, 64])
def test_a_tiny_file_is_taken(serve: Serve, size: int) -> None:
    job, server = serve(gives(CONTENT[:size]))
    fetched(job.run(mirror(server.url), content=CONTENT[:size]))
    assert is_there(job, CONTENT[:size])


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip", "x-odd"])
def test_a_coding_nobody_asked_for_is_refused(serve: Serve, coding: str) -> None:
    """F43: nothing is ever unpacked on the way to the disk."""
    job, server = serve(gives(headers=[f"Content-Encoding: {coding}"]))
    outcome = job.run(mirror(server.url))
    assert isinstance(outcome, Park)
    assert kind_of(outcome) == "no_file"
    assert b"accept-encoding: identity\r\n" in server.requests[0].lower()
    assert job.names == []


def test_identity_is_no_coding(serve: Serve) -> None:
    """F43."""
    job, server = serve(gives(headers=["Content-Encoding: identity"]))
    fetched(job.run(mirror(server.url)))
