"""Measures `hashtagd export` and `restore --dry-run` over a large catalog: time, and memory that stays flat.

The catalog is filled by the verbs that the daemon uses; no file lies on the disk. The reference is `hashtagd
list --json`, which reads the same rows in the same run. Run it as `python -m bench.manifest [FILES]`.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path

from bench.figures import Figure, at_most, exactly, finish
from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.questions import Wanted
from hashtagd.core.card import Availability, Card, Confidence, Download, DownloadUrl
from hashtagd.core.digests import Digests
from hashtagd.core.place import Place, Sighting, Stamp
from hashtagd.core.work import (
    Advance,
    Answered,
    Digested,
    Found,
    HashKind,
    Put,
    QuestionKey,
    Settled,
    Stage,
)
from hashtagd.service.clock import SystemClock

_TOP = Path(__file__).resolve().parents[1]
_ROOT = "loras"
_PORTION = 1000
#: what a long description adds to a card that a list reads and does not show
_DESCRIPTION = "<p>Made for a bench; nobody reads this.</p>" * 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One command, measured."""

    took_s: float
    #: of the processor, which other work on the machine does not lengthen much
    cpu_s: float
    peak_mib: float
    lines: int


def sha256_of(number: int) -> str:
    """Give the hash of a file that does not exist."""
    return hashlib.sha256(str(number).encode()).hexdigest()


def card(number: int) -> Card:
    """Make the card of a file, about as large as real ones are."""
    version_id = 2_000_000 + number
    address = f"https://civitai.com/api/download/models/{version_id}"
    return Card(
        provider="civitai",
        by="sha256",
        confidence=Confidence.EXACT,
        availability=Availability.PUBLIC,
        model_id=1_000_000 + number,
        version_id=version_id,
        model_name=f"Акварель 水彩 № {number}",
        version_name="v1.0",
        kind="LORA",
        base_model="Illustrious",
        trained_words=(f"trigger{number}", "watercolor"),
        tags=("style", "anime"),
        description_html=_DESCRIPTION,
        downloads=(
            Download(
                file_id=3_000_000 + number,
                name=f"watercolor_{number}.safetensors",
                type="Model",
                primary=True,
                size_bytes=57_427_724,
                sha256=sha256_of(number),
                autov3=None,
                urls=(
                    DownloadUrl(url=f"{address}?fileId={3_000_000 + number}", source="civitai"),
                    DownloadUrl(url=f"{address}?type=Model&format=SafeTensor", source="civitai"),
                ),
            ),
        ),
    )


def fill(url: str, files: int) -> None:
    """Bring so many make-believe files to where they wait to be published, each with a card."""
    clock = SystemClock()
    rested = clock.now() - timedelta(days=1)
    with closing(Catalog.open(url, clock=clock, owner="bench", chance=lambda: 0.5)) as catalog:
        numbers = iter(range(files))
        while portion := list(islice(numbers, _PORTION)):
            catalog.note(
                Sighting(
                    place=Place(root=_ROOT, relpath=f"folder {number % 100}/{number:06}.safetensors"),
                    stamp=Stamp(size_bytes=57_427_724, mtime_ns=number * 10**9, inode=number + 1),
                    seen_at=rested,
                    still_since=rested,
                )
                for number in portion
            )
            _work_through(catalog, {sha256_of(number): number for number in portion})


def _work_through(catalog: Catalog, numbers: Mapping[str, int]) -> None:
    settled = Advance(facts=Settled(header=None))
    catalog.apply([(it, settled) for it in catalog.claim(Stage.SETTLE, [_ROOT], _PORTION)])
    catalog.apply(
        [
            (it, Advance(facts=_digested(int(it.place.name[:6]))))
            for it in catalog.claim(Stage.DIGEST, [_ROOT], _PORTION)
        ]
    )
    claims = catalog.claim_questions(Wanted(provider="civitai", kind=HashKind.SHA256, limit=_PORTION))
    found = [(it, Found(card=card(numbers[it.key.hash]))) for it in claims]
    catalog.apply_answers([(it, Advance(facts=Answered(answer=said, again_in_s=9e5))) for it, said in found])


def _digested(number: int) -> Digested:
    key = QuestionKey(hash_kind=HashKind.SHA256, hash=sha256_of(number), provider="civitai")
    return Digested(digests=Digests(sha256=sha256_of(number)), questions=(Put(key=key),))


def run(folder: Path, *words: str) -> Run:
    """Run a command in a process of its own; its output goes through a pipe and is counted."""
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(_TOP / "daemon"),
        "HOME": str(folder),
        "HASHTAGD_STATE_DIR": str(folder / "state"),
    }
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "hashtagd", "--config", str(folder / "config.yaml"), *words],
        env=environ,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None  # noqa: S101 - it was asked for
    lines = sum(1 for _ in process.stdout)
    _, status, usage = os.wait4(process.pid, 0)
    took_s = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu_s = usage.ru_utime + usage.ru_stime
    return Run(took_s=took_s, cpu_s=cpu_s, peak_mib=usage.ru_maxrss / 1024, lines=lines)


def measure(files: int = 7_000) -> Sequence[Figure]:
    """Measure a tenth of the catalog and all of it."""
    with tempfile.TemporaryDirectory(prefix="hashtagd-manifest-") as name:
        small, large = make_state(Path(name), "small", files // 10), make_state(Path(name), "large", files)
        few, whole = run(small, "export"), run(large, "export")
        table = run(large, "export", "--format", "csv")
        listed = run(large, "list", "--json")
        run(large, "export", "--output", str(large / "library.jsonl"))
        restored = run(large, "restore", "--dry-run", str(large / "library.jsonl"))
    return [
        Figure(what=f"restore --dry-run of {files:,} files took", measured=_times(restored), goal="-"),
        Figure(what="  peak memory", measured=f"{restored.peak_mib:.1f} MiB", goal="-"),
        exactly(f"export of {files:,} files: lines", whole.lines, files),
        Figure(what="  took", measured=_times(whole), goal="-"),
        Figure(what="  as a table", measured=_times(table), goal="-"),
        at_most(
            "  processor time of `list --json` over the same rows, times",
            round(whole.cpu_s / listed.cpu_s, 2),
            1.0,
        ),
        Figure(what="  peak memory", measured=f"{whole.peak_mib:.1f} MiB", goal="-"),
        at_most(
            f"  more memory than for {files // 10:,}", round(whole.peak_mib - few.peak_mib, 1), 10, " MiB"
        ),
    ]


def _times(it: Run) -> str:
    return f"{it.took_s:.1f} s, {it.cpu_s:.1f} s of the processor"


def make_state(top: Path, name: str, files: int) -> Path:
    """Make a folder with settings and a filled catalog."""
    folder = top / name
    folder.mkdir()
    (folder / "models").mkdir()
    roots = [{"name": _ROOT, "path": str(folder / "models")}]
    nobody = [{"kind": "header"}]
    settings = {"comfyui": {"path": None, "url": None}, "roots": roots, "providers": nobody}
    (folder / "config.yaml").write_text(json.dumps(settings), encoding="utf-8")
    fill(f"sqlite:///{folder}/state/catalog.db", files)
    return folder


def main() -> None:
    """Measure as many files as are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="?", type=int, default=7_000)
    finish(measure(parser.parse_args().files))


if __name__ == "__main__":
    main()
