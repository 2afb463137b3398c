"""A library is exported, deleted, and restored by real processes that are killed again and again."""

import hashlib
import itertools
import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hashtagd.standin import ArchiveStandin, Listing, Standin, copy_at
from hashtagd.standin.routes import Asked, Reply, Routes
from support.daemon_process import PLENTY_RPM, Home, command, make_home, run_command, run_once, sidecar_of
from support.depot import SOCKET_BYTES, Depot
from support.safetensors import make_safetensors

_LONG = os.environ.get("HASHTAGD_LONG") == "1"
_KILLS = 50 if _LONG else 5
_MODELS, _ONLY_ON_MIRRORS, _GONE = 200, 20, 5
#: every twentieth model is large, so that kills land in the middle of a file
_LARGE_EVERY = 20
_LONGEST_S = 1.0
#: the depots give so slowly that all of it would take so much of the time that the kills leave: there is
#: always something left to kill, and what is left then comes at full speed
_BUSY = 1.5
#: what a kill may cost a file: fetched and not yet on the disk
_LOST_BYTES = (8 << 20) + SOCKET_BYTES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800 if _LONG else 300)]


class _Sending(Routes):
    """Civitai, whose storage is a host of its own."""

    storage: str

    def _download(self, asked: Asked, text: str) -> Reply:
        reply = super()._download(asked, text)
        if "Location" not in reply.headers:
            return reply
        row = self._library.by_version[int(text)][0]
        place = f"{self.storage}/{row.sha256}?X-Amz-Signature=0"
        return Reply(status=reply.status, body=b"", headers={"Location": place})


@dataclass
class World:
    """All hosts, and one user's home."""

    home: Home
    site: Standin
    archive: ArchiveStandin
    storage: Depot
    mirror: Depot
    #: by path relative to the root
    sha256: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    listings: dict[str, Listing] = field(default_factory=dict)

    @property
    def answers(self) -> int:
        return self.storage.answers + self.mirror.answers


@pytest.fixture
def world(tmp_path: Path, site: Standin) -> Iterator[World]:
    with ArchiveStandin() as archive, Depot() as storage, Depot() as mirror:
        home = make_home(tmp_path / "home", site=site.url, quiet_s=0)
        settings = json.loads(json.dumps(_settings(home, site, archive, storage, mirror)))
        home.config.write_text(json.dumps(settings), encoding="utf-8")
        routes = _Sending(site.library, site.url)
        routes.storage = storage.url
        site.routes = routes
        yield World(home, site, archive, storage, mirror)


def _settings(
    home: Home, site: Standin, archive: ArchiveStandin, storage: Depot, mirror: Depot
) -> dict[str, Any]:
    return {
        "comfyui": {"path": None, "url": None},
        "roots": [{"name": "loras", "path": str(home.loras), "quiet_s": 0}],
        "providers": [
            {"kind": "civitai", "base_url": site.url, "requests_per_minute": PLENTY_RPM},
            {"kind": "civarchive", "base_url": archive.url, "requests_per_minute": PLENTY_RPM},
        ],
        "network": {"allowed_origins": [site.url, archive.url, storage.url, mirror.url]},
        "downloads": {"min_free_bytes": 0},
        "log": {"format": "json"},
    }


def _grow(world: World, kept: Path) -> None:
    """Make the library: some models small and some large, all of them known to the site."""
    chance = random.Random(35)
    for number in range(_MODELS):
        large = number % _LARGE_EVERY == 0
        size = chance.randint(8 << 20, 24 << 20) if large else chance.randint(50 << 10, 200 << 10)
        content = make_safetensors(fill=number, data_bytes=size)
        path = f"{'/'.join(['set', str(number % 7)][: number % 3])}/{number}.safetensors".lstrip("/")
        model = world.home.loras / path
        model.parent.mkdir(parents=True, exist_ok=True)
        model.write_bytes(content)
        os.utime(model, ns=(1_700_000_000 * 10**9,) * 2)
        sha256 = hashlib.sha256(content).hexdigest()
        (kept / sha256).write_bytes(content)
        world.storage.put(sha256, kept / sha256)
        world.sha256[path], world.sizes[path] = sha256, len(content)
        world.listings[path] = world.site.add(
            sha256=sha256,
            size_bytes=len(content),
            name=f"Model {number}",
            file_name=model.name,
            content=b"it lies in the storage",
        )


