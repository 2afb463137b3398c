"""Locks that end with the process that holds them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hashtagd.core.troubles import AskOperator, Scope
from hashtagd.service.lock import DaemonLock, OwnerFile, dead_owners, forget_owner, running_pid

#: takes the lock and an owner file, says so, and waits to be killed
HOLDER = """
import sys, pathlib, os
from hashtagd.service.lock import DaemonLock, OwnerFile
folder = pathlib.Path(sys.argv[1])
DaemonLock(folder, owner="other", pid=os.getpid()).acquire()
owner = OwnerFile(folder, "other")
owner.acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    daemon = Path(__file__).resolve().parents[2] / "daemon"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(daemon)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def take(folder: Path) -> DaemonLock:
    lock = DaemonLock(folder, owner="mine", pid=os.getpid())
    lock.acquire()
    return lock


def test_a_second_daemon_is_told_the_pid_of_the_first(folder: Path, holder: subprocess.Popen[str]) -> None:
    """F71."""
    with pytest.raises(AskOperator) as caught:
        take(folder)
    assert (caught.value.scope, caught.value.kind) == (Scope.DAEMON, "already_running")
    assert caught.value.what == f"already running, pid {holder.pid}"


def test_the_lock_dies_with_the_process(folder: Path, holder: subprocess.Popen[str]) -> None:
    """F71, F83."""
    holder.send_signal(signal.SIGKILL)
    holder.wait(5)
    assert running_pid(folder) is None
    lock = take(folder)
    assert running_pid(folder) == os.getpid()
    lock.release()


def test_a_lock_that_was_given_back_can_be_taken_again(folder: Path) -> None:
    first = take(folder)
    with pytest.raises(AskOperator):
        take(folder)
    first.release()
    first.release()
    second = take(folder)
    second.acquire()
    second.release()


def test_looking_who_runs_takes_nothing_and_leaves_nothing(
    folder: Path, holder: subprocess.Popen[str]
) -> None:
    assert running_pid(folder) == holder.pid
    assert running_pid(folder) == holder.pid
    assert running_pid(folder / "nowhere") is None
    assert not (folder / "nowhere").exists()


def test_where_a_daemon_stopped_properly_nobody_runs(folder: Path) -> None:
    with DaemonLock(folder, owner="mine", pid=os.getpid()):
        assert running_pid(folder) == os.getpid()
    assert running_pid(folder) is None


def test_a_lock_without_a_pid_in_it_still_locks(folder: Path) -> None:
    lock = take(folder)
    (folder / "daemon.lock").write_bytes(b"")
    assert running_pid(folder) == 0
    with pytest.raises(AskOperator) as caught:
        take(folder)
    assert caught.value.what == "already running"
    lock.release()


def test_a_planted_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    """F93."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    folder.mkdir()
    (folder / "daemon.lock").symlink_to(victim)
    with pytest.raises(AskOperator, match="symbolic links"):
        take(folder)
    assert victim.read_bytes() == b"precious"


def test_an_owner_is_alive_while_its_process_is(folder: Path, holder: subprocess.Popen[str]) -> None:
    """F73."""
    with OwnerFile(folder, "mine"):
        assert dead_owners(folder) == []
        holder.send_signal(signal.SIGKILL)
        holder.wait(5)
        assert dead_owners(folder) == ["other"]
        assert dead_owners(folder) == ["other"]
        forget_owner(folder, "other")
        forget_owner(folder, "other")
        assert dead_owners(folder) == []


def test_an_owner_that_left_properly_is_not_dead_but_gone(folder: Path) -> None:
    owner = OwnerFile(folder, "mine")
    owner.acquire()
    owner.acquire()
    owner.release()
    owner.release()
    assert dead_owners(folder) == []
    assert list(folder.iterdir()) == []


def test_an_owner_that_is_just_starting_does_not_look_dead(folder: Path) -> None:
    folder.mkdir()
    (folder / ".owner-new.lock").write_bytes(b"")  # made, not yet locked and named
    assert dead_owners(folder) == []


def test_in_a_folder_that_does_not_exist_nobody_died(folder: Path) -> None:
    assert dead_owners(folder) == []


@pytest.mark.parametrize("owner", ["../x", "a/b", "", "a\nb", "a b"])
def test_an_owner_id_is_never_a_path(folder: Path, owner: str) -> None:
    with pytest.raises(ValueError, match="owner id"):
        OwnerFile(folder, owner)
    with pytest.raises(ValueError, match="owner id"):
        forget_owner(folder, owner)
