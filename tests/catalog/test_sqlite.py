"""The file that a SQLite catalog lies in: who made it, in which mode, and what happens to broken ones."""

import itertools
import os
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from hashtagd.catalog import sqlite
from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.connecting import open_database
from hashtagd.core.troubles import AskOperator, Scope, TryLater
from hashtagd.core.work import Stage
from support.clock import FakeClock
from support.library import ROOT, Library


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "catalog.db"


def opened(path: Path) -> Catalog:
    return Catalog.open(f"sqlite:///{path}", clock=FakeClock(), owner="me", chance=lambda: 0.0)


def refusal(path: Path) -> AskOperator:
    """Open what must be refused; the file must stay as it is."""
    before = path.read_bytes()
    with pytest.raises(AskOperator) as caught:
        opened(path)
    assert path.read_bytes() == before
    assert caught.value.scope is Scope.DAEMON
    return caught.value


def left_behind(path: Path) -> set[str]:
    """List what lies beside the catalog and is not SQLite's own."""
    return {it.name for it in path.parent.iterdir()} - {"catalog.db", "catalog.db-journal"}


def pragma(catalog: Catalog, name: str) -> object:
    return catalog.database.read(lambda it, _now: it.execute(text(f"pragma {name}")).scalar())


def test_a_missing_catalog_is_made_in_a_private_folder(path: Path) -> None:
    with closing(opened(path)) as catalog:
        assert catalog.scans.count_files(ROOT) == 0
        assert pragma(catalog, "application_id") == sqlite.APPLICATION_ID
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert left_behind(path) == set()


def test_the_mode_of_the_file_follows_the_umask(path: Path) -> None:
    before = os.umask(0o027)
    try:
        opened(path).close()
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


def test_an_empty_file_is_not_taken_for_a_catalog(path: Path) -> None:
    """F66."""
    path.parent.mkdir()
    path.touch()
    assert refusal(path).kind == "catalog_damaged"


@pytest.mark.parametrize("size", [1, 99, 100, 5000])
def test_random_bytes_are_refused_and_kept(path: Path, size: int) -> None:
    """F65."""
    path.parent.mkdir()
    path.write_bytes(random.Random(size).randbytes(size))
    assert refusal(path).kind == "catalog_damaged"


