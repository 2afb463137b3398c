"""Counts what a library costs: requests, wrong answers, and what a second look at the same files costs.

Run it as `python -m bench.requests`.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.figures import Figure, at_most, exactly, finish
from bench.trial import Trial, try_library

#: how many of the known models the batch route of the stand-in leaves out, as the real one does
_OMITTED = 5


def figures_of(trial: Trial) -> list[Figure]:
    """Put the trial's figures beside their goals."""
    first, second, manifest = trial.first, trial.second, trial.manifest
    known_files = sum(len(model.paths) for model in manifest.known)
    rows = [
        at_most(
            f"first answers for {manifest.file_count:,} files ({trial.omitted} omitted), requests",
            first.first_answers,
            40 + trial.omitted,
        ),
        exactly("  of these for omitted models", first.count("model"), trial.omitted),
        exactly("files named by the site", _named(trial), known_files),
        exactly("files nobody knows, marked so", _unnamed(trial), manifest.file_count - known_files),
        exactly(
            "files still arriving", int(first.summary["waiting"]), int(manifest.half_written is not None)
        ),
        exactly(
            "files that are no models, parked",
            int(first.summary["parked"]),
            int(manifest.web_page is not None),
        ),
        exactly("wrong files or rows", len(trial.wrong), 0),
        exactly("second run: requests", len(second.requests), 0),
        exactly("second run: files written", len(trial.touched), 0),
    ]
    if second.model_bytes_read is not None:
        rows.append(exactly("second run: bytes of models read", second.model_bytes_read, 0))
    else:
        rows.append(Figure(what="second run: bytes of models read", measured="no strace here", goal="0"))
    rows += [
        Figure(what=f"{name} run", measured=f"{run.summary['took_s']:.1f} s", goal="-")
        for name, run in (("first", first), ("second", second))
    ]
    return rows


def _named(trial: Trial) -> int:
    return sum(row.get("version_id") is not None for row in trial.listed.values())


def _unnamed(trial: Trial) -> int:
    good = {path for model in trial.manifest.models for path in model.paths}
    return sum(row.get("version_id") is None for path, row in trial.listed.items() if path in good)


def per_thousand(folder: Path) -> Figure:
    """Count the requests for exactly 1,000 contents that the site knows and lists."""
    trial = try_library(folder, count=1020, all_known=True, broken=False)
    asked = len(trial.manifest.models)
    return at_most(f"first answers for {asked:,} known models, requests", trial.first.first_answers, 21)


def measure(count: int = 2000) -> Sequence[Figure]:
    """Run both trials in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="hashtagd-bench-") as name:
        trial = try_library(_made(Path(name, "mixed")), count=count, omitted=_OMITTED)
        for line in trial.wrong[:20]:
            print(f"wrong: {line}", file=sys.stderr)
        for line in trial.touched[:20]:
            print(f"touched by the second run: {line}", file=sys.stderr)
        return [*figures_of(trial), per_thousand(_made(Path(name, "thousand")))]


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    finish(measure(options.count), as_json=options.json)


if __name__ == "__main__":
    main()
