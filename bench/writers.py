"""Times publishing with all writers on, and counts its flushes, against writing the same bytes plainly.

A library is hashed and named first; then its models are published as the daemon's lane does it, with
pictures out of memory: what is measured is writing, neither the network nor the reading of models. The
references write the same names with the same bytes beside it on the same disk, in the same run: once just
so, once each whole under a temporary name, flushed and renamed. Run it as `python -m bench.writers`; the
files lie in $TMPDIR.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

from bench.figures import Figure, at_most, exactly, finish
from bench.library import Manifest, make_library
from bench.strace import calls_made, counter
from bench.trial import publish, run_once, write_config
from hashtagd.catalog.catalog import Catalog
from hashtagd.core.place import Place
from hashtagd.core.ports import Writer
from hashtagd.core.work import Stage
from hashtagd.service.clock import StopPause, SystemClock
from hashtagd.service.crew import LIMITS
from hashtagd.service.sidecars import unpublish
from hashtagd.stages.effects import Folder
from hashtagd.stages.ground import Ground
from hashtagd.stages.publish import PublishStage
from hashtagd.standin import Standin
from hashtagd.watch.filters import Kind
from hashtagd.watch.roots import RootFolder, Roots
from hashtagd.writers import WRITERS, make_writer, writer_class

_TOP = Path(__file__).resolve().parents[1]
_ROOT = "library"
_FLUSHES = ("fsync", "fdatasync")
#: as large as a still of 450 pixels usually is
_PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 200

Contents = Mapping[Path, bytes]


class _Pictures:
    """Has every picture at hand."""

    def fetch(self, url: str, into: BinaryIO, max_bytes: int) -> str:  # noqa: ARG002 - the port's shape
        """Give the picture."""
        into.write(_PICTURE)
        return "image/png"


class _Publisher:
    """The publishing lane of a daemon over the library in a folder."""

    def __init__(self, folder: Path) -> None:
        clock = SystemClock()
        root = RootFolder(name=_ROOT, path=folder / "library")
        self.catalog = Catalog.open(
            f"sqlite:///{folder}/state/catalog.db", clock=clock, owner="bench", chance=lambda: 0.5
        )
        common: dict[str, Any] = {
            "writers": {None: _all_writers(folder)},
            "locator": Roots([root]),
            "clock": clock,
            "is_model": lambda place: _is_model(root, place),
        }
        self._ground = Ground(**common, folder=Folder)
        self._stage = PublishStage(**common, ledger=self.catalog, fetcher=_Pictures(), pause=StopPause())

    def close(self) -> None:
        """Close the catalog."""
        self.catalog.close()

    def publish(self) -> dict[str, float]:
        """Publish everything; returns how many models, and how long it took."""
        self.catalog.wake_publish([_ROOT])
        os.sync()
        models, began_s, cpu_s = 0, time.perf_counter(), time.process_time()
        while claims := self.catalog.claim(Stage.PUBLISH, [_ROOT], LIMITS[Stage.PUBLISH]):
            outcomes = self._stage.run(claims)
            self.catalog.apply(list(zip(claims, outcomes, strict=True)))
            models += len(claims)
        took_s = time.perf_counter() - began_s
        return {"models": models, "took_s": took_s, "cpu_s": time.process_time() - cpu_s}

    def take_back(self) -> dict[str, float]:
        """Remove everything that was written."""
        return {"removed": sum(taken.goes for taken in unpublish(self.catalog, self._ground, [_ROOT]))}


def _is_model(root: RootFolder, place: Place) -> bool:
    return root.names.kind_of(place.relpath) is Kind.OURS


def _all_writers(folder: Path) -> list[Writer]:
    """Make all there are; one that wants a folder gets one beside the library."""
    wants = {name: "path" in writer_class(name).Options.model_fields for name in WRITERS}
    return [make_writer(name, {"path": str(folder / "cards")} if wants[name] else {}) for name in WRITERS]


def plainly(contents: Contents, top: Path) -> float:
    """Write every file just so; returns the seconds."""
    return _timed(contents, top, Path.write_bytes)


def carefully(contents: Contents, top: Path) -> float:
    """Write every file under a temporary name, flush it, and rename it; returns the seconds."""

    def write(path: Path, content: bytes) -> None:
        temporary = path.with_name(f".{path.name[:200]}.new")
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)

    return _timed(contents, top, write)


def _timed(contents: Contents, top: Path, write: Callable[[Path, bytes], object]) -> float:
    for folder in {top / path.parent for path in contents}:
        folder.mkdir(parents=True, exist_ok=True)
    os.sync()
    began_s = time.perf_counter()
    for path, content in contents.items():
        write(top / path, content)
    return time.perf_counter() - began_s


def artifacts(folder: Path, manifest: Manifest) -> dict[Path, bytes]:
    """Read all that lies beside the models and in the tree."""
    models = {manifest.folder / path for model in manifest.models for path in model.paths}
    places = (manifest.folder, folder / "cards")
    found = [Path(at, name) for place in places for at, _, names in os.walk(place) for name in names]
    return {path.relative_to(folder): path.read_bytes() for path in sorted(found) if path not in models}


def measure(count: int = 2000, rounds: int = 3) -> Sequence[Figure]:
    """Publish a library again and again, with the references in between, and once under strace."""
    with tempfile.TemporaryDirectory(prefix="hashtagd-writers-") as name:
        folder = Path(os.path.realpath(name))
        manifest = make_library(folder / "library", count, broken=False)
        with Standin() as site:
            publish(site, manifest, omitted=0)
            write_config(folder / "config.yaml", manifest.folder, site.url, writers=())
            run_once(folder, site)
        ours, plain, careful = [], [], []
        for number in range(rounds):
            ours.append(_in_child(folder, "publish"))
            contents = artifacts(folder, manifest)
            plain.append(plainly(contents, folder / f"plain{number}"))
            careful.append(carefully(contents, folder / f"careful{number}"))
            again = _in_child(folder, "publish")
            unchanged = artifacts(folder, manifest) == contents
            _in_child(folder, "take_back")
            left = artifacts(folder, manifest)
        calls = _traced(folder)
    rows = zip(ours, plain, careful, strict=True)
    ratios = [(it["took_s"] / one, it["took_s"] / other) for it, one, other in rows]
    models = round(ours[0]["models"])
    return [
        exactly(f"{models:,} models, {len(WRITERS)} writers: artifacts", len(contents), expected(manifest)),
        _milliseconds("  each model", [it["took_s"] / models for it in ours]),
        _milliseconds("    of that, this process's CPU time", [it["cpu_s"] / models for it in ours]),
        _milliseconds("  the same files written plainly, each model's", [it / models for it in plain]),
        _milliseconds("  written, flushed and renamed, each model's", [it / models for it in careful]),
        Figure(what="  times the same files plainly", measured=_median(it[0] for it in ratios), goal="-"),
        Figure(
            what="  times the same, flushed and renamed", measured=_median(it[1] for it in ratios), goal="-"
        ),
        *_flushes(calls, models, len(contents)),
        exactly("published again: artifacts that are not as before", int(not unchanged), 0),
        Figure(what="  each model", measured=f"{again['took_s'] / models * 1e3:.2f} ms", goal="-"),
        exactly("taken back: artifacts left", len(left), 0),
    ]


def expected(manifest: Manifest) -> int:
    """Say how many artifacts there are to be: of an unknown model a sidecar, a hash and a card."""
    beside = len(WRITERS) - 1  # attributes are no files
    return sum(len(model.paths) * (beside if model.known else 3) for model in manifest.models)


def _flushes(calls: Counter[str] | None, models: int, files: int) -> list[Figure]:
    if calls is None:
        return [Figure(what="flushes", measured="no strace here", goal="-")]
    flushes = sum(calls[name] for name in _FLUSHES)
    return [
        Figure(what="flushes, each model's", measured=f"{flushes / models:.2f}", goal="-"),
        at_most("  for each artifact", round(flushes / files, 2), 1.4),
    ]


def _milliseconds(what: str, seconds: Sequence[float]) -> Figure:
    return Figure(what=what, measured=f"{statistics.median(seconds) * 1e3:.2f} ms", goal="-")


def _median(values: Iterable[float]) -> str:
    return f"{statistics.median(values):.1f}"


def _traced(folder: Path) -> Counter[str] | None:
    into = folder / "calls.txt"
    before = counter(into, _FLUSHES)
    if before is None:
        return None
    _in_child(folder, "publish", before)
    return calls_made(into.read_text())


def _in_child(folder: Path, what: str, before: Sequence[str] = ()) -> dict[str, float]:
    """Do it in a process of its own, as the daemon is one; its last line is JSON."""
    done = subprocess.run(
        [*before, sys.executable, "-m", "bench.writers", f"--{what}", str(folder)],
        cwd=_TOP,
        env={**os.environ, "PYTHONPATH": str(_TOP / "daemon")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure and print; or be the process that publishes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--publish", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--take_back", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    folder = options.publish or options.take_back
    if folder is None:
        finish(measure(options.count, options.rounds), as_json=options.json)
    with closing(_Publisher(folder)) as publisher:
        print(json.dumps(publisher.publish() if options.publish else publisher.take_back()))


if __name__ == "__main__":
    main()
