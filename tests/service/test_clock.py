from datetime import timedelta

from hashtagd.core.ports import Clock, Pause
from hashtagd.service.clock import StopPause, SystemClock


def test_the_clock_is_aware_and_in_utc() -> None:
    clock: Clock = SystemClock()
    assert clock.now().utcoffset() == timedelta(0)


def test_the_monotonic_clock_never_goes_back() -> None:
    clock = SystemClock()
    readings = [clock.monotonic_s() for _ in range(100)]
    assert readings == sorted(readings)


def test_a_pause_without_a_stop_ends_by_itself() -> None:
    pause: Pause = StopPause()
    assert pause.wait(0) is False
    assert pause.wait(-1) is False
    assert not pause.stopping


def test_a_requested_stop_ends_every_wait_at_once_even_an_endless_one() -> None:
    pause = StopPause()
    pause.stop()
    pause.stop()
    assert pause.wait(float("inf")) is True
    assert pause.stopping
