"""Several processes on one catalog, and processes that die around their commits."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from hashtagd.catalog.catalog import Catalog
from hashtagd.core.work import Stage
from support.clock import FakeClock
from support.library import ROOT, Library, card
from support.wishing import wish

_HERE = Path(__file__).resolve().parents[2]
_HEAD = """
import json, os, signal, sys
sys.path[:0] = sys.argv[3:5]
from sqlalchemy import event
from sqlalchemy.engine import Engine
from hashtagd.catalog.catalog import Catalog
from hashtagd.core.work import Stage
from support.clock import FakeClock
from support.library import ROOT, Library, card
catalog = Catalog.open(
    sys.argv[1], clock=FakeClock(), owner=sys.argv[2], chance=lambda: 0.0, database_clock=False
)
library = Library(catalog, FakeClock())
"""
_CLAIM_ALL = (
    _HEAD
    + """
taken = []
sys.stdin.readline()
while claims := catalog.claim(Stage.SETTLE, [ROOT], 7):
    taken += [it.place.relpath for it in claims]
print(json.dumps(taken))
catalog.close()
"""
)
_FETCH_ALL = (
    _HEAD
    + """
from support.wishing import fetched
taken = []
sys.stdin.readline()
while claims := catalog.transfers.claim([ROOT], 3):
    names = [it.wanted.place.relpath for it in claims]
    ends = [(it, fetched(it.wanted.place.relpath)) for it in claims]
    assert all(catalog.transfers.apply(ends))
    taken += names
print(json.dumps(taken))
catalog.close()
"""
)
_LIVE_AND_DIE = (
    _HEAD
    + """
left = [int(sys.argv[5])]
def count(when):
    def die(*_):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    event.listen(Engine, when, die)
count("commit")
original = catalog.database._attempt
def attempt(run):
    result = original(run)
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return result
catalog.database._attempt = attempt
library.note("x")
library.settle(); library.digest(); library.answer(card()); library.publish()
print("lived")
"""
)


def child(script: str, url: str, owner: str, *more: str) -> subprocess.Popen[str]:
    paths = (str(_HERE / "daemon"), str(_HERE / "tests"))
    return subprocess.Popen(
        [sys.executable, "-c", script, url, owner, *paths, *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )


def race(script: str, url: str, number: int) -> Counter[str]:
    """Start so many processes at once; gives what they took."""
    children = [child(script, url, f"p{at}") for at in range(number)]
    taken: Counter[str] = Counter()
    for running in children:
        assert running.stdin is not None
        running.stdin.write("go\n")
        running.stdin.flush()
    for running in children:
        told, _ = running.communicate(timeout=50)
        taken.update(json.loads(told))
    return taken


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_four_processes_claim_each_row_once(catalog_url: str, clock: FakeClock) -> None:
    with closing(
        Catalog.open(catalog_url, clock=clock, owner="me", chance=lambda: 0.0, database_clock=False)
    ) as catalog:
        names = [f"f{at}" for at in range(400)]
        Library(catalog, clock).note(*names)
        taken = race(_CLAIM_ALL, catalog_url, 4)
    assert taken == Counter(names)


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_two_processes_fetch_each_file_once(catalog_url: str, clock: FakeClock) -> None:
    with closing(
        Catalog.open(catalog_url, clock=clock, owner="me", chance=lambda: 0.0, database_clock=False)
    ) as catalog:
        names = [f"f{at}" for at in range(60)]
        catalog.transfers.want([wish(name) for name in names])
        taken = race(_FETCH_ALL, catalog_url, 2)
        assert taken == Counter(names)
        assert {row.state for row in catalog.transfers.rows()} == {"done"}
        assert catalog.scans.count_files(ROOT) == len(names)


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("moment", [2, 5, 8, 11, 14, 17])
def test_a_process_killed_around_any_commit_loses_and_doubles_nothing(
    catalog_url: str, clock: FakeClock, moment: int
) -> None:
    """F73, F83: killed before or after a commit, the next process comes to the same end."""
    with closing(
        Catalog.open(catalog_url, clock=clock, owner="next", chance=lambda: 0.0, database_clock=False)
    ) as catalog:
        dying = child(_LIVE_AND_DIE, catalog_url, "dead", str(moment))
        told, _ = dying.communicate(timeout=50)
        assert (dying.returncode, told) == (-signal.SIGKILL, "")
        library = Library(catalog, clock)
        catalog.release_own(["dead"])
        library.note("x")
        library.settle()
        library.digest()
        library.answer(card())
        library.publish()
        assert library.state("x") == "published"
        assert catalog.owners() == frozenset()
        assert catalog.reports.questions().waiting == 1
        assert [library.claim(stage) for stage in Stage] == [[], [], [], []]
        assert catalog.scans.count_files(ROOT) == 1
