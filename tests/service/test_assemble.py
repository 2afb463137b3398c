import hashlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hashtagd.catalog.catalog import Catalog
from hashtagd.core.troubles import AskOperator
from hashtagd.core.work import Stage
from hashtagd.service.lock import DaemonLock, OwnerFile, dead_owners, running_pid
from hashtagd.service.presence import read_presence
from hashtagd.settings import Loaded, SettingsMistakes
from hashtagd.standin import Standin
from hashtagd.standin.pictures import png
from support.clock import FakeClock
from support.safetensors import lora
from support.serving import Ears, Served, served, settings
from support.stage_fakes import as_nobody


class Home:
    """A folder with one root, a state folder, and settings that lead to a site."""

    def __init__(self, folder: Path, site: Standin) -> None:
        self.loras = folder / "loras"
        self.loras.mkdir()
        self.state = folder / "state"
        self.site = site
        self.environ = {"HOME": str(folder), "HASHTAGD_STATE_DIR": str(self.state)}

    def loaded(self, **sections: Any) -> Loaded:
        made = {
            "comfyui": {"path": None, "url": None},
            "roots": [{"name": "loras", "path": str(self.loras), "quiet_s": 0}],
            "providers": [
                {"kind": "civitai", "base_url": self.site.url, "requests_per_minute": 6000},
                {"kind": "header"},
            ],
            "network": {"allowed_origins": [self.site.url]},
            "digests": {"workers": 1},
            **sections,
        }
        return settings(json.dumps(made), self.environ)

    def put(self, name: str, seed: int, *, known: bool = True) -> Path:
        """Put a model down that has been resting for an hour."""
        content = lora(seed)
        path = self.loras / name
        path.write_bytes(content)
        past_s = path.stat().st_mtime - 3600
        os.utime(path, (past_s, past_s))
        if known:
            sha256 = hashlib.sha256(content).hexdigest()
            self.site.add(sha256=sha256, size_bytes=len(content), name=name, previews=(png(8, 8, seed),))
        return path

    def catalog(self, owner: str = "test") -> Catalog:
        return Catalog.open(
            f"sqlite:///{self.state}/catalog.db", clock=FakeClock(), owner=owner, chance=lambda: 0.0
        )


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with Standin() as site:
        yield Home(tmp_path, site)


def sidecars(home: Home) -> set[str]:
    return {path.name for path in home.loras.iterdir() if path.suffix != ".safetensors"}


def finished(run: Served) -> bool:
    return run.service._finished()


def test_turned_by_hand_a_service_names_what_is_known_and_sums_it_up(home: Home) -> None:
    home.put("known.safetensors", 1)
    home.put("strange.safetensors", 2, known=False)
    with served(home.loaded(), home.environ) as run:
        assert not finished(run)
        assert run.turn() == []
        assert finished(run)
        summary = run.service.summary()
    assert (summary.files, summary.named, summary.unknown, summary.waiting) == (2, 1, 1, 0)
    assert summary.requests[home.site.url] == len(home.site.requests)
    assert summary.written == len(sidecars(home)) == 4
    assert run.ears.bugs == []
    assert {"file_settled", "file_digested", "model_found", "file_published"} <= set(run.ears.names())


def test_a_run_in_its_own_threads_ends_by_itself(home: Home) -> None:
    home.put("known.safetensors", 1)
    reported: list[tuple[int, int]] = []
    with served(home.loaded(), home.environ) as run:
        object.__setattr__(run.service._process, "progress", lambda *counts: reported.append(counts))
        assert run.service.run()
        assert running_pid(home.state) == os.getpid()
    assert reported[-1] == (1, 1)
    assert running_pid(home.state) is None
    assert read_presence(home.state)["paths"] == {"loras": str(home.loras)}
    assert "known.metadata.json" in sidecars(home)
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("lane-")] == []


def test_a_daemon_goes_on_until_it_is_stopped(home: Home) -> None:
    ears = Ears()
    with served(home.loaded(), home.environ, once=False, ears=ears) as run:
        run.pause.stop()
        assert run.service.run()
    assert ears.names()[-1] == "daemon_stopped"


def test_a_second_start_writes_asks_and_reads_nothing(home: Home) -> None:
    home.put("known.safetensors", 1)
    with served(home.loaded(), home.environ) as run:
        run.turn()
    home.site.forget_requests()
    before = {path: path.stat() for path in home.loras.iterdir()}
    with served(home.loaded(), home.environ) as run:
        run.turn()
        assert run.service.summary().bytes_hashed == 0
    assert home.site.requests == ()
    assert {path: path.stat().st_mtime_ns for path in before} == {
        path: status.st_mtime_ns for path, status in before.items()
    }


def test_other_writers_publish_again_and_ask_nobody(home: Home) -> None:
    home.put("known.safetensors", 1)
    with served(home.loaded(writers=["lora-manager"]), home.environ) as run:
        run.turn()
    assert sidecars(home) == {"known.metadata.json"}
    home.site.forget_requests()
    with served(home.loaded(writers=["lora-manager", "civitai-info"]), home.environ) as run:
        run.turn()
    assert sidecars(home) == {"known.metadata.json", "known.civitai.info"}
    assert home.site.requests == ()


