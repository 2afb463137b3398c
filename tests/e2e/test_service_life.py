"""The life of a service as its manager sees it: a real notify socket, a real process, real signals."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from hashtagd.standin import Standin
from support.daemon_process import Daemon, Home, is_tagged, make_home, publish, running
from support.safetensors import lora

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Manager:
    """Listens as systemd does, and keeps what was said."""

    def __init__(self, name: str) -> None:
        self.address = f"@{name}"
        self.said: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + name)
        self._socket.settimeout(0)

    def hears(self) -> list[str]:
        """Give all that was said so far."""
        while True:
            try:
                self.said += self._socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return self.said

    def forget(self) -> None:
        self.hears()
        self.said.clear()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(f"hashtagd-test-{os.getpid()}-{tmp_path.name}")
    yield made
    made.close()


@pytest.fixture
def home(tmp_path: Path, site: Standin) -> Home:
    return make_home(tmp_path / "home", site=site.url)


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
        assert manager.hears()[-1] == "STOPPING=1"
    assert manager.said.count("READY=1") == 1


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
        assert manager.said.index("RELOADING=1") > manager.said.index("READY=1")
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
