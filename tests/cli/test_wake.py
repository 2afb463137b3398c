import os
import shutil
from pathlib import Path

from hashtagd.catalog.catalog import Catalog
from hashtagd.core.work import Release, Stage
from hashtagd.service.clock import SystemClock
from hashtagd.service.health import Health
from hashtagd.service.lock import DaemonLock
from hashtagd.service.presence import Presence
from support.commands import Home


def park(home: Home, name: str = "bad.safetensors") -> Path:
    """Make a file that is left alone because it is no model."""
    bad = home.loras / name
    bad.write_bytes(b"<html></html>" * 9)
    os.utime(bad, (1e9, 1e9))
    assert home.cli("--quiet", "run", "--once").code == 1
    return bad


def due(home: Home, stage: Stage) -> list[str]:
    catalog = Catalog.open(
        f"sqlite:///{home.state}/catalog.db", clock=SystemClock(), owner="test", chance=lambda: 0.0
    )
    claims = catalog.claim(stage, ["loras"], 99)
    catalog.apply([(claim, Release()) for claim in claims])
    catalog.close()
    return sorted(claim.place.relpath for claim in claims)


def test_retry_wakes_one_parked_file_and_no_other(home: Home) -> None:
    bad = park(home)
    park(home, "worse.safetensors")
    done = home.cli("retry", bad)
    assert (done.code, done.out) == (0, "1 files are due now\n")
    assert due(home, Stage.SETTLE) == ["bad.safetensors"]
    assert home.cli("retry").out == "1 files are due now\n"
    assert due(home, Stage.SETTLE) == ["bad.safetensors", "worse.safetensors"]


def test_retry_of_what_needs_none_is_fine_and_of_what_nobody_knows_is_not(library: Home) -> None:
    assert library.cli("retry", library.loras / "private.safetensors").out == "0 files are due now\n"
    unknown = library.cli("retry", library.loras / "never-seen.safetensors")
    assert unknown.code == 1
    assert "never-seen" in unknown.err
    elsewhere = library.cli("retry", library.folder / "x.safetensors")
    assert elsewhere.code == 1
    assert "lies in no root" in elsewhere.err


def test_retry_without_a_catalog_makes_none(home: Home) -> None:
    assert home.cli("retry").out == "0 files are due now\n"
    assert not home.state.exists()


def test_a_rescan_finds_what_nobody_hinted_at(home: Home) -> None:
    home.put("new.safetensors")
    done = home.cli("rescan")
    assert (done.code, done.out) == (0, "loras: 1 files, 1 changes\n")
    assert home.cli("rescan", "loras").out == "loras: 1 files, 0 changes\n"
    assert due(home, Stage.SETTLE) == ["new.safetensors"]


def test_a_rescan_can_have_every_byte_read_again(library: Home) -> None:
    done = library.cli("rescan", "--rehash")
    assert "2 files will be read again" in done.out
    assert len(due(library, Stage.SETTLE)) == 2


def test_a_rescan_of_a_root_that_is_not_there_says_what_to_do(home: Home) -> None:
    home.loras.rmdir()
    done = home.cli("rescan")
    assert done.code == 1
    assert "mount it" in done.err


def test_a_rescan_of_an_emptied_root_forgets_nothing(library: Home) -> None:
    shutil.rmtree(library.loras)
    library.loras.mkdir()
    done = library.cli("rescan")
    assert done.code == 1
    assert library.cli("status", "--json").json["states"]["gone"] == 0


def test_a_rescan_wants_names_of_roots(home: Home) -> None:
    done = home.cli("rescan", "nas")
    assert done.code == 1
    assert "choose from: loras" in done.err


def test_a_daemon_s_own_paths_win_while_it_runs(library: Home) -> None:
    elsewhere = library.folder / "elsewhere"
    elsewhere.mkdir()
    Presence(library.state, {"paths": {"loras": str(elsewhere)}}).tell(Health(well=True, reasons=()), {}, {})
    assert library.cli("rescan").out == "loras: 2 files, 0 changes\n"
    with DaemonLock(library.state, owner="x", pid=1):
        done = library.cli("rescan")
    assert done.code == 1
    assert done.out == "loras: 0 files, 0 changes\n"


def test_after_a_mount_with_new_inodes_a_rescan_reads_nothing_again(home: Home) -> None:
    for number in range(12):
        home.put(f"m{number:02}.safetensors", known=False)
    home.cli("--quiet", "run", "--once")
    for path in home.loras.glob("*.safetensors"):
        copy = path.with_name("copying.tmp")
        copy.write_bytes(path.read_bytes())
        os.utime(copy, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
        copy.replace(path)
    assert home.cli("rescan").code == 0
    assert due(home, Stage.SETTLE) == []
