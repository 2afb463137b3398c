"""The whole daemon is killed again and again while a library grows; in the end every file has its name."""

import hashlib
import os
import random
from pathlib import Path

import pytest

from hashtagd.standin import Standin
from support.crash_lives import is_whole, rows_of
from support.daemon_process import Daemon, is_tagged, make_home, publish, run_once, sidecar_of
from support.safetensors import lora

_LONG = os.environ.get("HASHTAGD_LONG") == "1"
_KILLS, _FILES = (200, 200) if _LONG else (15, 40)
#: each fifth kill may come before the daemon has begun, the others come so long after at most
_EARLY, _LONGEST_S = 5, 1.5

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800 if _LONG else 300)]


def answered(catalog: Path) -> set[str]:
    """Read which hashes have an answer; opening the catalog mends a cut commit, as a restart does."""
    return {row["hash"] for row in rows_of(catalog, "question") if row["verdict"] is not None}


def has_begun(daemon: Daemon) -> bool:
    """Tell whether this daemon, not one before it, has written that it works."""
    pid = str(daemon.process.pid)
    lock = daemon.home.state / "daemon.lock"
    return lock.exists() and lock.read_text().split()[:1] == [pid]


def test_no_random_kill_loses_tears_or_repeats_anything(tmp_path: Path, site: Standin) -> None:
    """F83."""
    chance = random.Random(83)
    home = make_home(tmp_path / "home", site=site.url, quiet_s=0)
    contents = {home.loras / f"{n % 7}" / f"{n}.safetensors": lora(n) for n in range(_FILES)}
    names = {model: f"Model {model.stem}" for model in contents}
    waiting = list(contents)
    for kill in range(_KILLS):
        for model in waiting[:: max(1, _KILLS - kill)] if kill else waiting[:2]:
            waiting.remove(model)
            publish(site, contents[model], names[model])
            model.parent.mkdir(exist_ok=True)
            model.write_bytes(contents[model])
            os.utime(model, ns=(1_700_000_000 * 10**9,) * 2)
        known, before = answered(home.catalog), len(site.requests)
        with Daemon(home) as daemon:
            if kill % _EARLY:  # the others may die before they have begun
                daemon.until(lambda: has_begun(daemon), why="the start")
            daemon.rest(chance.uniform(0.0, _LONGEST_S))
            daemon.kill()
        now = {item.lower() for it in site.requests[before:] for item in it.items}
        assert not now & known, f"kill {kill}: a committed answer was asked for again"
    assert waiting == []
    known, before = answered(home.catalog), len(site.requests)
    summary = run_once(home)
    assert (summary["code"], summary["named"]) == (0, _FILES)
    assert not known & {item.lower() for it in site.requests[before:] for item in it.items}
    assert known, "every kill came before the first answer"
    for model, name in names.items():
        assert is_tagged(model, name), model
        assert model.read_bytes() == contents[model]
        assert sidecar_of(model)["sha256"] == hashlib.sha256(contents[model]).hexdigest()
    assert is_whole(home.catalog)
    assert len(rows_of(home.catalog, "file")) == _FILES