def test_a_database_of_another_program_is_refused_and_kept(path: Path) -> None:
    """F65."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as other:
        other.execute("create table precious (x)")
    assert "another program" in refusal(path).what


def test_a_catalog_cut_short_is_refused_and_kept(path: Path) -> None:
    """F65."""
    opened(path).close()
    path.write_bytes(path.read_bytes()[:8192])
    assert refusal(path).kind == "catalog_damaged"


def test_damage_in_the_middle_is_a_matter_for_a_person(path: Path) -> None:
    """F65."""
    with closing(opened(path)) as catalog:
        Library(catalog, FakeClock()).note(*(f"f{at}" for at in range(300)))
    whole = bytearray(path.read_bytes())
    middle = whole.index(b"f150")
    start = middle - middle % 4096
    whole[start : start + 4096] = b"\xff" * 4096
    path.write_bytes(whole)
    with closing(opened(path)) as catalog, pytest.raises(AskOperator) as caught:
        catalog.claim(Stage.SETTLE, [ROOT], 1000)
    assert caught.value.kind == "catalog_damaged"


def test_a_folder_that_cannot_be_made_is_a_matter_for_a_person(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AskOperator) as caught:
        opened(tmp_path / "file" / "catalog.db")
    assert caught.value.kind == "catalog_unreachable"


def test_a_dangling_link_is_not_followed_to_make_a_catalog(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(AskOperator):
        opened(path)
    assert not (tmp_path / "nowhere").exists()


def test_the_home_folder_may_be_written_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    Catalog.open("sqlite:///~/x/c.db", clock=FakeClock(), owner="me", chance=lambda: 0.0).close()
    assert (tmp_path / "x" / "c.db").exists()


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "mysql://x/y", "no address", "postgresql://h:bad/"]
)
def test_an_address_that_cannot_be_used_is_not_quoted(url: str) -> None:
    """F89."""
    with pytest.raises(AskOperator) as caught:
        open_database(url, clock=FakeClock())
    assert caught.value.kind == "catalog_address"
    assert url not in caught.value.what
    assert "bad" not in str(caught.value)


def test_somebody_elses_file_wins_when_two_make_one_at_once(path: Path) -> None:
    opened(path).close()
    first = path.stat().st_ino
    sqlite._create(path)
    assert path.stat().st_ino == first
    assert left_behind(path) == set()


def test_a_folder_without_hard_links_gets_its_catalog_too(path: Path) -> None:
    path.parent.mkdir()

    def no_links(_old: object, _new: object) -> None:
        raise PermissionError

    sqlite._create(path, link=no_links)
    opened(path).close()
    assert left_behind(path) == set()


@pytest.mark.parametrize(
    "version,file_system,mode",
    [
        ((3, 40, 1), "ext4", "truncate"),
        ((3, 51, 2), "ext4", "truncate"),
        ((3, 51, 3), "ext4", "wal"),
        ((3, 52, 0), "btrfs", "wal"),
        ((3, 52, 0), "fuse.mergerfs", "truncate"),
        ((3, 52, 0), None, "truncate"),
    ],
)
def test_the_log_mode_is_chosen_by_library_and_disk(
    version: tuple[int, ...], file_system: str | None, mode: str
) -> None:
    """F69."""
    assert sqlite.journal_mode(version, file_system) == mode


@pytest.mark.parametrize("version,mode", [((3, 40, 1), "truncate"), ((3, 99, 0), "wal")])
def test_every_connection_is_told_to_keep_commits(
    path: Path, tmp_path: Path, version: tuple[int, ...], mode: str
) -> None:
    """F69."""
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n")
    database = open_database(
        f"sqlite:///{path}", clock=FakeClock(), sqlite_version=version, mountinfo=mountinfo
    )
    with closing(Catalog(database, owner="me", chance=lambda: 0.0)) as catalog:
        assert pragma(catalog, "journal_mode") == mode
        assert pragma(catalog, "synchronous") == 2
        assert pragma(catalog, "foreign_keys") == 1
        assert pragma(catalog, "busy_timeout") == 10_000


def connections(path: Path) -> int:
    """Count how often this process has the file open."""
    names = [str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
    return names.count(str(path))


def test_a_catalog_at_rest_keeps_only_the_connection_that_tells_of_news(path: Path) -> None:
    with closing(opened(path)) as catalog:
        before = catalog.change_token()
        with catalog.database.engine.connect() as busy, catalog.database.engine.connect():
            pass
        assert busy.closed
        assert connections(path) == 3
        catalog.database.rest()
        assert connections(path) == 1
        assert catalog.change_token() == before
        catalog.scans.keep_root("loras", "token", None)
        assert catalog.change_token() != before


def test_a_connection_in_use_is_left_alone_at_rest(path: Path) -> None:
    with closing(opened(path)) as catalog:
        with catalog.database.engine.connect() as busy:
            catalog.database.rest()
            assert busy.execute(text("select 1")).scalar_one() == 1
        assert catalog.scans.root_marker("loras") is None


def test_a_catalog_that_a_newer_library_left_in_wal_mode_is_read(path: Path) -> None:
    """F69."""
    with closing(opened(path)) as catalog:
        Library(catalog, FakeClock()).note("x")
    with closing(sqlite3.connect(path)) as other:
        other.execute("pragma journal_mode = wal")
    with closing(opened(path)) as catalog:
        assert catalog.scans.count_files(ROOT) == 1


MOUNTS = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /mnt/nas\040box rw shared:2 - nfs4 nas:/ rw
31 22 0:41 / /mnt rw - tmpfs none rw
too short - x
no separator at all
"""


@pytest.mark.parametrize(
    "path_text,found",
    [("/home/x", "ext4"), ("/mnt/nas box/state", "nfs4"), ("/mnt/nas", "tmpfs"), ("relative", None)],
)
def test_the_kind_of_disk_is_that_of_the_innermost_mount(path_text: str, found: str | None) -> None:
    assert sqlite.file_system_of(Path(path_text), MOUNTS) == found


def test_a_network_disk_is_refused_unless_the_owner_insists(path: Path, tmp_path: Path) -> None:
    """F69."""
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text("1 0 8:1 / / rw - nfs4 nas:/ rw\n")
    with pytest.raises(AskOperator) as caught:
        open_database(f"sqlite:///{path}", clock=FakeClock(), mountinfo=mountinfo)
    assert caught.value.kind == "catalog_on_network"
    assert not path.exists()
    open_database(f"sqlite:///{path}?network=yes", clock=FakeClock(), mountinfo=mountinfo).close()
    assert path.exists()


def test_a_machine_that_lists_no_mounts_gets_a_catalog(path: Path, tmp_path: Path) -> None:
    open_database(f"sqlite:///{path}", clock=FakeClock(), mountinfo=tmp_path / "missing").close()
    assert path.exists()


def test_another_program_that_holds_the_catalog_is_waited_for_and_then_named(path: Path) -> None:
    """F64."""
    opened(path).close()
    database = open_database(f"sqlite:///{path}", clock=FakeClock(), busy_s=0.05)
    with closing(Catalog(database, owner="me", chance=lambda: 0.0)) as catalog:
        library = Library(catalog, FakeClock())
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("begin immediate")
            with pytest.raises(TryLater) as caught:
                library.note("x")
            other.execute("rollback")
        assert (caught.value.kind, caught.value.scope) == ("catalog_busy", Scope.DAEMON)
        assert library.note("x").new == 1


