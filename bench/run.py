"""Measures everything and prints one table, each figure beside its goal: what `make bench` does.

A part that measures against a reference command does so in the same run. Ends with 1 if a promise is broken.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import idle, requests
from bench.figures import Figure, at_most, exactly, finish

_TOP = Path(__file__).resolve().parents[1]


def rescan() -> list[Figure]:
    """Measure a rescan of an unchanged tree against `find`."""
    said = _last_line_of("bench.scan")
    files = f"{said['files']:,}"
    return [
        at_most(f"rescan of {files} unchanged files, times `find`", round(float(said["ratio"]), 2), 1.4),
        at_most("  growth of memory", round(float(said["growth_mib"]), 1), 10, " MiB"),
        Figure(what="  files opened", measured="no strace here", goal="0")
        if said["opened"] is None
        else exactly("  files opened", int(said["opened"]), 0),
    ]


def _last_line_of(module: str, *arguments: str) -> Mapping[str, float]:
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
    said: Mapping[str, float] = json.loads(lines[-1])
    return said


PARTS = {"requests": requests.measure, "scan": rescan, "idle": idle.measure}


def main() -> None:
    """Measure the parts that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], metavar=f"{{{','.join(PARTS)}}}")
    options = parser.parse_args()
    figures: list[Figure] = []
    for name in options.parts or PARTS:
        print(f"measuring: {name}", file=sys.stderr)
        figures += _measured(name)
    finish(figures)


def _measured(name: str) -> Sequence[Figure]:
    measure = PARTS[name]
    return measure()


if __name__ == "__main__":
    main()
