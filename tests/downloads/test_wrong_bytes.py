"""Files that change, mirrors with other bytes, proofs that expire."""

from pathlib import Path

import pytest

from hashtagd.core.transfer import Begun
from hashtagd.core.troubles import GiveUp, TryLater
from hashtagd.core.work import Defer, Park
from support.downloads import (
    CONTENT,
    HALF,
    KIND,
    OTHER,
    Serve,
    Told,
    errand,
    fetched,
    from_site,
    gives,
    is_there,
    kind_of,
    mirror,
    offsets,
    redirect,
    with_part,
)
from support.fault_server import FaultServer, Line, reply


def test_a_file_that_has_changed_comes_from_0_by_if_range(serve: Serve) -> None:
    """F51."""
    job, server = serve(gives(OTHER, etag='"old"', cut_after=HALF), gives(CONTENT, etag='"new"'))
    fetched(job.run(mirror(server.url)))
    assert [request.lower().count(b'if-range: "old"') for request in server.requests] == [0, 1]
    assert is_there(job)


def test_a_server_that_gives_a_range_of_another_file_is_asked_from_0(serve: Serve) -> None:
    """F51: `If-Range` is not understood, but the new name stands in the answer."""

    def careless(line: Line) -> None:
        said = [f"Content-Range: bytes {HALF}-{len(CONTENT) - 1}/{len(CONTENT)}", 'ETag: "new"']
        line.send(reply(CONTENT[HALF:], status="206 Partial Content", kind=KIND, headers=said))

    job, server = serve(gives(OTHER, etag='"old"', cut_after=HALF), careless, gives(etag='"new"'))
    fetched(job.run(mirror(server.url)))
    assert offsets(server.requests) == [0, HALF, 0]
    assert is_there(job)


@pytest.mark.parametrize("etag", [None, 'W/"weak"', '"a", "b"', '"' + "x" * 300 + '"', "bare"])
def test_only_a_strong_name_becomes_a_condition(serve: Serve, etag: str | None) -> None:
    """F51: a weak name says nothing of bytes."""
    job, server = serve(gives(etag=etag, cut_after=HALF), gives(etag=etag))
    fetched(job.run(mirror(server.url)))
    assert b"if-range" not in server.requests[1].lower()
    assert offsets(server.requests) == [0, HALF]
    assert is_there(job)


def test_a_file_that_changed_without_a_word_is_fetched_once_more_from_0(serve: Serve) -> None:
    """F51, F52: parts of two files make none."""
    job, server = serve(gives(OTHER, etag=None, cut_after=HALF), gives(etag=None))
    fetched(job.run(mirror(server.url)))
    assert offsets(server.requests) == [0, HALF, 0]
    assert is_there(job)


def test_a_file_that_is_cut_and_wrong_each_time_is_given_up(serve: Serve) -> None:
    """F52: the second time is the last, or it would go on for ever."""
    job, server = serve(gives(OTHER, cut_after=HALF + 1))
    outcome = job.run(mirror(server.url))
    assert isinstance(outcome, Park)
    assert kind_of(outcome) == "wrong_hash"
    assert offsets(server.requests) == [0, HALF + 1, 0, HALF + 1]
    assert job.names == []


def test_wrong_bytes_are_dropped_and_the_next_source_is_tried_from_0(serve: Serve) -> None:
    """F52: a mirror with other bytes."""
    with FaultServer(gives()) as other:
        job, server = serve(gives(OTHER), origins=[other.url])
        fetched(job.run(mirror(server.url), mirror(other.url)))
        assert offsets(server.requests) == [0]
        assert offsets(other.requests) == [0]
    assert is_there(job)


def test_wrong_bytes_everywhere_park_the_download_and_leave_nothing(serve: Serve) -> None:
    """F52, P5."""
    job, server = serve(gives(OTHER))
    outcome = job.run(mirror(server.url), mirror(server.url))
    assert isinstance(outcome, Park)
    assert isinstance(outcome.trouble, GiveUp)
    assert kind_of(outcome) == "wrong_hash"
    assert "SHA-256" in outcome.trouble.what
    assert job.names == []


