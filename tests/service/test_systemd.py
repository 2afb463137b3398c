"""sd_notify against a real socket, and the units against systemd's own judge."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from hashtagd.service.systemd import Notifier
from support.tools import is_missing

UNITS = Path(__file__).resolve().parents[2] / "systemd"
NAMES = ["hashtagd.service", "hashtagd-user.service"]
THRESHOLDS = {"hashtagd.service": 12, "hashtagd-user.service": 16}


@pytest.fixture(params=["path", "abstract"])
def manager(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[socket.socket, str]]:
    """Give a listening socket as systemd has one, and its address as it stands in the environment."""
    monkeypatch.chdir(tmp_path)  # binding by a short name: the whole path could be too long
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        if request.param == "path":
            listener.bind("notify")
            folder = os.open(tmp_path, os.O_RDONLY)
            yield listener, f"/proc/self/fd/{folder}/notify"
            os.close(folder)
        else:
            name = f"hashtagd-test-{os.getpid()}-{tmp_path.name}"
            listener.bind("\0" + name)
            yield listener, "@" + name


def heard(listener: socket.socket) -> str:
    listener.settimeout(5)
    return listener.recv(4096).decode()


def test_every_message_arrives_in_the_words_of_the_protocol(manager: tuple[socket.socket, str]) -> None:
    listener, address = manager
    notifier = Notifier.from_environ(
        {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "42"}, 42
    )
    assert notifier.enabled
    assert notifier.watchdog_interval_s == 60.0
    for sent, expected in (
        (notifier.ready(), "READY=1"),
        (notifier.status("12 files,\n3 waiting"), "STATUS=12 files, 3 waiting"),
        (notifier.watchdog(), "WATCHDOG=1"),
        (notifier.reloading(12.5), "RELOADING=1\nMONOTONIC_USEC=12500000"),
        (notifier.stopping(), "STOPPING=1"),
    ):
        assert sent
        assert heard(listener) == expected
    notifier.close()
    assert notifier.ready()
    notifier.close()


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}])
def test_without_systemd_nothing_happens(environ: Mapping[str, str]) -> None:
    notifier = Notifier.from_environ(environ, 42)
    assert not notifier.enabled
    assert not any((notifier.ready(), notifier.status("x"), notifier.watchdog(), notifier.stopping()))


def test_a_manager_that_does_not_listen_is_no_reason_to_stop(tmp_path: Path) -> None:
    notifier = Notifier.from_environ(
        {"NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": "1000000"}, 42
    )
    assert not notifier.ready()
    assert not notifier.watchdog()
    notifier.close()


def test_a_manager_whose_queue_is_full_blocks_nobody(manager: tuple[socket.socket, str]) -> None:
    """F85."""
    _, address = manager
    notifier = Notifier(address)
    sent = 0
    while notifier.status("x" * 1_000):
        sent += 1
        assert sent < 100_000
    notifier.close()


@pytest.mark.parametrize(
    "usec, pid, interval_s",
    [
        ("30000000", "42", 30.0),
        ("30000000", None, 30.0),
        ("30000000", "41", None),
        ("0", "42", None),
        ("", "42", None),
        ("soon", "42", None),
        ("-5", "42", None),
        ("３", "42", None),  # noqa: RUF001 - a digit that int() takes and systemd never writes
    ],
)
def test_the_watchdog_counts_only_if_it_waits_for_this_process(
    usec: str, pid: str | None, interval_s: float | None
) -> None:
    environ = {"WATCHDOG_USEC": usec} | ({} if pid is None else {"WATCHDOG_PID": pid})
    assert Notifier.from_environ(environ, 42).watchdog_interval_s == interval_s


def directives(name: str) -> list[tuple[str, str]]:
    lines = (UNITS / name).read_text(encoding="utf-8").splitlines()
    return [
        (key, value) for key, _, value in (line.partition("=") for line in lines if re.match(r"[A-Z]", line))
    ]


@pytest.mark.parametrize("name", NAMES)
def test_the_units_keep_the_rules_of_starting_and_stopping(name: str) -> None:
    found = dict(directives(name))
    assert found["Type"] == "notify"
    assert found["WatchdogSec"] == "60"
    assert found["Restart"] == "on-failure"
    assert found["RestartPreventExitStatus"] == "78"
    assert found["ExecStart"].endswith("/hashtagd run")


@pytest.mark.parametrize("name", NAMES)
def test_the_units_leave_the_watch_limits_readable_and_the_key_out(name: str) -> None:
    found = directives(name)
    keys = {key for key, _ in found}
    assert "ProcSubset" not in keys
    assert not any("KEY" in value.upper() for key, value in found if key == "Environment")


@pytest.fixture
def analyze(tmp_path: Path) -> str:
    if is_missing("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    program = shutil.which("systemd-analyze")
    assert program is not None
    (tmp_path / "runtime").mkdir()
    return program


def judge(program: str, tmp_path: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Ask about a copy whose program exists: the judge wants to see it, and here nothing is installed."""
    text = (UNITS / name).read_text(encoding="utf-8")
    copy = tmp_path / name
    copy.write_text(re.sub(r"(?m)^(Exec\w+=\+?)\S+", rf"\g<1>{shutil.which('true')}", text), encoding="utf-8")
    scope = ["--user"] if name == "hashtagd-user.service" else []
    return subprocess.run(
        [program, *scope, *arguments, str(copy)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path / "runtime"), "SYSTEMD_PAGER": ""},
    )


@pytest.mark.parametrize("name", NAMES)
def test_systemd_finds_nothing_to_complain_about(analyze: str, tmp_path: Path, name: str) -> None:
    result = judge(analyze, tmp_path, name, "verify")
    # an unknown key is only a line of text, not an exit code
    assert (result.stdout, result.stderr, result.returncode) == ("", "", 0)


@pytest.mark.parametrize("name", NAMES)
def test_the_units_are_as_closed_as_promised(analyze: str, tmp_path: Path, name: str) -> None:
    result = judge(analyze, tmp_path, name, "security", "--offline=true", f"--threshold={THRESHOLDS[name]}")
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_judge_would_see_a_typing_mistake(analyze: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.service"
    broken.write_text(f"[Service]\nNicee=10\nExecStart={shutil.which('true')}\n", encoding="utf-8")
    result = subprocess.run([analyze, "verify", str(broken)], check=False, capture_output=True, text=True)
    assert "Nicee" in result.stdout + result.stderr
