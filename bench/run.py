"""Measures everything and prints one table, each figure beside its goal: what `make bench` does.

A part that measures against a reference command does so in the same run. Ends with 1 if a promise is broken.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import (
    again,
    archive,
    digest,
    download,
    idle,
    manifest,
    naming,
    pagecache,
    requests,
    status,
    writers,
)
from bench.figures import Figure, at_most, exactly, finish

_TOP = Path(__file__).resolve().parents[1]


def rescan() -> list[Figure]:
    """Measure a rescan of an unchanged tree against `find`."""
    said = _last_line_of("bench.scan")
    opened = said["opened"]
    return [
        at_most(f"rescan of {said['files']:,} unchanged files, times `find`", round(said["ratio"], 2), 1.4),
        at_most("  growth of memory", round(said["growth_mib"], 1), 10, " MiB"),
        Figure(what="  files opened", measured="no strace here", goal="0")
        if opened is None
        else exactly("  files opened", opened, 0),
    ]


def _last_line_of(module: str, *arguments: str) -> dict[str, Any]:
    """Run a part in a process of its own, so that memory is its own; its last line is JSON."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=_TOP,
        env={**os.environ, "PYTHONPATH": str(_TOP / "daemon")},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    lines = done.stdout.strip().splitlines()
    if not lines:
        raise SystemExit(f"{module} ended with {done.returncode} and measured nothing")
    return dict(json.loads(lines[-1]))


PARTS: Mapping[str, Callable[[], Sequence[Figure]]] = {
    "requests": requests.measure,
    "digest": digest.measure,
    "pagecache": pagecache.measure,
    "download": download.measure,
    "scan": rescan,
    "idle": idle.measure,
    "archive": archive.measure,
    "again": again.measure,
    "naming": naming.measure,
    "manifest": manifest.measure,
    "status": status.measure,
    "writers": writers.measure,
}


def main() -> None:
    """Measure the parts that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], metavar=f"{{{','.join(PARTS)}}}")
    options = parser.parse_args()
    figures: list[Figure] = []
    for name in options.parts or PARTS:
        print(f"measuring: {name}", file=sys.stderr)
        figures += PARTS[name]()
    finish(figures)


if __name__ == "__main__":
    main()
