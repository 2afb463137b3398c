"""Restores that are stopped by a signal, and those that a daemon works for."""

import hashlib
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hashtagd.core.card import DownloadUrl
from hashtagd.core.manifest import Entry, json_line
from hashtagd.standin import Fault, Standin
from support.daemon_process import Home, command, is_tagged, make_home, publish, run_command, running, until
from support.depot import Depot
from support.safetensors import lora, make_safetensors

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

#: a site that says nothing for so long; nobody who is stopped waits for it
_SILENT_S = 120.0
_AT_ONCE_S = 20.0


@pytest.fixture
def depot() -> Iterator[Depot]:
    with Depot() as made:
        yield made


@pytest.fixture
def home(tmp_path: Path, site: Standin, depot: Depot) -> Home:
    return make_home(
        tmp_path / "home",
        site=site.url,
        downloads={"min_free_bytes": 0},
        network={"allowed_origins": [site.url, depot.url]},
    )


def listed(home: Home, *entries: Entry | str) -> Path:
    path = home.folder / "list"
    lines = [it if isinstance(it, str) else json_line(it) for it in entries]
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


def restoring(home: Home, manifest: Path, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*command(home), "restore", *words, str(manifest)],
        env=home.environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stopped(call: "subprocess.Popen[str]", number: signal.Signals) -> tuple[int, str, str]:
    """Send the signal; gives how it ended, and kills what does not end."""
    try:
        call.send_signal(number)
        out, err = call.communicate(timeout=_AT_ONCE_S)
    except subprocess.TimeoutExpired:
        call.kill()
        call.communicate()
        raise
    return call.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_restore_that_is_stopped_goes_on_where_it_ended(
    home: Home, depot: Depot, number: signal.Signals
) -> None:
    content = make_safetensors(data_bytes=8 << 20)
    url = DownloadUrl(url=depot.put("big", content), source="mirror")
    sha256 = hashlib.sha256(content).hexdigest()
    manifest = listed(home, Entry(root="loras", path="big.safetensors", sha256=sha256, urls=(url,)))
    depot.bytes_per_s = 1 << 20
    call = restoring(home, manifest)
    part = home.loras / ".big.safetensors.hashtagd-part"
    until(lambda: part.exists() and part.stat().st_size >= 2 << 20)
    code, _, err = stopped(call, number)
    assert (code, "the same command goes on from there" in err) == (75, True)
    assert not (home.loras / "big.safetensors").exists()
    kept = part.stat().st_size
    depot.bytes_per_s = None
    done = run_command(home, "restore", str(manifest))
    assert done.returncode == 0, done.stderr
    assert (home.loras / "big.safetensors").read_bytes() == content
    assert [it.offset for it in depot.sendings["big"]] == [0, kept]
    assert not part.exists()


@pytest.mark.parametrize("named", ["hash", "number"])
def test_a_stop_while_a_site_is_asked_waits_for_no_answer(home: Home, site: Standin, named: str) -> None:
    publish(site, lora(1), "Ink", version_id=5, file_name="x.safetensors")
    sha256 = hashlib.sha256(lora(1)).hexdigest()
    site.spoil_next(None, fault=Fault(delay_s=_SILENT_S))
    by_hash = Entry(root="loras", path="x.safetensors", sha256=sha256)
    call = restoring(home, listed(home, by_hash if named == "hash" else "5"), "--to", "loras")
    until(lambda: site.requests, why="the first question")
    code, out, _ = stopped(call, signal.SIGINT)
    assert (code, out) == (75, "")


def test_a_daemon_that_runs_does_the_work(home: Home, site: Standin) -> None:
    contents = {f"{number}.safetensors": lora(number) for number in range(5)}
    entries = []
    for path, content in contents.items():
        sha256 = hashlib.sha256(content).hexdigest()
        site.add(sha256=sha256, size_bytes=len(content), content=content, name=f"Model {path}")
        entries.append(Entry(root="loras", path=path, sha256=sha256))
    with running(home) as daemon:
        daemon.ready()
        done = run_command(home, "restore", "--json", str(listed(home, *entries)))
        assert done.returncode == 0, done.stdout
        assert {file["ending"] for file in json.loads(done.stdout)["files"]} == {"fetched"}
        assert len(daemon.events("file_fetched")) == len(contents)
        for path, content in contents.items():
            assert (home.loras / path).read_bytes() == content
            daemon.until(lambda path=path: is_tagged(home.loras / path, f"Model {path}", picture=False))
