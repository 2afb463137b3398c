"""What hangs elsewhere gets nobody killed: a restart would heal neither a database nor a disk.

The manager's patience is far shorter here than the thing that hangs; real locks, real signals, real calls.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hashtagd.standin import Standin
from support import fuse
from support.daemon_process import (
    Daemon,
    Home,
    is_tagged,
    make_home,
    publish,
    run_command,
    running,
    status_of,
    until,
)
from support.safetensors import lora
from support.service_manager import Manager
from support.tools import is_missing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

#: of the manager; signs come three times as often
WATCHDOG_S = 6.0
#: of the manager that runs the units
UNIT_WATCHDOG_S = 60.0
#: SIGTERM ends the daemon in so long, whatever hangs; its unit kills it after 30 s
ENDS_WITHIN_S = 25.0

#: holds the whole file, readers out, as a backup or a tool that somebody left open does
_HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("begin exclusive")
print("held", flush=True)
sys.stdin.read()
"""


def watched(manager: Manager) -> dict[str, str]:
    return {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6))}


@contextmanager
def held(catalog: Path) -> Iterator[None]:
    """Lock the catalog from another process."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, catalog], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        try:
            assert holder.stdout.readline() == "held\n"
            yield
        finally:
            holder.stdin.close()


def add(home: Home, site: Standin, seed: int, name: str) -> Path:
    content = lora(seed)
    publish(site, content, name)
    model = home.loras / f"{name}.safetensors"
    model.write_bytes(content)
    return model


def test_a_catalog_that_another_program_locks_starves_nobody(
    home: Home, site: Standin, manager: Manager
) -> None:
    with running(home, environ=watched(manager)) as daemon:
        daemon.until(lambda: "WATCHDOG=1" in manager.hears())
        with held(home.catalog):
            began_s = time.monotonic()
            # work that wants the catalog, in several lanes
            model = add(home, site, 1, "Ink")
            daemon.until(lambda: any("catalog" in line for line in manager.hears() if "STATUS=" in line))
            daemon.rest(WATCHDOG_S)
            assert time.monotonic() - began_s > WATCHDOG_S
            assert manager.longest_silence_s(began_s) < WATCHDOG_S
        daemon.until(lambda: is_tagged(model, "Ink", picture=False))
        daemon.until(lambda: manager.hears().count("STATUS=watching 1 roots") == 2)
        assert daemon.terminate() == 0
    assert daemon.events("catalog_failed")


def test_a_locked_catalog_does_not_hold_up_the_end(home: Home, site: Standin, manager: Manager) -> None:
    """F84."""
    with running(home, environ=watched(manager)) as daemon:
        with held(home.catalog):
            add(home, site, 2, "Ink")
            daemon.until(lambda: daemon.events("catalog_failed"))
            assert daemon.terminate(ENDS_WITHIN_S) == 0
        assert "STOPPING=1" in manager.hears()


def test_a_server_that_stopped_answering_starves_nobody(
    tmp_path: Path, site: Standin, manager: Manager, postgres_url: str
) -> None:
    """Stopped, not ended: its kernel goes on to take what is sent, so no time-out of the link helps."""
    url = postgres_url.replace(":@", "@", 1)
    home = make_home(tmp_path / "home", site=site.url, catalog={"url": url})
    with running(home, environ=watched(manager)) as daemon:
        daemon.until(lambda: "WATCHDOG=1" in manager.hears())
        with stopped(url):
            began_s = time.monotonic()
            model = add(home, site, 3, "Ink")
            daemon.until(lambda: any("catalog" in line for line in manager.hears() if "STATUS=" in line))
            assert time.monotonic() - began_s > WATCHDOG_S
            assert manager.longest_silence_s(began_s) < WATCHDOG_S
        daemon.until(lambda: is_tagged(model, "Ink", picture=False))
        with stopped(url):
            assert daemon.terminate(ENDS_WITHIN_S) == 0


@contextmanager
def stopped(url: str) -> Iterator[None]:
    """Stop the server's processes that work for daemons, as a hung disk or a suspended machine does."""
    stopped_ones = [pid for pid in backends_of(url) if _signalled(pid, signal.SIGSTOP)]
    assert stopped_ones
    try:
        yield
    finally:
        for pid in stopped_ones:
            _signalled(pid, signal.SIGCONT)


