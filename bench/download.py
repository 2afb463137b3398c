"""Measures downloading against `curl -s URL | openssl dgst -sha256`, which writes nothing and hashes once.

Run it as `python -m bench.download [--mib MIB] [--rounds N]`. A server process on loopback gives one large
file with sendfile, as fast as it is taken, and then at 200 MB/s. The stage and the downloader are the real
ones, in a process of their own; they write the file to the disk, in $TMPDIR, and flush it. Both sides fetch
in turn, in one run, and the ratio is taken pair by pair, because the machine is faster at one moment than at
another; the median counts.
"""

import argparse
import json
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from bench.figures import Figure, finish
from hashtagd.core.card import DownloadUrl
from hashtagd.core.chain import Chain
from hashtagd.core.place import Place
from hashtagd.core.ports import Admitted
from hashtagd.core.transfer import Fetched, TransferClaim, Wanted
from hashtagd.core.troubles import Trouble
from hashtagd.providers.downloads import FileDownloader
from hashtagd.providers.surroundings import Surroundings
from hashtagd.service.clock import StopPause, SystemClock
from hashtagd.stages.download import DownloadOptions, DownloadStage

_TOP: Final = Path(__file__).resolve().parents[1]
_MIB: Final = 1 << 20
_GB: Final = 1e9
_LIMIT: Final = 200e6
#: what one sendfile may take where the rate is limited
_STEP: Final = 256 * 1024
_ROUNDS: Final = 5
_GOAL, _LIMITED_GOAL = 0.8, 0.98


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """What one fetch cost."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Large:
    """What is fetched."""

    path: Path
    sha256: str
    size: int


class _Gates:
    """Lets everybody in."""

    def look(self, origin: str, *, background: bool = False) -> Admitted:
        """Admit."""
        del origin, background
        return Admitted()

    def admit(self, origin: str) -> Admitted:
        """Admit."""
        del origin
        return Admitted()

    def succeeded(self, origin: str) -> None:
        """Note nothing."""

    def close(self, origin: str, trouble: Trouble, wait_s: float | None = None) -> datetime:
        """Stay open: a figure with a failure in it is none."""
        del origin, wait_s
        raise trouble


class _Folder:
    """One root at one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def locate(self, place: Place) -> Path:
        """Give the path."""
        return self._folder / place.relpath


