"""A whole service with galleries: after all publishing, never in its way, and swept with the models."""

import hashlib
import json
import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.pending import publish_now
from hashtagd.core.ports import Stopping
from hashtagd.service.galleries import BehindOthers
from hashtagd.settings import Loaded
from hashtagd.standin import Standin
from hashtagd.standin.pictures import png
from support.clock import FakeClock
from support.publish_fakes import ScriptedFetcher
from support.safetensors import lora
from support.serving import Served, TickingPause, later, served, settings

PICTURES = tuple(png(8, 8, seed) for seed in range(5))


class Home:
    """A folder of LoRAs, and a site that has five pictures of each."""

    def __init__(self, folder: Path, site: Standin) -> None:
        self.loras = folder / "loras"
        self.loras.mkdir()
        self.state = folder / "state"
        self.site = site
        self.environ = {"HOME": str(folder), "HASHTAGD_STATE_DIR": str(self.state)}

    def loaded(self, gallery: int = 3, **sections: Any) -> Loaded:
        made = {
            "comfyui": {"path": None, "url": None},
            "roots": [{"name": "loras", "path": str(self.loras), "quiet_s": 0}],
            "providers": [{"kind": "civitai", "base_url": self.site.url, "requests_per_minute": 6000}],
            "network": {"allowed_origins": [self.site.url]},
            "digests": {"workers": 1},
            "preview": {"gallery": gallery},
            **sections,
        }
        return settings(json.dumps(made), self.environ)

    def put(self, name: str, seed: int, **facts: Any) -> str:
        """Put a model there that the site knows; returns its SHA-256."""
        content = lora(seed)
        path = self.loras / name
        path.write_bytes(content)
        os.utime(path, (1_700_000_000,) * 2)
        sha256 = hashlib.sha256(content).hexdigest()
        self.site.add(sha256=sha256, size_bytes=len(content), **{"previews": PICTURES, **facts})
        return sha256

    def shown(self, sha256: str) -> list[bytes]:
        """Read the pictures of a gallery; in no order."""
        folder = self.state / "gallery" / sha256[:2] / sha256
        return sorted(path.read_bytes() for path in folder.iterdir()) if folder.exists() else []

    def pictures_asked(self) -> list[str]:
        return [it.path for it in self.site.requests if it.route == "image"]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with Standin() as site:
        yield Home(tmp_path, site)


def work(run: Served, home: Home) -> None:
    """Turn until nothing is left that a run would wait for."""
    for _ in range(60):
        run.turn()
        if run.service._finished():
            return
    pytest.fail(f"never done: {run.ears.names()}, {home.pictures_asked()}")


def test_off_by_default_nothing_is_made_and_nothing_asked(home: Home) -> None:
    home.put("a.safetensors", 1)
    with served(home.loaded(0), home.environ) as run:
        work(run, home)
        assert [it.name for it in run.service.works if it.name == "galleries"] == []
    assert not (home.state / "gallery").exists()
    assert len(home.pictures_asked()) == 1


def test_every_model_gets_its_pictures_after_all_of_them_are_published(home: Home) -> None:
    hashes = [home.put(f"{seed}.safetensors", seed) for seed in range(4)]
    with served(home.loaded(), home.environ) as run:
        work(run, home)
        events = run.ears.names()
    assert all(home.shown(sha256) == sorted(PICTURES[:3]) for sha256 in hashes)
    assert len(home.pictures_asked()) == 4 + 4 * 3
    first, last = events.index("gallery_gathered"), len(events) - 1 - events[::-1].index("file_published")
    assert last < first
    assert [it["fetched"] for it in run.ears.of("gallery_gathered")] == [3] * 4


def test_another_start_fetches_nothing_again(home: Home) -> None:
    sha256 = home.put("a.safetensors", 1)
    with served(home.loaded(), home.environ) as run:
        work(run, home)
    home.site.forget_requests()
    with served(home.loaded(), home.environ) as run:
        work(run, home)
        assert run.ears.of("gallery_gathered") == []
    assert home.site.requests == ()
    assert home.shown(sha256) == sorted(PICTURES[:3])


