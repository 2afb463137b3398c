import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import hashtagd
from hashtagd.catalog.catalog import Catalog
from hashtagd.cli.status import watch_wait_s
from hashtagd.core.troubles import Scope
from hashtagd.service.clock import SystemClock
from hashtagd.service.health import Health
from hashtagd.service.lock import DaemonLock
from hashtagd.service.presence import Presence
from hashtagd.standin import ArchiveStandin
from support.commands import Home
from support.serving import later
from support.stage_fakes import as_nobody

KEYS = {
    "daemon": {"running", "pid", "well", "reasons", "paused"},
    "questions": {"due", "waiting", "background"},
}
STATES = {"waiting", "hashing", "asking", "published", "unknown", "parked", "gone"}


def catalog(home: Home) -> Catalog:
    return Catalog.open(
        f"sqlite:///{home.state}/catalog.db", clock=SystemClock(), owner="test", chance=lambda: 0.0
    )


def test_before_the_first_run_status_says_so_and_makes_nothing(home: Home) -> None:
    done = home.cli("status", "--json")
    assert done.code == 0
    assert done.json["daemon"] == {"running": False, "pid": None, "well": None, "reasons": [], "paused": None}
    assert done.json["roots"][0]["path"] == str(home.loras)
    assert "the daemon is not running" in home.cli("status").out
    assert not home.state.exists()


def test_the_document_has_the_documented_keys(library: Home) -> None:
    told = library.cli("status", "--json").json
    assert set(told) == {
        "daemon",
        "roots",
        "unwatched_roots",
        "states",
        "questions",
        "matches",
        "availability",
        "last_check_at",
        "next_check_at",
        "gates",
        "downloads",
        "troubles",
        "next_due_at",
    }
    assert {name: set(told[name]) for name in KEYS} == KEYS
    assert set(told["states"]) == STATES
    assert (told["states"]["published"], told["states"]["unknown"]) == (1, 1)
    size = sum(path.stat().st_size for path in library.loras.rglob("*.safetensors"))
    assert told["roots"] == [
        {
            "name": "loras",
            "path": str(library.loras),
            "watch": None,
            "files": 2,
            "bytes": size,
            "trouble": None,
        }
    ]
    assert set(told["gates"][0]) == {"origin", "open", "opens_at", "reason"}
    assert told["gates"][0]["opens_at"] is None
    assert told["troubles"] == []
    # nothing is due for files, but the questions are asked again some day
    assert told["next_due_at"].endswith("Z")


def test_a_closed_gate_and_a_parked_file_are_told_with_three_clauses(library: Home) -> None:
    (library.loras / "bad.safetensors").write_bytes(b"<html></html>" * 9)
    os.utime(library.loras / "bad.safetensors", (1e9, 1e9))
    library.cli("run", "--once")
    opened = catalog(library)
    opened.gates({}, 60).close(library.site.url, later("outage\x1b[2J", Scope.PROVIDER), 900.0)
    opened.close()
    told = library.cli("status", "--json").json
    assert {frozenset(it) for it in told["troubles"]} == {
        frozenset({"scope", "where", "what", "does", "you"})
    }
    assert [(it["scope"], it["where"]) for it in told["troubles"]] == [
        ("file", "loras/bad.safetensors"),
        ("provider", library.site.url),
    ]
    (gate,) = [it for it in told["gates"] if not it["open"]]
    assert gate["opens_at"].endswith("Z")
    printed = library.cli("status").out
    assert "\x1b" not in printed
    assert "loras/bad.safetensors: this is not a safetensors file" in printed
    assert "in 15 min" in printed
    assert "next work:" in printed


def test_many_troubles_are_cut_on_paper_and_not_in_json(home: Home) -> None:
    for number in range(25):
        path = home.loras / f"bad{number:02}.safetensors"
        path.write_bytes(b"<html></html>" * 9)
        os.utime(path, (1e9, 1e9))
    home.cli("run", "--once")
    assert "and 5 more: `hashtagd list --trouble`" in home.cli("status").out
    assert len(home.cli("status", "--json").json["troubles"]) == 25


def test_a_daemon_that_runs_tells_how_it_is_and_what_it_watches(library: Home) -> None:
    adhoc = library.folder / "adhoc"
    health = Health(well=False, reasons=("lane scout-1 has ended",))
    with DaemonLock(library.state, owner="x", pid=4242):
        paths = {"loras": str(adhoc), "vae": "/vae"}
        Presence(library.state, {"pid": 4242, "paths": paths}).tell(
            health, {"vae": later("root_away")}, {"loras": "events"}
        )
        told = library.cli("status", "--json").json
        printed = library.cli("status").out
    assert told["daemon"] == {
        "running": True,
        "pid": 4242,
        "well": False,
        "reasons": ["lane scout-1 has ended"],
        "paused": None,
    }
    roots = {root["name"]: root for root in told["roots"]}
    assert roots["loras"]["path"] == str(adhoc)
    assert roots["loras"]["watch"] == "events"
    assert roots["vae"]["trouble"]["kind"] == "root_away"
    assert ("root", "vae") in [(it["scope"], it["where"]) for it in told["troubles"]]
    assert "the daemon runs (pid 4242) and is not well\n  not well: lane scout-1 has ended" in printed


