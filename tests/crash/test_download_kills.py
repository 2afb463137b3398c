"""A download is killed again and again: little comes twice, and the file is whole in the end."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hashtagd.stages.part import part_name
from support.download_driver import BROUGHT
from support.downloads import KIND, range_of
from support.fault_server import FaultServer, Line, reply
from support.safetensors import noise

_LONG = os.environ.get("HASHTAGD_LONG") == "1"
_KILLS = 500 if _LONG else 50
MIB = 1 << 20
SIZE = 64 * MIB
NAME = "x.safetensors"
#: so much may come twice at each kill, besides what the sockets hold
_MOST_TWICE = 8 * MIB
_PIECE = 64 * 1024

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800 if _LONG else 300)]


def held_by_sockets(port: int) -> int:
    """Count the bytes that were sent to, or by, a port of this machine and not taken by anybody yet."""
    total = 0
    for row in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = row.split()
        if port in (int(local.split(":")[1], 16), int(remote.split(":")[1], 16)):
            total += sum(int(queue, 16) for queue in queues.split(":"))
    return total


@dataclass
class Life:
    """One fork, and when it is to be killed."""

    pid: int = 0
    #: after so many bytes were sent; None: never
    kill_after: int | None = None
    offset: int = 0
    #: counted as they are handed to the kernel
    sent: int = 0
    #: in the end
    held: int = 0
    born: threading.Event = field(default_factory=threading.Event)


class KillingHost:
    """Serves a file as fast as it is taken, and kills whoever fetches it in the middle."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.life = Life()

    def __call__(self, line: Line) -> None:
        life = self.life
        life.offset = range_of(line.request) or 0
        rest = memoryview(self.content)[life.offset :]
        said = [f"Content-Range: bytes {life.offset}-{SIZE - 1}/{SIZE}", 'ETag: "v1"']
        status = "206 Partial Content" if life.offset else "200 OK"
        line.send(reply(b"", status=status, kind=KIND, headers=said[not life.offset :], length=len(rest)))
        life.born.wait(10)
        end = len(rest) if life.kill_after is None else min(life.kill_after, len(rest))
        while life.sent < end:
            piece = rest[life.sent : min(life.sent + _PIECE, end)]
            if not line.send(piece):  # type: ignore[arg-type]
                return
            life.sent += len(piece)
        if life.kill_after is not None:
            os.kill(life.pid, signal.SIGSTOP)
            life.held = held_by_sockets(int(line.origin.rpartition(":")[2]))
            os.kill(life.pid, signal.SIGKILL)


@contextmanager
def mould() -> Iterator[subprocess.Popen[str]]:
    """Start the process that lives are forked from."""
    command = [sys.executable, "-m", "support.download_driver"]
    paths = os.pathsep.join(path for path in sys.path if path)
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": paths}
    ) as process:
        yield process
        process.communicate()


def live(
    process: subprocess.Popen[str], host: KillingHost, wish: dict[str, str], kill_after: int | None
) -> int:
    """Let one fork live; returns how it ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    host.life = Life(kill_after=kill_after)
    process.stdin.write(json.dumps(wish) + "\n")
    process.stdin.flush()
    host.life.pid = int(process.stdout.readline())
    host.life.born.set()
    return int(process.stdout.readline())


@pytest.mark.parametrize("longest_life", [None, 24 * MIB], ids=["many short lives", "fewer long ones"])
def test_no_kill_makes_much_come_twice_or_spoils_the_file(tmp_path: Path, longest_life: int | None) -> None:
    """F83: what came is on the disk but for a few blocks and what the sockets hold."""
    chance = random.Random(83)
    content = noise(83, SIZE)
    host = KillingHost(content)
    part, folder = tmp_path / part_name(NAME), tmp_path
    wish = {
        "folder": str(folder),
        "memory": str(tmp_path / "memory.json"),
        "name": NAME,
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    lost: list[int] = []
    with FaultServer(host) as server, mould() as process:
        wish["origin"] = server.url
        for kill in range(_KILLS):
            here = part.stat().st_size if part.exists() else 0
            # short ones are as long as brings the last kill near the end
            longest = longest_life or min(2 * (SIZE - here) // (_KILLS - kill), SIZE - here - 1)
            if here + longest >= SIZE:
                break
            assert live(process, host, wish, chance.randrange(longest)) == -signal.SIGKILL
            kept = part.stat().st_size if part.exists() else 0
            assert host.life.offset == here, "it went on where the last one ended"
            assert kept >= here
            lost.append(host.life.offset + host.life.sent - kept)
            assert 0 <= lost[-1] <= _MOST_TWICE + host.life.held, f"kill {kill}"
            if part.exists():
                assert content.startswith(part.read_bytes())
        assert len(lost) == _KILLS if longest_life is None else len(lost) >= 3
        assert live(process, host, wish, None) == BROUGHT
    assert (folder / NAME).read_bytes() == content
    assert not part.exists()