def test_one_source_ends_what_another_began(serve: Serve) -> None:
    """F51: a SHA-256 tells whole files apart wherever their parts came from."""
    with FaultServer(gives(etag='"elsewhere"')) as other:
        job, server = serve(gives(cut_after=HALF), reply(b"", status="503 Busy"), origins=[other.url])
        fetched(job.run(mirror(server.url), mirror(other.url)))
        assert offsets(other.requests) == [HALF]
        assert b"if-range" not in other.requests[0].lower()
    assert is_there(job)


def test_parts_of_two_origins_that_do_not_fit_are_fetched_from_the_second_alone(serve: Serve) -> None:
    """F52: the same candidate once more from 0."""
    with FaultServer(gives(etag='"elsewhere"')) as other:
        job, server = serve(gives(OTHER, cut_after=HALF), reply(b"", status="503 Busy"), origins=[other.url])
        fetched(job.run(mirror(server.url), mirror(other.url)))
        assert offsets(other.requests) == [HALF, 0]
    assert is_there(job)


def test_bytes_that_no_hash_vouches_for_are_gone_on_with_only_where_they_came_from(serve: Serve) -> None:
    """F51."""
    with FaultServer(gives()) as other:
        job, server = serve(gives(cut_after=HALF), reply(b"", status="503 Busy"), origins=[other.url])
        fetched(job.run(mirror(server.url), mirror(other.url), content=None))
        assert offsets(server.requests) == [0, HALF]
        assert offsets(other.requests) == [0]
    assert is_there(job)


def test_a_transfer_that_knows_where_its_part_came_from_asks_on_condition(serve: Serve) -> None:
    """F51: after a restart."""
    job, server = serve(gives())
    with_part(job, CONTENT[:HALF])
    source = mirror(server.url)
    fetched(job.run(source, begun=Begun(url=source.url, etag='"v1"')))
    assert b'if-range: "v1"' in server.requests[0].lower()
    assert offsets(server.requests) == [HALF]


def test_a_signed_address_that_expires_is_asked_for_anew_through_the_site(tmp_path: Path) -> None:
    """F53: 403 by the storage, in the middle and at once; nothing signed is ever told or kept."""
    told = Told()
    expired = reply(b"<Error>", status="403 Forbidden", kind="application/xml")
    with FaultServer(expired, gives(cut_after=HALF), expired, gives()) as storage:
        signed = [redirect(f"{storage.url}/s?X-Amz-Signature={n}planted") for n in range(4)]
        with (
            FaultServer(*signed) as site,
            errand(tmp_path, site=site.url, origins=[storage.url], told=told) as job,
        ):
            fetched(job.run(from_site(site.url)))
            assert [r.split(b" ")[1][-8:] for r in storage.requests] == [b"%dplanted" % n for n in range(4)]
            assert len(site.requests) == 4
            assert offsets(storage.requests) == [0, 0, HALF, HALF]
            assert is_there(job)
    assert "planted" not in repr(told.words)


def test_a_storage_that_never_takes_the_proof_is_asked_three_times(tmp_path: Path) -> None:
    """F53."""
    with (
        FaultServer(reply(b"<Error>", status="403 Forbidden", kind="application/xml")) as storage,
        FaultServer(redirect(f"{storage.url}/s?sig=planted")) as site,
        errand(tmp_path, site=site.url, origins=[storage.url]) as job,
    ):
        outcome = job.run(from_site(site.url))
        assert isinstance(outcome, Defer)
        assert isinstance(outcome.trouble, TryLater)
        assert kind_of(outcome) == "proof_refused"
        assert "planted" not in str(outcome.trouble)
        assert len(site.requests) == len(storage.requests) == 3
        assert job.world.gates.closings == []
