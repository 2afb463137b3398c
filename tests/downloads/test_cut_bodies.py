"""Bodies that end early, drip, or stall: what came is kept, and gone on with."""

import threading
from datetime import datetime

import pytest

from hashtagd.core.transfer import Begun, TransferClaim
from hashtagd.core.work import Defer, Park, Release
from hashtagd.providers.wire import Limits
from support.downloads import (
    CONTENT,
    HALF,
    IMPATIENT,
    KIND,
    OTHER,
    Serve,
    fetched,
    gives,
    is_there,
    kind_of,
    mirror,
    offsets,
    trouble_of,
)
from support.fault_server import FaultServer, Line, reply
from support.paced import Paced
from support.surroundings import World


def test_a_body_that_is_cut_is_gone_on_with_where_it_was_cut(serve: Serve) -> None:
    """F40, F51."""
    job, server = serve(gives(cut_after=HALF), gives())
    fetched(job.run(mirror(server.url)))
    assert offsets(server.requests) == [0, HALF]
    assert b'if-range: "v1"' in server.requests[1].lower()
    assert is_there(job)


def test_a_body_without_a_length_that_ends_early_is_gone_on_with(serve: Serve) -> None:
    """F41: the library calls it a success."""
    job, server = serve(gives(cut_after=HALF, length=False), gives(length=False))
    fetched(job.run(mirror(server.url), size_bytes=len(CONTENT)))
    assert offsets(server.requests) == [0, HALF]
    assert is_there(job)


def test_a_body_without_a_length_of_which_nobody_states_the_size_is_fetched_once_more(serve: Serve) -> None:
    """F41."""
    job, server = serve(gives(cut_after=HALF, length=False), gives(length=False))
    fetched(job.run(mirror(server.url)))
    assert offsets(server.requests) == [0, 0]
    assert is_there(job)


def test_a_body_without_a_length_that_always_ends_early_has_the_wrong_bytes_in_the_end(serve: Serve) -> None:
    """F41."""
    job, server = serve(gives(cut_after=HALF, length=False))
    assert kind_of(job.run(mirror(server.url))) == "wrong_hash"
    assert len(server.requests) == 2
    assert job.names == []


def test_a_file_of_which_nobody_says_anything_gets_no_name(serve: Serve) -> None:
    """F41: with no hash, no size and no length the end may be anywhere."""
    job, server = serve(gives(length=False))
    assert kind_of(job.run(mirror(server.url), content=None)) == "no_model"
    assert job.names == []


def test_a_cut_that_brings_nothing_ends_after_three_tries_and_time_heals_it(serve: Serve) -> None:
    """F40."""
    job, server = serve(gives(cut_after=0))
    outcome = job.run(mirror(server.url))
    assert isinstance(outcome, Defer)
    assert kind_of(outcome) == "cut"
    assert len(server.requests) == 3
    assert job.world.pause.waits_s == [1.0, 2.0]
    assert job.names == []


def test_an_empty_answer_is_no_file_and_no_wrong_one(serve: Serve) -> None:
    """F41: a host that hiccups."""
    job, server = serve(reply(b"", kind=KIND), gives())
    fetched(job.run(mirror(server.url)))
    assert len(server.requests) == 2
    assert is_there(job)


def test_a_source_that_brings_a_little_each_time_is_gone_on_with(serve: Serve) -> None:
    """F51."""
    job, server = serve(gives(cut_after=300_000))
    fetched(job.run(mirror(server.url)))
    assert offsets(server.requests) == list(range(0, len(CONTENT), 300_000))
    assert is_there(job)


def test_what_came_before_every_source_failed_is_kept(serve: Serve) -> None:
    """F51."""
    job, server = serve(gives(cut_after=HALF), reply(b"", status="503 Busy"))
    outcome = job.run(mirror(server.url))
    assert isinstance(outcome, Defer)
    assert kind_of(outcome) == "unreachable"
    assert job.part().read_bytes() == CONTENT[:HALF]


def test_a_reset_in_the_middle_is_a_cut(serve: Serve) -> None:
    """F40."""

    def reset(line: Line) -> None:
        line.send(reply(CONTENT[:HALF], kind=KIND, headers=['ETag: "v1"'], length=len(CONTENT)))
        line.reset()

    job, server = serve(reset, gives())
    fetched(job.run(mirror(server.url)))
    assert len(server.requests) == 2
    assert is_there(job)


def test_bytes_beyond_the_stated_length_are_not_taken(serve: Serve) -> None:
    """F41: longer than its own word."""
    job, server = serve(reply(CONTENT + b"more", kind=KIND, length=len(CONTENT)))
    fetched(job.run(mirror(server.url)))
    assert is_there(job)


def test_a_source_that_sends_more_than_the_site_states_is_left(serve: Serve) -> None:
    """F41, P10: without a length it might fill the disk."""
    job, server = serve(gives(CONTENT + bytes(500_000), length=False))
    outcome = job.run(mirror(server.url), size_bytes=len(CONTENT))
    assert isinstance(outcome, Park)
    assert kind_of(outcome) == "too_long"
    assert job.names == []


