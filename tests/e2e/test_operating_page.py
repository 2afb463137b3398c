"""What docs/operating.md tells people to do, done word for word."""

import hashlib
import json
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from hashtagd.standin import Standin
from support.daemon_process import Home, is_tagged, make_home, publish, run_command, run_once, running
from support.safetensors import lora
from support.tools import found, is_missing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PAGE = (Path(__file__).parents[2] / "docs" / "operating.md").read_text(encoding="utf-8")
STATE = ".local/state/hashtagd"


@pytest.fixture
def home(tmp_path: Path, site: Standin) -> Home:
    """A home with the catalog where it usually lies, and one model that was published."""
    folder = tmp_path / "home"
    made = make_home(
        folder,
        site=site.url,
        state=folder / "user" / STATE,
        log={"format": "json", "file": str(folder / "user" / STATE / "hashtagd.log")},
    )
    add(made, site, "first")
    run_once(made)
    assert is_tagged(made.loras / "first.safetensors", "first")
    site.forget_requests()
    return made


def add(home: Home, site: Standin, name: str) -> Path:
    model = home.loras / f"{name}.safetensors"
    model.write_bytes(lora(len(name)))
    publish(site, model.read_bytes(), name)
    return model


def block(word: str) -> str:
    """Give the block of the page that holds a word."""
    blocks = re.findall(r"^```(?:sh)?\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (text,) = [it for it in blocks if word in it]
    return str(text)


def do(home: Home, word: str, backup: Path) -> None:
    """Run a block of the page."""
    script = block(word).replace("/backup/", f"{backup}/")
    subprocess.run(["sh", "-eu", "-c", script], env={**home.environ(), "HOME": str(home.user)}, check=True)


def beside(home: Home) -> dict[str, object]:
    """Read all that lies in the root; when a site was asked last is another moment after asking again."""
    read: dict[str, object] = {path.name: path.read_bytes() for path in home.loras.iterdir()}
    card = json.loads((home.loras / "first.metadata.json").read_text(encoding="utf-8"))
    return read | {"first.metadata.json": card | {"last_checked_at": None}}


def put_back(home: Home, backup: Path) -> None:
    do(home, "rm -f", backup)


@pytest.mark.skipif(is_missing("sqlite3"), reason="sqlite3 is not installed")
def test_a_copy_made_while_the_daemon_runs_is_whole_and_costs_nothing_when_put_back(
    home: Home, site: Standin, tmp_path: Path
) -> None:
    with running(home) as daemon:
        daemon.ready()
        do(home, ".backup", tmp_path)
        later = add(home, site, "second")
        daemon.until(lambda: is_tagged(later, "second"))
        daemon.kill()  # so that the rest of something may lie beside the catalog
    for name in ("journal", "wal"):
        home.catalog.with_name(f"catalog.db-{name}").write_bytes(b"of another file" * 99)
    put_back(home, tmp_path)
    site.forget_requests()
    done = run_once(home)
    assert (done["files"], done["named"]) == (2, 2)
    asked = {item.lower() for request in site.requests for item in request.items}
    assert asked == {hashlib.sha256(later.read_bytes()).hexdigest()}, "what the copy knows costs nothing"
    with closing(sqlite3.connect(home.catalog)) as store:
        assert store.execute("pragma integrity_check").fetchall() == [("ok",)]


def test_an_older_catalog_is_taken_over_by_the_first_start(home: Home) -> None:
    with closing(sqlite3.connect(home.catalog)) as store:
        (newest,) = store.execute("select max(version) from schema_version").fetchone()
        store.execute("drop index question_told")
        store.execute("delete from schema_version where version >= 7")
        store.commit()
    told = run_command(home, "status")
    assert (told.returncode, "start the daemon once" in told.stderr) == (78, True)
    run_once(home)
    assert run_command(home, "status").returncode == 0
    with closing(sqlite3.connect(home.catalog)) as store:
        assert store.execute("select max(version) from schema_version").fetchone() == (newest,)


def test_a_newer_catalog_is_refused_untouched_and_a_copy_or_a_scan_is_the_way_back(
    home: Home, site: Standin, tmp_path: Path
) -> None:
    shutil.copy(home.catalog, tmp_path / "catalog.db")
    with closing(sqlite3.connect(home.catalog)) as store:
        store.execute("insert into schema_version values (99, '2030-01-01T00:00:00.000000Z')")
        store.commit()
    before = home.catalog.read_bytes()
    refused = run_command(home, "run", "--once")
    assert (refused.returncode, "newer hashtagd" in refused.stderr) == (78, True)
    assert home.catalog.read_bytes() == before
    put_back(home, tmp_path)
    assert run_once(home)["bytes_hashed"] == 0
    assert not site.requests
    before_all = beside(home)
    home.catalog.unlink()
    assert run_once(home)["named"] == 1, "each file was read and asked about once more"
    assert beside(home) == before_all


@pytest.mark.skipif(is_missing("logrotate"), reason="logrotate is not installed")
def test_the_log_is_moved_away_by_logrotate_and_goes_on(home: Home, site: Standin, tmp_path: Path) -> None:
    log = home.state / "hashtagd.log"
    rules = tmp_path / "rules"
    rules.write_text(f"{log} {{\n weekly\n rotate 4\n missingok\n notifempty\n}}\n", encoding="utf-8")
    rules.chmod(0o644)
    program = found("logrotate")
    assert program is not None
    with running(home) as daemon:
        daemon.ready()
        subprocess.run([program, "--force", "--state", tmp_path / "memory", rules], check=True)
        moved = log.with_name("hashtagd.log.1").read_bytes()
        assert b"daemon_started" in moved
        later = add(home, site, "second")
        daemon.until(lambda: is_tagged(later, "second"))
        daemon.until(lambda: log.exists() and b"file_published" in log.read_bytes())
    assert log.with_name("hashtagd.log.1").read_bytes() == moved, "nothing goes to the old one any more"
