"""Watches the daemon while it has nothing to do: memory, CPU, wake-ups, writes and requests.

It is watched as it is on most days: started, the library known, nothing new. Right after a library was
published it holds some megabytes more, space between objects that live on; that figure is printed, too.

Run it as `python -m bench.idle`.
"""

import argparse
import json
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Figure, at_most, exactly, finish
from bench.library import make_library
from bench.trial import command, environment, publish, write_config
from hashtagd.standin import Standin

_BUSY = ("waiting", "hashing", "asking")
_PATIENCE_S = 300
#: after the last work: buffers are given back and threads fall asleep
_CALM_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the kernel says of a process at one moment."""

    at_s: float
    cpu_s: float
    rss_mib: float
    wake_ups: int
    written_bytes: int


def look_at(pid: int) -> Look:
    """Read the kernel's books."""
    folder = Path("/proc", str(pid))
    status = _pairs(folder / "status")
    tasks = list((folder / "task").iterdir())
    threads = [_pairs(task / "status") for task in tasks]
    return Look(
        at_s=time.monotonic(),
        # in ns, unlike the ticks of `stat`, which are too coarse for so little
        cpu_s=sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9,
        rss_mib=int(status["VmRSS"].split()[0]) / 1024,
        wake_ups=sum(int(thread["voluntary_ctxt_switches"]) for thread in threads),
        written_bytes=int(_pairs(folder / "io")["write_bytes"]),
    )


def _pairs(path: Path) -> dict[str, str]:
    lines = (line.partition(":") for line in path.read_text().splitlines())
    return {name: value.strip() for name, _, value in lines}


@contextmanager
def daemon(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the daemon with the trial's settings; it must end with 0 when it is asked to.

    Raises:
        RuntimeError: it ended in another way.
    """
    with (folder / "daemon.log").open("wb") as log:
        process = subprocess.Popen(command(folder, "run"), env=environment(folder), stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(timeout=60)
    if code != 0:
        said = (folder / "daemon.log").read_text(errors="replace")
        raise RuntimeError(f"the daemon ended with {code}:\n{said[-2000:]}")


def wait_until_done(folder: Path, files: int) -> None:
    """Wait until every file is published.

    Raises:
        TimeoutError: it took too long.
    """
    until = time.monotonic() + _PATIENCE_S
    states: dict[str, int] = {}
    while time.monotonic() < until:
        time.sleep(2)
        done = subprocess.run(
            command(folder, "status", "--json"), env=environment(folder), capture_output=True, check=False
        )
        states = json.loads(done.stdout)["states"] if done.returncode == 0 else {}
        if sum(states.values()) >= files and not any(states.get(name) for name in _BUSY):
            return
    raise TimeoutError(f"not idle after {_PATIENCE_S} s: {states}")


def measure(count: int = 500, seconds: float = 60) -> Sequence[Figure]:
    """Publish a library, wait until nothing is left to do, then watch."""
    with tempfile.TemporaryDirectory(prefix="hashtagd-idle-") as name, Standin() as site:
        folder = Path(name)
        manifest = make_library(folder / "library", count, broken=False)
        publish(site, manifest, omitted=0)
        write_config(folder / "config.yaml", manifest.folder, site.url)
        with daemon(folder) as process:
            wait_until_done(folder, manifest.file_count)
            time.sleep(_CALM_S)
            worked = look_at(process.pid)
        site.forget_requests()
        with daemon(folder) as process:
            wait_until_done(folder, manifest.file_count)
            time.sleep(_CALM_S)
            before = look_at(process.pid)
            time.sleep(seconds)
            after = look_at(process.pid)
            requests = len(site.requests)
    return figures_of(worked, before, after, requests)


def figures_of(worked: Look, before: Look, after: Look, requests: int) -> list[Figure]:
    """Put looks, and what the other side saw since the start, beside the goals."""
    seconds = after.at_s - before.at_s
    share = 100 * (after.cpu_s - before.cpu_s) / seconds
    per_minute = (after.wake_ups - before.wake_ups) * 60 / seconds
    return [
        at_most("idle: memory (RSS)", round(after.rss_mib, 1), 70, " MiB"),
        at_most(f"idle: share of one core over {seconds:.0f} s", round(share, 3), 0.1, " %"),
        exactly("idle: requests", requests, 0),
        exactly("idle: bytes written", after.written_bytes - before.written_bytes, 0),
        Figure(
            what="idle: memory right after the library was published",
            measured=f"{worked.rss_mib:.1f} MiB",
            goal="-",
        ),
        Figure(what="idle: wake-ups a minute, all threads", measured=f"{per_minute:.0f}", goal="-"),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    finish(measure(options.count, options.seconds), as_json=options.json)


if __name__ == "__main__":
    main()
