"""F93, F94: links planted at every name that any writer uses, and names and folders that turn into links.

Each writer of the registry is attacked at what it writes, so that a new one is covered by itself.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from hashtagd.core.work import Claim
from hashtagd.stages.ground import Ground
from hashtagd.stages.unpublish import UnpublishStage
from support.attackers import Victim, exchange, swapping
from support.moments import Moments
from support.publish_fakes import World, card
from support.writer_samples import WRITERS

_LONG = os.environ.get("HASHTAGD_LONG") == "1"
_MODEL = "styles/wisp.safetensors"
#: after how many moments what turned turns back; the last: never
_GAPS = (1, 2, 3, 5, 10_000) if _LONG else (1, 10_000)
_ROUNDS = 500 if _LONG else 10
LINKS = {"symbolic": Path.symlink_to, "hard": Path.hardlink_to}
Link = Callable[[Path, Path], None]


class Target(World):
    """A world with one writer, or all, and a tree of cards beside the root."""

    @property
    def top(self) -> Path:
        return self.folder.parent

    def files(self) -> list[str]:
        """Name what lies in the root and in the tree, but for the model itself."""
        places = (self.folder, self.top / "cards")
        found = [path for place in places for path in place.rglob("*") if not path.is_dir()]
        return sorted(str(it.relative_to(self.top)) for it in found if it.name != Path(_MODEL).name)

    def said(self, number: int = 0) -> Claim:
        """Make the claim of the model, with a card of its own for each number."""
        made = self.claim(self.folder / _MODEL)
        assert made.digests is not None
        known = card(made.digests.sha256, model_name=f"Name {number}", description_html=f"<p>{number}</p>")
        return replace(made, card=known)

    def leave(self) -> list[Claim]:
        """Delete the model; returns the claim to sweep."""
        (self.folder / _MODEL).unlink()
        return [self.gone(_MODEL)]

    def ground(self) -> Ground:
        planning = self.stage()._planning
        return Ground(
            writers=planning.writers,
            locator=planning.locator,
            clock=planning.clock,
            is_model=planning.is_model,
            calls=planning.calls,
        )


def make_target(top: Path, *names: str) -> Target:
    root = top / "root"
    root.mkdir(parents=True)
    options = {name: dict(WRITERS[name]) for name in names}
    for some in options.values():
        if "path" in some:
            some["path"] = str(top / "cards")
    target = Target(root, names=names, options=options)
    target.model(_MODEL)
    return target


@pytest.fixture(params=WRITERS)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    name: str = request.param
    return make_target(tmp_path / "home", name)


@pytest.fixture
def victim(tmp_path: Path) -> Victim:
    made = Victim(tmp_path / "outside")
    made.file("precious", b"precious")
    return made


def artifacts(target: Target, tmp_path: Path) -> dict[str, bytes]:
    """Find out what the same writers write where nobody attacks, and under which names."""
    twin = make_target(tmp_path / "twin", *target.names)
    twin.publish(twin.said())
    return {name: (twin.top / name).read_bytes() for name in twin.files()}


def work_on(target: Target, publishes: int = 3) -> None:
    """Do all we ever do there: write, write anew, take back, write, and sweep beside a model that is gone."""
    for number in range(publishes):
        target.publish(target.said(number))
    UnpublishStage(target.ground()).run([target.said()])
    target.publish(target.said(publishes))
    target.publish(*target.leave())


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
@pytest.mark.parametrize("content", [b"{}", b'{"mine": 1}', b"mine", None])
def test_a_link_at_any_name_of_ours_leads_nobody_out(
    target: Target, victim: Victim, tmp_path: Path, link: Link, content: bytes | None
) -> None:
    """F93. None: the victim holds what we would write."""
    for name, ours in artifacts(target, tmp_path).items():
        (target.top / name).parent.mkdir(parents=True, exist_ok=True)
        link(target.top / name, victim.file(name, ours if content is None else content))
    before = victim.state()
    work_on(target)
    assert victim.state() == before


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
def test_what_we_wrote_is_not_followed_where_it_was_carried(
    target: Target, victim: Victim, link: Link
) -> None:
    """F93. The victim has our very bytes, and its name with us is a link to it."""
    target.publish(target.said())
    for name in target.files():
        carried = victim.file(name, (target.top / name).read_bytes())
        (target.top / name).unlink()
        link(target.top / name, carried)
    before = victim.state()
    work_on(target)
    assert victim.state() == before


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
@pytest.mark.parametrize("year", [2000, 2030])
def test_a_link_at_a_temporary_name_is_never_opened(
    target: Target, victim: Victim, tmp_path: Path, link: Link, year: int
) -> None:
    """F93. Even somebody who guesses the names gains nothing, whether they look old or not."""
    target.clock.moment = target.clock.moment.replace(year=year)
    folders = {(target.top / name).parent for name in artifacts(target, tmp_path)}
    for number, folder in enumerate(sorted({*folders, target.folder / "styles"})):
        folder.mkdir(parents=True, exist_ok=True)
        for token in range(1, 30):
            link(folder / f".hashtagd-{token:016x}", victim.file(f"{number} {token}", b"precious"))
    before = victim.state()
    work_on(target)
    assert victim.state() == before


# ---- while we work


def flip(one: Path, other: Path) -> None:
    """Let two names change places in one step, also where only one of them is there."""
    with suppress(OSError):
        if not os.path.lexists(one):
            other.rename(one)
        elif not os.path.lexists(other):
            one.rename(other)
        else:
            exchange(one, other)


def doubles(target: Target, victim: Victim) -> Iterator[tuple[Path, Path]]:
    """Make links to a victim, one for every name and every folder that is written in."""
    names = [Path(name) for name in target.files()]
    folders = {folder for name in (*names, Path("root", _MODEL)) for folder in name.parents}
    within = sorted(folders - {Path(), Path("root"), Path("cards")})
    for name in names:
        yield target.top / name, _link(target.top / "doubles" / name, victim.file(str(name), b"{}"))
    for folder in within:
        full, bare = victim.folder / folder, victim.bare(str(folder))
        yield target.top / folder, _link(target.top / "full" / folder, full)
        yield target.top / folder, _link(target.top / "bare" / folder, bare)


def _link(path: Path, to: Path) -> Path:
    # a folder and what is in it have their links beside each other
    path = path.with_name(f"link to {path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(to)
    return path


def write(target: Target, number: int) -> Callable[[], object]:
    claim = target.said(number)
    return lambda: target.publish(claim)


def write_anew(target: Target, number: int) -> Callable[[], object]:
    for name in target.files():
        (target.top / name).unlink()
    shutil.rmtree(target.top / "cards", ignore_errors=True)
    target.known.clear()
    return write(target, number)


def take_back(target: Target, _number: int) -> Callable[[], object]:
    claim, stage = target.said(), UnpublishStage(target.ground())
    return lambda: stage.run([claim])


def sweep(target: Target, _number: int) -> Callable[[], object]:
    claims = target.leave()
    return lambda: target.publish(*claims)


WORKS = {it.__name__: it for it in (write, write_anew, take_back, sweep)}
#: prepares for some work, and gives what does it
Work = Callable[[Target, int], Callable[[], object]]


@pytest.mark.slow
@pytest.mark.parametrize("work", WORKS.values(), ids=WORKS)
def test_no_name_or_folder_that_turns_into_a_link_at_any_moment_leads_us_out(
    target: Target, victim: Victim, work: Work
) -> None:
    """F93, F94. It turns at each single moment, and back a little later, or not at all."""
    write(target, 0)()
    pairs = list(doubles(target, victim))
    before = victim.state()
    moments = Moments(below=target.top)
    target.calls, target.fetcher.during = moments.calls(), moments.tell
    with moments.listen():
        work(target, 1)()
    total = moments.passed
    assert total >= 2
    for at, gap, (one, other) in product(range(total), _GAPS, pairs):
        target.model(_MODEL)
        write(target, at)()
        done = work(target, at + 1)

        def turn(one: Path = one, other: Path = other, gap: int = gap) -> None:
            flip(one, other)
            moments.at, moments.act = moments.passed + gap, lambda: flip(one, other)

        with moments.listen(at, turn):
            done()
        if one.is_symlink():
            flip(one, other)
        assert victim.state() == before, f"{one.name} at {at}, {gap}"


@pytest.mark.slow
@pytest.mark.timeout(1200 if _LONG else 60)
def test_names_and_folders_that_turn_into_links_all_the_time_never_lead_us_out(
    target: Target, victim: Victim
) -> None:
    """F93, F94. 10,000 publishings of all writers together in the long run."""
    write(target, 0)()
    pairs = list(doubles(target, victim))
    before = victim.state()
    for one, other in pairs:
        for number in range(max(1, _ROUNDS // len(pairs))):
            target.model(_MODEL)
            works = [write(target, number), write(target, number + 1), take_back(target, 0)]
            with swapping(one, other):
                for work in works:
                    work()
            if one.is_symlink():
                flip(one, other)
        assert victim.state() == before, one.name