def _signalled(pid: int, number: signal.Signals) -> bool:
    """Send a signal; False: the process has ended, as one does whose daemon rests."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def backends_of(url: str) -> list[int]:
    """List the server's processes that work for daemons."""
    import psycopg  # noqa: PLC0415 - an optional dependency

    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute(
            "select pid from pg_stat_activity where application_name = 'hashtagd'"
        ).fetchall()
    return [row[0] for row in rows]


def test_a_disk_that_hangs_stops_its_lane_alone(tmp_path: Path, site: Standin, manager: Manager) -> None:
    """A read that does not come back is what a dead network disk is; the kernel holds the thread, not we."""
    strace = shutil.which("strace")
    if is_missing("strace"):
        pytest.skip("strace is not installed")
    assert strace is not None
    other = Path("/dev/shm") / f"hashtagd-{os.getpid()}-{tmp_path.name}"  # noqa: S108 - another device
    other.mkdir()
    home = make_home(tmp_path / "home", site=site.url)
    text = home.config.read_text(encoding="utf-8").replace(
        "providers:", f"- name: other\n  path: {other}\n  quiet_s: 1\nproviders:", 1
    )
    home.config.write_text(text, encoding="utf-8")
    stuck = add(home, site, 4, "Stuck")
    hangs = [
        *(strace, "-f", "-qq", "-o", "/dev/null", "-P", str(stuck)),
        *("-e", "trace=preadv,preadv2,pread64,read"),
        *("-e", "inject=preadv,preadv2,pread64,read:delay_enter=600s"),
    ]
    try:
        with Daemon(home, before=hangs, environ=watched(manager)) as daemon:
            daemon.until(lambda: "WATCHDOG=1" in manager.hears())
            began_s = time.monotonic()
            content = lora(5)
            publish(site, content, "Free")
            (other / "free.safetensors").write_bytes(content)
            daemon.until(lambda: is_tagged(other / "free.safetensors", "Free", picture=False))
            daemon.rest(WATCHDOG_S)
            assert manager.longest_silence_s(began_s) < WATCHDOG_S
            assert not is_tagged(stuck, "Stuck", picture=False), "nothing hung, so nothing was shown"
            pid = status_of(home)["daemon"]["pid"]
            os.kill(pid, signal.SIGTERM)
            until(lambda: "STOPPING=1" in manager.hears(), within_s=5)
            until(lambda: daemon.events("daemon_stopped"), within_s=ENDS_WITHIN_S)
            (stopped,) = daemon.events("daemon_stopped")
            assert stopped["stuck_lanes"]
            # strace holds the thread that hangs beyond its death; the kernel would not
            os.kill(pid, signal.SIGKILL)
    finally:
        shutil.rmtree(other)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """Mount a folder through a server, without which no look at it comes back, as of a share that is gone."""
    if fuse.WHY_NOT is not None:
        pytest.skip(fuse.WHY_NOT)
    behind, point = tmp_path / "behind", tmp_path / "cloud"
    behind.mkdir()
    point.mkdir()
    with fuse.mounted(behind, point) as server:
        yield point, server


def with_root(home: Home, folder: Path) -> None:
    """Add a root, and let it be the first: nobody may have to pass it to get to the others."""
    text = home.config.read_text(encoding="utf-8")
    text = text.replace("roots:\n", f"roots:\n- name: cloud\n  path: {folder}\n  quiet_s: 1\n", 1)
    home.config.write_text(text, encoding="utf-8")


def test_a_disk_that_hangs_from_the_start_keeps_nobody_from_starting(
    tmp_path: Path, site: Standin, manager: Manager, cloud: tuple[Path, subprocess.Popen[bytes]]
) -> None:
    """Its root is worked on as soon as it answers; all others are watched meanwhile."""
    point, server = cloud
    home = make_home(tmp_path / "home", site=site.url)
    with_root(home, point)
    content = lora(7)
    publish(site, content, "Far")
    far = point / "far.safetensors"
    far.write_bytes(content)
    server.send_signal(signal.SIGSTOP)
    with running(home, environ=watched(manager)) as daemon:
        daemon.until(lambda: "READY=1" in manager.hears())
        model = add(home, site, 6, "Ink")
        daemon.until(lambda: is_tagged(model, "Ink", picture=False))
        daemon.until(lambda: [it["where"] for it in status_of(home)["troubles"]] == ["cloud"])
        server.send_signal(signal.SIGCONT)
        daemon.until(lambda: is_tagged(far, "Far", picture=False))
        assert daemon.terminate(ENDS_WITHIN_S) == 0


