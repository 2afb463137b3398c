"""Lets a running hashtagd tell the real ComfyUI, with its asset browser on, and reads what that then shows.

    python tests/interop/comfyui_assets.py PATH [--python PYTHON] [--count 100]

PATH is a checkout of ComfyUI, PYTHON one that has its requirements; no graphics card is needed. Everything
happens in a temporary folder and on loopback. ComfyUI looks at a library, a person fills in some keys,
hashtagd publishes and tells; then ComfyUI is restarted, models are renamed and moved, and more arrive.
Without PATH it skips, and says so.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

_TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_TOP), str(_TOP / "daemon")]

from comfyui_running import Server, comfyui, until  # noqa: E402 - after the path, as the others
from running import free_port  # noqa: E402 - same

from bench.figures import Figure, exactly, finish  # noqa: E402 - the path above makes the script run by itself
from bench.library import Manifest, Model, make_library  # noqa: E402 - same
from bench.trial import command, environment, publish, write_config  # noqa: E402 - same
from hashtagd.standin import Standin  # noqa: E402 - same

#: what a person has set, before hashtagd speaks for the first time
_OWN: Final[tuple[Mapping[str, Any], ...]] = (
    {"trained_words": ["mine"], "rating": {"stars": 5}},
    {"additional_tags": []},
    {"base_model": ["My base"], "user_description": "<b>mine</b>", "name": "Mine"},
)
#: a record that was not filled within this never will be
_FILLED_WITHIN_S: Final = 600
_STOPS_WITHIN_S: Final = 30


def facts_of(model: Model) -> dict[str, Any]:
    """Say what its record must show."""
    return {
        "additional_tags": list(model.tags),
        "trained_words": list(model.trained_words),
        "base_model": [model.base_model],
        "source_arn": f"civitai:model:{model.model_id}:version:{model.version_id}",
    }


def untrue(
    manifest: Manifest, rows: Mapping[str, Mapping[str, Any]], own: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """Compare every record with the truth, and with what a person put there."""
    for model in manifest.models:
        for relpath in model.paths:
            row = rows.get(relpath)
            if row is None:
                yield f"{relpath}: not listed"
                continue
            for key, truth in {**facts_of(model), **own.get(relpath, {})}.items():
                shown = row["user_metadata"].get(key)
                if shown != truth:
                    yield f"{relpath}: {key} is {shown!r}, should be {truth!r}"
            if not {"models", "model_type:loras"} <= set(row["tags"]):
                yield f"{relpath}: its own tags are {row['tags']!r}"


@contextmanager
def hashtagd(ours: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the daemon until it is stopped."""
    with (ours / "daemon.log").open("wb") as log:
        process = subprocess.Popen(command(ours, "run"), env=environment(ours), stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


class Trial:
    """One library, one site, one daemon, and a ComfyUI that comes and goes.

    Args:
        loras: ComfyUI's folder of LoRAs.
        site: where hashtagd asks.
        count: how many models there are at first.
    """

    def __init__(self, loras: Path, site: Standin, count: int) -> None:
        self.loras = loras
        self._site = site
        self.library = self._made(loras, count, seed=7)
        self.own: dict[str, Mapping[str, Any]] = {}

    def _made(self, folder: Path, count: int, seed: int) -> Manifest:
        made = make_library(folder, count, seed=seed, all_known=True, broken=False)
        # two libraries number their models alike
        further = seed * 1_000_000
        made = replace(
            made,
            models=tuple(
                replace(it, model_id=it.model_id + further, version_id=it.version_id + further)
                for it in made.models
            ),
        )
        # ComfyUI goes around a circle of links as far as the system lets it
        (folder / made.loop).unlink()
        publish(self._site, made, omitted=0)
        return made

    def a_person_sets_keys(self, server: Server) -> None:
        """Fill in some keys of some records."""
        rows = server.models()
        for model, keys in zip(self.library.models, _OWN, strict=False):
            self.own[model.paths[0]] = keys
            server.change(rows[model.paths[0]], **keys)

    def rename(self, count: int) -> set[str]:
        """Rename some models, and move as many into another folder; returns where they were."""
        chosen = self.library.models[len(_OWN) : len(_OWN) + 2 * count]
        moved = {}
        for number, model in enumerate(chosen):
            old = Path(model.paths[0])
            new = old.with_stem(f"{old.stem} renamed") if number % 2 else Path("moved", old.name)
            (self.loras / new).parent.mkdir(exist_ok=True)
            (self.loras / old).rename(self.loras / new)
            moved[model.sha256] = new.as_posix()
        models = tuple(
            replace(it, paths=(moved[it.sha256], *it.paths[1:])) if it.sha256 in moved else it
            for it in self.library.models
        )
        self.library = replace(self.library, models=models)
        return {it.paths[0] for it in chosen}

    def let_arrive(self, count: int, elsewhere: Path) -> None:
        """Let more models come, whole ones, from another folder of the same disk."""
        more = self._made(elsewhere, count, seed=8)
        arrived = []
        for model in more.models:
            paths = tuple(f"arrived/{path}" for path in model.paths)
            for old, new in zip(model.paths, paths, strict=True):
                (self.loras / new).parent.mkdir(parents=True, exist_ok=True)
                (elsewhere / old).rename(self.loras / new)
            arrived.append(replace(model, paths=paths))
        self.library = replace(self.library, models=(*self.library.models, *arrived))

    def wrong(self, server: Server) -> list[str]:
        """List what its records show and should not."""
        return list(untrue(self.library, server.models(), self.own))

    def settled(self, server: Server, why: str) -> tuple[float, list[str]]:
        """Wait until all is shown; returns how long that took, and what is wrong if it never came to that."""
        try:
            took_s = until(server, lambda: not self.wrong(server), why, within_s=_FILLED_WITHIN_S)
        except TimeoutError:
            return _FILLED_WITHIN_S, self.wrong(server)
        return took_s, []


def try_it(checkout: Path, python: str, count: int) -> Sequence[Figure]:
    """Let it all happen, and say what was seen."""
    few = max(2, count // 10)
    with tempfile.TemporaryDirectory(prefix="hashtagd-interop-") as name, ExitStack() as stack:
        base, ours, port = Path(name, "comfyui"), Path(name, "ours"), free_port()
        ours.mkdir()
        site = stack.enter_context(Standin())
        trial = Trial(base / "models" / "loras", site, count)
        write_config(ours / "config.yaml", base / "models", site.url, comfyui_url=f"http://127.0.0.1:{port}")
        with comfyui(checkout, python, base, port) as server:
            met = len(server.models())
            trial.a_person_sets_keys(server)
            process = stack.enter_context(hashtagd(ours))
            first_s, first = trial.settled(server, "what was published")
            before = _keys(server)
        with comfyui(checkout, python, base, port) as server:
            lost = sum(before.get(path) != keys for path, keys in _keys(server).items())
            old = trial.rename(few)
            renamed_s, renamed = trial.settled(server, "what was renamed")
            still = len(old & set(server.models()))
            trial.let_arrive(few, ours / "arriving")
            arrived_s, arrived = trial.settled(server, "what arrived")
            listed = len(server.models())
        process.send_signal(signal.SIGTERM)
        code = process.wait(_STOPS_WITHIN_S)
        failed = (ours / "daemon.log").read_text(errors="replace").count("nudge_failed")
        for line in [*first, *renamed, *arrived][:20]:
            print(f"untrue: {line}", file=sys.stderr)
    return [
        exactly("models that ComfyUI met by itself, without a word about them", met, count),
        exactly("after publishing: keys that are wrong or missing", len(first), 0),
        exactly(
            "  records of a person that were tried on, whose own keys all stay", len(trial.own), len(_OWN)
        ),
        Figure(what="  from the daemon's start until all was shown", measured=f"{first_s:.1f} s", goal="-"),
        exactly("after a restart of ComfyUI: records with other keys than before", lost, 0),
        exactly("renamed or moved to another folder, models", len(old), 2 * few),
        exactly("  keys that are wrong or missing", len(renamed), 0),
        exactly("  old records that are still listed", still, 0),
        Figure(what="  until all was shown", measured=f"{renamed_s:.1f} s", goal="-"),
        exactly("arrived while both ran, and listed", listed, count + few),
        exactly("  keys that are wrong or missing", len(arrived), 0),
        Figure(what="  until all was shown", measured=f"{arrived_s:.1f} s", goal="-"),
        exactly("the daemon's exit code", code, 0),
        exactly("  times it said that it could not tell ComfyUI", failed, 0),
    ]


def _keys(server: Server) -> dict[str, Mapping[str, Any]]:
    return {path: row["user_metadata"] for path, row in server.models().items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkout", type=Path, nargs="?")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--count", type=int, default=100)
    options = parser.parse_args(arguments)
    if options.checkout is None:
        print("SKIPPED: give the path of a ComfyUI checkout to try it", file=sys.stderr)
        return
    finish(try_it(options.checkout.resolve(), options.python, options.count))


if __name__ == "__main__":
    main()
