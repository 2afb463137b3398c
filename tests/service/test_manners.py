"""While ComfyUI generates, no file is read: a real server on loopback, real hashing, a clock of our own."""

import hashlib
import json
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from hashtagd.comfyui.busy import ASK_EVERY_S
from hashtagd.core.ports import Stopping
from hashtagd.service.health import LANE_DEADLINE_S, examine
from hashtagd.service.lanes import Lane, Pulse
from hashtagd.service.manners import PAUSED, Manners
from hashtagd.stages.hashing import LargeFileHasher, Order, SmallFileHasher
from support.clock import FakeClock

BLOCK = 16 * 1024
BLOCKS = 64


class ComfyUI:
    """Answers `GET /prompt`; `silent` takes connections and says nothing."""

    def __init__(self) -> None:
        self.remaining = 0
        self.silent = False
        self.asked = 0
        comfyui = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                comfyui.asked += 1
                if comfyui.silent:
                    comfyui.released.wait(5)
                    return
                body = json.dumps({"exec_info": {"queue_remaining": comfyui.remaining}}).encode()
                self.send_response(200 if self.path == "/prompt" else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def comfyui() -> Iterator[ComfyUI]:
    made = ComfyUI()
    yield made
    made.close()


class Waits:
    """A pause whose waits pass at once by a clock of our own; `then` is called after each."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.stopping = False
        self.waited_s = 0.0
        self.until_idle: tuple[float, ComfyUI] | None = None

    def wait(self, seconds: float) -> bool:
        self.clock.advance(seconds)
        self.waited_s += seconds
        if self.until_idle is not None and self.waited_s >= self.until_idle[0]:
            self.until_idle[1].remaining = 0
        return self.stopping


def order(path: Path, manners: Manners) -> tuple[Order, int]:
    fd = os.open(path, os.O_RDONLY)

    def must_stop() -> bool:
        manners.wait()
        return False

    return (
        Order(
            fd=fd,
            size_bytes=path.stat().st_size,
            tensors_offset=None,
            progress=lambda _done: None,
            stopping=must_stop,
        ),
        fd,
    )


@pytest.mark.parametrize("kind", [LargeFileHasher, SmallFileHasher])
def test_from_one_question_and_one_block_on_nothing_is_read(
    tmp_path: Path, comfyui: ComfyUI, kind: type[LargeFileHasher] | type[SmallFileHasher]
) -> None:
    """Each block takes a second by our clock; ComfyUI turns busy after 10 of them, for 30 s."""
    content = os.urandom(BLOCK * BLOCKS)
    path = tmp_path / "model.ckpt"
    path.write_bytes(content)
    clock = FakeClock()
    waits = Waits(clock)
    told: list[bool] = []
    manners = Manners(comfyui.url, clock=clock, pause=waits, changed=told.append)
    read_at: list[float] = []
    busy_since_s = float("inf")

    def preadv(fd: int, buffers: Sequence[memoryview], offset: int, flags: int) -> int:
        nonlocal busy_since_s
        count = os.preadv(fd, buffers, offset, 0)
        del flags
        read_at.append(clock.monotonic_s())
        clock.advance(1.0)
        if len(read_at) == 10:
            comfyui.remaining, busy_since_s = 1, clock.monotonic_s()
            waits.until_idle = (30.0, comfyui)
        return count

    hasher = kind(preadv=preadv, block_bytes=BLOCK)
    asked, fd = order(path, manners)
    try:
        digests = hasher.hash(asked)
    finally:
        os.close(fd)
    assert digests.sha256 == hashlib.sha256(content).hexdigest()
    assert waits.waited_s == pytest.approx(30.0, abs=ASK_EVERY_S)
    meanwhile = [at for at in read_at if busy_since_s + ASK_EVERY_S + 1.0 < at < busy_since_s + 30.0]
    assert meanwhile == []
    assert told == [True, False]


def test_a_comfyui_that_rests_holds_nothing_up(comfyui: ComfyUI) -> None:
    clock = FakeClock()
    waits = Waits(clock)
    manners = Manners(comfyui.url, clock=clock, pause=waits)
    for _ in range(10):
        manners.wait()
    assert (comfyui.asked, waits.waited_s) == (1, 0.0)
    clock.advance(ASK_EVERY_S)
    manners.wait()
    assert comfyui.asked == 2


def test_nobody_there_is_nobody_busy() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        clock = FakeClock()
        manners = Manners(f"http://127.0.0.1:{taken.getsockname()[1]}", clock=clock, pause=Waits(clock))
        manners.wait()
        assert not manners.paused


def test_without_an_address_nobody_is_asked() -> None:
    clock = FakeClock()
    waits = Waits(clock)
    Manners(None, clock=clock, pause=waits).wait()
    assert waits.waited_s == 0.0


def test_who_was_busy_and_is_silent_for_a_moment_is_busy_still(comfyui: ComfyUI) -> None:
    """A machine that makes pictures is slow to answer; one that hangs for ten minutes makes none."""
    clock = FakeClock()
    waits = Waits(clock)
    manners = Manners(comfyui.url, clock=clock, pause=waits)
    comfyui.remaining = 1
    waits.until_idle = (3 * ASK_EVERY_S, comfyui)
    real_wait = waits.wait

    def wait(seconds: float) -> bool:
        comfyui.silent = waits.waited_s < 2 * ASK_EVERY_S
        return real_wait(seconds)

    waits.wait = wait  # type: ignore[method-assign] # its own, in this test
    manners.wait()
    assert waits.waited_s >= 2 * ASK_EVERY_S


def test_a_stop_ends_the_wait_and_is_no_end_of_comfyui_s_work(comfyui: ComfyUI) -> None:
    clock = FakeClock()
    waits = Waits(clock)
    waits.stopping = True
    comfyui.remaining = 1
    told: list[bool] = []
    manners = Manners(comfyui.url, clock=clock, pause=waits, changed=told.append)
    with pytest.raises(Stopping):
        manners.wait()
    assert not manners.paused
    assert told == [True], "nobody said that ComfyUI is at rest"


def test_a_page_in_place_of_an_answer_is_nobody_busy(comfyui: ComfyUI) -> None:
    clock = FakeClock()
    waits = Waits(clock)
    Manners(comfyui.url + "/elsewhere", clock=clock, pause=waits).wait()
    assert waits.waited_s == 0.0


def test_waiting_out_of_manners_is_no_illness() -> None:
    health = examine([], {}, None, FakeClock(), paused=PAUSED)
    assert (health.well, health.paused) == (True, PAUSED)


def test_a_long_pause_makes_nobody_ill_when_it_is_over(comfyui: ComfyUI) -> None:
    """ComfyUI may be busy all night in the middle of a file."""
    clock = FakeClock()
    waits = Waits(clock)
    manners = Manners(comfyui.url, clock=clock, pause=waits)
    pulse = Pulse(beat_s=clock.monotonic_s(), resting=False)
    lane = SimpleNamespace(work=SimpleNamespace(name="digest-1"), alive=True, pulse=pulse)
    comfyui.remaining = 1
    waits.until_idle = (10 * LANE_DEADLINE_S, comfyui)
    manners.wait()

    def well() -> bool:
        return examine([cast("Lane", lane)], {}, None, clock, resumed_s=manners.resumed_s).well

    assert well()
    clock.advance(LANE_DEADLINE_S + 1)
    assert not well()