def test_switched_on_later_it_fills_up_and_publishes_nothing_again(home: Home) -> None:
    sha256 = home.put("a.safetensors", 1)
    with served(home.loaded(0), home.environ) as run:
        work(run, home)
    with served(home.loaded(2), home.environ) as run:
        work(run, home)
        assert run.ears.of("file_published") == []
    assert home.shown(sha256) == sorted(PICTURES[:2])


def test_switched_off_it_goes(home: Home) -> None:
    home.put("a.safetensors", 1)
    with served(home.loaded(), home.environ) as run:
        work(run, home)
    with served(home.loaded(0), home.environ) as run:
        work(run, home)
        assert run.ears.of("galleries_swept") == [{"galleries": 1}]
    assert not (home.state / "gallery").exists()


def test_a_rehearsal_makes_none(home: Home) -> None:
    home.put("a.safetensors", 1)
    told: list[object] = []
    with served(home.loaded(), home.environ, rehearsed=told.append) as run:
        work(run, home)
    assert told
    assert not (home.state / "gallery").exists()


def test_addresses_without_a_picture_are_left_out_and_fail_nothing(home: Home) -> None:
    previews = (PICTURES[0], b"nothing anybody knows", b"", *PICTURES[3:])
    sha256 = home.put("a.safetensors", 1, previews=previews)
    with served(home.loaded(), home.environ) as run:
        work(run, home)
        assert run.ears.of("lane_waited") == []
        assert "kind" not in run.ears.of("file_published")[-1]
    assert home.shown(sha256) == sorted((b"", b"", PICTURES[0], *PICTURES[3:]))


def test_a_site_that_is_away_holds_up_nothing_and_the_next_start_goes_on(home: Home) -> None:
    first = home.put("a.safetensors", 1)
    with served(home.loaded(), home.environ) as run:
        while not home.shown(first):
            run.turn(1)
        home.site.fail_next(None, status=503, route="image")
        work(run, home)
        assert run.ears.of("lane_waited") == []
    assert home.shown(first) == [PICTURES[0]]
    second = home.put("b.safetensors", 2)
    with served(home.loaded(), home.environ) as run:
        work(run, home)
        assert [it["path"] for it in run.ears.of("file_published")] == ["b.safetensors"]
    home.site.clear_faults()
    with served(home.loaded(), home.environ) as run:
        run.service._catalog.retry()
        work(run, home)
    assert home.shown(first) == home.shown(second) == sorted(PICTURES[:3])
    had = [it.path for it in home.site.requests if it.route == "image" and it.status == 200]
    assert len(had) == 2 * (1 + 3), "each was fetched once, and the first one for beside the model too"


def test_a_model_that_is_gone_takes_its_gallery_with_it_and_a_moved_one_keeps_it(home: Home) -> None:
    gone, moved = home.put("a.safetensors", 1), home.put("b.safetensors", 2)
    with served(home.loaded(), home.environ) as run:
        work(run, home)
    (home.loras / "a.safetensors").unlink()
    (home.loras / "b.safetensors").rename(home.loras / "c.safetensors")
    asked = len(home.pictures_asked())
    with served(home.loaded(), home.environ) as run:
        run.turn(2)
        catalog = run.service._catalog  # else it is swept in ten seconds
        publish_now(catalog.database, catalog.peeks.waiting_to_publish(["loras"]))
        work(run, home)
    assert (home.shown(gone), home.shown(moved)) == ([], sorted(PICTURES[:3]))
    assert len(home.pictures_asked()) == asked


def test_a_model_whose_bytes_changed_loses_the_old_gallery(home: Home) -> None:
    old = home.put("a.safetensors", 1)
    with served(home.loaded(), home.environ) as run:
        work(run, home)
    new = home.put("a.safetensors", 2)
    os.utime(home.loras / "a.safetensors", (1_700_000_001,) * 2)
    with served(home.loaded(), home.environ) as run:
        work(run, home)
    assert (home.shown(old), home.shown(new)) == ([], sorted(PICTURES[:3]))


