"""Galleries over real folders: what is fetched, what stays, what goes, and every way to be interrupted."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hashtagd.core.ports import Stopping
from hashtagd.core.troubles import AskOperator, Scope
from hashtagd.stages.calls import Calls
from hashtagd.stages.galleries import Galleries, key_of, name_of
from hashtagd.stages.gather import Gathered, GatherOptions, GatherStage, Later
from support.publish_fakes import PowerCut, ScriptedFetcher, gone, host_closed, png
from support.stage_fakes import StillClock
from support.untouched import untouched

ONE, TWO = "ab" * 32, "cd" * 32
URLS = tuple(f"https://image.civitai.com/acc/{number}.jpeg" for number in range(6))


@dataclass
class Shelf:
    """Galleries in a folder, and whoever fills them; each call makes the stage as a new process would."""

    folder: Path
    pictures: int = 3
    total_bytes: int = 1 << 20
    keep_free_bytes: int = 0
    calls: Calls | None = None
    fetcher: ScriptedFetcher = field(default_factory=ScriptedFetcher)
    clock: StillClock = field(default_factory=StillClock)
    galleries: Galleries = field(init=False)

    def __post_init__(self) -> None:
        self.galleries = Galleries(self.folder / "gallery")
        self.fetcher.pages |= {url: (png(number), "image/png") for number, url in enumerate(URLS)}

    def stage(self) -> GatherStage:
        return GatherStage(
            self.galleries,
            fetcher=self.fetcher,
            options=GatherOptions(pictures=self.pictures, max_bytes=1 << 16, total_bytes=self.total_bytes),
            clock=self.clock,
            calls=self.calls,
            keep_free_bytes=self.keep_free_bytes,
        )

    def gather(self, sha256: str = ONE, urls: Sequence[str] = URLS) -> Gathered | Later:
        """Go on until it is whole, full, or has to wait."""
        stage = self.stage()
        ended: Gathered | Later = Gathered.ONE_MORE
        while ended is Gathered.ONE_MORE:
            ended = stage.step(sha256, urls)
        return ended

    def shown(self, sha256: str = ONE, urls: Sequence[str] = URLS) -> list[bytes]:
        return [path.read_bytes() for path in self.galleries.pictures(sha256, urls)]

    def files(self) -> list[str]:
        return sorted(it.relative_to(self.folder).as_posix() for it in self.folder.rglob("*") if it.is_file())


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_the_first_pictures_lie_by_the_model_s_hash_in_the_card_s_order(shelf: Shelf) -> None:
    assert shelf.gather() is Gathered.WHOLE
    assert shelf.fetcher.asked == list(URLS[:3])
    assert shelf.shown() == [png(0), png(1), png(2)]
    assert shelf.files() == sorted(f"gallery/ab/{ONE}/{key_of(url)}.png" for url in URLS[:3])
    assert shelf.galleries.hashes() == [ONE]


def test_one_step_fetches_one_picture(shelf: Shelf) -> None:
    assert shelf.stage().step(ONE, URLS) is Gathered.ONE_MORE
    assert shelf.fetcher.asked == [URLS[0]]


@pytest.mark.parametrize(
    "media_type,ending", [("image/jpeg", "jpeg"), ("image/webp", "webp"), ("image/gif", "gif")]
)
def test_a_picture_is_called_by_what_its_bytes_are(shelf: Shelf, media_type: str, ending: str) -> None:
    shelf.fetcher.pages[URLS[0]] = (b"bytes", media_type)
    shelf.gather(urls=URLS[:1])
    assert shelf.files() == [f"gallery/ab/{ONE}/{key_of(URLS[0])}.{ending}"]


def test_a_whole_gallery_costs_no_request_and_no_write(shelf: Shelf) -> None:
    shelf.gather()
    shelf.fetcher.asked.clear()
    before = {path: untouched(path) for path in shelf.folder.rglob("*")}
    assert shelf.stage().step(ONE, URLS) is Gathered.WHOLE
    assert shelf.fetcher.asked == []
    assert {path: untouched(path) for path in shelf.folder.rglob("*")} == before


def test_an_address_without_a_picture_makes_room_for_the_next_and_is_asked_once(shelf: Shelf) -> None:
    shelf.fetcher.pages |= {URLS[0]: gone(), URLS[2]: (b"a film", "video/mp4"), URLS[3]: (b"", "image/png")}
    assert shelf.gather() is Gathered.WHOLE
    assert shelf.shown() == [png(1), png(4), png(5)]
    assert shelf.fetcher.asked == list(URLS)
    now_s = shelf.clock.now().timestamp()
    for miss in shelf.folder.rglob("*.none"):
        os.utime(miss, (now_s, now_s))
    assert shelf.gather() is Gathered.WHOLE
    assert shelf.fetcher.asked == list(URLS)
    assert shelf.galleries.total_bytes() == sum(len(png(number)) for number in (1, 4, 5))


def test_after_a_month_an_address_without_a_picture_is_asked_once_more(shelf: Shelf) -> None:
    shelf.fetcher.pages[URLS[0]] = gone()
    shelf.gather(urls=URLS[:1])
    [miss] = shelf.folder.rglob("*.none")
    month_ago_s = shelf.clock.now().timestamp() - 31 * 86_400
    os.utime(miss, (month_ago_s, month_ago_s))
    shelf.fetcher.pages[URLS[0]] = (png(9), "image/png")
    assert shelf.gather(urls=URLS[:1]) is Gathered.WHOLE
    assert shelf.shown() == [png(9)]
    assert shelf.files() == [f"gallery/ab/{ONE}/{name_of(URLS[0], 'image/png')}"]


def test_a_clock_that_differs_from_that_of_the_disk_makes_no_endless_question(shelf: Shelf) -> None:
    """The clock of these tests is years ahead of the files."""
    shelf.fetcher.pages[URLS[0]] = gone()
    stage = shelf.stage()
    assert [stage.step(ONE, URLS[:1]) for _ in range(3)] == [
        Gathered.ONE_MORE,
        Gathered.WHOLE,
        Gathered.WHOLE,
    ]


def test_a_host_that_is_away_keeps_the_place_of_its_picture(shelf: Shelf) -> None:
    """The next one would have to go again when the host comes back."""
    shelf.fetcher.pages[URLS[1]] = host_closed(after_s=90.0)
    assert shelf.gather() == Later(wait_s=90.0)
    assert shelf.shown() == [png(0), png(2)]
    shelf.fetcher.pages[URLS[1]] = (png(1), "image/png")
    assert shelf.gather() is Gathered.WHOLE
    assert shelf.shown() == [png(0), png(1), png(2)]


@pytest.mark.parametrize("scope", [Scope.PROVIDER, Scope.DAEMON])
def test_what_needs_a_person_is_tried_again_and_never_taken_for_a_picture_that_is_gone(
    shelf: Shelf, scope: Scope
) -> None:
    shelf.fetcher.pages[URLS[0]] = AskOperator("x", does="x", you="x", scope=scope, kind="x")
    assert shelf.gather(urls=URLS[:1]) == Later(wait_s=900.0)
    assert shelf.files() == []


def test_a_stop_leaves_nothing_behind(shelf: Shelf) -> None:
    shelf.fetcher.pages[URLS[1]] = Stopping()
    with pytest.raises(Stopping):
        shelf.gather()
    assert shelf.shown() == [png(0)]
    assert len(shelf.files()) == 1


def test_what_is_not_on_the_card_any_more_goes(shelf: Shelf) -> None:
    shelf.gather()
    assert shelf.gather(urls=(URLS[4], URLS[1])) is Gathered.WHOLE
    assert shelf.shown(urls=(URLS[4], URLS[1])) == [png(4), png(1)]
    assert shelf.fetcher.asked == [*URLS[:3], URLS[4]]


def test_where_fewer_are_wanted_the_last_ones_go(shelf: Shelf) -> None:
    shelf.gather()
    shelf.pictures = 1
    assert shelf.gather() is Gathered.WHOLE
    assert shelf.shown() == [png(0)]


def test_where_none_are_wanted_the_folders_go_as_well(shelf: Shelf) -> None:
    shelf.gather()
    shelf.gather(TWO)
    shelf.pictures = 0
    assert shelf.stage().sweep(lambda hashes: hashes) == 2
    assert list(shelf.folder.iterdir()) == []


def test_a_model_that_nobody_names_any_more_loses_its_gallery(shelf: Shelf) -> None:
    shelf.gather()
    assert shelf.gather(urls=()) is Gathered.WHOLE
    assert list(shelf.folder.iterdir()) == []
    assert shelf.gather(urls=()) is Gathered.WHOLE


def test_of_models_that_are_gone_the_galleries_are_swept(shelf: Shelf) -> None:
    shelf.gather()
    shelf.gather(TWO)
    asked: list[Sequence[str]] = []

    def wanted(hashes: Sequence[str]) -> Sequence[str]:
        asked.append(hashes)
        return [TWO]

    assert shelf.stage().sweep(wanted) == 1
    assert asked == [[ONE, TWO]]
    assert (shelf.shown(), len(shelf.shown(TWO))) == ([], 3)
    assert not (shelf.folder / "gallery" / "ab").exists()


def test_what_somebody_put_there_stays_and_so_does_its_folder(shelf: Shelf) -> None:
    shelf.gather()
    folder = shelf.galleries.folder_of(ONE)
    others = [folder / "mine.png", folder / "0123456789abcdef.txt", shelf.folder / "gallery" / "notes.txt"]
    for path in others:
        path.write_bytes(b"mine")
    (shelf.folder / "gallery" / "ab" / "more").mkdir()
    assert shelf.shown() == [png(0), png(1), png(2)]
    shelf.pictures = 0
    shelf.stage().sweep(lambda _: ())
    assert shelf.files() == sorted(it.relative_to(shelf.folder).as_posix() for it in others)


def test_nothing_is_written_or_removed_through_a_link(shelf: Shelf) -> None:
    elsewhere = shelf.folder / "elsewhere"
    elsewhere.mkdir()
    theirs = elsewhere / name_of(URLS[0], "image/png")
    theirs.write_bytes(b"theirs")
    folder = shelf.galleries.folder_of(ONE)
    folder.parent.mkdir(parents=True)
    folder.symlink_to(elsewhere)
    with pytest.raises(OSError, match=r"Not a directory|Too many levels|a link leads away"):
        shelf.gather()
    shelf.pictures = 0
    shelf.stage().sweep(lambda _: ())
    shelf.gather()
    assert [path.name for path in elsewhere.iterdir()] == [theirs.name]


def test_all_galleries_together_never_exceed_their_bound(shelf: Shelf) -> None:
    size_bytes = len(png(0))
    shelf.total_bytes = 4 * size_bytes
    assert shelf.gather() is Gathered.WHOLE
    assert shelf.gather(TWO) is Gathered.FULL
    assert len(shelf.shown(TWO)) == 1
    assert shelf.galleries.total_bytes() <= shelf.total_bytes


def test_a_picture_that_did_not_fit_is_not_fetched_again_before_there_is_more_room(shelf: Shelf) -> None:
    size_bytes = len(png(0))
    shelf.total_bytes = 2 * size_bytes + 1
    stage = shelf.stage()
    ends = [stage.step(ONE, URLS) for _ in range(5)]
    assert ends == [Gathered.ONE_MORE] * 2 + [Gathered.FULL] * 3
    assert shelf.fetcher.asked == list(URLS[:3])
    assert stage.step(ONE, ()) is Gathered.WHOLE
    assert stage.step(TWO, URLS) is Gathered.ONE_MORE


def test_the_last_of_a_disk_is_left_free(shelf: Shelf) -> None:
    shelf.keep_free_bytes = 1 << 60
    assert shelf.gather() is Gathered.FULL
    assert shelf.fetcher.asked == []


def _cut_at(number: int) -> tuple[Calls, Callable[[], int]]:
    """End the process at the n-th call that changes a disk; gives the calls and how many there were."""
    count = 0

    def counted() -> None:
        nonlocal count
        count += 1
        if count == number:
            raise PowerCut

    def write(fd: int, data: memoryview) -> int:
        counted()
        return os.write(fd, data)

    def fsync(fd: int) -> None:
        counted()
        os.fsync(fd)

    def chmod(fd: int, mode: int) -> None:
        counted()
        os.fchmod(fd, mode)

    def rename(old: str, new: str, folder_fd: int) -> None:
        counted()
        os.rename(old, new, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)

    return Calls(write=write, fsync=fsync, chmod=chmod, rename=rename), lambda: count


def test_cut_off_at_any_call_the_next_process_comes_to_the_same_end(tmp_path: Path) -> None:
    whole = Shelf(tmp_path / "whole")
    whole.folder.mkdir()
    whole.calls, counted = _cut_at(0)
    whole.gather()
    assert counted() > 9
    for number in range(1, counted() + 1):
        shelf = Shelf(tmp_path / f"{number}")
        shelf.folder.mkdir()
        shelf.calls, _ = _cut_at(number)
        with suppress(PowerCut):
            shelf.gather()
        lying = len(shelf.shown())
        shelf.calls = None
        shelf.fetcher.asked.clear()
        assert shelf.gather() is Gathered.WHOLE
        assert shelf.fetcher.asked == list(URLS[lying:3]), "what lay there whole was fetched again"
        assert (shelf.files(), shelf.shown()) == (whole.files(), whole.shown()), number


def test_what_a_killed_process_began_is_cleared_away_an_hour_later(shelf: Shelf) -> None:
    shelf.gather()
    begun = shelf.galleries.folder_of(ONE) / ".hashtagd-0123"
    begun.write_bytes(b"half")
    now_s = shelf.clock.now().timestamp()
    os.utime(begun, (now_s - 60, now_s - 60))
    shelf.gather()
    assert begun.exists()
    os.utime(begun, (now_s - 7200, now_s - 7200))
    shelf.gather()
    assert not begun.exists()
    begun.write_bytes(b"half")
    shelf.stage().sweep(lambda _: ())
    assert list(shelf.folder.iterdir()) == []
