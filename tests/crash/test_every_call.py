"""Kill one file's life before every call that changes a disk, and around every commit: the end is the same.

One life is single-threaded on purpose: strace counts calls per thread.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hashtagd.standin import Standin
from support.crash_driver import LIVED
from support.crash_lives import LATER_S, MUTATING, Kill, Life, Mould, leftovers
from support.tools import is_missing

SIGKILLED = -9
#: all kill points in the long run; else each tenth of the calls that come by the hundred
_STEP = 1 if os.environ.get("HASHTAGD_LONG") == "1" else 10
_FREQUENT = ("pwrite64", "fdatasync", "ftruncate")
_RARE = tuple(call for call in MUTATING if call not in _FREQUENT)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600 if _STEP > 1 else 3600)]
needs_strace = pytest.mark.skipif(is_missing("strace"), reason="strace is not installed")


@pytest.fixture
def mould() -> Iterator[Mould]:
    with Mould() as made:
        yield made


def whole_life(folder: Path, mould: Mould, gallery: int = 0) -> tuple[Life, dict[str, object]]:
    """Live one life that nobody disturbs."""
    with Standin() as site:
        life = Life(folder, mould, site, gallery)
        assert life.go() == LIVED, life.report.read_text()
        return life, life.end_state()


def survive(folder: Path, mould: Mould, kill: Kill, wanted: dict[str, object], gallery: int = 0) -> bool:
    """Kill a life, let another finish it, and compare; tells whether the kill came."""
    with Standin() as site:
        life = Life(folder, mould, site, gallery)
        code = life.go(kill=kill)
        assert code in (SIGKILLED, LIVED), f"{kill}: {code}"
        assert life.torn() == [], f"{kill}: torn"
        answered, requests, hung = life.answered(), len(site.requests), len(life.hung())
        assert life.go(later_s=LATER_S) == LIVED, f"{kill}: {life.report.read_text()}"
        asked_again = life.look_ups(since=requests)
        assert not answered & set(asked_again), f"{kill}: a committed answer was asked for again"
        assert len(life.look_ups()) <= 2, f"{kill}: more than one round was repeated"
        if hung:
            again = sum(it.route == "image" for it in site.requests[requests:])
            assert again == gallery + 1 - hung, f"{kill}: a picture of a gallery was fetched again"
        assert life.torn() == [], f"{kill}: torn at the end"
        assert leftovers(life.home.folder) == [], f"{kill}: temporary files"
        assert life.end_state() == wanted, f"{kill}: another end"
    shutil.rmtree(folder)
    return code == SIGKILLED


@needs_strace
@pytest.mark.parametrize(
    "calls, part, parts",
    [
        (("pwrite64",), 0, 3),
        (("pwrite64",), 1, 3),
        (("pwrite64",), 2, 3),
        (("fdatasync", "ftruncate"), 0, 1),
        (_RARE, 0, 1),
    ],
    ids=["pwrite64-1", "pwrite64-2", "pwrite64-3", "fdatasync-ftruncate", "others"],
)
def test_a_life_killed_before_any_changing_call_comes_to_the_same_end(
    tmp_path: Path, mould: Mould, calls: tuple[str, ...], part: int, parts: int
) -> None:
    """F83."""
    _, wanted = whole_life(tmp_path / "whole", mould)
    with Standin() as site:
        counted = Life(tmp_path / "counted", mould, site).calls()
    step = 1 if calls == _RARE else _STEP
    kills = [Kill(call=call, number=n) for call in calls for n in range(1, counted[call] + 1, step)]
    mine = kills[part::parts]
    came = [survive(tmp_path / f"{kill.call}{kill.number}", mould, kill, wanted) for kill in mine]
    assert len(mine) >= 4, "nothing was tried"
    # how often SQLite writes a page differs a little from life to life
    assert sum(came) >= 0.9 * len(mine), f"only {sum(came)} of {len(mine)} kills came"


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_life_killed_around_any_commit_comes_to_the_same_end(
    tmp_path: Path, mould: Mould, moment: str
) -> None:
    """F83."""
    life, wanted = whole_life(tmp_path / "whole", mould)
    for number in range(1, life.commits + 1):
        kill = Kill(call="commit", number=number, moment=moment)
        assert survive(tmp_path / f"{number}", mould, kill, wanted), f"{kill} did not come"


@needs_strace
def test_a_gallery_killed_before_any_changing_call_comes_to_the_same_end(
    tmp_path: Path, mould: Mould
) -> None:
    """It is filled last, so the further calls of a life that has one are the last ones."""
    gallery = 2
    _, wanted = whole_life(tmp_path / "whole", mould, gallery)
    with Standin() as site:
        without = Life(tmp_path / "without", mould, site).calls()
    with Standin() as site:
        counted = Life(tmp_path / "counted", mould, site, gallery).calls()
    kills = [
        Kill(call=call, number=n)
        for call in ("mkdir", "write", "fchmod", "fsync", "rename")
        for n in range(without[call] + 1, counted[call] + 1)
    ]
    came = [survive(tmp_path / f"{kill.call}{kill.number}", mould, kill, wanted, gallery) for kill in kills]
    assert len(kills) >= 15, f"nothing was tried: {without} {counted}"
    assert sum(came) >= 0.9 * len(kills), f"only {sum(came)} of {len(kills)} kills came"