def reads_of(daemon: Daemon, path: str) -> int:
    return sum(it["path"] == path for it in daemon.events("file_digested"))


def test_a_link_to_a_disk_that_hangs_holds_up_nothing_but_what_is_behind_it(
    tmp_path: Path, site: Standin, manager: Manager, cloud: tuple[Path, subprocess.Popen[bytes]]
) -> None:
    """Not while the daemon runs, and not when it starts; also when there is work to do behind it."""
    point, server = cloud
    home = make_home(tmp_path / "home", site=site.url)
    (home.loras / "nas").symlink_to(point)
    content = lora(7)
    publish(site, content, "Far")
    (point / "far.safetensors").write_bytes(content)
    with running(home, environ=watched(manager)) as daemon:
        # who is at work on it at that moment is held for good
        daemon.until(
            lambda: [it["path"] for it in daemon.events("file_published")] == ["nas/far.safetensors"]
        )
        server.send_signal(signal.SIGSTOP)
        assert run_command(home, "rescan", "--rehash", "loras").returncode == 1
        model = add(home, site, 6, "Ink")
        daemon.until(lambda: is_tagged(model, "Ink", picture=False))
        assert daemon.terminate(ENDS_WITHIN_S) == 0
    other = add(home, site, 8, "Oil")
    with running(home, environ=watched(manager)) as daemon:
        daemon.until(lambda: "READY=1" in manager.hears())
        daemon.until(lambda: is_tagged(other, "Oil", picture=False))
        daemon.until(lambda: [it["kind"] for it in daemon.events("root_polled")] == ["watch_silent"])
        assert reads_of(daemon, "nas/far.safetensors") == 1
        server.send_signal(signal.SIGCONT)
        assert run_command(home, "retry").returncode == 0
        daemon.until(lambda: reads_of(daemon, "nas/far.safetensors") == 2)
        assert daemon.terminate(ENDS_WITHIN_S) == 0


def test_new_settings_that_name_a_disk_that_hangs_hold_up_nobody(
    tmp_path: Path, site: Standin, manager: Manager, cloud: tuple[Path, subprocess.Popen[bytes]]
) -> None:
    point, server = cloud
    home = make_home(tmp_path / "home", site=site.url)
    with running(home, environ=watched(manager)) as daemon:
        daemon.until(lambda: "WATCHDOG=1" in manager.hears())
        with_root(home, point)
        server.send_signal(signal.SIGSTOP)
        began_s = time.monotonic()
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until(lambda: "STATUS=watching 2 roots" in manager.hears())
        model = add(home, site, 6, "Ink")
        daemon.until(lambda: is_tagged(model, "Ink", picture=False))
        signs = manager.hears().count("WATCHDOG=1")
        daemon.until(lambda: manager.hears().count("WATCHDOG=1") > signs)
        assert manager.longest_silence_s(began_s) < UNIT_WATCHDOG_S / 2
        daemon.process.send_signal(signal.SIGHUP)
        assert daemon.terminate(ENDS_WITHIN_S) == 0


def test_a_run_that_ends_by_itself_ends_and_names_the_disk_that_hangs(
    tmp_path: Path, site: Standin, cloud: tuple[Path, subprocess.Popen[bytes]]
) -> None:
    point, server = cloud
    home = make_home(tmp_path / "home", site=site.url)
    with_root(home, point)
    model = add(home, site, 6, "Ink")
    server.send_signal(signal.SIGSTOP)
    done = run_command(home, "run", "--once", "--json")
    assert is_tagged(model, "Ink", picture=False)
    assert ["does not answer" in it["what"] for it in json.loads(done.stdout)["troubles"]] == [True]
    assert done.returncode == 1
    rescanned = run_command(home, "rescan")
    assert (rescanned.returncode, "the disk of root cloud does not answer" in rescanned.stderr) == (1, True)
    assert "loras: 1 files" in rescanned.stdout
