"""Counts what a large library costs again and again: first answers, a refresh of all hits, old misses.

Run it as `python -m bench.again`.
"""

import argparse
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.figures import Figure, at_most, exactly, finish
from bench.library import Manifest, make_library
from bench.trial import command, environment, publish, run_once, write_config
from hashtagd.standin import Standin

#: a library of so many files holds the hundred fifth part fewer contents: some are copies
_COPIES = 1.02
#: how many of the known models the batch route of the stand-in leaves out, as the real one does
_OMITTED = 10


def known_library(folder: Path, contents: int) -> list[Figure]:
    """Name a library that the site knows, then ask again about all of it."""
    with Standin() as site:
        manifest = _library(folder, round(contents * _COPIES), all_known=True)
        publish(site, manifest, omitted=_OMITTED)
        write_config(folder / "config.yaml", manifest.folder, site.url, writers=())
        first = run_once(folder, site)
        _refresh(folder)
        again = run_once(folder, site)
    goal = 2 * -(-len(manifest.models) // 100) + 5 + _OMITTED
    name = f"{len(manifest.models):,} known contents ({_OMITTED} models left out)"
    return [
        at_most(f"first answers for {name}, requests", first.first_answers, goal),
        exactly("  files named", int(first.summary["named"]), manifest.file_count),
        at_most("  refresh of all of them, requests", again.first_answers, goal),
        exactly("  files named after that", int(again.summary["named"]), manifest.file_count),
    ]


def unknown_library(folder: Path, contents: int) -> list[Figure]:
    """Ask about a library that the site does not know, then once more."""
    with Standin() as site:
        manifest = _library(folder, round(contents * _COPIES), all_known=True)
        write_config(folder / "config.yaml", manifest.folder, site.url, writers=())
        run_once(folder, site)
        _refresh(folder)
        again = run_once(folder, site)
    return [
        exactly(f"asking again about {len(manifest.models):,} misses, requests", again.first_answers, 1),
        exactly("  still unknown", int(again.summary["unknown"]), manifest.file_count),
    ]


def measure(known: int = 10_000, unknown: int = 3_000) -> Sequence[Figure]:
    """Measure both in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="hashtagd-again-") as name:
        return [*known_library(Path(name, "known"), known), *unknown_library(Path(name, "unknown"), unknown)]


def _library(folder: Path, count: int, *, all_known: bool) -> Manifest:
    folder.mkdir(parents=True)
    return make_library(folder / "library", count, all_known=all_known, broken=False)


def _refresh(folder: Path) -> None:
    subprocess.run(command(folder, "refresh"), env=environment(folder), capture_output=True, check=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--known", type=int, default=10_000)
    parser.add_argument("--unknown", type=int, default=3_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    finish(measure(options.known, options.unknown), as_json=options.json)


if __name__ == "__main__":
    main()
