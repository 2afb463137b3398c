"""Answers to a question for the rest of a file: right ones, wrong ones, none."""

import pytest

from hashtagd.core.work import Defer, Park, Release
from support.downloads import (
    CONTENT,
    HALF,
    KIND,
    OTHER,
    Serve,
    fetched,
    gives,
    is_there,
    kind_of,
    mirror,
    offsets,
    with_part,
)
from support.fault_server import FaultServer, Line, reply
from support.surroundings import World


@pytest.mark.parametrize("etag", ['"v1"', None])
def test_a_server_that_knows_no_ranges_begins_at_0(serve: Serve, etag: str | None) -> None:
    """F51: 200 in answer to a range."""
    job, server = serve(gives(ranges=False, etag=etag))
    with_part(job, CONTENT[:HALF])
    fetched(job.run(mirror(server.url)))
    assert offsets(server.requests) == [HALF]
    assert is_there(job)


# ---- hosts that know no ranges, where others brought a part


@pytest.mark.parametrize("etag", ['"v1"', None])
def test_what_is_here_outlives_a_host_without_ranges_that_breaks_off(serve: Serve, etag: str | None) -> None:
    """F51: its answer begins at 0, and ends before it has brought what was here already."""
    job, server = serve(gives(ranges=False, etag=etag, cut_after=HALF // 2))
    with_part(job, CONTENT[:HALF])
    outcome = job.run(mirror(server.url))
    assert isinstance(outcome, Defer)
    assert job.part().read_bytes() == CONTENT[:HALF]


def test_what_one_host_brought_is_gone_on_with_by_another_without_ranges(serve: Serve) -> None:
    """And where that one breaks off behind our end, what it brought is here, too."""
    job, server = serve(gives(ranges=False, cut_after=HALF + HALF // 2))
    with_part(job, CONTENT[:HALF])
    with FaultServer(gives()) as other:
        assert isinstance(job.run(mirror(server.url)), Defer)
        assert job.part().read_bytes() == CONTENT[: HALF + HALF // 2]
        job, _ = serve(gives(), origins=[other.url])
        fetched(job.run(mirror(other.url)))
        assert offsets(other.requests) == [HALF + HALF // 2]
    assert is_there(job)


@pytest.mark.parametrize("at", [0, 1, 1 << 20, HALF - 1])
def test_from_the_first_byte_on_that_differs_the_new_host_is_believed(serve: Serve, at: int) -> None:
    """F51: what is here is wrong from somewhere on, and all of it came in one answer after that."""
    spoiled = bytearray(CONTENT[:HALF])
    spoiled[at] ^= 1
    job, server = serve(gives(ranges=False))
    with_part(job, bytes(spoiled))
    fetched(job.run(mirror(server.url)))
    assert len(server.requests) == 1, "nothing is asked for twice"
    assert is_there(job)


@pytest.mark.parametrize("length", [True, False])
def test_a_part_that_is_longer_than_what_a_host_without_ranges_has_is_cut(serve: Serve, length: bool) -> None:  # noqa: FBT001
    job, server = serve(gives(ranges=False, length=length))
    with_part(job, CONTENT + b"more")
    fetched(job.run(mirror(server.url), size_bytes=len(CONTENT)))
    assert len(server.requests) == 1
    assert is_there(job)


def test_a_stop_while_what_is_here_comes_again_keeps_it(serve: Serve) -> None:
    world = World(running=True)

    def stopping(line: Line) -> None:
        line.send(reply(CONTENT[: HALF // 2], kind=KIND, length=len(CONTENT)))
        world.pause.stop_after = 0
        line.hang()

    job, server = serve(stopping, world=world)
    with_part(job, CONTENT[:HALF])
    assert isinstance(job.run(mirror(server.url)), Release)
    assert job.part().read_bytes() == CONTENT[:HALF]


def test_bytes_that_nobody_vouches_for_are_all_of_the_last_host(serve: Serve) -> None:
    """F51: without a hash, what is equal stays and the rest is the second's; nothing is mixed."""
    with FaultServer(gives(OTHER, ranges=False)) as other:
        job, server = serve(gives(cut_after=HALF), reply(b"", status="503 Busy"), origins=[other.url])
        fetched(job.run(mirror(server.url), mirror(other.url), content=None, size_bytes=len(OTHER)))
    assert is_there(job, OTHER)


@pytest.mark.parametrize(
    "said",
    [
        f"bytes {HALF + 1}-{len(CONTENT) - 1}/{len(CONTENT)}",
        f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}",
        f"bytes {HALF}-{HALF - 1}/{len(CONTENT)}",
        f"bytes {HALF}-{len(CONTENT) - 1}/{HALF}",
        f"bytes {HALF}-{len(CONTENT)}/{len(CONTENT)}",
        f"bytes {HALF}-{HALF + 5}/{len(CONTENT)}",
        f"bytes -{HALF}/{len(CONTENT)}",
        f"bytes {HALF}-/{len(CONTENT)}",
        f"bytes {'9' * 30}-{'9' * 31}/*",
        "bytes ½-1/2",
        "lines 1-2/3",
        "",
        None,
    ],
)
def test_an_answer_that_goes_on_at_another_place_is_asked_for_from_0(serve: Serve, said: str | None) -> None:
    """F51: a wrong Content-Range."""
    headers = [] if said is None else [f"Content-Range: {said}"]
    wrong = reply(CONTENT[HALF:], status="206 Partial Content", kind=KIND, headers=headers)
    job, server = serve(wrong, gives())
    with_part(job, CONTENT[:HALF])
    fetched(job.run(mirror(server.url)))
    assert offsets(server.requests) == [HALF, 0]
    assert is_there(job)


def test_a_server_that_contradicts_itself_twice_is_left(serve: Serve) -> None:
    """F51."""
    wrong = reply(
        CONTENT[5:], status="206 Partial Content", kind=KIND, headers=["Content-Range: bytes 5-9/10"]
    )
    job, server = serve(wrong)
    with_part(job, CONTENT[:HALF])
    outcome = job.run(mirror(server.url))
    assert isinstance(outcome, Park)
    assert kind_of(outcome) == "no_file"
    assert len(server.requests) == 2
    assert job.part().read_bytes() == CONTENT[:HALF]


def test_a_range_that_is_given_in_pieces_is_put_together(serve: Serve) -> None:
    """F51."""

    def piece(line: Line) -> None:
        begin = offsets([line.request])[0]
        end = min(begin + 700_000, len(CONTENT))
        said = [f"Content-Range: bytes {begin}-{end - 1}/{len(CONTENT)}", 'ETag: "v1"']
        line.send(reply(CONTENT[begin:end], status="206 Partial Content", kind=KIND, headers=said))

    job, server = serve(piece)
    with_part(job, CONTENT[:100])
    fetched(job.run(mirror(server.url)))
    assert len(server.requests) == 5
    assert is_there(job)


@pytest.mark.parametrize("size_bytes", [None, len(CONTENT), len(CONTENT) + 700])
def test_a_part_that_is_whole_is_not_fetched_again(serve: Serve, size_bytes: int | None) -> None:
    """F51: 416, and the file ends where ours does; where the site states the size nobody is asked at all."""
    job, server = serve(gives())
    with_part(job, CONTENT)
    fetched(job.run(mirror(server.url), size_bytes=size_bytes))
    assert offsets(server.requests) == ([len(CONTENT)] if size_bytes is None else [])
    assert is_there(job)


def test_a_whole_part_with_a_wrong_byte_is_fetched_anew(serve: Serve) -> None:
    """F51, F52."""
    spoiled = bytearray(CONTENT)
    spoiled[17] ^= 1
    job, server = serve(gives())
    with_part(job, bytes(spoiled))
    fetched(job.run(mirror(server.url), size_bytes=len(CONTENT)))
    assert offsets(server.requests) == [len(CONTENT), 0]
    assert is_there(job)


def test_a_part_that_is_longer_than_the_file_is_fetched_anew(serve: Serve) -> None:
    """F51: 416, and the file is shorter."""
    job, server = serve(gives())
    with_part(job, CONTENT + b"more")
    fetched(job.run(mirror(server.url)))
    assert offsets(server.requests) == [len(CONTENT) + 4, 0]
    assert is_there(job)


@pytest.mark.parametrize("said", ["Content-Range: bytes */99999999", "Content-Range: bytes */x", "X-None: 1"])
def test_a_416_that_makes_no_sense_is_asked_for_from_0(serve: Serve, said: str) -> None:
    """F51: 416, and the file is longer; or nobody says how long."""
    job, server = serve(reply(b"", status="416 No", headers=[said]), gives())
    with_part(job, CONTENT[:HALF])
    fetched(job.run(mirror(server.url)))
    assert offsets(server.requests) == [HALF, 0]
    assert is_there(job)


def test_a_416_to_a_question_without_a_range_is_no_file(serve: Serve) -> None:
    """F51."""
    job, server = serve(reply(b"", status="416 No", headers=["Content-Range: bytes */7"]))
    assert kind_of(job.run(mirror(server.url))) == "no_file"
