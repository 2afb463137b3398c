"""A day with nothing to do: the real service, turned by hand under a clock that skips its waits."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event

from hashtagd.catalog.engine import READS
from hashtagd.service.supervisor import Supervisor
from hashtagd.standin import Standin
from support.crash_driver import TurnedService
from support.daemon_process import Home, is_tagged, make_home, publish
from support.safetensors import lora

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

_DAY_S = 86_400.0
_STEP_S = 0.05
#: lanes look again after a minute; what they would write in one look they would in another
_LOOK_EVERY_S = 300.0
_FILES = 4


@contextmanager
def counted() -> Iterator[list[Connection]]:
    """Count writing transactions, in whatever store and thread."""
    seen: list[Connection] = []

    def committing(connection: Connection) -> None:
        if not connection.get_execution_options().get(READS):
            seen.append(connection)

    event.listen(Engine, "commit", committing)
    try:
        yield seen
    finally:
        event.remove(Engine, "commit", committing)


def live(turned: TurnedService, supervisor: Supervisor, seconds: float) -> None:
    """Let time pass: all works look, and the supervisor tells how everything is."""
    ends_s = turned.clock.monotonic_s() + seconds
    while turned.clock.monotonic_s() < ends_s:
        wait_s = turned.turn(_LOOK_EVERY_S)
        supervisor.tick()
        turned.clock.skip(max(wait_s, 0.0) + _STEP_S)
    assert turned.bugs == []


def looks(home: Home) -> dict[Path, tuple[int, int, int]]:
    """Look at every file there is: models, what lies beside them, the catalog."""
    stats = {path: os.lstat(path) for path in home.folder.rglob("*") if path.is_file()}
    return {path: (it.st_ino, it.st_size, it.st_mtime_ns) for path, it in stats.items()}


@pytest.fixture
def settled(tmp_path: Path, site: Standin) -> Home:
    """A library of which everything is known and published."""
    home = make_home(tmp_path / "home", site=site.url)
    models = {home.loras / f"{number}.safetensors": f"Model {number}" for number in range(_FILES)}
    for seed, (model, name) in enumerate(models.items()):
        model.write_bytes(lora(seed))
        publish(site, model.read_bytes(), name)
    _work(home)
    assert all(is_tagged(model, name) for model, name in models.items())
    site.forget_requests()
    return home


def _work(home: Home) -> None:
    turned = TurnedService(home.config, home.environ())
    with turned.running():
        while not (turned.turn() > 0 and turned.finished):
            turned.clock.skip(1.0)


def test_a_day_with_nothing_to_do_costs_no_request_and_writes_nothing(settled: Home, site: Standin) -> None:
    turned = TurnedService(settled.config, settled.environ(), once=False)
    with turned.running(), counted() as commits:
        supervisor = turned.service.supervisor()
        live(turned, supervisor, 60)  # it has started, and sweeps what an earlier process may have left
        before, since = looks(settled), len(turned.told)
        commits.clear()
        live(turned, supervisor, _DAY_S)
        assert (list(site.requests), commits, looks(settled)) == ([], [], before)
    told = {name for name, _ in turned.told[since:]}
    assert told == {"root_unchanged"}, "which the log shows at debug level only"


def test_what_nobody_knows_is_asked_about_when_that_is_due_and_nothing_else_is_written(
    settled: Home, site: Standin
) -> None:
    (settled.loras / "unknown.safetensors").write_bytes(lora(_FILES + 1))
    _work(settled)
    site.forget_requests()
    turned = TurnedService(settled.config, settled.environ(), once=False)
    with turned.running(), counted() as commits:
        supervisor = turned.service.supervisor()
        live(turned, supervisor, 60)
        before = looks(settled)
        commits.clear()
        live(turned, supervisor, _DAY_S / 6)
        assert [name for name, _ in turned.told].count("model_absent") == 1, "first repeated within hours"
        assert len(site.requests) == 1
        assert len(commits) == 3, "to claim it, to pass the gate, to keep the answer"
        changed = {path for path, look in looks(settled).items() if look != before.get(path)}
    assert {path.name.partition("-")[0] for path in changed} == {"catalog.db"}