def _lose(world: World, kept: Path) -> set[str]:
    """Let the site delete models; most of them are in the archive. Gives those that nobody has any more."""
    deleted = list(world.sha256)[:: _MODELS // (_ONLY_ON_MIRRORS + _GONE)]
    assert len(deleted) == _ONLY_ON_MIRRORS + _GONE
    gone = set(deleted[1::5])
    for index, path in enumerate(deleted):
        listing = world.listings[path]
        world.site.delete(listing)
        address = f"{world.mirror.url}/{listing.sha256}"
        marks = ("model", "version", "file", "mirror")
        if path not in gone:
            world.mirror.put(listing.sha256, kept / listing.sha256)
            world.archive.adopt(listing, mirrors=[copy_at(address, "huggingface")], deleted=marks)
        elif index % 2:  # the archive knows it, and its mirror has lost it
            world.archive.adopt(listing, mirrors=[copy_at(address, "huggingface")], deleted=marks)
    assert len(gone) == _GONE
    return gone


def _restoring(home: Home, manifest: Path, out: Path) -> "subprocess.Popen[bytes]":
    with out.open("wb") as stdout:
        return subprocess.Popen(
            [*command(home), "restore", "--json", str(manifest)],
            env=home.environ(),
            stdout=stdout,
            stderr=subprocess.DEVNULL,
        )


class Looks:
    """Reads every file that has its final name, once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._seen: set[tuple[str, int, int]] = set()

    def all_right(self) -> int:
        """Fail where a model is wrong; returns how many there are."""
        there = 0
        for model in self._world.home.loras.rglob("*.safetensors"):
            path, status = model.relative_to(self._world.home.loras).as_posix(), model.stat()
            key = (path, status.st_ino, status.st_mtime_ns)
            there += 1
            if key not in self._seen:
                with model.open("rb") as file:
                    assert hashlib.file_digest(file, "sha256").hexdigest() == self._world.sha256[path], path
                self._seen.add(key)
        return there


def _kill_while_it_fetches(world: World, manifest: Path, out: Path, chance: random.Random) -> None:
    """Let one call fetch for a random time, and kill it."""
    before = world.answers
    call = _restoring(world.home, manifest, out)
    try:
        while world.answers == before:
            assert call.poll() is None, out.read_text()
            world.storage.leaving.wait(0.005)
        with pytest.raises(subprocess.TimeoutExpired):
            call.wait(chance.uniform(0, _LONGEST_S))
    finally:
        call.kill()
        call.wait()


def test_a_library_comes_back_whole_however_often_the_restore_is_killed(world: World, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    _grow(world, kept)
    assert run_once(world.home)["named"] == _MODELS
    manifest = tmp_path / "library.jsonl"
    assert run_command(world.home, "export", "--output", str(manifest)).returncode == 0
    shutil.rmtree(world.home.loras)
    shutil.rmtree(world.home.state)
    world.home.loras.mkdir()
    world.home.state.mkdir()
    gone = _lose(world, kept)

    chance, looks, out = random.Random(8), Looks(world), tmp_path / "out.json"
    rate = sum(world.sizes.values()) / (_BUSY * _KILLS * _LONGEST_S / 2)
    world.storage.bytes_per_s = world.mirror.bytes_per_s = rate / 2  # there are two connections
    for _ in range(_KILLS):
        _kill_while_it_fetches(world, manifest, out, chance)
        looks.all_right()
    resumed = [
        it for depot in (world.storage, world.mirror) for some in depot.sendings.values() for it in some
    ]
    assert sum(it.offset > 0 for it in resumed) >= _KILLS // 8, "too few kills came in the middle of a file"

    world.storage.bytes_per_s = world.mirror.bytes_per_s = None
    world.site.forget_requests()
    last = _restoring(world.home, manifest, out)
    assert last.wait(240) == 1
    told = {file["path"]: file["ending"] for file in json.loads(out.read_bytes())["files"]}
    assert {path for path, ending in told.items() if ending == "gone"} == gone
    assert {ending for path, ending in told.items() if path not in gone} <= {"there", "fetched"}

    assert looks.all_right() == _MODELS - _GONE
    assert _tree(world.home.loras) == sorted(set(world.sha256) - gone)
    assert not list(world.home.loras.rglob(".*hashtagd-part")), "an unfinished file was left"
    _judge_traffic(world)
    summary = run_once(world.home)
    # what was hashed on its way in is not read again, but for files that a kill met between their name and
    # the word about them: one for each connection
    met = sum(sorted(world.sizes.values())[-2 * _KILLS :])
    assert summary["bytes_hashed"] <= met
    for path in told.keys() - gone:
        assert sidecar_of(world.home.loras / path)["sha256"] == world.sha256[path]


def _tree(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.safetensors"))


def _judge_traffic(world: World) -> None:
    """At most so much is fetched twice per kill and file: what had not reached the disk."""
    paths = {sha256: path for path, sha256 in world.sha256.items()}
    spent = 0
    for depot in (world.storage, world.mirror):
        for sha256, sendings in depot.sendings.items():
            sent, size = sum(it.sent_bytes for it in sendings), world.sizes[paths[sha256]]
            kills = len(sendings) - 1
            assert kills <= _KILLS, paths[sha256]
            assert sent <= size + kills * _LOST_BYTES, (paths[sha256], size, sendings)
            for before, after in itertools.pairwise(sendings):
                assert after.offset >= before.offset + before.sent_bytes - _LOST_BYTES, paths[sha256]
            spent += sent
    assert spent <= sum(world.sizes.values()) + _KILLS * _LOST_BYTES
