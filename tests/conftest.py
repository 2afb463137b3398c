"""What all tests share: a clock, addresses of empty catalogs on both engines, and what must start early."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hashtagd.catalog.catalog import Catalog
from support import postgres
from support.clock import FakeClock
from support.postgres import Postgres

_SERVER = pytest.StashKey[Postgres]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Let hypothesis make its table of characters before any test's time runs.

    Once per checkout it does, and under coverage that alone may take longer than a test may: so a process
    without coverage does it.
    """
    if not hasattr(session.config, "workerinput") and not (session.config.rootpath / ".hypothesis").exists():
        make = "import hypothesis.strategies as it; it.text().validate()"
        subprocess.run([sys.executable, "-W", "ignore", "-c", make], cwd=session.config.rootpath, check=True)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Start PostgreSQL before the first test: making its files takes longer than a test may."""
    wanted = any(
        "postgres_url" in getattr(item, "fixturenames", ()) or "[postgresql" in item.nodeid
        for item in session.items
    )
    if wanted and postgres.WHY_NOT is None and not session.config.option.collectonly:
        session.config.stash[_SERVER] = postgres.start()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let the server go: a worker of a parallel run ends without the calls that are kept for the exit."""
    server = session.config.stash.get(_SERVER, None)
    if server is not None:
        server.leave()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell how many random interleavings there were: their number is a promise."""
    ended = [*terminalreporter.stats.get("passed", ()), *terminalreporter.stats.get("failed", ())]
    lives = [value for it in ended for name, value in it.user_properties if name == "interleavings"]
    if lives:
        terminalreporter.write_line(f"{sum(lives):,} random interleavings with what others do")


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still until the test moves it."""
    return FakeClock()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The address of a SQLite catalog that does not exist yet."""
    return f"sqlite:///{tmp_path}/state/catalog.db"


@pytest.fixture
def postgres_url(pytestconfig: pytest.Config) -> Iterator[str]:
    """The address of an empty PostgreSQL schema."""
    if postgres.WHY_NOT is not None:
        pytest.skip(postgres.WHY_NOT)
    with pytestconfig.stash[_SERVER].schema() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest) -> str:
    """The address of a place for a catalog; the test runs once on each engine."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture
def catalog_url(empty_url: str) -> str:
    """The address of a catalog that is not made yet, on each engine."""
    return empty_url


@pytest.fixture(scope="session")
def made_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog in a file, of which tests take copies."""
    path = tmp_path_factory.mktemp("made") / "catalog.db"
    _make(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def made_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a catalog with tables and nothing in them; the test runs once on each engine."""
    if request.param == "sqlite":
        path = tmp_path / "state" / "catalog.db"
        path.parent.mkdir(mode=0o700)
        shutil.copyfile(request.getfixturevalue("made_sqlite"), path)
        yield f"sqlite:///{path}"
        return
    if postgres.WHY_NOT is not None:
        pytest.skip(postgres.WHY_NOT)
    with request.config.stash[_SERVER].copy(_make) as url:
        yield url


def _make(url: str) -> None:
    Catalog.open(url, clock=FakeClock(), owner="maker", chance=lambda: 0.0).close()


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """Give a folder that other users may enter; pytest's own are closed to them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
