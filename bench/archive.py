"""Measures the archive database: how long its index takes, what it costs in memory, and a look-up.

Run it as `python -m bench.archive [FILES]`. The database is made up, with documents of the usual length, in
$TMPDIR, and removed at the end.
"""

import argparse
import hashlib
import json
import resource
import sqlite3
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.figures import Figure, at_most, exactly, finish
from hashtagd.core.digests import Digests
from hashtagd.core.ports import Admitted
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Found, Subject
from hashtagd.providers.archive_db import ArchiveDb, ArchiveDbOptions
from hashtagd.providers.surroundings import Surroundings

#: a quarter of what the release of 2025-08-08 holds; the whole takes 2 GB on the disk
_FILES = 200_000
_ASKED = 1_000
_TABLES = """
create table models (id integer primary key, name text, type text, username text, data text,
  created_at integer, updated_at integer);
create table model_versions (id integer primary key, model_id integer, position integer, name text,
  base_model text, published_at integer, data text, created_at integer, updated_at integer);
create table model_files (id integer primary key, model_id integer, version_id integer, type text,
  sha256 text, data text, created_at integer, updated_at integer);
create index model_files_version_id_idx on model_files (version_id);
create table archived_model_files (file_id integer primary key, model_id integer, version_id integer);
"""
_FILE = json.dumps({"name": "x.safetensors", "sizeKB": 1024.5, "metadata": {"fp": "fp16"}, "x": "x" * 500})
_IMAGE = {"url": "https://image.civitai.com/a/b/original=true/1.jpeg", "nsfwLevel": 1, "type": "image"}
_VERSION = json.dumps({"trainedWords": ["word"], "images": [_IMAGE] * 10})
_MODEL = json.dumps({"tags": ["one", "two"], "description": "<p>About it</p>" * 20})


@dataclass(frozen=True, slots=True)
class _World:
    """Time as it is, nobody stops, and no gate is ever asked."""

    stopping: bool = False

    def now(self) -> datetime:
        """Give the time of day."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Give a steady clock."""
        return time.monotonic()

    def wait(self, seconds: float) -> bool:
        """Do not wait: there is nothing to wait for."""
        raise AssertionError(f"asked to wait {seconds} s")

    def look(self, origin: str) -> Admitted:
        """Refuse: no network is needed."""
        raise AssertionError(f"asked for the gate of {origin}")

    admit = look

    def succeeded(self, origin: str) -> None:
        """Refuse as well."""
        raise AssertionError(f"asked for the gate of {origin}")

    def close(self, origin: str, trouble: Trouble, wait_s: float | None = None) -> datetime:
        """Refuse as well."""
        raise AssertionError(f"closed the gate of {origin} for {wait_s} s: {trouble}")


def _sha(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def _make(path: Path, count: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma synchronous = off")
        connection.executescript(_TABLES)
        connection.executemany(
            "insert into model_files values (?, ?, ?, 'Model', ?, ?, 1754568000, 1754568000)",
            ((number, number, number, _sha(number).upper(), _FILE) for number in range(1, count + 1)),
        )
        connection.executemany(
            "insert into model_versions values (?1, ?1, 0, 'v1', 'SDXL 1.0', 1704153600, ?2, 1754568000, 0)",
            ((number, _VERSION) for number in range(1, count + 1)),
        )
        connection.executemany(
            "insert into models values (?, 'A model', 'LORA', 'somebody', ?, 1754568000, 1754568000)",
            ((number, _MODEL) for number in range(1, count + 1)),
        )
        connection.commit()


def _subjects(count: int) -> list[Subject]:
    step = max(1, count // _ASKED)
    numbers = range(1, count + 1, step)
    return [Subject(digests=Digests(sha256=_sha(number)), header=None, size_bytes=1) for number in numbers]


def _rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


class _Peak:
    """Watches the memory of this process from a thread."""

    def __init__(self) -> None:
        self.before_mib = _rss_mib()
        self.peak_mib = self.before_mib
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def growth_mib(self) -> float:
        """End watching; gives how much more it was at most than at the beginning."""
        self._ended.set()
        self._thread.join()
        return self.peak_mib - self.before_mib

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            self.peak_mib = max(self.peak_mib, _rss_mib())


def measure(count: int = _FILES) -> list[Figure]:
    """Make a database, ask it twice, and compare."""
    told: list[Mapping[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="hashtagd-bench-") as name:
        folder, world = Path(name), _World()
        _make(folder / "civitai.sqlite", count)
        around = Surroundings(
            clock=world,
            pause=world,
            gatekeeper=world,
            tell=lambda _event, values: told.append(values),
            state_folder=folder / "state",
        )
        options = ArchiveDbOptions(path=name)
        first, subjects = ArchiveDb(options, around), _subjects(count)
        peak = _Peak()
        sum(1 for _ in first.ask(subjects[:1]))
        growth_mib = peak.growth_mib()
        again = ArchiveDb(options, around)
        began_s = time.monotonic()
        sum(1 for _ in again.ask(subjects[:1]))
        checked_s = time.monotonic() - began_s
        began_s = time.monotonic()
        found = sum(isinstance(answer, Found) for _, answer in again.ask(subjects))
        asked_s = time.monotonic() - began_s
        index_mib = (folder / "state" / "archive-db.index").stat().st_size / 2**20
        took = [f"{values['took_s']} s" for values in told]
    return [
        Figure(what=f"archive: index of {count:,} files, once", measured=", ".join(took), goal="-"),
        at_most("  growth of memory meanwhile", round(growth_mib, 1), 40, " MiB"),
        Figure(what="  size of the index", measured=f"{index_mib:.1f} MiB", goal="-"),
        Figure(what="  to check it at a start", measured=f"{checked_s:.2f} s", goal="-"),
        exactly(f"archive: of {len(subjects):,} known hashes, found", found, len(subjects)),
        Figure(what="  each", measured=f"{asked_s / len(subjects) * 1000:.2f} ms", goal="-"),
    ]


def main() -> None:
    """Measure it with so many files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="?", type=int, default=_FILES)
    finish(measure(parser.parse_args().files))


if __name__ == "__main__":
    main()
