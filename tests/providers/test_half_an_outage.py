"""A site of which one half answers and the other does not: its gate still closes for longer and longer."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from hashtagd.catalog.catalog import Catalog
from hashtagd.core.ports import Closed
from hashtagd.core.troubles import TryLater
from hashtagd.core.work import Found, Subject
from hashtagd.providers.civitai import Civitai
from hashtagd.providers.surroundings import Surroundings
from hashtagd.standin import Standin
from support.surroundings import HandClock, QuickPause, sha, subject


@dataclass
class Halved:
    """The provider behind the catalog's own gates."""

    site: Standin
    clock: HandClock
    catalog: Catalog

    def __post_init__(self) -> None:
        self.gates = self.catalog.gates({}, 6000)
        self.provider = Civitai(
            Civitai.Options(base_url=self.site.url),
            Surroundings(clock=self.clock, pause=QuickPause(self.clock), gatekeeper=self.gates),
        )

    def until_open(self) -> None:
        gate = self.gates.look(self.site.url)
        if isinstance(gate, Closed):
            self.clock.elapsed_s = (gate.opens_at - self.clock.wall).total_seconds() + 0.001

    def failures(self) -> int:
        return self.gates.list()[0].failures

    def probes(self, asked: Subject, seconds: float) -> int:
        """Ask whenever the gate lets us, for so long; counts all rounds but the first."""
        rounds = 0
        while self.clock.elapsed_s < seconds:
            with pytest.raises(TryLater):
                list(self.provider.ask([asked]))
            rounds += 1
            self.until_open()
        return rounds - 1


@pytest.fixture
def halved(sqlite_url: str) -> Iterator[Halved]:
    clock = HandClock()
    catalog = Catalog.open(sqlite_url, clock=clock, owner="me", chance=lambda: 0.0)
    with Standin() as site:
        made = Halved(site, clock, catalog)
        yield made
        made.provider.close()
    catalog.close()


@pytest.mark.parametrize("route", ["models", "by-hash"])
def test_half_an_hour_of_it_sees_six_probes_at_most(halved: Halved, route: str) -> None:
    """F46."""
    halved.site.add(sha256=sha(1))
    halved.site.fail_next(None, status=503, route=route)
    assert halved.probes(subject(sha(1)), 1_800) <= 6
    halved.site.clear_faults()
    assert isinstance(dict(halved.provider.ask([subject(sha(1))]))[sha(1)], Found)
    assert halved.failures() == 0


def test_a_probe_that_was_answered_whole_lets_the_others_in(halved: Halved) -> None:
    """F46."""
    for number in range(1, 251):
        halved.site.add(sha256=sha(number))
    halved.site.fail_next(3, status=503, route="models")
    with pytest.raises(TryLater):
        list(halved.provider.ask([subject(sha(1))]))
    halved.until_open()
    answers = dict(halved.provider.ask([subject(sha(number)) for number in range(1, 251)]))
    assert len(answers) == 250
    assert halved.failures() == 0


def test_a_probe_that_is_not_waited_for_opens_nothing(halved: Halved) -> None:
    """F46."""
    halved.site.add(sha256=sha(1))
    halved.site.fail_next(3, status=503, route="models")
    with pytest.raises(TryLater):
        list(halved.provider.ask([subject(sha(1))]))
    halved.until_open()
    stream = halved.provider.ask([subject(sha(1))])
    next(stream)
    assert halved.failures() == 1
    assert list(stream) == []
    assert halved.failures() == 0
