"""What makes trouble is named in `status` with three clauses; everything else goes on, and it heals."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hashtagd.standin import Standin
from support.daemon_process import (
    Daemon,
    Home,
    is_tagged,
    make_home,
    publish,
    run_command,
    running,
    status_of,
)
from support.safetensors import frame, lora

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
#: short scans: what heals is seen by the next one
_SCAN_S = 2
#: a new file is due in so many seconds, and its root is away until then
_AWAY_S = 12


class Stage:
    """One troubled model (or folder), one innocent one, and a daemon."""

    def __init__(self, home: Home, site: Standin) -> None:
        self.home = home
        self.good = home.loras / "good" / "good.safetensors"
        self.bad = home.loras / "bad" / "bad.safetensors"
        for seed, model in enumerate((self.good, self.bad)):
            model.parent.mkdir()
            model.write_bytes(lora(seed))
            publish(site, lora(seed), model.stem)

    def trouble(self, daemon: Daemon, *, where: str) -> dict[str, Any]:
        """Wait for a trouble in `status`."""

        def found() -> dict[str, Any] | None:
            troubles = status_of(self.home)["troubles"]
            return next((it for it in troubles if where in it["where"] or it["where"] == "loras"), None)

        return daemon.until(found, why=f"a trouble at {where}")

    def healed(self) -> bool:
        status = status_of(self.home)
        return is_tagged(self.bad, "bad") and status["troubles"] == [] and status["states"]["published"] == 2


@pytest.fixture
def stage(tmp_path: Path, site: Standin) -> Stage:
    return Stage(make_home(tmp_path / "home", site=site.url, scan_interval_s=_SCAN_S), site)


def without_privileges(stage: Stage) -> Daemon:
    """Make a daemon that the modes of files hold for; for root they do not unless it gives up that right."""
    if os.geteuid() != 0:
        return Daemon(stage.home)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("setpriv is not installed: root cannot be kept from reading everything")
    return Daemon(stage.home, before=[setpriv, "--bounding-set", "-dac_override,-dac_read_search", "--"])


def assert_has_three_clauses(trouble: dict[str, Any]) -> None:
    assert all(len(trouble[name]) > 8 for name in ("what", "does", "you")), trouble


def test_a_file_that_cannot_be_read_is_parked_and_heals(stage: Stage) -> None:
    """F20."""
    with without_privileges(stage) as daemon:
        stage.bad.chmod(0)
        daemon.until(lambda: is_tagged(stage.good, "good"), why="the other file")
        trouble = stage.trouble(daemon, where="bad.safetensors")
        assert_has_three_clauses(trouble)
        assert not is_tagged(stage.bad, "bad")
        stage.bad.chmod(0o644)
        assert run_command(stage.home, "retry").returncode == 0
        daemon.until(stage.healed, why="the name after the mode was put back")


def test_a_folder_that_cannot_be_written_to_holds_up_nothing_else(stage: Stage) -> None:
    """F79."""
    with without_privileges(stage) as daemon:
        stage.bad.parent.chmod(0o555)
        daemon.until(lambda: is_tagged(stage.good, "good"), why="the other file")
        trouble = stage.trouble(daemon, where="bad.safetensors")
        assert_has_three_clauses(trouble)
        stage.bad.parent.chmod(0o755)
        assert run_command(stage.home, "retry").returncode == 0
        daemon.until(stage.healed, why="the name after the mode was put back")
    assert len(daemon.events("file_digested")) == 2


def test_files_that_waited_for_a_root_are_worked_on_when_it_is_back(tmp_path: Path, site: Standin) -> None:
    """Nothing is committed then: it holds what it held before, and no scan finds a difference."""
    home = make_home(tmp_path / "home", site=site.url, quiet_s=_AWAY_S, scan_interval_s=_SCAN_S)
    model = home.loras / "Ink.safetensors"
    publish(site, lora(0), "Ink")
    with running(home) as daemon:
        model.write_bytes(lora(0))
        daemon.until(lambda: sum(status_of(home)["states"].values()) == 1)
        daemon.until(lambda: any(scan["files"] == 1 for scan in daemon.events("root_scanned")))
        home.loras.rename(tmp_path / "away")
        daemon.until(lambda: daemon.events("root_paused"))
        daemon.rest(_AWAY_S)
        assert daemon.events("file_settled") == []
        (tmp_path / "away").rename(home.loras)
        daemon.until(lambda: is_tagged(model, "Ink", picture=False))


def test_a_file_that_is_no_model_is_parked_and_heals_when_it_becomes_one(stage: Stage) -> None:
    """F25, F27."""
    good_bytes = stage.bad.read_bytes()
    stage.bad.write_bytes(frame(b'{"w":{"dtype":"U8","shape":[4],"data_offsets":[9,2]}}', b"1234"))
    with Daemon(stage.home) as daemon:
        daemon.until(lambda: is_tagged(stage.good, "good"), why="the other file")
        trouble = stage.trouble(daemon, where="bad.safetensors")
        assert_has_three_clauses(trouble)
        assert status_of(stage.home)["states"]["parked"] == 1
        stage.bad.write_bytes(good_bytes)
        daemon.until(stage.healed, why="the name of the whole file")
    assert len(daemon.events("file_digested")) == 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, of 64 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m,mode=755", "tmpfs", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Leave no room on a disk."""
    filler = disk / "filler.bin"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            pass
    return filler


def test_a_run_that_ended_on_a_full_disk_says_so_then_and_afterwards(
    tmp_path: Path, site: Standin, small_disk: Path
) -> None:
    """F78, O5."""
    home = make_home(tmp_path / "home", site=site.url, loras=small_disk)
    Stage(home, site)
    fill(small_disk)
    done = run_command(home, "run", "--once")
    assert done.returncode == 1
    assert "loras: " in done.stdout
    assert "  you:      " in done.stdout
    assert "list --trouble" not in done.stdout, "nothing is wrong with the files"
    log = [json.loads(line) for line in done.stderr.splitlines()]
    about_room = [it["event"] for it in log if "room" in it.get("what", "") or "full" in it.get("what", "")]
    assert about_room == ["root_paused"]
    (told,) = status_of(home)["troubles"]
    assert (told["scope"], told["where"]) == ("root", "loras")
    assert told["seen_at"].endswith("Z")
    assert_has_three_clauses(told)


def test_a_full_disk_pauses_writing_and_heals_when_there_is_room(
    tmp_path: Path, site: Standin, small_disk: Path
) -> None:
    """F78."""
    home = make_home(tmp_path / "home", site=site.url, loras=small_disk, scan_interval_s=_SCAN_S)
    stage = Stage(home, site)
    filler = fill(small_disk)
    with Daemon(home) as daemon:
        trouble = stage.trouble(daemon, where="loras")
        assert_has_three_clauses(trouble)
        assert not is_tagged(stage.good, "good")
        assert len(daemon.events("file_digested")) == 2, "hashing goes on"
        assert not list(small_disk.rglob(".hashtagd-*")), "temporary files take room"
        filler.unlink()
        daemon.until(stage.healed, within_s=60, why="both names after there was room again")
    assert len(daemon.events("file_digested")) == 2
