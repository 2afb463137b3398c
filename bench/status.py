"""Measures `hashtagd status` over a large catalog, and what a daemon at rest asks such a catalog.

References of the same run: `status` over a hundredth of the files, which is what starting takes, and Python's
own sqlite3 walking once over all files and what is known of them. Run it as `python -m bench.status [FILES]`.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from statistics import median
from subprocess import run as run_process

from bench.figures import Figure, at_most, finish
from bench.manifest import make_state, run
from hashtagd.catalog.catalog import Catalog
from hashtagd.core.work import Advance, Published, Stage
from hashtagd.service.clock import SystemClock

_ROOT = "loras"
_ROUNDS = 5
_PORTION = 1000
#: a lane that has nothing to do looks once a minute
_LOOK_EVERY_S = 60
_WALK = """
import sqlite3, sys
catalog = sqlite3.connect(sys.argv[1])
walk = "select count(*), count(q.strength) from file f join question q on q.hash = f.sha256"
print(catalog.execute(walk).fetchone())
"""


def publish(url: str) -> None:
    """Bring all files to rest, as if what lies beside them had been written."""
    with closing(_opened(url)) as catalog:
        while claims := catalog.claim(Stage.PUBLISH, [_ROOT], _PORTION):
            catalog.apply([(it, Advance(facts=Published(publications=()))) for it in claims])


def measure(files: int = 7_000) -> Sequence[Figure]:
    """Fill a small and a large catalog, and look at both in turns."""
    with tempfile.TemporaryDirectory(prefix="hashtagd-status-") as name:
        small, large = make_state(Path(name), "small", files // 100), make_state(Path(name), "large", files)
        for folder in (small, large):
            publish(_url(folder))
        rounds = [(run(large, "status"), run(small, "status"), _walk_s(large)) for _ in range(_ROUNDS)]
        idle_s = _idle_look_s(_url(large))
    whole_s, start_s = (median(it[column].cpu_s for it in rounds) for column in (0, 1))
    walk_s = median(it[2] for it in rounds)
    took_s = median(it[0].took_s for it in rounds)
    return [
        at_most(f"status of {files:,} files, times `status` of a hundredth", round(whole_s / start_s, 2), 3),
        Figure(
            what="  what it adds, times one walk by sqlite3 in a new interpreter",
            measured=f"{(whole_s - start_s) / walk_s:.2f}",
            goal="-",
        ),
        Figure(what="  took", measured=f"{took_s:.2f} s, {whole_s:.2f} s of the processor", goal="-"),
        at_most(
            "  what lanes at rest ask, share of one core", round(100 * idle_s / _LOOK_EVERY_S, 4), 0.05, " %"
        ),
    ]


def _walk_s(folder: Path) -> float:
    started_s = time.perf_counter()
    run_process(
        [sys.executable, "-c", _WALK, folder / "state" / "catalog.db"], check=True, capture_output=True
    )
    return time.perf_counter() - started_s


def _idle_look_s(url: str) -> float:
    """Ask what each lane asks while nothing is due; returns the time of the processor."""
    with closing(_opened(url)) as catalog:
        for warm in (True, False):
            started_s = time.process_time()
            for stage in Stage:
                catalog.claim(stage, [_ROOT], 1)
                catalog.next_due([stage], [_ROOT])
            for provider in ("civitai", "civarchive", "header"):
                catalog.waiting(provider)
                catalog.next_question_due(provider)
            if not warm:
                return time.process_time() - started_s
    raise AssertionError


def _url(folder: Path) -> str:
    return f"sqlite:///{folder}/state/catalog.db"


def _opened(url: str) -> Catalog:
    return Catalog.open(url, clock=SystemClock(), owner="bench", chance=lambda: 0.5)


def main() -> None:
    """Measure as many files as are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="?", type=int, default=7_000)
    finish(measure(parser.parse_args().files))


if __name__ == "__main__":
    main()
