"""How long a file is: by the word of the site, of the server, and in truth."""

from pathlib import Path

from support.downloads import CONTENT, KIND, Serve, errand, fetched, gives, mirror, offsets
from support.fault_server import FaultServer, reply

MIB = 1 << 20


def lies_about_length(length: int) -> bytes:
    """Promise far more than comes."""
    return reply(CONTENT[:1000], kind=KIND, length=length)


def test_a_mirror_that_promises_more_than_any_disk_holds_is_left_for_the_next(serve: Serve) -> None:
    """P10, P12: its word neither fills the disk nor keeps the others from being asked."""
    with FaultServer(gives()) as other:
        job, server = serve(lies_about_length(10**17), origins=[other.url])
        fetched(job.run(mirror(server.url), mirror(other.url), size_bytes=len(CONTENT)))
        assert len(server.requests) == 1
        assert offsets(other.requests) == [0]


def test_a_mirror_that_alone_says_that_it_does_not_fit_is_left_for_the_next(small_disk: Path) -> None:
    """P12: by the site's word the file fits."""
    content = CONTENT[:MIB]
    with (
        FaultServer(lies_about_length(30 * MIB)) as liar,
        FaultServer(gives(content)) as other,
        errand(small_disk, origins=[liar.url, other.url]) as job,
    ):
        fetched(job.run(mirror(liar.url), mirror(other.url), content=content, size_bytes=len(content)))


def test_a_size_that_the_site_states_wrongly_is_judged_by_the_hash(serve: Serve) -> None:
    """F51: size other than announced."""
    job, server = serve(gives())
    fetched(job.run(mirror(server.url), size_bytes=len(CONTENT) // 3))
    assert offsets(server.requests) == [0]