@pytest.mark.parametrize("harm", ["deleted", "replaced", "emptied"])
def test_a_catalog_that_is_lost_while_open_is_noticed(path: Path, harm: str) -> None:
    """F66: inserts into a deleted file succeed silently."""
    with closing(opened(path)) as catalog:
        catalog.change_token()
        if harm == "emptied":
            os.truncate(path, 0)
        else:
            path.unlink()
        if harm == "replaced":
            path.write_bytes(b"another")
        for ask in (catalog.change_token, catalog.well):
            with pytest.raises(TryLater) as caught:
                ask()
            assert caught.value.kind == "catalog_replaced"


@pytest.mark.parametrize("harm", ["deleted", "replaced"])
def test_a_new_connection_makes_no_catalog_where_one_was_lost(path: Path, harm: str) -> None:
    """F66: SQLite would make an empty file, in which no table is."""
    with closing(opened(path)) as catalog:
        catalog.change_token()  # who watches the file holds it open: no other one gets its number
        catalog.database.rest()
        path.unlink()
        if harm == "replaced":
            with closing(sqlite3.connect(path)) as other:
                other.execute("create table another (x)")
        with pytest.raises(TryLater) as caught:
            catalog.reports.roots()
        assert caught.value.kind == "catalog_replaced"
        assert path.exists() == (harm == "replaced")


def test_a_closed_catalog_can_be_closed_again(path: Path) -> None:
    catalog = opened(path)
    catalog.change_token()
    catalog.close()
    catalog.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A disk of 512 KiB."""
    mount = tmp_path / "small"
    mount.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(mount)], check=False)
    if done.returncode != 0:
        pytest.skip("this machine lets nobody mount a small disk")
    return mount


def test_a_full_disk_stops_writing_loses_nothing_and_heals(
    small_disk: Path, request: pytest.FixtureRequest
) -> None:
    """F72."""
    request.addfinalizer(lambda: subprocess.run(["umount", "-l", str(small_disk)], check=True))
    with closing(opened(small_disk / "catalog.db")) as catalog:
        library = Library(catalog, FakeClock())
        library.note("kept")
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as handle, pytest.raises(OSError, match="No space"):
            handle.writelines(itertools.repeat(bytes(4096)))
        with pytest.raises(AskOperator) as caught:
            library.note(*(f"f{at}" for at in range(2000)))
        assert caught.value.kind in ("catalog_full", "catalog_io")
        filler.unlink()
        assert "kept" in catalog.scans.files_in(ROOT, "")
        assert library.note("later").new == 1


def test_a_disk_that_turns_read_only_is_a_matter_for_a_person(
    small_disk: Path, request: pytest.FixtureRequest
) -> None:
    """F72."""
    request.addfinalizer(lambda: subprocess.run(["umount", "-l", str(small_disk)], check=True))
    opened(small_disk / "catalog.db").close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with closing(opened(small_disk / "catalog.db")) as catalog, pytest.raises(AskOperator) as caught:
        Library(catalog, FakeClock()).note("x")
    assert caught.value.kind in ("catalog_readonly", "catalog_unreachable")


DIE_IN_MIGRATION = """
import os, sys
sys.path[:0] = sys.argv[2:4]
from sqlalchemy import event
from sqlalchemy.engine import Engine
from hashtagd.catalog.catalog import Catalog
from support.clock import FakeClock
left = [int(sys.argv[4])]
@event.listens_for(Engine, "before_cursor_execute")
def die(*_):
    left[0] -= 1
    if left[0] == 0:
        os._exit(9)
Catalog.open(sys.argv[1], clock=FakeClock(), owner="child", chance=lambda: 0.0).close()
"""


def run_child(script: str, *arguments: str) -> int:
    here = Path(__file__).resolve().parents[2]
    paths = (str(here / "daemon"), str(here / "tests"))
    done = subprocess.run([sys.executable, "-c", script, arguments[0], *paths, *arguments[1:]], check=False)
    return done.returncode


@pytest.mark.slow
@pytest.mark.parametrize("statement", [1, 2, 5, 12, 20, 26, 30])
def test_a_migration_killed_anywhere_is_done_or_not_done(path: Path, statement: int) -> None:
    """F68."""
    assert run_child(DIE_IN_MIGRATION, f"sqlite:///{path}", str(statement)) == 9
    with closing(opened(path)) as catalog:
        assert Library(catalog, FakeClock()).note("x").new == 1
        assert (
            catalog.database.read(lambda it, _now: it.execute(text("select count(*) from model")).scalar())
            == 1
        )
