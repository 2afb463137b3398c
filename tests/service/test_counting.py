import threading
from datetime import timedelta

from hashtagd.core.ports import Admitted, Closed
from hashtagd.core.troubles import Scope
from hashtagd.service.counting import CountingGates, Tally
from support.serving import later
from support.surroundings import START, HandClock, OpenGates

SITE = "https://site.example"


def test_only_what_is_admitted_counts_as_a_request() -> None:
    tally = Tally()
    inner = OpenGates(HandClock())
    gates = CountingGates(inner, tally)
    assert gates.look(SITE) == Admitted()
    assert tally.requests == {}
    assert gates.admit(SITE) == Admitted()
    opens_at = gates.close(SITE, later("outage", Scope.PROVIDER), 60.0)
    assert opens_at == START + timedelta(seconds=60)
    assert isinstance(gates.admit(SITE), Closed)
    gates.succeeded(SITE)
    assert inner.successes == [SITE]
    assert gates.admit(SITE) == Admitted()
    assert tally.requests == {SITE: 2}


def test_lanes_may_count_at_the_same_time() -> None:
    tally = Tally()

    def count() -> None:
        for _ in range(1000):
            tally.add("bytes_hashed", 3)
            tally.requested(SITE)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tally.sum("bytes_hashed") == 12_000
    assert tally.requests == {SITE: 4000}
    assert tally.sum("nothing") == 0
