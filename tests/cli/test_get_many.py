"""`hashtagd get` with many names: the first need not wait for the last, and the owner says in which order."""

import hashlib
import threading
from typing import Any

import pytest

from hashtagd.core.manifest import Entry, json_line
from hashtagd.standin.routes import Asked, Reply, Routes
from support.commands import Home
from support.getting import offer
from support.safetensors import make_safetensors

#: bytes of the tensors of three models, by the number of their version
SIZES = {22: 3000, 23: 1000, 24: 2000}


class Slow(Routes):
    """A site that says what version 23 is only once somebody has asked for the file of version 22."""

    asked_for: threading.Event
    in_time: bool = False

    def _version(self, asked: Asked, text: str) -> Reply:
        if text == "23":
            self.in_time = self.asked_for.wait(20.0)
        return super()._version(asked, text)

    def _download(self, asked: Asked, text: str) -> Reply:
        self.asked_for.set()
        return super()._download(asked, text)


def offer_three(home: Home, **downloads: Any) -> None:
    home.settle(downloads={"min_free_bytes": 0, **downloads})
    for number, size in SIZES.items():
        content = make_safetensors(data_bytes=size, fill=number)
        facts = {"version_id": number, "model_id": number, "file_id": number}
        offer(home, content, **facts, file_name=f"{number}.safetensors")


def order_of(home: Home) -> list[str]:
    """Give the versions in the order in which their files were asked for."""
    return [it.path.rpartition("/")[2] for it in home.site.requests if it.route == "download"]


def test_the_first_is_fetched_while_the_others_are_still_asked_about(home: Home) -> None:
    offer_three(home)
    routes = Slow(home.site.library, home.site.url)
    routes.asked_for = threading.Event()
    home.site.routes = routes
    assert home.cli("get", "22", "23").code == 0
    assert routes.in_time
    assert {it.name for it in home.loras.glob("*.safetensors")} == {"22.safetensors", "23.safetensors"}


@pytest.mark.parametrize(
    "words, expected",
    [
        ((), ["22", "23", "24"]),
        (("--order", "list"), ["22", "23", "24"]),
        (("--order", "size"), ["23", "24", "22"]),
    ],
)
def test_files_come_in_the_order_of_the_list_or_the_smallest_first(
    home: Home, words: tuple[str, ...], expected: list[str]
) -> None:
    offer_three(home, max_parallel=1)
    assert home.cli("get", *words, "22", "23", "24").code == 0
    assert order_of(home) == expected


@pytest.mark.parametrize("words, first", [((), "22"), (("--order", "size"), "23")])
def test_a_library_comes_back_in_the_order_of_its_list_or_the_smallest_first(
    home: Home, words: tuple[str, ...], first: str
) -> None:
    offer_three(home, max_parallel=1)
    lines = []
    for number, size in SIZES.items():
        content = make_safetensors(data_bytes=size, fill=number)
        facts = {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
        lines.append(json_line(Entry(root="loras", path=f"{number}.safetensors", **facts)) + "\n")
    manifest = home.folder / "library.jsonl"
    manifest.write_text("".join(lines), encoding="utf-8")
    assert home.cli("restore", *words, manifest).code == 0
    assert order_of(home)[0] == first


def test_a_page_is_two_questions(home: Home) -> None:
    """Of the model that its page shows first nothing is asked a second time."""
    offer(home)
    assert home.cli("get", "https://civitai.com/models/11").code == 0
    asked = [it.path for it in home.site.requests if it.path.startswith("/api/v1")]
    assert asked == ["/api/v1/models/11", "/api/v1/model-versions/22"]
