"""Times how long a large file stays nameless on a slow disk: the first name, and the whole hash.

The disk is made slow by strace, which holds back every block that hashing reads; settling reads as usual. Run
it as `python -m bench.naming`.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.figures import Figure, at_most, finish
from bench.trial import command, environment, write_config
from hashtagd.standin import Standin

#: how much hashing reads at a time
_BLOCK_BYTES = 8 << 20
_LOOK_S = 0.05
_CLAIMED = hashlib.sha256(b"the tensors as their trainer hashed them").hexdigest()


def make_model(path: Path, size_bytes: int) -> None:
    """Make a valid model whose data blocks are there and read as zeros; its header claims a tensor hash."""
    metadata = {"modelspec.title": "By its own word", "sshs_model_hash": _CLAIMED}
    tensors = {"w": {"dtype": "U8", "shape": [size_bytes], "data_offsets": [0, size_bytes]}}
    header = json.dumps({"__metadata__": metadata, **tensors}).encode()
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 8 + len(header) + size_bytes)
        file.write(struct.pack("<Q", len(header)) + header)
    os.utime(path, (time.time() - 3600,) * 2)


def throttled(folder: Path, bytes_per_s: int) -> list[str]:
    """Give the words that run the daemon with a disk that gives so much."""
    delay_us = round(_BLOCK_BYTES / bytes_per_s * 1e6)
    inject = f"inject=preadv2,preadv:delay_exit={delay_us}"
    calls = ["-e", "trace=preadv2,preadv", "-e", inject]
    return ["strace", "-f", "-qq", "-o", "/dev/null", "--seccomp-bpf", *calls, *command(folder, "run")]


def measure(size_bytes: int = 6 << 30, bytes_per_s: int = 100_000_000) -> Sequence[Figure]:
    """Time one file from settled to its first name and to its hash."""
    if shutil.which("strace") is None:
        return [Figure(what="time to first name", measured="no strace here", goal="< 2 s")]
    with tempfile.TemporaryDirectory(prefix="hashtagd-naming-") as name, Standin() as site:
        folder = Path(name)
        library = folder / "library"
        library.mkdir()
        model = library / "large.safetensors"
        make_model(model, size_bytes)
        size = model.stat().st_size
        site.add(sha256="d" * 64, autov3=_CLAIMED[:12], size_bytes=size, name="By its tensors")
        write_config(folder / "config.yaml", library, site.url)
        return _timed(folder, size_bytes, bytes_per_s)


def _timed(folder: Path, size_bytes: int, bytes_per_s: int) -> Sequence[Figure]:
    log = folder / "daemon.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            throttled(folder, bytes_per_s),
            env=environment(folder),
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        try:
            patience_s = 60 + 3 * size_bytes / bytes_per_s
            settled_s = _until(lambda: b"file_settled" in log.read_bytes(), patience_s)
            said_s = _until(lambda: _shown(folder).get("model_name") is not None, patience_s)
            named_s = settled_s + _seconds_between(log, "file_settled", "model_found")
            _until(lambda: _shown(folder).get("version_id") is not None, patience_s)
            hashed_s = _until(lambda: b"file_digested" in log.read_bytes(), patience_s)
        finally:
            os.killpg(process.pid, signal.SIGTERM)  # the daemon, and strace around it
            process.wait(timeout=60)
    gib = size_bytes / (1 << 30)
    disk = f"{gib:.0f} GiB on a disk of {bytes_per_s / 1e6:.0f} MB/s"
    return [
        at_most(
            f"{disk}: settled to the name in its header, as `list` prints it",
            round(said_s - settled_s, 2),
            2,
            " s",
        ),
        at_most(f"{disk}: settled to the name that a site gives", round(named_s - settled_s, 2), 2, " s"),
        Figure(what=f"{disk}: settled to its hash", measured=f"{hashed_s - settled_s:.1f} s", goal="-"),
    ]


def _seconds_between(log: Path, first: str, second: str) -> float:
    """Read from the log how long after one event another came."""
    _until(lambda: second.encode() in log.read_bytes(), 60)
    events = (json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line[:1] == "{")
    at = {event["event"]: datetime.fromisoformat(event["time"]) for event in events}
    return (at[second] - at[first]).total_seconds()


def _shown(folder: Path) -> dict[str, Any]:
    listed = command(folder, "list", "--json")
    done = subprocess.run(listed, env=environment(folder), capture_output=True, text=True, check=False)
    card: dict[str, Any] = json.loads(done.stdout) if done.stdout.strip() else {}
    return card


def _until(holds: Callable[[], bool], patience_s: float) -> float:
    """Wait until something holds; returns when, by a clock that never jumps.

    Raises:
        TimeoutError: it took too long.
    """
    deadline_s = time.monotonic() + patience_s
    while time.monotonic() < deadline_s:
        if holds():
            return time.monotonic()
        time.sleep(_LOOK_S)
    raise TimeoutError(f"not within {patience_s:.0f} s")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=int, default=6)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    finish(measure(options.gib << 30), as_json=options.json)


if __name__ == "__main__":
    main()
