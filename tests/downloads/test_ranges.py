"""Answers to a question for the rest of a file: right ones, wrong ones, none."""

import pytest

from hashtagd.core.work import Park
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
    with_part,
)
from support.fault_server import Line, reply


@pytest.mark.parametrize("etag", ['"v1"', None])
def test_a_server_that_knows_no_ranges_begins_at_0(serve: Serve, etag: str | None) -> None:
    """F51: 200 in answer to a range."""
    job, server = serve(gives(ranges=False, etag=etag))
    with_part(job, CONTENT[:HALF])
    fetched(job.run(mirror(server.url)))
    assert offsets(server.requests) == [HALF]
    assert is_there(job)


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
