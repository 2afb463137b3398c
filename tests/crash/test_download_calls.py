"""A download is killed before every call that changes the disk; the next one ends it, and nothing is torn."""

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest

from hashtagd.stages.part import part_name
from support.download_driver import BROUGHT
from support.downloads import gives
from support.fault_server import FaultServer
from support.safetensors import noise
from support.tools import is_missing

NAME = "x.safetensors"
#: three blocks, the last of them not full
CONTENT = noise(84, 2_500_000)
CALLS = (
    *("mkdirat", "fchmod", "pwrite64", "pwritev", "pwritev2", "fsync", "linkat", "unlinkat"),
    *("ftruncate", "renameat2"),
)
_CALL = re.compile(r"\d+ +(\w+)\(")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(is_missing("strace"), reason="strace is not installed"),
]


def bring(folder: Path, origin: str, *strace: str) -> int:
    """Let a process bring the file into a folder below a root; returns how it ended."""
    wish = {
        "folder": str(folder / "root"),
        "memory": str(folder / "memory.json"),
        "name": f"below/{NAME}",
        "sha256": sha256(CONTENT).hexdigest(),
        "origin": origin,
    }
    (folder / "root").mkdir(parents=True, exist_ok=True)
    command = [*strace, sys.executable, "-m", "support.download_driver", json.dumps(wish)]
    paths = os.pathsep.join(path for path in sys.path if path)
    # what the interpreter itself would write is none of the product's calls
    env = {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"]}
    return subprocess.run(command, env=env, check=False).returncode


def counted(folder: Path, origin: str) -> Counter[str]:
    """Count the calls of a whole life."""
    trace = folder / "trace"
    folder.mkdir()
    said = bring(folder, origin, "strace", "-f", "-qq", "-o", str(trace), "-e", f"trace={','.join(CALLS)}")
    assert said == BROUGHT
    return Counter(match[1] for line in trace.read_text().splitlines() if (match := _CALL.match(line)))


def test_a_download_killed_before_any_changing_call_comes_to_the_same_end(tmp_path: Path) -> None:
    """F83."""
    with FaultServer(gives(CONTENT)) as server:
        calls = counted(tmp_path / "counted", server.url)
        assert {"mkdirat", "fchmod", "fsync", "linkat", "unlinkat"} <= set(calls)
        assert calls["pwritev2"] + calls["pwrite64"] >= 3
        came = 0
        for call, count in sorted(calls.items()):
            for number in range(1, count + 1):
                folder = tmp_path / f"{call}-{number}"
                kill = ("-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}")
                code = bring(folder, server.url, "strace", "-f", "-qq", "-o", "/dev/null", *kill)
                # strace ends as its child did; of calls on several threads it counts each thread's own
                assert code in (-signal.SIGKILL, 128 + signal.SIGKILL, BROUGHT), (call, number)
                came += code != BROUGHT
                place = folder / "root" / "below" / NAME
                assert not place.exists() or place.read_bytes() == CONTENT, (call, number)
                assert bring(folder, server.url) == BROUGHT, (call, number)
                assert place.read_bytes() == CONTENT, (call, number)
                assert not place.with_name(part_name(NAME)).exists(), (call, number)
                assert [path.name for path in place.parent.iterdir()] == [NAME]
        assert came >= 0.8 * calls.total(), f"only {came} of {calls.total()} kills came"
