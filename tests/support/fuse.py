"""A real FUSE file system that shows another folder: what changes behind it, it tells nobody of."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.tools import is_missing

_MOUNTED_WITHIN_S = 20.0

#: why there is no FUSE here; None: there is
WHY_NOT = next(
    (
        why
        for missing, why in (
            (not Path("/dev/fuse").exists(), "this kernel has no FUSE"),
            (is_missing("fusermount3"), "fuse3 is not installed"),
            (os.geteuid() != 0, "only root may mount in every container"),
        )
        if missing
    ),
    None,
)


@contextmanager
def mounted(folder: Path, point: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Show a folder at a mount point while the block runs; gives the server, without which all looks hang."""
    words = [sys.executable, "-m", "support.fuse_server", str(folder), str(point)]
    surroundings = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    with subprocess.Popen(words, env=surroundings) as server:
        try:
            until_s = time.monotonic() + _MOUNTED_WITHIN_S
            while not point.is_mount():
                assert server.poll() is None, "the FUSE server ended"
                assert time.monotonic() < until_s, "nothing was mounted"
                time.sleep(0.02)
            yield server
        finally:
            server.send_signal(signal.SIGCONT)  # a test may have stopped it
            subprocess.run(["fusermount3", "-u", "-z", str(point)], check=False)
            server.wait(10)
