"""The real command in a child process, with a state folder, settings and a library of its own.

Waiting is for conditions, with a deadline: `Daemon.until` looks often and fails with the end of the log.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import pytest
import yaml

import hashtagd
from hashtagd.standin import Listing, Standin
from hashtagd.standin.pictures import png

#: more requests a minute than any test makes: budgets are not what these tests are about
PLENTY_RPM = 6000
#: guards against hanging alone; how quick something is, other tests judge
PATIENCE_S = 120.0
_LOOK_S = 0.02
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Home:
    """A folder that holds all that one daemon knows: settings, state, and one root called `loras`."""

    folder: Path
    config: Path
    loras: Path
    state: Path
    #: the process's HOME, so that no file of the real one is looked at
    user: Path

    @property
    def catalog(self) -> Path:
        return self.state / "catalog.db"

    def environ(self, **more: str) -> dict[str, str]:
        """Make an environment that holds nothing of ours."""
        return {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(self.user),
            "HASHTAGD_STATE_DIR": str(self.state),
            "PYTHONPATH": str(Path(hashtagd.__file__).parents[1]),
            "LC_ALL": "C.UTF-8",
            **more,
        }


def make_home(
    folder: Path,
    *,
    site: str,
    loras: Path | None = None,
    state: Path | None = None,
    quiet_s: int = 1,
    scan_interval_s: int = 900,
    provider: Mapping[str, Any] | None = None,
    root: Mapping[str, Any] | None = None,
    **sections: Any,
) -> Home:
    """Write settings that lead to a site on loopback.

    Args:
        folder: for everything that is not placed elsewhere; made.
        site: the address of a stand-in.
        loras: the root.
        state: the state folder.
        quiet_s: of the root.
        scan_interval_s: of the root.
        provider: more options of Civitai.
        root: more settings of the root.
        sections: more sections of the settings.
    """
    home = Home(
        folder=folder,
        config=folder / "config.yaml",
        loras=loras or folder / "loras",
        state=state or folder / "state",
        user=folder / "user",
    )
    for made in (home.folder, home.loras, home.state, home.user):
        made.mkdir(parents=True, exist_ok=True)
    settings = {
        "comfyui": {"path": None, "url": None},
        "roots": [
            {
                "name": "loras",
                "path": str(home.loras),
                "quiet_s": quiet_s,
                "scan_interval_s": scan_interval_s,
                **(root or {}),
            }
        ],
        "providers": [
            {"kind": "civitai", "base_url": site, "requests_per_minute": PLENTY_RPM, **(provider or {})},
            {"kind": "header"},
        ],
        "network": {"allowed_origins": [site]},
        "digests": {"workers": 1},
        "log": {"format": "json"},
        **sections,
    }
    home.config.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return home


@dataclass
class Daemon:
    """`hashtagd run` in a child; a context manager that never leaves it behind.

    Args:
        home: what it works on.
        arguments: after `run`.
        options: before `run`, after `--config`.
        environ: more variables.
        before: a program, with its arguments, that starts it.
        program: a script that stands for `-m hashtagd`.
        name: of its log file.
    """

    home: Home
    arguments: Sequence[str] = ()
    options: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    before: Sequence[str] = ()
    program: str | None = None
    name: str = "daemon"
    process: "subprocess.Popen[bytes]" = field(init=False)

    @property
    def log(self) -> Path:
        return self.home.folder / f"{self.name}.log"

    @property
    def out(self) -> Path:
        return self.home.folder / f"{self.name}.out"

    def start(self) -> Self:
        """Start it; its log is added to what earlier ones of the name wrote."""
        with self.log.open("ab") as err, self.out.open("ab") as out:
            self.process = subprocess.Popen(
                [*self.before, *self._command, "run", *self.arguments],
                env=self.home.environ(**self.environ),
                cwd=self.home.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        return self

    @property
    def _command(self) -> list[str]:
        whole = command(self.home, *self.options)
        return whole if self.program is None else [whole[0], self.program, *whole[3:]]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def kill(self) -> None:
        """End it at once; nothing happens when it has ended."""
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def terminate(self, within_s: float = PATIENCE_S) -> int:
        """Ask it to stop; returns its exit code, and fails when it takes longer."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended(within_s)

    def ended(self, within_s: float = PATIENCE_S) -> int:
        """Wait for its end; returns its exit code."""
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {within_s} s\n{self.tail()}")

    def until(self, holds: Callable[[], T], *, within_s: float = PATIENCE_S, why: str = "") -> T:
        """Wait until something holds and return it; fails early when the process ends."""
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s:
            began_s = time.monotonic()
            found = holds()
            if found:
                return found
            try:
                code = self.process.wait(_wait_s(began_s))
            except subprocess.TimeoutExpired:
                continue
            found = holds()  # what it did last counts
            if found:
                return found
            pytest.fail(f"ended with {code} while waiting: {why}\n{self.tail()}")
        pytest.fail(f"in vain for {within_s} s: {why}\n{self.tail()}")

    def rest(self, seconds: float) -> None:
        """Let it work for a time; fails when it ends meanwhile."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return
        pytest.fail(f"ended with {code}\n{self.tail()}")

    def ready(self) -> Self:
        """Wait until it watches and has scanned once."""
        self.until(lambda: self.events("root_scanned"), why="the first scan")
        return self

    def events(self, *names: str) -> list[dict[str, Any]]:
        """Read what it logged, oldest first; lines that are no JSON are left out."""
        found = []
        for line in self.log.read_bytes().splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if not names or event.get("event") in names:
                found.append(event)
        return found

    def tail(self) -> str:
        """Give the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-25:])


