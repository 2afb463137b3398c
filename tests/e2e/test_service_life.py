"""The life of a service as its manager sees it: a real notify socket, a real process, real signals."""

import json
import signal
import time

import pytest
import yaml

from hashtagd.standin import Standin
from support.daemon_process import Daemon, Home, is_tagged, publish, run_command, running, until
from support.safetensors import lora
from support.service_manager import Manager

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def settings_of(home: Home) -> dict[str, object]:
    document: dict[str, object] = yaml.safe_load(home.config.read_text(encoding="utf-8"))
    return document


def test_the_manager_hears_of_the_whole_life(home: Home, site: Standin, manager: Manager) -> None:
    with running(home, environ={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "3000000"}) as daemon:
        daemon.until(lambda: "READY=1" in manager.hears())
        daemon.until(lambda: "STATUS=watching 1 roots" in manager.hears())
        daemon.until(lambda: manager.hears().count("WATCHDOG=1") >= 2)
        content = lora(1)
        publish(site, content, "Ink")
        (home.loras / "ink.safetensors").write_bytes(content)
        daemon.until(lambda: is_tagged(home.loras / "ink.safetensors", "Ink", picture=False))
        assert daemon.terminate() == 0
        until(lambda: manager.hears()[-1] == "STOPPING=1", within_s=5)
    assert manager.hears().count("READY=1") == 1


def test_the_watchdog_starves_when_the_main_loop_hangs(home: Home, manager: Manager) -> None:
    """A stopped process is the hardest hang there is; one that goes on is fed again."""
    with running(home, environ={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "1500000"}) as daemon:
        daemon.until(lambda: "WATCHDOG=1" in manager.hears())
        daemon.process.send_signal(signal.SIGSTOP)
        try:
            daemon.rest(1.0)
            manager.forget()
            daemon.rest(2.0)
            assert "WATCHDOG=1" not in manager.hears()
        finally:
            daemon.process.send_signal(signal.SIGCONT)
        daemon.until(lambda: "WATCHDOG=1" in manager.hears())


def test_a_hangup_takes_the_new_settings_and_the_same_process_goes_on(
    home: Home, site: Standin, manager: Manager
) -> None:
    other = home.folder / "checkpoints"
    other.mkdir()
    with running(home, environ={"NOTIFY_SOCKET": manager.address}) as daemon:
        daemon.until(lambda: "READY=1" in manager.hears())
        pid = daemon.process.pid
        document = settings_of(home)
        document["roots"] = [
            {"name": "loras", "path": str(home.loras), "quiet_s": 1},
            {"name": "checkpoints", "path": str(other), "quiet_s": 1},
        ]
        home.config.write_text(yaml.safe_dump(document), encoding="utf-8")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until(lambda: manager.hears().count("READY=1") == 2)
        assert manager.hears().index("RELOADING=1") > manager.hears().index("READY=1")
        content = lora(2)
        publish(site, content, "Big")
        (other / "big.safetensors").write_bytes(content)
        daemon.until(lambda: is_tagged(other / "big.safetensors", "Big", picture=False))
        assert (daemon.process.pid, daemon.process.poll()) == (pid, None)
        assert "STOPPING=1" not in manager.hears()
        assert daemon.terminate() == 0


def test_a_hangup_with_a_bad_file_keeps_the_old_settings_and_says_so(
    home: Home, site: Standin, manager: Manager
) -> None:
    with running(home, environ={"NOTIFY_SOCKET": manager.address}) as daemon:
        daemon.until(lambda: "READY=1" in manager.hears())
        good = home.config.read_text(encoding="utf-8")
        home.config.write_text(good + "\nrots: []\n", encoding="utf-8")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until(lambda: bool(daemon.events("settings_refused")))
        (refused,) = daemon.events("settings_refused")
        assert any("rots" in mistake for mistake in refused["mistakes"])
        content = lora(3)
        publish(site, content, "Ink")
        (home.loras / "ink.safetensors").write_bytes(content)
        daemon.until(lambda: is_tagged(home.loras / "ink.safetensors", "Ink", picture=False))
        assert "RELOADING=1" not in manager.hears()
        home.config.write_text(good, encoding="utf-8")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until(lambda: "RELOADING=1" in manager.hears())
        assert daemon.terminate() == 0


