"""A new user's way: the address of a page, a ComfyUI beside, and what one sees on a real terminal."""

import hashlib
import json
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from hashtagd.standin import Standin
from hashtagd.standin.pictures import png
from hashtagd.standin.routes import Asked, Reply, Routes
from support.beside import Beside
from support.daemon_process import PLENTY_RPM, Home, command, until
from support.depot import Depot
from support.safetensors import make_safetensors
from support.terminal import Shown, run_in_terminal

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SIZE_BYTES = 6_000_000
BYTES_PER_S = 2_000_000
PAGE = "https://civitai.com/models/11/ink-wash"
NAME = "ink_wash.safetensors"
#: name, bar, percentage, bytes of all, rate, time left
LINE = r"\S+ +[━╸╺]+ +\d+% +[\d.]+/[\d.]+ MB +(?P<rate>[\d.]+) MB/s +left: +\d:\d\d:\d\d"


class Storage(Routes):
    """Civitai, whose storage is a host of its own, and slow."""

    storage: str

    def _download(self, asked: Asked, text: str) -> Reply:
        reply = super()._download(asked, text)
        if "Location" not in reply.headers:
            return reply
        place = f"{self.storage}/{self._library.by_version[int(text)][0].sha256}?X-Amz-Signature=0"
        return Reply(status=reply.status, body=b"", headers={"Location": place})


@dataclass
class Machine:
    """A user's home with a ComfyUI in it that runs, and settings that only say where the sites are."""

    home: Home
    site: Standin
    depot: Depot
    beside: Beside

    @property
    def models(self) -> Path:
        return self.home.user / "ComfyUI" / "models"

    def offer(self, number: int = 0, **facts: object) -> bytes:
        """Let the site have a model."""
        content = make_safetensors(fill=number, data_bytes=SIZE_BYTES)
        sha256 = hashlib.sha256(content).hexdigest()
        self.depot.put(sha256, content)
        plain = {
            "name": "Ink wash",
            "model_id": 11 + number,
            "version_id": 22 + number,
            "file_id": 33 + number,
            "file_name": NAME,
            "trained_words": ("inkwash",),
            "tags": ("style", "ink"),
            "previews": (png(8, 8, number),),
        }
        self.site.add(sha256=sha256, size_bytes=len(content), content=content, **{**plain, **facts})  # type: ignore[arg-type] # fields of a listing
        return content

    def get(self, *words: str, columns: int = 100) -> Shown:
        return run_in_terminal([*command(self.home), "get", *words], self.home.environ(), columns=columns)


@pytest.fixture
def machine(tmp_path: Path, site: Standin) -> Iterator[Machine]:
    home = Home(
        folder=tmp_path,
        config=tmp_path / "config.yaml",
        loras=tmp_path / "user" / "ComfyUI" / "models" / "loras",
        state=tmp_path / "state",
        user=tmp_path / "user",
    )
    for kind in ("checkpoints", "loras", "vae"):
        (home.user / "ComfyUI" / "models" / kind).mkdir(parents=True)
    with Depot() as depot, Beside(home.user / "ComfyUI" / "models", assets=False) as beside:
        depot.bytes_per_s = BYTES_PER_S
        routes = Storage(site.library, site.url)
        routes.storage = depot.url
        site.routes = routes
        # where ComfyUI's folder lies is nobody's to say: it is looked for
        settings = {
            "comfyui": {"url": beside.url},
            "providers": [
                {"kind": "civitai", "base_url": site.url, "requests_per_minute": PLENTY_RPM},
                {"kind": "header"},
            ],
            "network": {"allowed_origins": [site.url, depot.url]},
            "downloads": {"min_free_bytes": 0},
        }
        home.config.write_text(yaml.safe_dump(settings), encoding="utf-8")
        yield Machine(home, site, depot, beside)


def bars(shown: Shown) -> list[re.Match[str]]:
    """Find every line of progress that was ever on the screen."""
    return [found for screen in shown.screens for found in re.finditer(LINE, screen)]


def test_the_address_of_a_page_is_all_it_takes(machine: Machine) -> None:
    content = machine.offer()
    shown = machine.get(PAGE)
    assert shown.code == 0, shown.last
    # in the folder of its type
    model = machine.models / "loras" / NAME
    assert model.read_bytes() == content
    # named, tagged, with picture
    sidecar = json.loads(model.with_suffix(".metadata.json").read_text(encoding="utf-8"))
    assert (sidecar["model_name"], sidecar["tags"]) == ("Ink wash", ["style", "ink"])
    assert sidecar["civitai"]["trainedWords"] == ["inkwash"]
    assert model.with_suffix(".preview.png").read_bytes() == png(8, 8, 0)
    # and the programs that run know of it
    assert machine.beside.told() == [str(model)]
    # the way there was to be seen
    seen = bars(shown)
    assert {found[0].split()[0] for found in seen} == {NAME}
    percents = [int(found[1]) for it in seen if (found := re.search(r"(\d+)%", it[0])) is not None]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert any(10 < percent < 90 for percent in percents), percents
    assert shown.last.splitlines()[-1] == f"models/loras/{NAME}"


def test_what_an_earlier_call_brought_does_not_count_as_speed(machine: Machine) -> None:
    content = machine.offer()
    part = machine.models / "loras" / f".{NAME}.hashtagd-part"
    part.write_bytes(content[: SIZE_BYTES // 2])
    shown = machine.get(PAGE)
    assert shown.code == 0, shown.last
    assert (machine.models / "loras" / NAME).read_bytes() == content
    rates = [float(found["rate"]) for found in bars(shown)]
    # what came at once as the connection was opened, and what the machine slept through
    assert rates
    assert max(rates) < 5 * BYTES_PER_S / 1e6, rates


def test_several_have_a_line_each_and_one_for_all_on_a_narrow_terminal_too(machine: Machine) -> None:
    names = {f"a_rather_long_name_of_a_model_{number}.safetensors" for number in range(2)}
    for number, name in enumerate(sorted(names)):
        machine.offer(number, file_name=name)
    shown = machine.get("22", "23", columns=80)
    assert shown.code == 0, shown.last
    begins = {found[0].split()[0] for found in bars(shown)}
    assert "all" in begins
    assert len(begins) == 3, "what tells two long names apart is not cut away"
    assert all(len(line) <= 80 for screen in shown.screens for line in screen.splitlines())
    assert names == {path.name for path in (machine.models / "loras").glob("*.safetensors")}


def test_a_get_that_is_stopped_says_so_and_goes_on_where_it_ended(machine: Machine) -> None:
    content = machine.offer()
    part = machine.models / "loras" / f".{NAME}.hashtagd-part"
    call = subprocess.Popen(
        [*command(machine.home), "get", PAGE],
        env=machine.home.environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: part.exists() and part.stat().st_size > 0)
        call.send_signal(signal.SIGINT)
        out, err = call.communicate(timeout=60)
    finally:
        call.kill()
        call.wait()
    assert (call.returncode, out) == (75, "")
    assert "the same command goes on from there" in err
    assert machine.get(PAGE).code == 0
    assert (machine.models / "loras" / NAME).read_bytes() == content
