"""Measure a rescan of an unchanged tree against `find` with the same stat, in the same run.

Usage: python bench/scan.py [FILES [FOLDER]]
"""

import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from hashtagd.core.place import Sighting, Stamp
from hashtagd.watch.roots import RootFolder
from hashtagd.watch.scan import scan

FILES_PER_FOLDER = 100
ROUNDS = 9
GOAL_RATIO = 1.4
GOAL_GROWTH_MIB = 10.0


class Memory:
    """A catalog of one root in dicts: what is measured is the walk, not the database."""

    def __init__(self) -> None:
        self.digests: dict[str, bytes] = {}
        self.rows: dict[str, dict[str, Stamp]] = {}
        self.reads = 0

    def folder_digests(self, root: str) -> dict[str, bytes]:  # noqa: ARG002 - there is only one root
        """Give a copy of the digests."""
        return dict(self.digests)

    def files_in(self, root: str, folder: str) -> dict[str, Stamp]:  # noqa: ARG002 - there is only one root
        """Give the rows of a folder."""
        self.reads += 1
        return self.rows.get(folder, {})

    def count_files(self, root: str) -> int:  # noqa: ARG002 - there is only one root
        """Count all rows."""
        return sum(map(len, self.rows.values()))

    def note(self, folder: str, sightings: Sequence[Sighting]) -> None:
        """Keep what was seen."""
        rows = self.rows.setdefault(folder, {})
        rows.update({seen.place.name: seen.stamp for seen in sightings if seen.stamp is not None})


class WallClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Give the time of day."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Give a steady clock."""
        return time.monotonic()


class Never:
    """A pause in which nobody asks to stop."""

    stopping = False

    def wait(self, seconds: float) -> bool:
        """Wait in vain."""
        time.sleep(seconds)
        return False


def make_tree(top: Path, files: int) -> None:
    """Make small files, a hundred to a folder, folders nested two deep."""
    for number in range(files):
        folder = top / f"group{number // (FILES_PER_FOLDER * 20):04}" / f"set{number // FILES_PER_FOLDER:06}"
        if number % FILES_PER_FOLDER == 0:
            folder.mkdir(parents=True)
        (folder / f"model-{number:07}.safetensors").write_bytes(b"x")


def find_s(top: Path) -> float:
    """Time the reference command."""
    started = time.perf_counter()
    command = ["find", str(top), "-name", "*.safetensors", "-printf", "%p\t%s\t%T@\t%i\n"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def scan_s(root: RootFolder, known: Memory) -> tuple[float, int]:
    """Time one scan; returns the seconds and how many folders differed."""
    started = time.perf_counter()
    differences = 0
    for difference in scan(root, known, WallClock(), Never()):
        differences += 1
        known.note(difference.folder, difference.sightings)
        if difference.digest is not None:
            known.digests[difference.folder] = difference.digest
    return time.perf_counter() - started, differences


def opened_files(top: Path, script: str) -> int | None:
    """Count opened model files in one more scan under strace; None where strace is missing."""
    try:
        trace = subprocess.run(
            ["strace", "-f", "-e", "trace=open,openat,openat2", sys.executable, script, "--once", str(top)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None
    return len(re.findall(r"open\w*\([^)]*\.safetensors", trace.stderr))


def cpu_s() -> float:
    """Give the CPU time used so far, here and in the commands that have ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def rss_mib() -> float:
    """Give the highest memory use so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(top: Path, files: int) -> bool:
    """Print the figures; returns whether the goals are reached."""
    root = RootFolder(name="bench", path=top)
    known = Memory()
    first_s, _ = scan_s(root, known)
    find_s(top)
    before_mib = rss_mib()
    known.reads = 0
    rounds, find_cpu_s, scan_cpu_s = [], [], []
    for _ in range(ROUNDS):
        start_s = cpu_s()
        found_s = find_s(top)
        middle_s = cpu_s()
        rounds.append((found_s, *scan_s(root, known)))
        find_cpu_s.append(middle_s - start_s)
        scan_cpu_s.append(cpu_s() - middle_s)
    growth_mib = rss_mib() - before_mib
    find_median = statistics.median(row[0] for row in rounds)
    scan_median = statistics.median(row[1] for row in rounds)
    ratio = statistics.median(row[1] / row[0] for row in rounds)
    differing = sum(row[2] for row in rounds)
    opened = opened_files(top, __file__)
    print(f"files                    {files:>10}   (first scan, all new: {first_s:.3f} s)")
    print(f"find -printf             {find_median:>10.3f} s")
    print(f"rescan, nothing changed  {scan_median:>10.3f} s")
    print(f"ratio                    {ratio:>10.2f}   goal <= {GOAL_RATIO}")
    print(f"  of CPU time, at best   {min(scan_cpu_s) / min(find_cpu_s):>10.2f}   changes least under load")
    print(
        f"memory growth            {growth_mib:>10.1f} MiB goal <= {GOAL_GROWTH_MIB} peak {rss_mib():.0f} MiB"
    )
    print(f"folders read from memory {known.reads:>10}   goal 0")
    print(f"files opened             {'no strace' if opened is None else opened:>10}   goal 0")
    figures = {"files": files, "find_s": find_median, "rescan_s": scan_median, "ratio": round(ratio, 3)}
    print(json.dumps({**figures, "growth_mib": growth_mib, "opened": opened}))
    return ratio <= GOAL_RATIO and growth_mib <= GOAL_GROWTH_MIB and differing == 0 and not opened


def main(arguments: list[str]) -> int:
    """Make a tree, measure, take the tree away."""
    if arguments[:1] == ["--once"]:
        scan_s(RootFolder(name="bench", path=Path(arguments[1])), Memory())
        return 0
    files = int(arguments[0]) if arguments else 20_000
    with tempfile.TemporaryDirectory(dir=arguments[1] if len(arguments) > 1 else None) as folder:
        top = Path(os.path.realpath(folder))
        make_tree(top, files)
        return 0 if measure(top, files) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
