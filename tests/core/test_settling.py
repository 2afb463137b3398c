"""May this file be read yet? Every way a download lands, as one look."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagd.core.header import Header, Incomplete, NeedMore, NotAModel, Verdict, Whole
from hashtagd.core.settling import Decision, Look, Never, NotYet, Ready, Wait, decide
from hashtagd.core.troubles import Scope

NOW = datetime(2026, 8, 22, 12, 0, tzinfo=UTC)
HEADER = Header(length_bytes=80, tensor_count=1)
WHOLE = Whole(header=HEADER)
HALF = Incomplete(present_bytes=3_200_000_000, declared_bytes=6_400_000_000)
DAY_S = 86_400.0


def look(
    rest_s: float,
    verdict: Verdict | None = WHOLE,
    *,
    quiet_s: float = 10.0,
    companion: str | None = None,
    size_bytes: int = 1_000,
    allocated_bytes: int | None = None,
) -> Decision:
    return decide(
        Look(
            now=NOW,
            still_since=NOW - timedelta(seconds=rest_s),
            quiet_s=quiet_s,
            verdict=verdict,
            companion=companion,
            size_bytes=size_bytes,
            allocated_bytes=size_bytes if allocated_bytes is None else allocated_bytes,
        )
    )


def test_a_file_that_changed_just_now_waits_for_the_rest_of_the_quiet_time() -> None:
    assert look(4.0) == Wait(wait_s=6.0)


def test_a_whole_file_that_rested_is_read_with_its_header() -> None:
    assert look(10.0) == Ready(header=HEADER)


def test_a_file_from_the_future_counts_as_changed_now() -> None:
    """F88."""
    assert look(-1e9) == Wait(wait_s=10.0)


def test_an_unfinished_file_is_looked_at_the_more_rarely_the_longer_nothing_happens() -> None:
    """F22."""
    waits = []
    for rest_s in (10.0, 60.0, 1_000.0, 50_000.0):
        decision = look(rest_s, HALF)
        assert isinstance(decision, NotYet)
        assert decision.trouble.after_s == decision.wait_s
        waits.append(decision.wait_s)
    assert waits == [10.0, 60.0, 1_000.0, 3_600.0]


def test_looks_keep_a_distance_even_without_a_quiet_time() -> None:
    decision = look(0.0, HALF, quiet_s=0.0)
    assert isinstance(decision, NotYet)
    assert decision.wait_s == 1.0


def test_an_unfinished_file_without_a_change_for_a_day_is_parked() -> None:
    """F22."""
    decision = look(DAY_S, HALF)
    assert isinstance(decision, Never)
    assert decision.trouble.kind == "incomplete"
    assert decision.trouble.scope is Scope.FILE


@pytest.mark.parametrize(
    "present,declared,what",
    [
        (3_200_000_000, 6_400_000_000, "3.2 of 6.4 GB are there"),
        (12_000_000, 57_427_724, "12.0 of 57.4 MB are there"),
        (400, 2_048, "0.4 of 2.0 kB are there"),
        (3, 90, "3 of 90 bytes are there"),
        (6_400_000_000, 6_400_000_008, "6,400,000,000 of 6,400,000,008 bytes are there"),
        (0, None, "the file is empty"),
        (5, None, "the header is not there yet"),
    ],
)
def test_the_trouble_says_how_much_is_there(present: int, declared: int | None, what: str) -> None:
    verdict = Incomplete(present_bytes=present, declared_bytes=declared)
    decision = look(20.0, verdict, size_bytes=present)
    assert isinstance(decision, NotYet)
    assert decision.trouble.what == what
    assert decision.trouble.kind == "incomplete"


def test_an_empty_file_is_unfinished_even_where_no_header_is_read() -> None:
    """F22: a browser puts an empty file under the final name first."""
    assert isinstance(look(60.0, None, size_bytes=0), NotYet)
    assert isinstance(look(DAY_S, None, size_bytes=0), Never)


def test_a_control_file_beside_it_keeps_it_waiting_for_ever() -> None:
    """F28: the stamp does not change when the control file goes, so nothing would wake a parked row."""
    decision = look(DAY_S * 30, WHOLE, companion="x.safetensors.aria2")
    assert isinstance(decision, NotYet)
    assert "x.safetensors.aria2" in decision.trouble.what
    assert decision.wait_s == 3_600.0


def test_a_file_that_is_mostly_holes_has_to_rest_thirty_times_as_long() -> None:
    """F28: space reserved at full size, a valid header written first."""
    size = 1 << 30
    assert look(299.0, size_bytes=size, allocated_bytes=0) == Wait(wait_s=1.0)
    assert look(300.0, size_bytes=size, allocated_bytes=0) == Ready(header=HEADER)
    assert look(10.0, size_bytes=size, allocated_bytes=size // 2) == Ready(header=HEADER)


def test_holes_in_a_small_file_say_nothing() -> None:
    """File systems keep small files inside their own records and report no blocks."""
    assert look(10.0, size_bytes=(1 << 20) - 1, allocated_bytes=0) == Ready(header=HEADER)


def test_a_file_without_a_header_has_to_rest_three_times_as_long() -> None:
    assert look(29.0, None) == Wait(wait_s=1.0)
    assert look(30.0, None) == Ready(header=None)


def test_a_header_too_large_to_read_is_settled_by_quiet_time() -> None:
    """F23."""
    assert look(10.0, Whole(header=None)) == Ready(header=None)


def test_a_page_under_the_name_of_a_model_is_given_up_with_its_kind() -> None:
    """F27."""
    decision = look(10.0, NotAModel(rule="the rule", looks_like="an HTML page"))
    assert isinstance(decision, Never)
    assert decision.trouble.kind == "not_a_model"
    assert "an HTML page" in decision.trouble.what


def test_a_broken_header_is_given_up_with_the_rule_that_is_broken() -> None:
    """F25."""
    decision = look(10.0, NotAModel(rule="tensor 'w' overlaps another"))
    assert isinstance(decision, Never)
    assert "tensor 'w' overlaps another" in decision.trouble.what


def test_nothing_is_given_up_before_the_quiet_time() -> None:
    assert look(9.0, NotAModel(rule="the rule")) == Wait(wait_s=1.0)


def test_a_file_that_got_shorter_under_the_look_is_looked_at_again() -> None:
    assert look(60.0, NeedMore(prefix_bytes=900)) == Wait(wait_s=10.0)
    assert look(60.0, NeedMore(prefix_bytes=900), quiet_s=0.0) == Wait(wait_s=1.0)


verdicts = st.sampled_from(
    [WHOLE, Whole(header=None), HALF, NotAModel(rule="a rule"), NeedMore(prefix_bytes=9), None]
) | st.builds(
    Incomplete, present_bytes=st.integers(0, 10**13), declared_bytes=st.integers(1, 10**13) | st.none()
)
looks = st.builds(
    Look,
    now=st.just(NOW),
    still_since=st.datetimes(timezones=st.just(UTC)),
    quiet_s=st.floats(min_value=0, max_value=86_400),
    verdict=verdicts,
    companion=st.none() | st.just("x.part"),
    size_bytes=st.integers(0, 10**13),
    allocated_bytes=st.integers(0, 10**13),
)


@given(looks)
def test_the_same_look_gives_the_same_decision_with_a_bounded_wait(given_look: Look) -> None:
    decision, again = decide(given_look), decide(given_look)
    assert type(decision) is type(again)
    if isinstance(decision, Wait | NotYet):
        assert isinstance(again, Wait | NotYet)
        assert decision.wait_s == again.wait_s
        assert 0 < decision.wait_s <= max(30 * given_look.quiet_s, 3_600)


@given(looks)
def test_nothing_unfinished_is_ever_read_and_nothing_restless_is_ever_given_up(given_look: Look) -> None:
    """F22, F28."""
    decision = decide(given_look)
    rest_s = max((given_look.now - given_look.still_since).total_seconds(), 0)
    if isinstance(given_look.verdict, Incomplete) or given_look.size_bytes == 0 or given_look.companion:
        assert not isinstance(decision, Ready)
    if rest_s < given_look.quiet_s:
        assert isinstance(decision, Wait)
    if isinstance(decision, Ready):
        assert given_look.verdict is None or isinstance(given_look.verdict, Whole)
