"""Runs the real command over a made library, against a Civitai stand-in, and keeps what was seen."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.library import Manifest, make_library
from bench.strace import model_bytes_read, tracer
from bench.truth import added, changed, stamps, wrong_files, wrong_rows
from hashtagd.standin import Request, Standin
from hashtagd.standin.pictures import png

WRITERS = ("lora-manager", "civitai-info", "preview")
_DAEMON = Path(__file__).resolve().parents[1] / "daemon"
#: first answers, in contrast to questions of the background class (the tensor hash)
_FIRST_ANSWERS = ("ids", "by-hash", "models", "model")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of the command and what the other side saw of it."""

    exit_code: int
    summary: Mapping[str, Any]
    requests: tuple[Request, ...]
    #: bytes read from model files; None where nothing could trace the process
    model_bytes_read: int | None = None

    @property
    def first_answers(self) -> int:
        """How many requests were made to get first answers."""
        return sum(request.route in _FIRST_ANSWERS for request in self.requests)

    def count(self, route: str) -> int:
        """Count the requests to one route."""
        return sum(request.route == route for request in self.requests)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Two runs over one library."""

    manifest: Manifest
    omitted: int
    first: Run
    second: Run
    #: what `list --json` says of each file, by its path in the library
    listed: Mapping[str, Mapping[str, Any]]
    #: every file that should not be as it is, in words
    wrong: tuple[str, ...]
    #: paths of files that the second run changed
    touched: tuple[str, ...]


def publish(site: Standin, manifest: Manifest, omitted: int) -> None:
    """Let the stand-in know all known models; its batch route leaves out some of those with one version."""
    versions = Counter(model.model_id for model in manifest.known)
    alone = sorted(model_id for model_id, count in versions.items() if count == 1)
    left_out = frozenset(alone[:: max(1, len(alone) // max(1, omitted))][:omitted])
    picture = png(seed=1)
    for model in manifest.known:
        site.add(
            sha256=model.sha256,
            autov3=model.tensors_sha256[:12],
            model_id=model.model_id,
            version_id=model.version_id,
            size_bytes=model.size_bytes,
            name=model.model_name,
            version_name=model.version_name,
            file_name=Path(model.paths[0]).name,
            base_model=model.base_model,
            trained_words=model.trained_words,
            tags=model.tags,
            previews=(picture,),
            omitted_by_models_ids=model.model_id in left_out,
        )


def write_config(
    path: Path, library: Path, site: str, writers: Sequence[str] = WRITERS, comfyui_url: str | None = None
) -> None:
    """Write the settings of a machine whose only catalog on the network is the stand-in."""
    settings = {
        "comfyui": {"path": None, "url": comfyui_url},
        "roots": [{"name": "library", "path": str(library), "quiet_s": 0}],
        "providers": [
            {"kind": "civitai", "base_url": site, "requests_per_minute": 6000},
            {"kind": "header"},
        ],
        "writers": list(writers),
        "network": {"allowed_origins": [site]},
    }
    path.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML


def environment(folder: Path) -> dict[str, str]:
    """Give an environment in which the command finds nothing of the user's."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    own = {"HOME": str(folder), "HASHTAGD_STATE_DIR": str(folder / "state")}
    return kept | own | {"PYTHONPATH": str(_DAEMON), "PYTHONUTF8": "1"}


def command(folder: Path, *arguments: str) -> list[str]:
    """Spell the command with the trial's settings."""
    return [sys.executable, "-m", "hashtagd", "--config", str(folder / "config.yaml"), *arguments]


def try_library(
    folder: Path, *, count: int = 2000, all_known: bool = False, broken: bool = True, omitted: int = 0
) -> Trial:
    """Make a library in the folder, run the command over it twice and compare with the truth."""
    manifest = make_library(folder / "library", count, all_known=all_known, broken=broken)
    models = dict(stamps(manifest.folder))
    with Standin() as site:
        publish(site, manifest, omitted)
        write_config(folder / "config.yaml", manifest.folder, site.url)
        first = run_once(folder, site)
        listed = _listed(folder)
        wrong = (*changed(models, manifest.folder), *wrong_files(manifest), *wrong_rows(manifest, listed))
        before = dict(stamps(manifest.folder))
        second = run_once(folder, site, trace=folder / "trace.txt", arriving=manifest.half_written)
        touched = tuple(changed(before, manifest.folder)) + tuple(added(before, manifest.folder))
    return Trial(
        manifest=manifest,
        omitted=omitted,
        first=first,
        second=second,
        listed=listed,
        wrong=wrong,
        touched=touched,
    )


def run_once(folder: Path, site: Standin, *, trace: Path | None = None, arriving: str | None = None) -> Run:
    """Run the command once to its end; with `trace`, count the bytes it reads of whole model files."""
    name = "second" if trace else "first"
    site.forget_requests()
    before = tracer(trace) if trace else None
    done = subprocess.run(
        [*(before or ()), *command(folder, "run", "--once", "--json")],
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    (folder / f"{name}-run.log").write_text(done.stderr, encoding="utf-8")
    if not done.stdout.strip():
        raise SystemExit(f"the command ended with {done.returncode} and said nothing:\n{done.stderr[-2000:]}")
    return Run(
        exit_code=done.returncode,
        summary=json.loads(done.stdout),
        requests=site.requests,
        model_bytes_read=model_bytes_read(trace.read_text(), except_for=arriving)
        if trace and before
        else None,
    )


def _listed(folder: Path) -> dict[str, Mapping[str, Any]]:
    """Ask the command what it knows of each file."""
    done = subprocess.run(
        command(folder, "list", "--json", "--limit", "1000000"),
        env=environment(folder),
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
    return {row["path"]: row for row in rows}
