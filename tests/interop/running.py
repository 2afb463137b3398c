"""A running LoRA Manager: started, asked over HTTP, stopped."""

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.strace import tracer

_PATIENCE_S = 180
#: it saves its whole cache for each file that was new to it
_SAVED_WITHIN_S = 1200
_PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running LoRA Manager."""

    url: str

    def get(self, path: str, **query: object) -> Any:
        """Ask its HTTP interface; the answer is JSON."""
        return json.loads(self.fetch(f"/api/lm/{path}?{urllib.parse.urlencode(query)}"))

    def fetch(self, path: str) -> bytes:
        """Get the bytes behind a path of the server."""
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:  # noqa: S310 - always loopback
            return bytes(answer.read())

    def models(self) -> dict[str, Mapping[str, Any]]:
        """List all LoRAs by their absolute path, as its page would."""
        rows: dict[str, Mapping[str, Any]] = {}
        page, pages = 1, 1
        while page <= pages:
            answer = self.get("loras/list", page=page, page_size=_PAGE)
            rows.update({item["file_path"]: item for item in answer["items"]})
            page, pages = page + 1, answer["total_pages"]
        return rows


@contextmanager
def lora_manager(checkout: Path, python: str, folder: Path, library: Path) -> Iterator[Server]:
    """Run a copy of the checkout over the library, traced where strace is there.

    Called again with the same folder, it starts with the cache that the last one left.
    """
    home, port = folder / "home", free_port()
    settings = home / ".config" / "ComfyUI-LoRA-Manager" / "settings.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    roots = {"loras": [str(library)], "checkpoints": [], "unet": [], "embeddings": []}
    if not settings.exists():
        settings.write_text(json.dumps({"folder_paths": roots}), encoding="utf-8")
        shutil.copytree(checkout, folder / "checkout", ignore=shutil.ignore_patterns(".git", "tests", "docs"))
    words = [python, "standalone.py", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "lora-manager.log").open("ab") as log:
        process = subprocess.Popen(
            [*(tracer(folder / "trace.txt") or ()), *words],
            cwd=folder / "checkout",
            env={"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONUTF8": "1"},
            stdout=log,
            stderr=log,
        )
        try:
            yield Server(url=f"http://127.0.0.1:{port}")
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the server; under strace it is a child of ours' child, and strace hands no signal on."""
    if process.poll() is not None:
        return
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for pid in children or [str(process.pid)]:
        os.kill(int(pid), 15)
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        for pid in children:
            os.kill(int(pid), 9)
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_listed(server: Server, count: int) -> float:
    """Wait until so many models are listed; returns how long that took.

    Raises:
        TimeoutError: it did not come to that.
    """
    started = time.monotonic()
    total: object = "no answer"
    while time.monotonic() - started < _PATIENCE_S:
        try:
            total = server.get("loras/list", page=1, page_size=1)["total"]
        except (OSError, ValueError, KeyError):
            total = "no answer"
        if total == count:
            return time.monotonic() - started
        time.sleep(0.25)
    raise TimeoutError(f"LoRA Manager lists {total} models, not {count}")


def wait_until_saved(folder: Path, count: int) -> float:
    """Wait until its database holds so many models: what it knows beyond that is lost with the process.

    Raises:
        TimeoutError: it did not come to that.
    """
    started = time.monotonic()
    [database] = (folder / "home").rglob("cache/model/*.sqlite")
    saved = 0
    while time.monotonic() - started < _SAVED_WITHIN_S:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            [(saved,)] = connection.execute("select count(*) from models").fetchall()
        if saved == count:
            return time.monotonic() - started
        time.sleep(1)
    raise TimeoutError(f"LoRA Manager has saved {saved} models, not {count}")
