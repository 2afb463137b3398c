"""Lets the real LoRA Manager look at a published library, and checks what it shows and what it leaves alone.

Then, while it runs, more models arrive: half of them it has met without sidecars, half of them it has not.
hashtagd publishes them and tells it; nothing is scanned, and all must be listed with their names.

    python tests/interop/lora_manager.py PATH [--python PYTHON] [--count 300]

PATH is a checkout of ComfyUI-Lora-Manager, PYTHON one that has its requirements. The checkout is copied and
never changed; everything happens in a temporary folder and on loopback. Without PATH it skips, and says so.
"""

import argparse
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

_TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_TOP), str(_TOP / "daemon")]

from bench.figures import Figure, exactly, finish  # noqa: E402 - the path above makes the script run by itself
from bench.library import Manifest, Model, make_library  # noqa: E402 - same
from bench.strace import model_bytes_read, tracer  # noqa: E402 - same
from bench.trial import publish, run_once, try_library, write_config  # noqa: E402 - same
from bench.truth import stamps  # noqa: E402 - same
from hashtagd.standin import Standin  # noqa: E402 - same

_PATIENCE_S = 180
#: how long a change may take to show after the run that told of it has ended
_SHOWN_WITHIN_S = 5
_PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running LoRA Manager."""

    url: str

    def get(self, path: str, **query: object) -> Any:
        """Ask its HTTP interface; the answer is JSON."""
        return json.loads(self.fetch(f"/api/lm/{path}?{urllib.parse.urlencode(query)}"))

    def fetch(self, path: str) -> bytes:
        """Get the bytes behind a path of the server."""
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:  # noqa: S310 - always loopback
            return bytes(answer.read())

    def models(self) -> dict[str, Mapping[str, Any]]:
        """List all LoRAs by their absolute path, as its page would."""
        rows: dict[str, Mapping[str, Any]] = {}
        page, pages = 1, 1
        while page <= pages:
            answer = self.get("loras/list", page=page, page_size=_PAGE)
            rows.update({item["file_path"]: item for item in answer["items"]})
            page, pages = page + 1, answer["total_pages"]
        return rows


@contextmanager
def lora_manager(checkout: Path, python: str, folder: Path, library: Path) -> Iterator[Server]:
    """Run a copy of the checkout over the library, traced where strace is there."""
    home, port = folder / "home", _free_port()
    settings = home / ".config" / "ComfyUI-LoRA-Manager" / "settings.json"
    settings.parent.mkdir(parents=True)
    roots = {"loras": [str(library)], "checkpoints": [], "unet": [], "embeddings": []}
    settings.write_text(json.dumps({"folder_paths": roots}), encoding="utf-8")
    shutil.copytree(checkout, folder / "checkout", ignore=shutil.ignore_patterns(".git", "tests", "docs"))
    words = [python, "standalone.py", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "lora-manager.log").open("wb") as log:
        process = subprocess.Popen(
            [*(tracer(folder / "trace.txt") or ()), *words],
            cwd=folder / "checkout",
            env={"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONUTF8": "1"},
            stdout=log,
            stderr=log,
        )
        try:
            yield Server(url=f"http://127.0.0.1:{port}")
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server; under strace it is a child of ours' child, and strace hands no signal on."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for pid in children or [str(process.pid)]:
        os.kill(int(pid), 15)
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        for pid in children:
            os.kill(int(pid), 9)
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_listed(server: Server, count: int) -> float:
    """Wait until so many models are listed; returns how long that took.

    Raises:
        TimeoutError: it did not come to that.
    """
    started = time.monotonic()
    total: object = "no answer"
    while time.monotonic() - started < _PATIENCE_S:
        try:
            total = server.get("loras/list", page=1, page_size=1)["total"]
        except (OSError, ValueError, KeyError):
            total = "no answer"
        if total == count:
            return time.monotonic() - started
        time.sleep(0.25)
    raise TimeoutError(f"LoRA Manager lists {total} models, not {count}")


def untrue(manifest: Manifest, rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Compare every row with the truth."""
    for model in manifest.models:
        for relpath in model.paths:
            row = rows.get(str(manifest.folder / relpath))
            if row is None:
                yield f"{relpath}: not listed"
                continue
            for key, (shown, truth) in _compared(model, relpath, row).items():
                if shown != truth:
                    yield f"{relpath}: {key} is {shown!r}, should be {truth!r}"