def test_what_a_daemon_told_before_it_ended_does_not_outlive_the_settings(library: Home) -> None:
    Presence(library.state, {"paths": {"loras": "/old", "adhoc": "/adhoc"}}).tell(
        Health(well=False, reasons=("x",)), {"loras": later()}, {"loras": "poll"}
    )
    told = library.cli("status", "--json").json
    assert told["daemon"]["reasons"] == []
    assert {root["name"]: root["path"] for root in told["roots"]} == {
        "adhoc": "/adhoc",
        "loras": str(library.loras),
    }
    assert told["troubles"] == []


@pytest.mark.parametrize("command", ["status", "list", "search x"])
def test_reading_writes_nothing_while_another_process_writes(library: Home, command: str) -> None:
    with closing(sqlite3.connect(library.state / "catalog.db", isolation_level=None)) as writer:
        writer.execute("begin immediate")
        assert library.cli(*command.split()).code == 0
        writer.execute("rollback")


def test_reading_commands_leave_the_store_as_it_is(library: Home) -> None:
    before = (library.state / "catalog.db").read_bytes()
    for words in (
        ["status"],
        ["list"],
        ["search", "ink"],
        ["show", "styles/ink.safetensors"],
        ["check-config"],
    ):
        library.cli(*words)
    assert (library.state / "catalog.db").read_bytes() == before


def test_a_store_of_an_older_hashtagd_is_not_changed_by_reading(library: Home) -> None:
    with closing(sqlite3.connect(library.state / "catalog.db")) as store:
        store.execute("delete from schema_version where version > 1")
        store.commit()
    done = library.cli("status")
    assert done.code == 78
    assert "start the daemon once" in done.err


def test_a_damaged_store_is_for_a_person_and_stays_as_it_is(home: Home) -> None:
    """F65."""
    home.state.mkdir()
    (home.state / "catalog.db").write_bytes(b"no database at all" * 99)
    done = home.cli("status")
    assert done.code == 78
    assert "Traceback" not in done.err
    assert (home.state / "catalog.db").read_bytes().startswith(b"no database")


def test_another_user_of_the_group_may_read(library: Home) -> None:
    for path in (library.folder, library.state, library.loras):
        path.chmod(0o755)
    for path in library.state.iterdir():
        path.chmod(0o644)
    library.config.chmod(0o644)
    parents = [it for it in library.folder.parents if it != Path("/")][:3]
    modes = {it: it.stat().st_mode for it in parents}
    for it in parents:
        it.chmod(0o755)
    try:
        with as_nobody():
            done = library.cli("status", "--json")
    finally:
        for it, mode in modes.items():
            it.chmod(mode)
    assert done.code == 0, done.err
    assert json.loads(done.out)["states"]["published"] == 1


def test_what_was_wrong_when_hashtagd_ran_last_is_told_with_its_age(library: Home) -> None:
    with DaemonLock(library.state, owner="x", pid=4242):
        presence = Presence(library.state, {"pid": 4242, "paths": {"loras": str(library.loras)}})
        presence.tell(Health(well=False, reasons=("ill",)), {"loras": later()}, {"loras": "poll"})
        now = library.cli("status", "--json").json
        presence.end({"loras": later()}, {"loras": [later("a name", Scope.FILE)]})
    assert "seen_at" not in now["troubles"][0]
    minutes_ago = (library.state / "daemon.json").stat().st_mtime - 300
    os.utime(library.state / "daemon.json", (minutes_ago, minutes_ago))
    told = library.cli("status", "--json").json
    assert told["daemon"] == {"running": False, "pid": None, "well": None, "reasons": [], "paused": None}
    (root,) = told["roots"]
    assert (root["watch"], root["trouble"]["kind"]) == (None, "away")
    assert [(it["scope"], it["where"], it["what"]) for it in told["troubles"]] == [
        ("root", "loras", "it is away"),
        ("file", "loras", "it is a name"),
    ]
    assert all(it["seen_at"].endswith("Z") for it in (*told["troubles"], root["trouble"]))
    printed = library.cli("status").out
    assert "loras: it is away (as of 5 min ago, when hashtagd ran last)\n  hashtagd: waits\n" in printed
    assert "not well" not in printed