def test_a_stall_in_the_body_is_a_cut(serve: Serve) -> None:
    """F39."""

    def stall(line: Line) -> None:
        line.send(reply(CONTENT[:HALF], kind=KIND, headers=['ETag: "v1"'], length=len(CONTENT)))
        line.hang()

    job, server = serve(stall, gives(), limits=IMPATIENT)
    fetched(job.run(mirror(server.url)))
    assert offsets(server.requests) == [0, HALF]


def test_a_drip_in_the_head_is_ended_by_the_deadline_and_closes_the_gate(serve: Serve) -> None:
    """F39."""
    head = reply(b"", kind=KIND, headers=["X: " + "x" * 500])
    job, server = serve(lambda line: line.drip(head, 0.02), limits=IMPATIENT)
    outcome = job.run(mirror(server.url))
    assert isinstance(outcome, Defer)
    assert kind_of(outcome) == "unreachable"
    assert [origin for origin, _, _ in job.world.gates.closings] == [server.url]


def test_a_drip_in_a_refusal_is_ended_by_the_deadline(serve: Serve) -> None:
    """F39: its body is read, too."""

    def drip(line: Line) -> None:
        line.send(reply(b"", status="404 Not Found", length=60_000))
        line.drip(bytes(60_000), 0.02)

    job, server = serve(drip, limits=IMPATIENT)
    assert kind_of(job.run(mirror(server.url))) == "unreachable"


class LeapingClock:
    """Ten seconds pass between any two looks."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._looks = 0

    def now(self) -> datetime:
        return self._world.clock.now()

    def monotonic_s(self) -> float:
        self._looks += 1
        return self._looks * 10.0


def test_a_drip_in_the_body_is_left_for_the_next_source(serve: Serve) -> None:
    """F39: less than a kilobyte a second over a minute."""

    def drip(line: Line) -> None:
        line.send(reply(CONTENT[:100], kind=KIND, length=len(CONTENT)))
        line.drip(CONTENT[100:], 0.001)

    world = World(running=True)
    with FaultServer(gives()) as other:
        job, server = serve(drip, origins=[other.url], world=world, clock=LeapingClock(world))
        fetched(job.run(mirror(server.url), mirror(other.url)))
        assert len(server.requests) == 1
        assert (range_begin := offsets(other.requests)[0]) > 0, range_begin
    assert is_there(job)


@pytest.mark.parametrize("others", [True, False])
def test_who_drips_just_fast_enough_is_left_only_where_others_may_be_quicker(
    serve: Serve,
    others: bool,  # noqa: FBT001
) -> None:
    """F39: at 4 KiB a second a checkpoint takes a month; from the only source that is better than nothing."""
    world = World(running=True)
    paced = Paced(world, bytes_per_s=4096)
    with FaultServer(gives()) as other:
        job, server = serve(gives(), origins=[other.url], world=world, clock=paced, around=paced.around)
        sources = (mirror(server.url), mirror(other.url)) if others else (mirror(server.url),)
        fetched(job.run(*sources))
        assert bool(other.requests) is others
    assert is_there(job)


def test_a_drip_from_the_only_source_waits_and_keeps_what_came(serve: Serve) -> None:
    """F39."""

    def drip(line: Line) -> None:
        line.send(reply(CONTENT[:100], kind=KIND, length=len(CONTENT)))
        line.drip(CONTENT[100:], 0.001)

    world = World(running=True)
    job, server = serve(drip, world=world, clock=LeapingClock(world))
    outcome = job.run(mirror(server.url))
    assert isinstance(outcome, Defer)
    assert kind_of(outcome) == "too_slow"
    kept = job.part().read_bytes()
    assert 64 <= len(kept) < 10_000
    assert CONTENT.startswith(kept)


def test_a_stop_while_nothing_comes_is_noticed_and_what_came_is_kept(serve: Serve) -> None:
    """F84: nobody waits for a source that is silent."""
    world, some_is_here = World(running=True), threading.Event()

    def told(_claim: TransferClaim, bytes_done: int, _begun: Begun | None) -> bool:
        if bytes_done >= 1 << 20:
            some_is_here.set()
        return True

    def stop(line: Line) -> None:
        line.send(reply(CONTENT[:HALF], kind=KIND, length=len(CONTENT)))
        some_is_here.wait(5)
        world.pause.stop_after = 0
        line.hang()

    job, server = serve(stop, world=world, told=told, limits=Limits(read_s=50.0, total_s=60.0))
    assert isinstance(job.run(mirror(server.url)), Release)
    kept = job.part().read_bytes()
    assert len(kept) >= 1 << 20
    assert CONTENT.startswith(kept)


def test_a_stop_before_the_first_byte_is_noticed(serve: Serve) -> None:
    """F84."""
    world = World(running=True)

    def stop(line: Line) -> None:
        world.pause.stop_after = 0
        line.hang()

    job, server = serve(stop, world=world, limits=Limits(read_s=50.0, total_s=60.0))
    assert isinstance(job.run(mirror(server.url)), Release)
    assert job.names == []


def test_the_trouble_names_no_address(serve: Serve) -> None:
    """P7, section 6: what a mirror's address holds is nobody's business."""
    job, server = serve(gives(OTHER))
    trouble = trouble_of(job.run(mirror(f"{server.url}/secret-path?token=planted")))
    assert "planted" not in str(trouble)
    assert "secret-path" not in str(trouble)