def _compared(model: Model, relpath: str, row: Mapping[str, Any]) -> dict[str, tuple[object, object]]:
    civitai = row.get("civitai") or {}
    pairs: dict[str, tuple[object, object]] = {
        "sha256": (row["sha256"], model.sha256),
        "file_name": (row["file_name"], Path(relpath).stem),
        "from_civitai": (row["from_civitai"], model.known),
    }
    if model.known:
        pairs |= {
            "model_name": (row["model_name"], model.model_name),
            "base_model": (row["base_model"], model.base_model),
            "tags": (list(row["tags"]), list(model.tags)),
            "trigger words": (civitai.get("trainedWords"), list(model.trained_words)),
            "version": (civitai.get("id"), model.version_id),
            "picture": (row["preview_url"].endswith(".preview.png"), True),
        }
    return pairs


def pictures_shown(server: Server, rows: Mapping[str, Mapping[str, Any]]) -> int:
    """Count the models whose picture the server really hands out."""
    shown = 0
    for path, row in rows.items():
        picture = Path(path).with_suffix(".preview.png")
        if row["preview_url"] and server.fetch(row["preview_url"]) == picture.read_bytes():
            shown += 1
    return shown


def contents(folder: Path) -> dict[str, tuple[object, str]]:
    """Give stamp and SHA-256 of every file."""
    return {
        path: (stamp, "" if (folder / path).is_symlink() else _sha256(folder / path))
        for path, stamp in stamps(folder)
    }


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def try_it(checkout: Path, python: str, count: int) -> Sequence[Figure]:
    """Publish a library, let LoRA Manager read it, compare; then let more models arrive."""
    with tempfile.TemporaryDirectory(prefix="hashtagd-interop-") as name:
        folder = Path(name)
        (folder / "ours").mkdir()
        # nothing broken: LoRA Manager lists and hashes whatever ends in .safetensors, models or not
        manifest = try_library(folder / "ours", count=count, broken=False).manifest
        before = contents(manifest.folder)
        with lora_manager(checkout, python, folder, manifest.folder) as server:
            took_s = wait_until_listed(server, manifest.file_count)
            rows = server.models()
            mistakes = list(untrue(manifest, rows))
            pictures = pictures_shown(server, rows)
            server.get("loras/scan", full_rebuild="true")
            mistakes += list(untrue(manifest, server.models()))
            after = contents(manifest.folder)
            trace, log = folder / "trace.txt", (folder / "lora-manager.log").read_text(errors="replace")
            read = model_bytes_read(trace.read_text(errors="replace")) if trace.exists() else None
            arrivals = after_nudges(server, folder / "ours", manifest, max(2, count // 2))
    for line in mistakes[:20]:
        print(f"untrue: {line}", file=sys.stderr)
    touched = sum(before.get(path) != after.get(path) for path in before | after)
    known = sum(len(model.paths) for model in manifest.known)
    return [
        exactly("models listed by LoRA Manager", len(rows), manifest.file_count),
        exactly("  with a wrong name, base model, tags, words, hash", len(mistakes), 0),
        exactly("  with their picture", pictures, known),
        exactly("files it changed, added or removed", touched, 0),
        exactly("files it hashed, by its own log", log.count("SHA256 hash calculated"), 0),
        Figure(what="bytes of models it read", measured="no strace here", goal="0")
        if read is None
        else exactly("bytes of models it read", read, 0),
        Figure(what="from its start to the full list", measured=f"{took_s:.1f} s", goal="-"),
        *arrivals,
    ]


def after_nudges(server: Server, ours: Path, old: Manifest, count: int) -> Sequence[Figure]:
    """Let models arrive while its cache is warm, publish them, and compare what it lists without a scan."""
    # its scan goes around a circle of links as far as the system lets it, and lists new files by that path
    (old.folder / old.loop).unlink()
    arriving = make_library(ours / "arriving", count, seed=8, all_known=True, broken=False)
    met, new = _halves(arriving, old.folder / "arrived")
    _move_in(arriving, met)
    server.get("loras/scan")
    wait_until_listed(server, old.file_count + met.file_count)
    nameless = _unnamed(met, server.models())
    _move_in(arriving, new)
    with Standin() as site:
        publish(site, arriving, omitted=0)
        write_config(ours / "config.yaml", old.folder, site.url, comfyui_url=server.url)
        started = time.monotonic()
        run = run_once(ours, site)
        took_s = time.monotonic() - started
    total = old.file_count + met.file_count + new.file_count
    listed, lag_s = _settled(server, met, new, total)
    wrong = [*untrue(new, listed), *_unnamed(met, listed)]
    files = {str(it.folder / path) for it in (old, met, new) for model in it.models for path in model.paths}
    wrong += [f"{path}: listed, and not asked for" for path in listed if path not in files]
    for line in wrong[:20]:
        print(f"untrue after nudges: {line}", file=sys.stderr)
    return [
        exactly("models that arrived while it ran", met.file_count + new.file_count, count),
        exactly("  that it had met, and showed without a name", len(nameless), met.file_count),
        exactly("after nudges, without a scan: models listed", len(listed), total),
        exactly("  that arrived and are shown wrong", len(wrong), 0),
        Figure(what="the run that published and told them", measured=f"{took_s:.1f} s", goal="-"),
        exactly("  its exit code", run.exit_code, 0),
        Figure(what="from its end until all was shown", measured=f"{lag_s:.1f} s", goal="-"),
    ]


def _halves(arriving: Manifest, folder: Path) -> tuple[Manifest, Manifest]:
    """Split a library in two that are to lie in another folder."""
    middle = len(arriving.models) // 2
    parts = (arriving.models[:middle], arriving.models[middle:])
    first, second = (replace(arriving, folder=folder, models=models) for models in parts)
    return first, second


def _move_in(arriving: Manifest, part: Manifest) -> None:
    for model in part.models:
        for relpath in model.paths:
            path = part.folder / relpath
            path.parent.mkdir(parents=True, exist_ok=True)
            (arriving.folder / relpath).rename(path)


def _unnamed(manifest: Manifest, rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Name the models that are listed without their name or their base model."""
    return [
        relpath
        for model in manifest.known
        for relpath in model.paths
        if (row := rows.get(str(manifest.folder / relpath))) is None
        or (row["model_name"], row["base_model"]) != (model.model_name, model.base_model)
    ]


def _settled(
    server: Server, met: Manifest, new: Manifest, total: int
) -> tuple[dict[str, Mapping[str, Any]], float]:
    """Give what is listed once nothing is wrong, or when that takes too long; and how long it took."""
    started = time.monotonic()
    while True:
        rows, waited_s = server.models(), time.monotonic() - started
        done = len(rows) == total and not any(untrue(new, rows)) and not _unnamed(met, rows)
        if done or waited_s > _SHOWN_WITHIN_S:
            return rows, waited_s
        time.sleep(0.25)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkout", type=Path, nargs="?")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--count", type=int, default=300)
    options = parser.parse_args(arguments)
    if options.checkout is None:
        print("SKIPPED: give the path of a ComfyUI-Lora-Manager checkout to try it", file=sys.stderr)
        return
    finish(try_it(options.checkout.resolve(), options.python, options.count))


if __name__ == "__main__":
    main()