def test_a_run_elsewhere_does_not_make_a_configured_root_s_trouble_forgotten(home: Home) -> None:
    home.loras.rmdir()
    home.cli("--quiet", "run", "--once")
    extra = home.folder / "extra"
    extra.mkdir()
    for _ in range(2):
        home.cli("--quiet", "run", "--once", extra)
    (told,) = home.cli("status", "--json").json["troubles"]
    assert (told["where"], "seen_at" in told) == ("loras", True)
    home.loras.mkdir()
    home.cli("--quiet", "run", "--once")
    assert home.cli("status", "--json").json["troubles"] == []


def test_files_of_a_root_that_is_not_watched_any_more_are_named_and_not_counted(home: Home) -> None:
    home.put("lib/m1.safetensors", known=False)
    home.settle(roots=[{"name": "my lib", "path": str(home.loras / "lib"), "quiet_s": 0}])
    home.cli("--quiet", "run", "--once")
    assert home.cli("status", "--json").json["unwatched_roots"] == []
    home.settle()
    home.cli("--quiet", "run", "--once")
    told = home.cli("status", "--json").json
    assert [root["name"] for root in told["roots"]] == ["loras"]
    assert told["unwatched_roots"] == [{"name": "my lib", "files": 1}]
    assert told["states"]["unknown"] == 1
    assert sum(told["matches"].values()) == 1
    line = "1 files of roots that are not watched any more: my lib (`hashtagd list --root 'my lib'`)"
    assert line in home.cli("status").out
    assert home.cli("list").out.count("m1.safetensors") == 1
    assert home.cli("search", "m1").out.count("m1.safetensors") == 1
    assert home.cli("list", "--duplicates").out == ""
    assert [card["root"] for card in home.cli("list", "--json", "--root", "my lib").lines] == ["my lib"]
    assert home.cli("list", "--root", "\udcff").out == ""
    assert home.cli("show", "--json", "m1").json["root"] == "loras"


def test_it_can_be_watched_until_somebody_has_seen_enough(library: Home) -> None:
    words = [sys.executable, "-m", "hashtagd", "--config", str(library.config), "status", "--watch", "--json"]
    environ = {**os.environ, "PYTHONPATH": str(Path(hashtagd.__file__).parents[1])}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environ) as watched:
        assert watched.stdout is not None
        first, second = (json.loads(watched.stdout.readline()) for _ in range(2))
        watched.send_signal(signal.SIGINT)
        assert watched.wait(20) == 0
    assert first["states"] == second["states"]


def test_questions_to_providers_that_the_settings_do_not_name_any_more_wait_for_nothing(home: Home) -> None:
    with ArchiveStandin() as archive:
        elsewhere = {"kind": "civarchive", "base_url": archive.url, "requests_per_minute": 6000}
        civitai = {"kind": "civitai", "base_url": home.site.url, "requests_per_minute": 6000}
        archive.fail_next(None, status=503)
        home.put("nobody.safetensors", known=False)
        home.settle(providers=[civitai, elsewhere, {"kind": "header"}])
        home.cli("--quiet", "run", "--once")
        told = home.cli("status", "--json").json
        assert told["questions"] == {"due": 0, "waiting": 2, "background": 2}
        home.settle()
    told = home.cli("status", "--json").json
    assert told["questions"] == {"due": 0, "waiting": 2, "background": 1}
    assert told["next_check_at"] > told["last_check_at"]
    assert home.cli("show", "--json", "nobody").json["next_check_at"] == told["next_check_at"]


@pytest.mark.parametrize("kept", [True, False], ids=["of a provider that is asked", "of one that is not"])
def test_a_question_behind_a_closed_gate_is_told_for_the_moment_when_the_gate_opens(
    home: Home, *, kept: bool
) -> None:
    home.put("nobody.safetensors", known=False)
    home.site.fail_next(None, status=451)
    home.cli("--quiet", "run", "--once")
    if not kept:
        home.settle(providers=[{"kind": "header"}])
    told = home.cli("status", "--json").json
    (gate,) = [gate for gate in told["gates"] if not gate["open"]]
    card = home.cli("show", "--json", "nobody").json
    assert (card["next_check_at"] == gate["opens_at"]) is kept
    assert (told["next_check_at"] == gate["opens_at"]) is kept
    assert ("next question: in 24 h" in home.cli("status").out) is kept


def test_a_file_that_nobody_could_be_asked_about_yet_is_shown_by_its_own_word(home: Home) -> None:
    home.put("nobody.safetensors", known=False)
    home.site.fail_next(None, status=503)
    home.cli("--quiet", "run", "--once")
    (card,) = home.cli("list", "--json").lines
    assert (card["state"], card["model_name"]) == ("asking", "made_lora_0")
    assert (card["match"]["confidence"], card["match"]["checked_at"]) == ("claimed", None)
    assert "the file's own header says so" in home.cli("show", "nobody").out


def test_watching_a_large_library_takes_a_fifth_of_a_processor_at_most() -> None:
    assert [watch_wait_s(took_s) for took_s in (0.0, 0.2, 1.25)] == [1.0, 1.0, 5.0]
