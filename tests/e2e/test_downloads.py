"""Downloads that are left to a daemon, and those that a killed process leaves behind."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from hashtagd.standin import Standin
from support.daemon_process import Home, command, is_tagged, make_home, run_command, running, status_of, until
from support.safetensors import lora

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def home(tmp_path: Path, site: Standin) -> Home:
    return make_home(tmp_path / "home", site=site.url, downloads={"min_free_bytes": 0})


def offer(site: Standin, number: int) -> bytes:
    """Let the site have a model; version 100 + number, file `N.safetensors`."""
    content = lora(number)
    site.add(
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        content=content,
        name=f"Model {number}",
        model_id=10 + number,
        version_id=100 + number,
        file_name=f"{number}.safetensors",
    )
    return content


def test_the_daemon_that_runs_fetches_what_is_left_to_it(home: Home, site: Standin) -> None:
    content = offer(site, 1)
    with running(home) as daemon:
        daemon.ready()
        done = run_command(home, "get", "--detach", "101")
        assert done.returncode == 0
        assert "left to the daemon" in done.stdout
        model = home.loras / "1.safetensors"
        daemon.until(lambda: is_tagged(model, "Model 1", picture=False))
        assert model.read_bytes() == content
        assert daemon.events("file_fetched")
        assert not daemon.events("file_digested"), "what was hashed on its way in is not read again"


def test_a_call_stands_by_while_the_daemon_fetches(home: Home, site: Standin) -> None:
    content = offer(site, 2)
    with running(home) as daemon:
        daemon.ready()
        done = run_command(home, "get", "102")
        assert (done.returncode, done.stdout) == (0, "loras/2.safetensors\n")
        assert (home.loras / "2.safetensors").read_bytes() == content
        assert daemon.events("file_fetched")


def test_what_a_killed_call_began_the_daemon_ends(home: Home, site: Standin) -> None:
    content = offer(site, 3)
    site.fail_next(None, status=503, route="storage")
    call = subprocess.Popen(  # the storage does not answer, so it waits until it is killed
        [*command(home), "get", "103"],
        env=home.environ(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: bool(status_of(home)["downloads"]))
    finally:
        call.kill()
        call.wait()
    site.clear_faults()
    assert run_command(home, "retry").returncode == 0
    with running(home) as daemon:
        daemon.until(lambda: is_tagged(home.loras / "3.safetensors", "Model 3", picture=False))
    assert (home.loras / "3.safetensors").read_bytes() == content


def test_what_was_taken_back_no_daemon_fetches(home: Home, site: Standin) -> None:
    offer(site, 4)
    site.fail_next(None, status=503, route="storage")
    with running(home) as daemon:
        daemon.ready()
        assert run_command(home, "get", "--detach", "104").returncode == 0
        daemon.until(lambda: [it["trouble"] is not None for it in status_of(home)["downloads"]] == [True])
        taken = run_command(home, "get", "--cancel", "4.safetensors")
        assert (taken.returncode, taken.stdout) == (0, "loras/4.safetensors: not waited for any more\n")
        site.clear_faults()
        offer(site, 5)
        # who waited longest would have come first
        assert run_command(home, "retry").returncode == 0
        assert run_command(home, "get", "105").returncode == 0
    assert sorted(path.name for path in home.loras.glob("*.safetensors")) == ["5.safetensors"]
