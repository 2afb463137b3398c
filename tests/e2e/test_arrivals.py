"""A running daemon tags what arrives, whichever way it arrives, without any command."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hashtagd.standin import Standin
from support.daemon_process import (
    Daemon,
    Home,
    is_tagged,
    picture_of,
    publish,
    running,
    sidecar_of,
)
from support.safetensors import build, lora, noise

#: what grows in the ordinary run, and in the long one
_SHORT, _LONG = (256 << 20, 8.0), (2 << 30, 60.0)
_SIZE_BYTES, _SECONDS = _LONG if os.environ.get("HASHTAGD_LONG") == "1" else _SHORT
_STEPS = 64

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300 + _SECONDS * 4)]


def by_copy(aside: Path, home: Home) -> Path:
    return Path(shutil.copyfile(aside, home.loras / "copied.safetensors"))


def by_rename(aside: Path, home: Home) -> Path:
    part = Path(shutil.copyfile(aside, home.loras / "renamed.safetensors.part"))
    return part.rename(home.loras / "renamed.safetensors")


def by_rename_from_elsewhere(aside: Path, home: Home) -> Path:
    return aside.rename(home.loras / "moved.safetensors")


def by_hard_link(aside: Path, home: Home) -> Path:
    os.link(aside, home.loras / "linked.safetensors")
    return home.loras / "linked.safetensors"


def by_writing_into_a_new_nested_folder(aside: Path, home: Home) -> Path:
    folder = home.loras / "a" / "b" / "c"
    folder.mkdir(parents=True)
    return Path(shutil.copyfile(aside, folder / "nested.safetensors"))


def by_moving_a_folder_in(aside: Path, home: Home) -> Path:
    folder = aside.parent / "collection"
    (folder / "deep").mkdir(parents=True)
    shutil.copyfile(aside, folder / "deep" / "within.safetensors")
    folder.rename(home.loras / "collection")
    return home.loras / "collection" / "deep" / "within.safetensors"


def by_small_pieces(aside: Path, home: Home) -> Path:
    content = aside.read_bytes()
    with (home.loras / "pieces.safetensors").open("wb", buffering=0) as file:
        for start in range(0, len(content), 16):
            file.write(content[start : start + 16])
    return home.loras / "pieces.safetensors"


WAYS: list[Callable[[Path, Home], Path]] = [
    by_copy,
    by_rename,
    by_rename_from_elsewhere,
    by_hard_link,
    by_writing_into_a_new_nested_folder,
    by_moving_a_folder_in,
    by_small_pieces,
]


def test_files_get_name_and_picture_whichever_way_they_arrive(home: Home, site: Standin) -> None:
    """F02, F03, F13, F14."""
    contents = {way: lora(seed=number) for number, way in enumerate(WAYS, start=10)}
    listings = {
        way: publish(site, content, way.__name__, trained_words=["lighthouse"])
        for way, content in contents.items()
    }
    with running(home) as daemon:
        models = {}
        for way, content in contents.items():
            aside = home.folder / "aside" / f"{way.__name__}.safetensors"
            aside.parent.mkdir(exist_ok=True)
            aside.write_bytes(content)
            models[way] = way(aside, home)
        for way, model in models.items():
            daemon.until(lambda: is_tagged(model, way.__name__), why=way.__name__)  # noqa: B023 - asked at once
        assert len(daemon.events("file_digested")) == len(WAYS)
    for way, model in models.items():
        sidecar = sidecar_of(model)
        assert sidecar["sha256"] == listings[way].sha256
        assert sidecar["civitai"]["id"] == listings[way].version_id
        assert sidecar["civitai"]["trainedWords"] == ["lighthouse"]
        picture = picture_of(model)
        assert picture is not None
        assert picture.read_bytes() == listings[way].previews[0]
        assert model.read_bytes() == contents[way]


def test_a_file_that_changes_its_bytes_gets_its_new_name(home: Home, site: Standin) -> None:
    first, second = lora(seed=1), lora(seed=2)
    publish(site, first, "First")
    publish(site, second, "Second")
    model = home.loras / "x.safetensors"
    with running(home) as daemon:
        model.write_bytes(first)
        daemon.until(lambda: is_tagged(model, "First"), why="the first name")
        model.write_bytes(second)
        daemon.until(
            lambda: sidecar_of(model).get("civitai", {}).get("model", {}).get("name") == "Second",
            why="the second name",
        )


def grow(path: Path, content: memoryview, seconds: float, daemon: Daemon) -> None:
    """Write a file in steps that are spread over a time, as a slow copy does."""
    size = len(content) // _STEPS + 1
    with path.open("wb", buffering=0) as file:
        for start in range(0, len(content), size):
            file.write(content[start : start + size])
            assert not daemon.events("file_digested"), "hashed before it was whole"
            daemon.rest(seconds / _STEPS)


def test_a_large_file_that_grows_slowly_is_hashed_exactly_once(home: Home, site: Standin) -> None:
    """F13: no hash of a half, and each byte is read once. The quiet time is shorter than the whole growth."""
    content = build(data=noise(5, 1 << 20) * (_SIZE_BYTES >> 20))
    publish(site, content, "Slow")
    model = home.loras / "slow.safetensors"
    with running(home) as daemon:
        grow(model, memoryview(content), _SECONDS, daemon)
        daemon.until(lambda: is_tagged(model, "Slow"), why="the name")
        daemon.terminate()
        digested = daemon.events("file_digested")
    assert [event["size_bytes"] for event in digested] == [len(content)]
    assert {event["stage"] for event in daemon.events("file_changed")} <= {"settle"}, "hashed too early"
