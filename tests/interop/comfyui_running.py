"""A running ComfyUI with its asset browser on: started, asked over HTTP, stopped."""

import json
import os
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from running import stop

#: its imports alone take half a minute on two busy cores
_PATIENCE_S = 300
#: a full list of thousands of records keeps it busy for a second
_LOOK_S = 3.0
_PAGE = 500
#: whatever it says, a server on loopback says it within this
_ANSWER_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running ComfyUI."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def tail(self) -> str:
        """Give the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def ask(self, method: str, path: str, document: object = None, **query: object) -> Any:
        """Ask its HTTP interface; the answer is JSON."""
        address = f"{self.url}{path}?{urllib.parse.urlencode(query)}"
        body = None if document is None else json.dumps(document).encode()
        kind = {} if document is None else {"Content-Type": "application/json"}
        request = urllib.request.Request(address, body, kind, method=method)  # noqa: S310 - always loopback
        with urllib.request.urlopen(request, timeout=_ANSWER_S) as answer:  # noqa: S310 - same
            return json.loads(answer.read())

    def models(self) -> dict[str, Mapping[str, Any]]:
        """List the records of all models by the path within their type's folder."""
        rows: dict[str, Mapping[str, Any]] = {}
        query: dict[str, object] = {"tags_all": "models", "limit": _PAGE, "sort": "name", "order": "asc"}
        while True:
            page = self.ask("GET", "/api/assets", **query)
            rows |= {str(it.get("loader_path")): it for it in page["assets"]}
            cursor = page.get("next_cursor")
            if not cursor:
                return rows
            query["after"] = cursor

    def change(self, asset: Mapping[str, Any], **keys: object) -> None:
        """Set keys as a person does on its page: those that are there stay."""
        merged = {**asset["user_metadata"], **keys}
        self.ask("PUT", f"/api/assets/{asset['id']}", {"user_metadata": merged})

    def rests(self) -> bool:
        """Tell whether it looks for files just now."""
        return self.ask("GET", "/api/assets/seed/status")["state"] == "IDLE"


@contextmanager
def comfyui(checkout: Path, python: str, folder: Path, port: int) -> Iterator[Server]:
    """Run the checkout over the models in the folder; its database and all it writes lie there as well."""
    for name in ("user", "input", "output", "temp", "custom_nodes", "models"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    words = [
        *(python, "main.py", "--cpu", "--enable-assets", "--listen", "127.0.0.1", "--port", str(port)),
        *("--base-directory", str(folder), "--disable-all-custom-nodes", "--disable-api-nodes"),
        *("--database-url", f"sqlite:///{folder}/user/comfyui.db", "--disable-auto-launch"),
    ]
    with (folder / "comfyui.log").open("ab") as log:
        process = subprocess.Popen(
            words,
            cwd=checkout,
            env={
                "HOME": str(folder),
                "PATH": os.environ["PATH"],
                "PYTHONUTF8": "1",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            stdout=log,
            stderr=log,
        )
        server = Server(url=f"http://127.0.0.1:{port}", process=process, log=folder / "comfyui.log")
        try:
            until(server, server.rests, "its start and first look at the files")
            yield server
        finally:
            stop(process)


def until(server: Server, holds: Callable[[], bool], why: str, *, within_s: float = _PATIENCE_S) -> float:
    """Wait until something holds; returns how long that took.

    Raises:
        TimeoutError: it never did, or the server ended.
    """
    started = time.monotonic()
    while time.monotonic() - started < within_s:
        try:
            if holds():
                return time.monotonic() - started
        except (OSError, ValueError, KeyError):
            pass  # it is about to come up
        if server.process.poll() is not None:
            raise TimeoutError(
                f"ComfyUI ended with {server.process.returncode} while waiting for {why}:\n{server.tail()}"
            )
        time.sleep(_LOOK_S)
    raise TimeoutError(f"in vain for {within_s:.0f} s: {why}")