def command(home: Home, *options: str) -> list[str]:
    """Give the command line up to the name of the command."""
    return [sys.executable, "-m", "hashtagd", "--config", str(home.config), *options]


def run_command(home: Home, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run another command of the product to its end."""
    return subprocess.run(
        [*command(home), *arguments],
        env=home.environ(**environ),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def run_once(home: Home, **environ: str) -> dict[str, Any]:
    """Run `run --once --json` to its end; returns the summary, with the exit code as `code`."""
    done = run_command(home, "run", "--once", "--json", **environ)
    assert done.stdout, done.stderr[-4000:]
    summary: dict[str, Any] = json.loads(done.stdout)
    return {**summary, "code": done.returncode}


def status_of(home: Home) -> dict[str, Any]:
    """Run `status --json`."""
    done = run_command(home, "status", "--json")
    while "the catalog has shape" in done.stderr:  # a daemon that starts just now is making it
        done = run_command(home, "status", "--json")
    assert done.returncode == 0, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def _wait_s(began_s: float) -> float:
    """Say when to look again: looks that are processes of their own must not hold up what they look at."""
    return max(_LOOK_S, 2 * (time.monotonic() - began_s))


def until(holds: Callable[[], T], *, within_s: float = PATIENCE_S, why: str = "") -> T:
    """Wait until something holds that no single process decides."""
    tick = threading.Event()
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        began_s = time.monotonic()
        found = holds()
        if found:
            return found
        tick.wait(_wait_s(began_s))
    pytest.fail(f"in vain for {within_s} s: {why}")


def publish(site: Standin, content: bytes, name: str, **facts: Any) -> Listing:
    """Let the site know a model by its bytes, with one picture."""
    sha256 = hashlib.sha256(content).hexdigest()
    facts.setdefault("previews", [png(seed=int(sha256[:4], 16))])
    return site.add(sha256=sha256, name=name, size_bytes=len(content), **facts)


def sidecar_of(model: Path) -> dict[str, Any]:
    """Read LoRA Manager's sidecar of a model; empty when there is none."""
    try:
        data: dict[str, Any] = json.loads(model.with_suffix(".metadata.json").read_bytes())
    except FileNotFoundError:
        return {}
    return data


def picture_of(model: Path) -> Path | None:
    """Find the picture beside a model."""
    return next(iter(sorted(model.parent.glob(f"{model.stem}.preview.*"))), None)


def is_tagged(model: Path, name: str, *, picture: bool = True) -> bool:
    """Tell whether a model has its right name, and its picture."""
    return sidecar_of(model).get("model_name") == name and (not picture or picture_of(model) is not None)


@contextmanager
def running(home: Home, *arguments: str, **more: Any) -> Iterator[Daemon]:
    """Run a daemon that has scanned once."""
    with Daemon(home, arguments=arguments, **more) as daemon:
        yield daemon.ready()
