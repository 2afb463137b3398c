"""The lane of galleries over a real catalog whose time the test moves."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.filters import Filters
from hashtagd.catalog.pages import FileRow
from hashtagd.catalog.reports import Reports
from hashtagd.core.card import Card
from hashtagd.core.ports import Stopping
from hashtagd.core.troubles import TryLater
from hashtagd.core.work import Advance, Published
from hashtagd.service.board import RootBoard
from hashtagd.service.galleries import GalleryWork
from hashtagd.stages.galleries import Galleries
from hashtagd.stages.gather import GatherOptions, GatherStage
from support.library import ROOT, Library, card, digests
from support.publish_fakes import ScriptedFetcher, host_closed, png
from support.serving import Ears, later

PUBLISHED = Advance(facts=Published(publications=()))


def url(model: str | None) -> str:
    return f"https://x.example/{model}.png"


def addresses(seen: Card | None) -> tuple[str, ...]:
    return () if seen is None else (url(seen.model_name),)


class Lane:
    """The work, its galleries, and who fetches for it."""

    def __init__(self, folder: Path, library: Library, ears: Ears) -> None:
        self.library = library
        self.ears = ears
        self.galleries = Galleries(folder / "gallery")
        self.fetcher = ScriptedFetcher()
        self.work = self.started()

    def started(self) -> GalleryWork:
        """Make the work anew, as another process would."""
        clock = self.library.clock
        options = GatherOptions(pictures=2, max_bytes=1 << 16, total_bytes=1 << 20)
        return GalleryWork(
            stage=GatherStage(
                self.galleries, fetcher=self.fetcher, options=options, clock=clock, keep_free_bytes=0
            ),
            addresses=addresses,
            catalog=self.library.catalog,
            board=RootBoard(clock=clock, changed=lambda _root, _trouble: None),
            roots=[ROOT],
            clock=clock,
            tell=self.ears.tell,
            pictures=2,
        )

    def publish(self, *names: str) -> None:
        """Bring files to their end, and let the lane hear of it."""
        for name in names:
            self.library.note(name)
            self.library.settle()
            self.library.digest(text=name)
            self.library.answer(card(name))
            [claim] = self.library.publish()
            self.work.take(claim, PUBLISHED)

    def turn(self) -> float:
        """Turn until there is nothing to do at once."""
        while (wait_s := self.work.turn()) == 0.0:
            pass
        return wait_s

    def has(self, *names: str) -> bool:
        return all(self.galleries.pictures(digests(name).sha256) for name in names)


@pytest.fixture
def lane(tmp_path: Path, library: Library, ears: Ears) -> Lane:
    return Lane(tmp_path, library, ears)


def test_a_host_that_is_away_is_waited_for_and_no_other_model_is_held_up(lane: Lane) -> None:
    lane.fetcher.pages[url("a")] = host_closed(after_s=90.0)
    lane.publish("a", "b")
    assert lane.turn() == pytest.approx(90.0)
    assert (lane.has("a"), lane.has("b"), lane.work.idle) == (False, True, True)
    lane.library.clock.advance(60)
    assert lane.turn() == pytest.approx(30.0)
    assert lane.fetcher.asked.count(url("a")) == 1
    lane.fetcher.pages[url("a")] = (png(), "image/png")
    lane.library.clock.advance(31)
    assert not lane.work.idle
    assert lane.turn() == float("inf")
    assert lane.has("a", "b")


def test_newer_word_of_a_model_takes_the_place_of_what_waits(lane: Lane) -> None:
    lane.fetcher.pages[url("a")] = host_closed(after_s=90.0)
    lane.publish("a")
    lane.turn()
    claim = lane.library.catalog.peeks.claims([1])[0]
    assert claim.digests is not None
    lane.work.take(claim, PUBLISHED)
    lane.fetcher.pages[url("a")] = (png(), "image/png")
    lane.turn()
    assert lane.has("a")


class _Breaking(Reports):
    """Reports of a catalog that goes away after the first file of a list, once."""

    broken = False

    def each_file(self, filters: Filters, page: int = 500) -> Iterator[FileRow]:
        for row in super().each_file(filters, page):
            yield row
            if not self.broken:
                self.broken = True
                raise later()


def test_a_catalog_that_goes_away_in_the_first_look_lets_it_begin_again(lane: Lane, catalog: Catalog) -> None:
    lane.publish("a", "b", "c")
    catalog.reports = _Breaking(catalog.database)
    lane.work = lane.started()
    with pytest.raises(TryLater):
        lane.turn()
    assert not lane.work.idle
    assert lane.turn() == float("inf")
    assert lane.has("a", "b", "c")
    assert sorted(lane.fetcher.asked) == [url("a"), url("b"), url("c")]


def test_a_stop_in_the_middle_of_a_picture_forgets_nothing(lane: Lane) -> None:
    lane.publish("a")
    lane.fetcher.pages[url("a")] = Stopping()
    with pytest.raises(Stopping):
        lane.turn()
    lane.fetcher.pages[url("a")] = (png(), "image/png")
    lane.turn()
    assert lane.has("a")
