"""Whoever wants a file: progress, claims that are lost, and the wish to stop."""

import pytest

from hashtagd.core.transfer import Begun, TransferClaim
from hashtagd.core.troubles import Scope, Trouble, TryLater
from hashtagd.core.work import Release
from hashtagd.stages.bringing import LostError
from support.downloads import (
    CONTENT,
    HALF,
    Serve,
    Told,
    fetched,
    gives,
    mirror,
    with_part,
)

MIB = 1 << 20

MIB = 1 << 20


def test_a_claim_that_is_lost_ends_the_download_and_keeps_what_came(serve: Serve) -> None:
    """F74: somebody else has it, or nobody wants it any more."""

    class LostLater(Told):
        def __call__(self, claim: TransferClaim, bytes_done: int, begun: Begun | None) -> bool:
            return super().__call__(claim, bytes_done, begun) and bytes_done < MIB

    job, server = serve(gives(), told=LostLater())
    with pytest.raises(LostError):
        job.run(mirror(server.url))
    assert MIB <= job.part().stat().st_size < len(CONTENT)
    assert CONTENT.startswith(job.part().read_bytes())


def test_a_catalog_that_is_away_is_no_fault_of_any_source(serve: Serve) -> None:
    """F75, P12."""
    away = TryLater("away", does="waits", you="wait", scope=Scope.DAEMON, kind="catalog_away")
    job, server = serve(gives(), told=Told(trouble=away))
    with pytest.raises(Trouble) as caught:
        job.run(mirror(server.url), mirror(server.url))
    assert caught.value is away
    assert len(server.requests) == 1


def test_progress_is_told_from_where_it_begins_to_the_end(serve: Serve) -> None:
    told = Told()
    job, server = serve(gives(cut_after=HALF), gives(), told=told)
    source = mirror(server.url)
    fetched(job.run(source))
    sizes = [size for size, _ in told.words]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (0, len(CONTENT))
    assert {begun for _, begun in told.words} == {Begun(url=source.url, etag='"v1"')}


def test_a_stop_before_anything_was_asked_gives_the_claim_back(serve: Serve) -> None:
    """F84."""
    job, server = serve(gives())
    job.world.pause.stop_after = 0
    for content in (b"", CONTENT[:HALF]):
        with_part(job, content)
        assert isinstance(job.run(mirror(server.url)), Release)
    assert server.requests == []
    assert job.part().read_bytes() == CONTENT[:HALF]


def test_a_stop_while_what_is_here_is_read_gives_the_claim_back(serve: Serve) -> None:
    """F84: of the unfinished file, and of one that lies there already."""
    job, server = serve(gives())
    job.world.pause.stop_after = 0
    job.path().write_bytes(CONTENT)
    assert isinstance(job.run(mirror(server.url)), Release)
    job.path().unlink()
    with_part(job, CONTENT)
    assert isinstance(job.run(mirror(server.url), size_bytes=len(CONTENT)), Release)
    assert server.requests == []
    assert job.part().read_bytes() == CONTENT
