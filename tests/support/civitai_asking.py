"""A stand-in, the provider that asks it, and the world around them."""

from collections.abc import Iterator
from contextlib import contextmanager

from hashtagd.core.card import Card
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Absent, Found
from hashtagd.providers.civitai import Civitai
from hashtagd.standin import Standin
from support.surroundings import World, sha, subject

Answers = dict[str, Found | Absent | Trouble]


class Setting:
    """All three; hashes are `sha(number)`."""

    def __init__(self, site: Standin, world: World) -> None:
        self.site = site
        self.world = world
        self.provider = Civitai(Civitai.Options(base_url=site.url), world.surroundings)

    def ask(self, *numbers: int) -> Answers:
        return dict(self.provider.ask([subject(sha(number)) for number in numbers]))

    def found(self, number: int) -> Found:
        answer = self.ask(number)[sha(number)]
        assert isinstance(answer, Found)
        return answer

    def card(self, number: int) -> Card:
        return self.found(number).card


@contextmanager
def standing(world: World | None = None) -> Iterator[Setting]:
    """Start all three, and end them."""
    with Standin() as site:
        made = Setting(site, world or World())
        try:
            yield made
        finally:
            made.provider.close()