def test_a_root_that_comes_and_goes_is_told_once_each(home: Home) -> None:
    away = home.loras.with_name("away")
    home.loras.rename(away)
    with served(home.loaded(), home.environ) as run:
        run.turn(1)
        assert finished(run)
        assert run.service.summary().for_a_person
        away.rename(home.loras)
        run.service.works[0]._checked_s = float("-inf")  # type: ignore[attr-defined] # the next check is now
        run.turn(1)
    assert [values["kind"] for values in run.ears.of("root_paused")] == ["root_away"]
    assert run.ears.of("root_recovered") == [{"root": "loras"}]


def test_a_provider_that_the_settings_put_in_front_is_asked_about_what_is_known(home: Home) -> None:
    home.put("known.safetensors", 1)
    with served(home.loaded(providers=[{"kind": "header"}]), home.environ) as run:
        run.turn()
        assert finished(run)
    assert home.site.requests == ()
    with served(home.loaded(), home.environ) as run:
        run.turn()
        assert finished(run)
    assert home.site.requests != ()
    assert run.ears.bugs == []


def test_without_providers_files_are_hashed_and_nobody_is_asked(home: Home) -> None:
    home.put("known.safetensors", 1)
    with served(home.loaded(providers=[]), home.environ) as run:
        run.turn()
        assert finished(run)
        assert run.service.summary().unknown == 1
    assert home.site.requests == ()


def test_a_second_daemon_is_refused_and_leaves_the_first_alone(home: Home) -> None:
    """F71."""
    with served(home.loaded(), home.environ):
        with pytest.raises(AskOperator, match=f"pid {os.getpid()}"), served(home.loaded(), home.environ):
            pass
        assert running_pid(home.state) == os.getpid()


def test_what_a_killed_process_had_claimed_is_free_at_once(home: Home) -> None:
    """F73."""
    home.put("known.safetensors", 1)
    with served(home.loaded(), home.environ) as run:
        run.turn(1)
        run.service.works[0].turn()
    killed = home.catalog("dead")
    killed.wake_publish(["loras"])
    killed.retry()
    claims = [claim for stage in Stage for claim in killed.claim(stage, ["loras"], 9)]
    proof = OwnerFile(home.state, "dead")
    proof.acquire()
    assert proof._fd is not None
    os.close(proof._fd)
    assert killed.owners() == ({"dead"} if claims else set())
    assert dead_owners(home.state) == ["dead"]
    with served(home.loaded(), home.environ):
        assert killed.owners() == set()
        assert "owner-dead.lock" not in {path.name for path in home.state.iterdir()}
    killed.close()


def test_a_service_that_ends_gives_its_leases_back_even_if_it_breaks(home: Home) -> None:
    home.put("known.safetensors", 1)

    def break_off() -> None:
        with served(home.loaded(), home.environ) as run:
            run.service.works[0].turn()
            assert run.service._catalog.claim(Stage.SETTLE, ["loras"], 9)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    looking = home.catalog()
    assert looking.owners() == set()
    looking.close()


def test_a_wrong_option_ends_the_start_and_frees_the_lock(home: Home) -> None:
    wrong = home.loaded(writers=[{"civitai-info": {"no_such_option": 1}}])
    with pytest.raises(SettingsMistakes), served(wrong, home.environ):
        pass
    assert running_pid(home.state) is None
    with served(home.loaded(), home.environ):
        pass


def test_a_state_folder_that_cannot_be_made_is_a_matter_for_a_person(home: Home) -> None:
    home.state.parent.chmod(0o555)
    try:
        with as_nobody(), pytest.raises(AskOperator) as refused:
            DaemonLock(home.state, owner="x", pid=1).acquire()
    finally:
        home.state.parent.chmod(0o755)
    assert refused.value.kind == "state_folder_unusable"


def test_a_lane_that_dies_asks_for_a_restart(home: Home) -> None:
    with served(home.loaded(), home.environ, once=False) as run:
        told: list[str] = []

        def explode(lane: str, _error: Exception) -> None:
            told.append(lane)
            if len(told) == 1:
                raise OSError("no log")

        run.service.works[0].turn = lambda: 1 / 0  # type: ignore[method-assign] # a bug
        object.__setattr__(run.service._process, "bug", explode)
        assert not run.service.run()
    assert told == ["scout-1", "scout-1"]


def test_a_bug_in_the_main_loop_is_told_and_asks_for_a_restart(home: Home) -> None:
    with served(home.loaded(), home.environ, once=True) as run:
        run.service._judge.finished = lambda: 1 / 0  # type: ignore[method-assign,assignment,return-value] # a bug
        assert not run.service.run()
    assert [lane for lane, _ in run.ears.bugs] == ["supervisor"]