def measure(mib: int = 2048, rounds: int = _ROUNDS) -> list[Figure]:
    """Measure all, in a folder that is gone afterwards."""
    if shutil.which("curl") is None or shutil.which("openssl") is None:
        return [Figure(what="downloads", measured="no curl or no openssl here", goal="")]
    with tempfile.TemporaryDirectory(prefix="hashtagd-bench-") as name:
        path = Path(name) / "large"
        large = Large(path=path, sha256=_write(path, mib * _MIB), size=mib * _MIB)
        figures = [Figure(what=f"a file of {mib:,} MiB over loopback, load {_load()}", measured="", goal="")]
        with _server(path, 0) as url:
            figures += _compared(large, url, "x.ckpt", rounds, _GOAL)
            figures += _compared(large, url, "x.safetensors", rounds, None)
        with _server(path, _LIMIT) as url:
            figures += _compared(large, url, "x.safetensors", max(rounds // 2, 1), _LIMITED_GOAL)
        return [*figures, Figure(what=f"load at the end {_load()}", measured="", goal="")]


def _compared(large: Large, url: str, name: str, rounds: int, goal: float | None) -> list[Figure]:
    """Fetch in turn; the order changes from pair to pair."""
    pairs: list[tuple[Took, Took]] = []
    for number in range(rounds):
        both = {}
        for is_ours in (True, False) if number % 2 else (False, True):
            both[is_ours] = _ours(large, url, name) if is_ours else _reference(url, large.sha256)
        pairs.append((both[True], both[False]))
    ratios = sorted(reference.wall_s / ours.wall_s for ours, reference in pairs)
    ratio = statistics.median(ratios)
    hashes = "SHA-256 and that of the tensors" if name.endswith(".safetensors") else "SHA-256"
    limited = " at 200 MB/s" if goal == _LIMITED_GOAL else ""
    ours, reference = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    size = large.size
    return [
        Figure(what=f"to the disk with {hashes}{limited}", measured=_speed(size, ours), goal=""),
        Figure(what="  curl | openssl", measured=_speed(size, reference), goal=""),
        Figure(
            what="  times its speed",
            measured=f"{ratio:.3g}",
            goal="" if goal is None else f"at least {goal:g}",
            kept=None if goal is None else ratio >= goal,
        ),
        Figure(
            what="  lowest and highest of the pairs", measured=f"{ratios[0]:.2f}, {ratios[-1]:.2f}", goal=""
        ),
        Figure(what="  CPU time, ours", measured=_cpu(size, ours), goal=""),
        Figure(what="  CPU time, curl | openssl", measured=_cpu(size, reference), goal=""),
    ]


def _ours(large: Large, url: str, name: str) -> Took:
    """Fetch in a process of its own, whose start is not counted: the daemon runs already."""
    into = large.path.with_name("into")
    into.mkdir()
    try:
        said = _run(["--fetch", url, str(into), large.sha256, name])
        return Took(**json.loads(said))
    finally:
        shutil.rmtree(into)


def _reference(url: str, digest: str) -> Took:
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with subprocess.Popen(["curl", "-s", url], stdout=subprocess.PIPE) as curl:
        said = subprocess.check_output(["openssl", "dgst", "-sha256"], stdin=curl.stdout, text=True)
    wall_s = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if digest not in said:
        raise AssertionError("curl fetched something else")
    return Took(wall_s=wall_s, cpu_s=_used_s(after) - _used_s(before))


def fetch(url: str, into: Path, digest: str, name: str) -> Took:
    """Bring one file, and count what this process took for it."""
    clock, pause = SystemClock(), StopPause()
    surroundings = Surroundings(clock=clock, pause=pause, gatekeeper=_Gates())
    downloader = FileDownloader(
        surroundings, base_url="https://civitai.com", allowed_origins=[url.rpartition("/")[0]]
    )
    stage = DownloadStage(
        locator=_Folder(into),
        downloader=downloader,
        clock=clock,
        pause=pause,
        chain=Chain(),
        options=DownloadOptions(min_free_bytes=0),
        chance=lambda: 0.0,
        progress=lambda *_: True,
    )
    source = DownloadUrl(url=url, source="bench")
    wanted = Wanted(
        place=Place(root="bench", relpath=name), sha256=digest, size_bytes=None, sources=(source,)
    )
    claim = TransferClaim(transfer_id=1, fence=1, attempts=1, wanted=wanted)
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    outcome = stage.run(claim)
    wall_s = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    if not isinstance(outcome, Fetched):
        raise TypeError(f"not fetched: {outcome}")
    stage.close()
    downloader.close()
    return Took(wall_s=wall_s, cpu_s=_used_s(after) - _used_s(before))


def serve(path: Path, limit: float) -> None:
    """Give the file to whoever asks, one after the other, until the input ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener, path.open("rb") as file:
        print(listener.getsockname()[1], flush=True)
        threading.Thread(target=_answer_all, args=(listener, file.fileno(), limit), daemon=True).start()
        sys.stdin.read()


def _answer_all(listener: socket.socket, fd: int, limit: float) -> None:
    size = os.fstat(fd).st_size
    while True:
        connection, _ = listener.accept()
        with connection:
            while not connection.recv(65_536).endswith(b"\r\n\r\n"):
                pass
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            started, sent = time.monotonic(), 0
            while sent < size:
                sent += os.sendfile(connection.fileno(), fd, sent, _STEP if limit else size - sent)
                ahead_s = sent / limit - (time.monotonic() - started) if limit else 0.0
                if ahead_s > 0:
                    time.sleep(ahead_s)


@contextmanager
def _server(path: Path, limit: float) -> Iterator[str]:
    command = _command(["--serve", str(path), str(limit)])
    with subprocess.Popen(
        command, cwd=_TOP, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/x"
        process.communicate("")


def _run(arguments: Sequence[str]) -> str:
    return subprocess.run(
        _command(arguments), cwd=_TOP, env=_environment(), stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def _command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "bench.download", *arguments]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(_TOP / "daemon")}


def _write(path: Path, size: int) -> str:
    """Write a file with the head of a model and random bytes behind it, so that it is in the page cache."""
    header = b'{"w":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (size - 4096, size - 4096)
    head = (4096 - 8).to_bytes(8, "little") + header.ljust(4096 - 8)
    digest = sha256()
    with path.open("wb") as file:
        for piece in (head, *(os.urandom(_MIB if n else _MIB - 4096) for n in range(size // _MIB))):
            file.write(piece)
            digest.update(piece)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _used_s(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


def _speed(size: int, took: Sequence[Took]) -> str:
    return f"{size / statistics.median(one.wall_s for one in took) / _GB:.2f} GB/s"


def _cpu(size: int, took: Sequence[Took]) -> str:
    return f"{statistics.median(one.cpu_s for one in took) / (size / _GB):.2f} s per GB"


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f} at {datetime.now(UTC):%Y-%m-%d %H:%M}"


def main() -> None:
    """Measure, or be one of the two other processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--fetch", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(Path(options.serve[0]), float(options.serve[1]))
    elif options.fetch:
        url, into, digest, name = options.fetch
        took = fetch(url, Path(into), digest, name)
        print(json.dumps({"wall_s": took.wall_s, "cpu_s": took.cpu_s}))
    else:
        finish(measure(options.mib, options.rounds))


if __name__ == "__main__":
    main()
