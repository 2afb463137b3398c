"""Mirrors that want to know us, and mirrors that are gone."""

import pytest

from hashtagd.core.work import Defer, Park
from support.downloads import (
    KEY,
    Serve,
    fetched,
    gives,
    is_there,
    kind_of,
    mirror,
    refusal,
)
from support.fault_server import reply

PAGE = b"<!DOCTYPE html><html><head><title>Log in</title></head></html>"
QUOTA = refusal(429, error="We have noticed an unusual amount of downloading from your account")
HOURS_S = 3 * 3_600.0


@pytest.mark.parametrize(
    "answer, kind, outcome_is",
    [
        pytest.param(refusal(401, error="log in"), "mirror_closed", Park, id="gated, 401"),
        pytest.param(refusal(402, error="pay"), "mirror_closed", Park, id="paid"),
        pytest.param(refusal(403, error="gated"), "mirror_closed", Park, id="gated, 403"),
        pytest.param(refusal(404, error="none"), "file_gone", Park, id="gone"),
        pytest.param(reply(PAGE, status="404 No", kind="text/html"), "file_gone", Park, id="gone, as a page"),
        pytest.param(refusal(410, error="deleted"), "file_gone", Park, id="deleted"),
        pytest.param(refusal(418, error="teapot"), "no_file", Park, id="nonsense"),
        pytest.param(refusal(429, error="slow"), "rate_limited", Defer, id="429"),
        pytest.param(refusal(451, error="no"), "unreachable", Defer, id="451"),
        pytest.param(refusal(503, error="busy"), "unreachable", Defer, id="503"),
    ],
)
def test_a_mirror_that_does_not_give_the_file_says_who_acts(
    serve: Serve, answer: bytes, kind: str, outcome_is: type[object]
) -> None:
    """F47, F48. No mirror is ever shown the key."""
    job, server = serve(answer)
    outcome = job.run(mirror(server.url))
    assert isinstance(outcome, outcome_is)
    assert kind_of(outcome) == kind
    assert KEY.encode() not in b"".join(server.requests)
    assert bool(job.world.gates.closings) is (outcome_is is Defer)
    assert job.names == []


def test_each_mirror_is_tried_until_one_gives_the_file(serve: Serve) -> None:
    """P12."""
    job, server = serve(refusal(403), refusal(404), refusal(410), gives())
    fetched(job.run(*[mirror(server.url)] * 4))
    assert len(server.requests) == 4
    assert is_there(job)


def test_of_several_reasons_the_one_that_a_person_can_mend_is_told(serve: Serve) -> None:
    """P11."""
    job, server = serve(refusal(404), refusal(403), refusal(404))
    outcome = job.run(*[mirror(server.url)] * 3)
    assert isinstance(outcome, Park)
    assert kind_of(outcome) == "mirror_closed"


def test_one_source_that_time_may_heal_keeps_the_download_going(serve: Serve) -> None:
    """P3."""
    job, server = serve(refusal(403), refusal(503), refusal(404))
    outcome = job.run(*[mirror(server.url)] * 2, attempts=3)
    assert isinstance(outcome, Defer)
    assert kind_of(outcome) == "unreachable"
    assert outcome.wait_s == 20.0


def test_a_download_without_any_address_is_parked(serve: Serve) -> None:
    job, _ = serve(gives())
    outcome = job.run()
    assert isinstance(outcome, Park)
    assert kind_of(outcome) == "no_source"
    assert job.names == []
