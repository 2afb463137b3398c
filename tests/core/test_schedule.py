"""The waiting times: bounded, never zero where it would spin, and never longer than the catalog believes."""

from hypothesis import given
from hypothesis import strategies as st

from hashtagd.core import schedule

chances = st.floats(min_value=0, max_value=1, exclude_max=True)
counts = st.integers(min_value=-3, max_value=10_000)


def test_a_gate_stays_closed_for_30_s_then_doubles_up_to_a_quarter_of_an_hour() -> None:
    assert [schedule.gate_wait_s(n, 0.0) for n in range(8)] == [30, 30, 60, 120, 240, 480, 900, 900]


def test_half_an_hour_of_outage_sees_at_most_six_probes_whatever_the_draw() -> None:
    """F46."""
    elapsed_s, probes = 0.0, 0
    while (elapsed_s := elapsed_s + schedule.gate_wait_s(probes + 1, 0.0)) <= 1_800:
        probes += 1
    assert probes <= 6


def test_a_file_is_retried_after_5_s_then_doubling_up_to_a_quarter_of_an_hour() -> None:
    waits = [schedule.file_retry_wait_s(n, 0.0) for n in range(1, 10)]
    assert waits == [5, 10, 20, 40, 80, 160, 320, 640, 900]


def test_a_program_is_left_alone_for_a_minute_then_doubling_up_to_a_quarter_of_an_hour() -> None:
    assert [schedule.program_rest_s(n) for n in range(1, 7)] == [60, 120, 240, 480, 900, 900]


@given(counts, chances)
def test_retries_are_only_ever_lengthened_and_by_a_fifth_at_most(times: int, chance: float) -> None:
    for wait in (schedule.gate_wait_s, schedule.file_retry_wait_s):
        plain_s = wait(times, 0.0)
        assert plain_s <= wait(times, chance) <= plain_s * 1.2
        assert 5 <= plain_s <= 900


def test_a_miss_is_asked_again_after_hours_then_days_then_monthly() -> None:
    hour, day = 3_600, 86_400
    waits = [schedule.miss_again_s(n, 0.0) for n in range(1, 9)]
    assert waits == [1.5 * hour, 6 * hour, day, 3 * day, 7 * day, 30 * day, 30 * day, 30 * day]
    assert schedule.miss_again_s(0, 0.0) == waits[0]


@given(counts, chances)
def test_no_wait_is_longer_than_the_longest(times: int, chance: float) -> None:
    """F88: a due time beyond the longest wait comes from a wrong clock, so no honest one may look like it."""
    waits = (
        schedule.gate_wait_s(times, chance),
        schedule.file_retry_wait_s(times, chance),
        schedule.miss_again_s(times, chance),
        schedule.hit_again_s(chance),
        schedule.GONE_KEPT_S,
        schedule.FIRST_ANSWER_PATIENCE_S,
        schedule.LEASE_S,
    )
    assert max(waits) < schedule.LONGEST_WAIT_S
    assert min(waits) > 0


@given(counts, chances)
def test_repeats_of_one_library_stay_close_enough_to_be_pulled_into_one_round(
    times: int, chance: float
) -> None:
    for plain_s, drawn_s in (
        (schedule.miss_again_s(times, 0.0), schedule.miss_again_s(times, chance)),
        (schedule.hit_again_s(0.0), schedule.hit_again_s(chance)),
    ):
        assert plain_s <= drawn_s <= plain_s * 1.05
        assert drawn_s - schedule.pull_in_s(drawn_s) <= plain_s


@given(st.floats(min_value=1, max_value=1e6), chances)
def test_scans_vary_between_three_quarters_and_five_quarters(interval_s: float, chance: float) -> None:
    assert interval_s * 0.75 <= schedule.scan_wait_s(interval_s, chance) <= interval_s * 1.25


def test_a_lease_outlives_two_missed_renewals() -> None:
    assert schedule.RENEW_S * 3 <= schedule.LEASE_S
    assert schedule.MAX_ATTEMPTS == 8


def _round(**changes: object) -> float:
    facts: dict[str, object] = {
        "waiting": 1,
        "oldest_wait_s": 0.0,
        "digesting": True,
        "since_last_round_s": None,
        "rounds_in_a_row": 0,
    }
    return schedule.round_wait_s(**{**facts, **changes})  # type: ignore[arg-type]


def test_a_single_file_goes_at_once_when_nothing_is_being_hashed() -> None:
    assert _round(digesting=False, since_last_round_s=0.1, rounds_in_a_row=9) == 0


def test_with_no_question_there_is_no_round() -> None:
    assert _round(waiting=0, digesting=False) == 60


def test_the_first_round_of_a_library_collects_for_two_seconds() -> None:
    assert _round() == 2
    assert _round(oldest_wait_s=0.5) == 1.5
    assert _round(oldest_wait_s=2.0) == 0


def test_pauses_between_the_rounds_of_one_library_double_up_to_a_minute() -> None:
    waits = [_round(oldest_wait_s=9.0, since_last_round_s=0.0, rounds_in_a_row=n) for n in range(8)]
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]


def test_ten_thousand_waiting_questions_fill_the_largest_request_and_go() -> None:
    assert _round(waiting=10_000, since_last_round_s=0.0, rounds_in_a_row=5) == 0


def test_a_library_that_arrives_file_by_file_goes_out_by_the_hundred() -> None:
    rounds, last_at, waiting, oldest_at = 0, None, 0, 0
    files, per_second = 10_000, 5
    for second in range(files // per_second):
        if waiting == 0:
            oldest_at = second
        waiting += per_second
        wait_s = _round(
            waiting=waiting,
            oldest_wait_s=float(second - oldest_at),
            since_last_round_s=None if last_at is None else float(second - last_at),
            rounds_in_a_row=rounds,
        )
        if wait_s == 0:
            rounds, last_at, waiting = rounds + 1, second, 0
    assert rounds < files / 100


@given(
    waiting=st.integers(min_value=0, max_value=20_000),
    oldest_wait_s=st.floats(min_value=-1e9, max_value=1e9),
    digesting=st.booleans(),
    since_last_round_s=st.none() | st.floats(min_value=-1e9, max_value=1e9),
    rounds_in_a_row=st.integers(min_value=-1, max_value=100_000),
)
def test_no_round_is_ever_held_back_for_more_than_a_minute(**facts: object) -> None:
    """F88: also when the clock jumped and the times since are negative or huge."""
    assert 0 <= _round(**facts) <= 60


def test_a_second_chance_comes_once_in_a_month_at_most() -> None:
    assert schedule.second_chance_again_s(0.0) == 30 * 86_400
    assert schedule.second_chance_again_s(0.999) < schedule.LONGEST_WAIT_S


def test_the_end_of_an_early_access_is_looked_at_an_hour_or_two_later() -> None:
    assert schedule.after_early_access_s(0.0) == 3600
    assert schedule.after_early_access_s(0.5) == 5400
