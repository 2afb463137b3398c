"""Lives of one file: started in a mould, killed where a test wants it, and compared at the end."""

import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import hashtagd
from hashtagd.standin import Standin
from hashtagd.standin.pictures import png
from support import crash_driver
from support.daemon_process import Home, make_home, publish
from support.safetensors import lora

#: the calls that change what is on a disk
MUTATING = (
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "ftruncate",
    "mkdir",
    "mkdirat",
    "link",
    "linkat",
    "fchmod",
)
#: a later life is so much later that leftovers of the killed one count as old
LATER_S = 7200.0
#: columns that tell when or by whom, and counters that a kill may move
_PASSING = re.compile(
    r"(^|_)(id|at|until|since|owner|fence|attempts|interval_s|tokens|ns|inode|digest|fingerprint)$"
)
#: keys of sidecars that tell when
_TIMES = ("modified", "last_checked_at")
_DUMPED = ("file", "question", "publication", "folder", "root", "schema_version")


@dataclass(frozen=True, kw_only=True)
class Kill:
    """Where a life ends: at the n-th call of a name, or at the n-th writing commit."""

    call: str
    number: int
    #: for commits
    moment: str = "before"


class Mould:
    """The driver process; a context manager."""

    def __init__(self) -> None:
        paths = [str(Path(hashtagd.__file__).parents[1]), str(Path(__file__).parents[1])]
        self._process = subprocess.Popen(
            [sys.executable, crash_driver.__file__],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(paths), "LC_ALL": "C.UTF-8"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
        self._process.wait(20)

    def live(self, wish: dict[str, Any], gate: Path, strace: Sequence[str] = ()) -> int:
        """Live one life; returns its exit code, or minus the signal that ended it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        os.mkfifo(gate)
        print(json.dumps({**wish, "gate": str(gate)}), file=self._process.stdin, flush=True)
        pid = int(self._process.stdout.readline())
        with _traced(pid, strace):
            gate.open("wb").close()  # opens when the fork does
            code = int(self._process.stdout.readline())
        gate.unlink()
        return code


@contextmanager
def _traced(pid: int, strace: Sequence[str]) -> Iterator[None]:
    if not strace:
        yield
        return
    with subprocess.Popen(
        ["strace", "-f", "-p", str(pid), *strace], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as tracer:
        assert tracer.stderr is not None
        assert "attached" in tracer.stderr.readline()
        yield
        tracer.communicate(timeout=20)


@dataclass
class Life:
    """One file with a daemon's home of its own and a site of its own.

    Args:
        gallery: how many pictures its gallery may have; the site has one more, and one that is none.
    """

    folder: Path
    mould: Mould
    site: Standin
    gallery: int = 0
    home: Home = field(init=False)
    model: Path = field(init=False)
    content: bytes = field(init=False)
    ends: int = 0

    def __post_init__(self) -> None:
        preview = {"preview": {"gallery": self.gallery}} if self.gallery else {}
        self.home = make_home(self.folder, site=self.site.url, **preview)
        self.content = lora(seed=3)
        more = [png(8, 8, seed) for seed in range(self.gallery)] if self.gallery else []
        previews = [png_of(self.content), *([b"no picture"] if more else []), *more]
        facts = {"trained_words": ["lighthouse"], "tags": ["style"], "previews": previews}
        publish(self.site, self.content, "Lighthouses", **facts)
        self.model = self.home.loras / "styles" / "x.safetensors"
        self.model.parent.mkdir()
        self.model.write_bytes(self.content)
        self.model.chmod(0o640)
        os.utime(self.model, ns=(1_700_000_000 * 10**9,) * 2)

    def go(self, *strace: str, later_s: float = 0.0, kill: Kill | None = None) -> int:
        """Live until nothing is due, or until killed."""
        self.ends += 1
        wish: dict[str, Any] = {
            "config": str(self.home.config),
            "environ": self.home.environ(),
            "report": str(self.report),
            "ahead_s": later_s,
        }
        orders = list(strace)
        if kill is not None and kill.call == "commit":
            wish |= {"commit": kill.number, "moment": kill.moment}
        elif kill is not None:
            inject = f"inject={kill.call}:signal=KILL:when={kill.number}"
            orders = ["-o", os.devnull, "-e", f"trace={kill.call}", "-e", inject]
        return self.mould.live(wish, self.folder / f"gate{self.ends}", orders)

    @property
    def report(self) -> Path:
        return self.folder / "report.json"

    @property
    def commits(self) -> int:
        """How many writing commits the last whole life took."""
        count: int = json.loads(self.report.read_text())["commits"]
        return count

    def calls(self) -> Counter[str]:
        """Live once and count the mutating calls."""
        trace = self.folder / "trace"
        code = self.go("-o", str(trace), "-e", f"trace={','.join(MUTATING)}")
        assert code == crash_driver.LIVED, self.report.read_text()
        return Counter(re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.MULTILINE))

    def answered(self) -> set[str]:
        """Give the hashes that the catalog holds an answer for; none where there is no catalog yet.

        Looks at a copy: opening a catalog that was cut off in a commit mends it.
        """
        with TemporaryDirectory() as folder:
            state = Path(shutil.copytree(self.home.state, Path(folder) / "state"))
            rows = rows_of(state / self.home.catalog.name, "question")
        return {row["hash"] for row in rows if row["verdict"] is not None}

    def hung(self) -> list[Path]:
        """List the files of galleries that have their final names."""
        found = (self.home.state / "gallery").rglob("*")
        return [it for it in found if it.is_file() and not it.name.startswith(".")]

    def torn(self) -> list[str]:
        """Name the files at final names that are not whole."""
        whole = {"x.preview.png": png_of(self.content), "x.safetensors": self.content}
        found = []
        for path in sorted(self.model.parent.iterdir()):
            if path.name.startswith(".hashtagd-"):
                continue
            content = path.read_bytes()
            if path.name in whole:
                found += [path.name] if content != whole[path.name] else []
            elif not _is_json(content):
                found.append(path.name)
        pictures = {png_of(self.content), *(png(8, 8, seed) for seed in range(self.gallery))}
        found += [
            it.name
            for it in self.hung()
            if it.read_bytes() not in (pictures if it.suffix == ".png" else {b""})
        ]
        return found

    def look_ups(self, since: int = 0) -> list[str]:
        """Give the hashes that the site was asked for, after so many requests."""
        return [item.lower() for request in self.site.requests[since:] for item in request.items]

    def end_state(self) -> dict[str, Any]:
        """Sum up what this life came to, without what passes: times, ids, the folder, the port."""
        status = self.model.stat()
        return {
            "tree": {
                path.relative_to(self.home.loras).as_posix(): self._shown(path.read_bytes())
                for path in sorted(self.home.loras.rglob("*"))
                if path.is_file()
            },
            "rows": {name: self._stable_rows(name) for name in _DUMPED},
            "gallery": sorted((it.suffix, it.read_bytes()) for it in self.hung()),
            "model": (status.st_mode, status.st_mtime_ns),
            "state": sorted(
                it.name for it in self.home.state.iterdir() if not it.name.startswith("catalog.db-")
            ),
            "whole": is_whole(self.home.catalog),
        }

    def _shown(self, content: bytes) -> str:
        """Put out what differs between two whole lives as well: when, in which folder, at which port."""
        content = content.replace(os.fsencode(self.home.folder), b"HOME").replace(
            self.site.url.encode(), b"SITE"
        )
        if not content.startswith(b"{"):
            return hashlib.sha256(content).hexdigest()
        data = json.loads(content)
        return json.dumps({name: value for name, value in data.items() if name not in _TIMES}, sort_keys=True)

    def _stable_rows(self, table: str) -> list[str]:
        kept = []
        for row in rows_of(self.home.catalog, table):
            shown = {name: value for name, value in row.items() if not _PASSING.search(name)}
            if table == "publication":
                written = self.home.loras / row["relpath"]
                now = hashlib.sha256(written.read_bytes()).hexdigest()
                shown |= {name: row[name] == now for name in ("intended_sha256", "written_sha256")}
            kept.append(json.dumps(shown, sort_keys=True, default=bytes.hex).replace(self.site.url, "SITE"))
        return sorted(kept)


def png_of(content: bytes) -> bytes:
    """Give the picture that `publish` lets the site have for a model."""
    return png(seed=int(hashlib.sha256(content).hexdigest()[:4], 16))


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True


def rows_of(catalog: Path, table: str) -> list[dict[str, Any]]:
    """Read a table; no rows where it does not exist."""
    if not catalog.exists():
        return []
    with closing(sqlite3.connect(catalog)) as connection:
        connection.row_factory = sqlite3.Row
        known = connection.execute("select 1 from sqlite_master where name = ?", (table,)).fetchone()
        # the name comes from this module
        return [dict(row) for row in connection.execute(f"select * from {table}")] if known else []  # noqa: S608


def leftovers(root: Path) -> list[str]:
    """Name the temporary files below a folder."""
    return sorted(path.name for path in root.rglob(".hashtagd-*"))


def is_whole(catalog: Path) -> bool:
    """Let SQLite check the file."""
    with closing(sqlite3.connect(catalog)) as connection:
        answer: str = connection.execute("pragma integrity_check").fetchone()[0]
        return answer == "ok"
