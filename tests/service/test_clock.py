import signal
import threading
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


def test_a_rest_ends_by_itself_or_by_a_ring_that_may_have_come_before() -> None:
    pause = StopPause()
    pause.rest(0.0)
    pause.ring()
    pause.ring()
    pause.rest(3600.0)
    threading.Timer(0.05, pause.ring).start()
    pause.rest(3600.0)


def test_a_ring_from_a_signal_handler_ends_the_rest_that_it_interrupts() -> None:
    """An event could not be set there: who waits may hold its lock."""
    pause = StopPause()
    before = signal.signal(signal.SIGALRM, lambda *_: pause.ring())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        pause.rest(3600.0)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not pause.stopping


def test_after_a_stop_nobody_rests() -> None:
    pause = StopPause()
    pause.stop()
    for _ in range(3):
        pause.rest(3600.0)
