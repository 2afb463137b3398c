"""`hashtagd demo`: the whole story on a small library and a stand-in for Civitai. No network, no key."""

import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from hashtagd import providers, writers
from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.filters import Filters
from hashtagd.cli.cards import card_facts
from hashtagd.cli.output import bytes_in_words, print_facts, safe
from hashtagd.core.ports import Clock
from hashtagd.service.assemble import Process, assemble
from hashtagd.service.clock import StopPause, SystemClock
from hashtagd.service.randomness import chance, owner_id
from hashtagd.service.roots import plan_roots
from hashtagd.settings import Loaded, load_with_lines
from hashtagd.standin import Standin
from hashtagd.standin.pictures import png

#: the demo's own quiet time: ten seconds would be the whole demo, and under two the file would be read twice
QUIET_S: Final = 2
#: a demo that takes longer than this has failed
PATIENCE_S: Final = 30.0
_STEPS: Final = 3
_STEP_S: Final = 0.6
_TENSOR_BYTES: Final = 3 << 20

#: what the log says -> what a person reads
_STORY: Final[Mapping[str, str]] = {
    "root_scanned": "the folder was scanned: {files} files",
    "file_settled": "{path} rests and is whole by its own header",
    "file_digested": "{path} was read once: SHA-256 {sha256}",
    "model_found": "{provider} knows it: model {model_id}, version {version_id}",
    "model_absent": "{provider} does not know {sha256}",
    "file_published": "{path} was published",
    "file_deferred": "{path}: {what}",
    "file_parked": "{path}: {what}",
}


@click.command()
def demo() -> int:
    """Show in about ten seconds what hashtagd does, on made-up models in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="hashtagd-demo-") as folder, Standin() as standin:
        return _Demo(Path(folder), standin, SystemClock()).run()


class _Demo:
    def __init__(self, folder: Path, standin: Standin, clock: Clock) -> None:
        self._models = folder / "models"
        self._loras = self._models / "loras"
        self._state = folder / "state"
        self._standin = standin
        self._clock = clock
        self._started_s = clock.monotonic_s()
        self._published: set[str] = set()
        self._news = threading.Condition()

    def run(self) -> int:
        self._loras.mkdir(parents=True)
        self._say("a library with two models: one that Civitai knows, one private merge")
        self._drop(
            "watercolor.safetensors", self._known("Watercolor Dreams", 1, words=("wtrclr", "soft wash"))
        )
        self._drop("private-merge.safetensors", _model_bytes(2, {"ss_output_name": "private-merge"}))
        environ = {"HASHTAGD_STATE_DIR": str(self._state), "HOME": str(self._state)}
        loaded = _settings(self._standin.url, self._models, environ)
        pause = StopPause()
        process = Process(
            plan=plan_roots(loaded, (), environ=environ, state_folder=None),
            environ=environ,
            folder=self._state,
            clock=SystemClock(),
            pause=pause,
            tell=self._hear,
            bug=lambda lane, error: self._say(f"a bug in {lane}: {type(error).__name__}"),
            once=False,
        )
        with assemble(loaded, process) as service:
            thread = threading.Thread(target=service.run, name="demo-service")
            thread.start()
            try:
                done = self._wait_for(2) and self._download() and self._wait_for(3)
            finally:
                pause.stop()
                thread.join()
        if not done:
            click.echo(
                "the demo did not finish in time; `hashtagd --verbose run FOLDER` tells more", err=True
            )
            return 1
        self._show(loaded)
        return 0

    def _known(self, name: str, seed: int, *, words: tuple[str, ...]) -> bytes:
        content = _model_bytes(seed, {"ss_base_model_version": "sdxl_base_v1-0", "ss_output_name": name})
        self._standin.add(
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            name=name,
            file_name=f"{name}.safetensors",
            trained_words=words,
            tags=("style", "made up"),
            previews=(png(450, 300, seed),),
        )
        return content

    def _drop(self, name: str, content: bytes) -> None:
        path = self._loras / name
        path.write_bytes(content)
        # old enough to be settled: only what arrives before our eyes should have to wait
        past_s = self._clock.now().timestamp() - 3600
        os.utime(path, (past_s, past_s))

    def _download(self) -> bool:
        name = "neon-city.safetensors"
        content = self._known("Neon City", 3, words=("neon city", "rain"))
        self._say(f"now {name} arrives, as a slow download that writes straight to its final name")
        with (self._loras / name).open("wb", buffering=0) as file:
            for step in range(_STEPS):
                part = content[step * len(content) // _STEPS : (step + 1) * len(content) // _STEPS]
                file.write(part)
                self._say(
                    f"{name}: {bytes_in_words(file.tell())} of {bytes_in_words(len(content))} are there"
                )
                with self._news:
                    self._news.wait_for(lambda: name in self._published, _STEP_S)
        return True

    def _hear(self, event: str, /, **values: Any) -> None:  # noqa: ANN401 - log values are of any type
        line = _STORY.get(event)
        if line is None or values.get("provider") == "header":
            return
        if "sha256" in values:
            values["sha256"] = values["sha256"][:10] + "…"
        self._say(line.format_map(values))
        if event == "file_published":
            with self._news:
                self._published.add(values["path"])
                self._news.notify_all()

    def _wait_for(self, files: int) -> bool:
        with self._news:
            return self._news.wait_for(lambda: len(self._published) >= files, PATIENCE_S)

    def _say(self, line: str) -> None:
        click.echo(f"{self._clock.monotonic_s() - self._started_s:5.1f} s  {safe(line)}")

    def _show(self, loaded: Loaded) -> None:
        click.echo("\nWhat lies on the disk now:")
        for path in sorted(self._loras.iterdir()):
            click.echo(f"  {path.name:<32} {bytes_in_words(path.stat().st_size)}")
        catalog = Catalog.open(
            loaded.settings.catalog.url, clock=SystemClock(), owner=owner_id(), chance=chance
        )
        try:
            rows = catalog.reports.list_files(Filters(words=("neon",)))
        finally:
            catalog.close()
        click.echo("\nThe card of the new model (`hashtagd show neon-city.safetensors`):")
        for row in rows:
            if row.card is not None:
                print_facts(card_facts(row.card))
        requests = len([item for item in self._standin.requests if "/image/" not in item.path])
        click.echo(
            f"\nAll of it took {requests} requests, and each file was read once. With your own models:"
        )
        click.echo("  hashtagd run ~/ComfyUI")


def _settings(url: str, models: Path, environ: Mapping[str, str]) -> Loaded:
    text = json.dumps(
        {
            "comfyui": {"path": None, "url": None},
            "roots": [{"name": "models", "path": str(models), "quiet_s": QUIET_S}],
            "providers": [{"kind": "civitai", "base_url": url}, {"kind": "header"}],
            "network": {"allowed_origins": [url]},
        }
    )
    return load_with_lines(
        text,
        environ,
        source="the demo's settings",
        known_providers=providers.known_names(),
        known_writers=writers.known_names(),
    )


def _model_bytes(seed: int, metadata: Mapping[str, str]) -> bytes:
    """Make a small valid safetensors file; another seed gives other tensors."""
    block = hashlib.sha256(f"tensors {seed}".encode()).digest()
    name = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight"
    header: dict[str, Any] = {
        "__metadata__": dict(metadata),
        name: {"dtype": "U8", "shape": [_TENSOR_BYTES // 2048, 2048], "data_offsets": [0, _TENSOR_BYTES]},
    }
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + block * (_TENSOR_BYTES // len(block))