def test_a_library_that_is_read_again_keeps_its_galleries(home: Home) -> None:
    sha256 = home.put("a.safetensors", 1)
    with served(home.loaded(), home.environ) as run:
        work(run, home)
        asked = len(home.pictures_asked())
        run.service._catalog.rehash(["loras"])
        work(run, home)
        assert run.ears.of("galleries_swept") == []
    assert home.shown(sha256) == sorted(PICTURES[:3])
    assert len(home.pictures_asked()) == asked


def test_full_galleries_are_told_of_once(home: Home) -> None:
    hashes = [home.put(f"{seed}.safetensors", seed) for seed in range(3)]
    bound = {"gallery": 3, "gallery_max_bytes": 1024}
    with served(home.loaded(preview=bound), home.environ) as run:
        work(run, home)
        assert len(run.ears.of("galleries_full")) == 1
    assert sum(len(content) for sha256 in hashes for content in home.shown(sha256)) <= 1024


def test_a_folder_that_cannot_be_written_to_is_one_line_and_publishing_goes_on(home: Home) -> None:
    home.put("a.safetensors", 1)
    home.state.mkdir()
    (home.state / "gallery").write_text("a file of somebody's")
    with served(home.loaded(), home.environ) as run:
        troubles = run.turn(6)
        assert {it.kind for it in troubles} == {"gallery_not_writable"}
        assert len(troubles) == 1
        assert run.service._finished()
        assert len(run.ears.of("file_published")) == 1
    assert (home.state / "gallery").read_text() == "a file of somebody's"


def test_while_something_is_to_be_published_no_gallery_goes_on(home: Home) -> None:
    home.put("a.safetensors", 1)
    with served(home.loaded(), home.environ) as run:
        galleries = next(it for it in run.service.works if it.name == "galleries")
        while not run.ears.of("file_published"):
            for it in run.service.works:
                if it is not galleries:
                    it.turn()
        asked = len(home.pictures_asked())
        run.service._catalog.wake_publish(["loras"])
        assert galleries.turn() > 0
        assert len(home.pictures_asked()) == asked
        work(run, home)
        assert len(home.pictures_asked()) == asked + 3


def test_a_gallery_leaves_half_of_a_host_s_budget_to_those_somebody_waits_for(
    catalog: Catalog, clock: FakeClock
) -> None:
    gates = catalog.gates({"https://x.example": 4}, 60)
    fetcher = ScriptedFetcher()
    pause = TickingPause()
    behind = BehindOthers(fetcher, gates=gates, clock=clock, pause=pause)
    behind.fetch("https://x.example/1.png", BytesIO(), 1000)
    for _ in range(2):
        gates.admit("https://x.example")
    pause.stopping = True
    with pytest.raises(Stopping):
        behind.fetch("https://x.example/2.png", BytesIO(), 1000)
    assert fetcher.asked == ["https://x.example/1.png"]
    assert pause.waits_s == [pytest.approx(15.0)]
    clock.advance(15)
    behind.fetch("https://x.example/2.png", BytesIO(), 1000)
    behind.fetch("no address", BytesIO(), 1000)
    assert len(fetcher.asked) == 3


def test_a_closed_gate_is_not_waited_for(catalog: Catalog, clock: FakeClock) -> None:
    """Who fetches says why it is closed."""
    gates = catalog.gates({}, 60)
    gates.close("https://x.example", later(), 90.0)
    fetcher, pause = ScriptedFetcher(), TickingPause()
    BehindOthers(fetcher, gates=gates, clock=clock, pause=pause).fetch("https://x.example/1", BytesIO(), 1000)
    assert (fetcher.asked, pause.waits_s) == (["https://x.example/1"], [])
