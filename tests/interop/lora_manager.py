"""Lets the real LoRA Manager look at a published library, and checks what it shows and what it leaves alone.

Then, while it runs, more models arrive: half of them it has met without sidecars, half of them it has not.
hashtagd publishes them and tells it; nothing is scanned, and all must be listed with their names, nothing
hashed and nothing rewritten. At last it starts once more, with the cache it has.

    python tests/interop/lora_manager.py PATH [--python PYTHON] [--count 300]

PATH is a checkout of ComfyUI-Lora-Manager, PYTHON one that has its requirements. The checkout is copied and
never changed; everything happens in a temporary folder and on loopback. Without PATH it skips, and says so.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

_TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_TOP), str(_TOP / "daemon")]

from lora_manager_checks import (  # noqa: E402 - after the path, as the others
    contents,
    differing,
    edited,
    hashed_so_far,
    pictures_shown,
    unnamed,
    untrue,
)
from running import Server, lora_manager, wait_until_listed, wait_until_saved  # noqa: E402 - same

from bench.figures import Figure, exactly, finish  # noqa: E402 - the path above makes the script run by itself
from bench.library import Manifest, make_library  # noqa: E402 - same
from bench.strace import model_bytes_read  # noqa: E402 - same
from bench.trial import (  # noqa: E402 - same
    publish,
    run_once,
    try_library,
    write_config,
)
from hashtagd.nudges import Unusable, news_of, programs_at  # noqa: E402 - same
from hashtagd.service.clock import SystemClock  # noqa: E402 - same
from hashtagd.standin import Standin  # noqa: E402 - same

#: how long a change may take to show after the run that told of it has ended
_SHOWN_WITHIN_S = 5


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
            arrivals, whole = after_nudges(server, folder, manifest, max(2, count // 2))
        again = after_another_start(checkout, python, folder, whole)
    for line in mistakes[:20]:
        print(f"untrue: {line}", file=sys.stderr)
    touched = differing(before, after)
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
        *again,
    ]


def after_nudges(
    server: Server, folder: Path, old: Manifest, count: int
) -> tuple[Sequence[Figure], Sequence[Manifest]]:
    """Let models arrive while its cache is warm, publish them, and compare what it lists without a scan.

    Returns the figures and all that there is then: known before, met before it was published, and new.
    """
    ours = folder / "ours"
    # its scan goes around a circle of links as far as the system lets it, and lists new files by that path
    (old.folder / old.loop).unlink()
    arriving = make_library(ours / "arriving", count, seed=8, all_known=True, broken=False)
    met, new = _halves(arriving, old.folder / "arrived")
    _move_in(arriving, met)
    server.get("loras/scan")
    wait_until_listed(server, old.file_count + met.file_count)
    nameless = unnamed(met, server.models())
    _move_in(arriving, new)
    hashed = hashed_so_far(folder)
    with Standin() as site:
        publish(site, arriving, omitted=0)
        write_config(ours / "config.yaml", old.folder, site.url, comfyui_url=server.url)
        started = time.monotonic()
        run = run_once(ours, site)
        took_s = time.monotonic() - started
    total = old.file_count + met.file_count + new.file_count
    changed = edited(ours, new)
    before = contents(old.folder)
    listed, lag_s = _settled(server, met, new, total)
    wrong = [*untrue(new, listed), *unnamed(met, listed)]
    files = {str(it.folder / path) for it in (old, met, new) for model in it.models for path in model.paths}
    wrong += [f"{path}: listed, and not asked for" for path in listed if path not in files]
    for line in wrong[:20]:
        print(f"untrue after nudges: {line}", file=sys.stderr)
    # it saves its whole cache for each file that was new to it, behind its answers
    saved_s = wait_until_saved(folder, total)
    nudge_ms = nudging_ms(server, met, new)
    after = contents(old.folder)
    figures = [
        exactly("models that arrived while it ran", met.file_count + new.file_count, count),
        exactly("  that it had met, and showed without a name", len(nameless), met.file_count),
        exactly("after nudges, without a scan: models listed", len(listed), total),
        exactly("  that arrived and are shown wrong", len(wrong), 0),
        Figure(what="the run that published and told them", measured=f"{took_s:.1f} s", goal="-"),
        exactly("  its exit code", run.exit_code, 0),
        Figure(what="from its end until all was shown", measured=f"{lag_s:.1f} s", goal="-"),
        Figure(what="  and until its own database had it", measured=f"{saved_s:.1f} s", goal="-"),
        exactly("  files it hashed since they were published", hashed_so_far(folder) - hashed, 0),
        exactly("  published files of the new ones that are not as hashtagd wrote them", changed, 0),
        exactly("  files changed by telling of all of them again", differing(before, after), 0),
        Figure(what="one nudge, the median and the longest", measured=nudge_ms, goal="-"),
    ]
    return figures, (old, met, new)


def after_another_start(
    checkout: Path, python: str, folder: Path, whole: Sequence[Manifest]
) -> Sequence[Figure]:
    """Start it with the cache it has, and compare once more."""
    library = whole[0].folder
    total = sum(it.file_count for it in whole)
    before, hashed = contents(library), hashed_so_far(folder)
    with lora_manager(checkout, python, folder, library) as server:
        try:
            took = f"{wait_until_listed(server, total):.1f} s"
        except TimeoutError as error:
            took = str(error)
        rows = server.models()
        wrong = [*unnamed(whole[1], rows)]
        wrong += [line for it in (whole[0], whole[2]) for line in untrue(it, rows, from_cache=True)]
        after = contents(library)
    for line in wrong[:20]:
        print(f"untrue after another start: {line}", file=sys.stderr)
    return [
        exactly("after another start, with its cache: models listed", len(rows), total),
        exactly("  shown wrong", len(wrong), 0),
        exactly("  files it hashed", hashed_so_far(folder) - hashed, 0),
        exactly("  files it changed, added or removed", differing(before, after), 0),
        Figure(what="  from its start to the full list", measured=took, goal="-"),
    ]


def nudging_ms(server: Server, *manifests: Manifest) -> str:
    """Tell of every file once more, and say how long that takes."""
    program, *_ = programs_at(server.url, SystemClock())
    program.present()
    took_ms = []
    files = (
        (it.folder / path, model.size_bytes)
        for it in manifests
        for model in it.models
        for path in model.paths
    )
    for path, size_bytes in files:
        started = time.monotonic()
        with suppress(Unusable):  # it was late, which counts as long
            program.tell(news_of(path, size_bytes, None))
        took_ms.append(1000 * (time.monotonic() - started))
    return f"{statistics.median(took_ms):.0f} ms, {max(took_ms):.0f} ms"


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


def _settled(
    server: Server, met: Manifest, new: Manifest, total: int
) -> tuple[dict[str, Mapping[str, Any]], float]:
    """Give what is listed once nothing is wrong, or when that takes too long; and how long it took."""
    started = time.monotonic()
    while True:
        rows, waited_s = server.models(), time.monotonic() - started
        done = len(rows) == total and not any(untrue(new, rows)) and not unnamed(met, rows)
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
