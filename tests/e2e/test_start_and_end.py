"""How the daemon ends when it is asked to, and when it does not start at all."""

import os
import signal
import struct
from pathlib import Path

import pytest

from hashtagd.standin import Fault, Standin
from support.crash_lives import rows_of
from support.daemon_process import (
    Daemon,
    Home,
    is_tagged,
    make_home,
    publish,
    run_command,
    run_once,
    running,
    status_of,
)
from support.safetensors import header_json, lora

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

_BIG_BYTES = 8 << 30
_OLD_NS = 1_700_000_000 * 10**9


def allocate_model(path: Path, size_bytes: int) -> None:
    """Make a large valid model without writing its data: its blocks are there, and read as zeros."""
    header, _ = header_json({"w": ("U8", (size_bytes,))})
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 8 + len(header) + size_bytes)
        file.write(struct.pack("<Q", len(header)) + header)
    os.utime(path, ns=(_OLD_NS, _OLD_NS))


def bytes_read(pid: int) -> int:
    """Tell how much a process has read so far."""
    words = Path(f"/proc/{pid}/io").read_text().split()
    return int(words[words.index("rchar:") + 1])


def leased(home: Home) -> list[object]:
    """List the rows that somebody holds."""
    return [
        row["id"]
        for table in ("file", "question")
        for row in rows_of(home.catalog, table)
        if row["lease_owner"] is not None
    ]


def test_an_idle_daemon_ends_at_sigterm(home: Home) -> None:
    """F84."""
    with running(home) as daemon:
        assert daemon.terminate() == 0
    assert leased(home) == []
    assert [event["stuck_lanes"] for event in daemon.events("daemon_stopped")] == [[]]


def test_a_daemon_that_hashes_gives_the_file_back_at_sigterm(home: Home) -> None:
    """F84."""
    allocate_model(home.loras / "big.safetensors", _BIG_BYTES)
    with Daemon(home) as daemon:
        daemon.until(lambda: bytes_read(daemon.process.pid) > 256 << 20, why="hashing")
        assert daemon.terminate() == 0
        assert daemon.events("file_digested") == [], "the file was too small for this test"
    (row,) = rows_of(home.catalog, "file")
    assert (row["stage"], row["attempts"], row["sha256"]) == ("digest", 0, None)
    assert leased(home) == []


def test_a_daemon_that_asks_gives_the_question_back_at_sigterm(home: Home, site: Standin) -> None:
    """F84."""
    content = lora(1)
    (home.loras / "x.safetensors").write_bytes(content)
    publish(site, content, "Lighthouses")
    site.spoil_next(None, fault=Fault(delay_s=12))
    with Daemon(home) as daemon:
        daemon.until(lambda: site.requests, why="the question")
        assert daemon.terminate() == 0
    assert leased(home) == []
    site.clear_faults()
    run_once(home)
    assert is_tagged(home.loras / "x.safetensors", "Lighthouses")


def test_a_second_signal_ends_the_daemon_at_once(home: Home, site: Standin) -> None:
    """F84."""
    content = lora(1)
    (home.loras / "x.safetensors").write_bytes(content)
    site.spoil_next(None, fault=Fault(delay_s=25))
    with Daemon(home) as daemon:
        daemon.until(lambda: site.requests, why="the question")
        daemon.process.send_signal(signal.SIGTERM)
        daemon.rest(0.5)
        assert daemon.terminate(within_s=20) == 0
    assert daemon.events("daemon_stopped") == [], "it ended in order, so nothing was shown"


def test_a_second_daemon_on_one_state_folder_names_the_first_and_ends(home: Home) -> None:
    with running(home) as daemon:
        second = run_command(home, "run")
        assert second.returncode == 78
        assert f"already running, pid {daemon.process.pid}" in second.stderr
        assert "what you can do" in second.stderr
        assert status_of(home)["daemon"]["pid"] == daemon.process.pid
        assert daemon.terminate() == 0
    assert status_of(home)["daemon"]["running"] is False


def test_a_folder_that_does_not_exist_ends_the_start(home: Home) -> None:
    done = run_command(home, "run", str(home.folder / "nowhere"))
    assert done.returncode == 78
    assert "nowhere does not exist" in done.stderr
    assert "what you can do" in done.stderr


@pytest.mark.parametrize(
    "line, said",
    [
        ("qiet_s: 3", "unknown key"),
        ("digests: {wokers: 2}", "did you mean workers?"),
        ("web: {listen: nonsense}", "listen"),
        ("digests: {workers: 0}", "at least 1"),
        ("log: [", "config.yaml"),
    ],
)
def test_a_mistake_in_the_settings_is_named_with_its_line(home: Home, line: str, said: str) -> None:
    text = home.config.read_text()
    section = line.partition(":")[0]
    kept = "".join(part for part in text.splitlines(keepends=True) if not part.startswith(section))
    kept = kept.replace("  workers: 1\n", "") if section == "digests" else kept
    kept = kept.replace("  format: json\n", "") if section == "log" else kept
    home.config.write_text(f"{kept}{line}\n")
    number = len(home.config.read_text().splitlines())
    done = run_command(home, "run")
    assert done.returncode == 78, done.stderr
    assert f"config.yaml:{number}" in done.stderr
    assert said in done.stderr
    assert not home.catalog.exists()


def test_a_mistake_in_the_options_of_a_provider_is_named_with_its_line(tmp_path: Path, site: Standin) -> None:
    home = make_home(tmp_path / "home", site=site.url, provider={"requests_per_minute": 1_000_000})
    lines = home.config.read_text().splitlines()
    number = next(at for at, line in enumerate(lines, start=1) if "requests_per_minute" in line)
    done = run_command(home, "run")
    assert done.returncode == 78
    assert f"config.yaml:{number}" in done.stderr
    assert "Traceback" not in done.stderr