def test_a_hangup_with_settings_that_cannot_be_worked_with_goes_back_to_the_old_ones(
    home: Home, site: Standin, manager: Manager
) -> None:
    """They are well written, and only trying shows that the catalog they name cannot be made."""
    with running(home, environ={"NOTIFY_SOCKET": manager.address}) as daemon:
        daemon.until(lambda: "READY=1" in manager.hears())
        good = home.config.read_text(encoding="utf-8")
        bad = {**settings_of(home), "catalog": {"url": "sqlite:////proc/none/catalog.db"}}
        home.config.write_text(yaml.safe_dump(bad), encoding="utf-8")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until(lambda: bool(daemon.events("settings_refused")))
        daemon.until(lambda: len(daemon.events("daemon_started")) == 2)
        content = lora(3)
        publish(site, content, "Ink")
        (home.loras / "ink.safetensors").write_bytes(content)
        daemon.until(lambda: is_tagged(home.loras / "ink.safetensors", "Ink", picture=False))
        home.config.write_text(good, encoding="utf-8")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until(lambda: len(daemon.events("daemon_started")) == 3)
        assert daemon.terminate() == 0


def test_a_log_file_that_cannot_be_written_is_told_and_stops_nothing(home: Home) -> None:
    settings = {
        **settings_of(home),
        "log": {"format": "json", "file": str(home.folder / "none" / "hashtagd.log")},
    }
    home.config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    done = run_command(home, "run", "--once")
    assert done.returncode == 0
    told = [json.loads(line) for line in done.stderr.splitlines()]
    assert [it["event"] for it in told if it.get("kind") == "log_file"] == ["log_file_failed"]
    (home.folder / "none").mkdir()
    assert "log_file_failed" not in run_command(home, "run", "--once").stderr
    assert (home.folder / "none" / "hashtagd.log").stat().st_size > 0


def test_a_stop_during_the_change_of_settings_is_a_stop(home: Home, manager: Manager) -> None:
    with running(home, environ={"NOTIFY_SOCKET": manager.address}) as daemon:
        daemon.until(lambda: "READY=1" in manager.hears())
        daemon.process.send_signal(signal.SIGHUP)
        daemon.process.send_signal(signal.SIGTERM)
        started_s = time.monotonic()
        assert daemon.ended() == 0
        assert time.monotonic() - started_s < 20


def test_settings_that_are_wrong_from_the_start_end_with_78(home: Home, manager: Manager) -> None:
    home.config.write_text("rots: []\n", encoding="utf-8")
    daemon = Daemon(home=home, environ={"NOTIFY_SOCKET": manager.address}).start()
    try:
        assert daemon.ended() == 78
    finally:
        daemon.kill()
    assert "READY=1" not in manager.hears()


def test_a_catalog_that_was_taken_away_ends_with_75_so_that_a_new_start_makes_another(
    home: Home, site: Standin, manager: Manager
) -> None:
    """The one trouble of the catalog that only a new process heals."""
    with running(home, environ={"NOTIFY_SOCKET": manager.address}) as daemon:
        home.catalog.unlink()
        assert daemon.ended() == 75
    until(lambda: manager.hears()[-1] == "STOPPING=1", within_s=5)
    with running(home) as again:
        content = lora(4)
        publish(site, content, "Ink")
        (home.loras / "ink.safetensors").write_bytes(content)
        again.until(lambda: is_tagged(home.loras / "ink.safetensors", "Ink", picture=False))
        assert again.terminate() == 0
