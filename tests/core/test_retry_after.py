"""F45. Every form of `Retry-After` that a server, a proxy or a mischievous test has ever sent."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagd.core.retry_after import retry_after_s

NOW = datetime(2026, 8, 22, 12, 0, 0, tzinfo=UTC)
DAY_S = 86_400.0


@pytest.mark.parametrize(
    "values,wait_s",
    [
        (["120"], 120.0),
        ([" 120 "], 120.0),
        (["0"], 1.0),
        (["000000000000000000007"], 7.0),
        (["86401"], DAY_S),
        (["9" * 5_000], DAY_S),
        (["0" * 5_000], 1.0),
        (["Sat, 22 Aug 2026 12:05:00 GMT"], 300.0),
        (["Saturday, 22-Aug-26 12:05:00 GMT"], 300.0),
        (["Sat Aug 22 12:05:00 2026"], 300.0),
        (["Sat, 22 Aug 2026 14:05:00 +0200"], 300.0),
        (["Sat, 22 Aug 2026 11:00:00 GMT"], 1.0),
        (["Thu, 01 Jan 1970 00:00:00 GMT"], 1.0),
        (["Fri, 31 Dec 9999 23:59:59 GMT"], DAY_S),
        (["30", "90"], 90.0),
        (["90", "30"], 90.0),
        (["junk", "30"], 30.0),
        (["30", "Sat, 22 Aug 2026 12:05:00 GMT"], 300.0),
    ],
)
def test_a_wait_is_read_and_kept_within_a_second_and_a_day(values: list[str], wait_s: float) -> None:
    """F45."""
    assert retry_after_s(values, NOW) == wait_s


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "-5",
        "+5",
        "1e9",
        "1.5",
        "inf",
        "nan",
        "soon",
        "１２０",  # noqa: RUF001 - full-width digits are the point
        "٣",
        "0x10",
        "12 0",
        "1_000",
        "Sat, 99 Foo 2026 12:05:00 GMT",
        "Sat, 22 Aug 99999 12:05:00 GMT",
        "Sat, 22 Aug 2026 12:05:00 +99999999999999",
        "Sat, 22 Aug 2026 12:05:00 GMT" + " " * 10_000 + "x",
    ],
)
def test_junk_counts_as_absent(value: str) -> None:
    """F45."""
    assert retry_after_s([value], NOW) is None
    assert retry_after_s([value, "7"], NOW) == 7.0


def test_no_header_is_no_wait() -> None:
    assert retry_after_s([], NOW) is None


@given(st.lists(st.text(max_size=80), max_size=3), st.datetimes(timezones=st.just(UTC)))
def test_any_text_gives_a_bounded_wait_or_none(values: list[str], now: datetime) -> None:
    """F45."""
    wait_s = retry_after_s(values, now)
    assert wait_s is None or 1 <= wait_s <= DAY_S


@given(st.text(alphabet="0123456789 :,+-GMTASatugJan", max_size=64))
def test_texts_that_are_almost_dates_are_harmless(value: str) -> None:
    """F45."""
    wait_s = retry_after_s([value], NOW)
    assert wait_s is None or 1 <= wait_s <= DAY_S


@given(st.integers(min_value=1, max_value=86_400))
def test_the_three_date_forms_agree(seconds: int) -> None:
    moment = NOW + timedelta(seconds=seconds)
    forms = ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y")
    assert [retry_after_s([moment.strftime(form)], NOW) for form in forms] == [seconds] * 3
