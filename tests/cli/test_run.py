import json
import os
import signal
import sys
from pathlib import Path

import pytest

from hashtagd.cli import working
from hashtagd.cli.progress import progress, wants_progress
from hashtagd.service.clock import StopPause
from hashtagd.service.lock import DaemonLock
from support.commands import Home

KEYS = {"files", "named", "unknown", "waiting", "parked", "requests", "bytes_hashed", "written", "took_s"}


def test_a_run_that_ends_gives_the_documented_summary(home: Home) -> None:
    home.put("known.safetensors")
    home.put("strange.safetensors", known=False)
    done = home.cli("run", "--once", "--json")
    assert done.code == 0
    told = done.json
    assert set(told) >= KEYS
    assert (told["files"], told["named"], told["unknown"], told["waiting"], told["parked"]) == (2, 1, 1, 0, 0)
    assert told["requests"] == {home.site.url: len(home.site.requests)}
    assert told["written"] >= 4
    assert told["bytes_hashed"] == sum(path.stat().st_size for path in home.loras.glob("*.safetensors"))


def test_people_get_the_summary_in_words_and_the_log_on_standard_error(home: Home) -> None:
    home.put("known.safetensors")
    done = home.cli("run", "--once")
    assert done.out.startswith("1 files: 1 named, 0 unknown to every site, 0 waiting, 0 parked\n")
    events = [json.loads(line) for line in done.err.splitlines()]
    assert {"daemon_started", "file_published", "model_found", "daemon_stopped"} <= {
        it["event"] for it in events
    }


def test_quiet_leaves_only_warnings(home: Home) -> None:
    home.put("known.safetensors")
    assert home.cli("--quiet", "run", "--once").err == ""


def test_verbose_is_louder_than_the_settings(home: Home) -> None:
    home.settle(log={"level": "error"})
    assert home.cli("run", "--once").err == ""
    assert "daemon_started" in home.cli("--verbose", "run", "--once").err


def test_a_closed_gate_is_named_and_time_heals_it(home: Home) -> None:
    """F36."""
    home.put("known.safetensors")
    home.site.fail_next(None, status=503)
    done = home.cli("--quiet", "run", "--once")
    assert done.code == 75
    assert f"closed: {home.site.url}" in done.out


def test_a_file_that_is_no_model_is_for_a_person(home: Home) -> None:
    """F27."""
    page = home.loras / "page.safetensors"
    page.write_bytes(b"<html>log in</html>" * 9)
    os.utime(page, (1e9, 1e9))
    done = home.cli("run", "--once")
    assert done.code == 1
    assert "1 parked" in done.out
    assert "hashtagd list --trouble" in done.out
    parked = [json.loads(line) for line in done.err.splitlines() if "file_parked" in line]
    assert [it["level"] for it in parked] == ["warning"]


def test_a_root_that_is_away_neither_hangs_the_run_nor_is_passed_over(home: Home) -> None:
    home.loras.rmdir()
    done = home.cli("run", "--once", "--json")
    assert done.code == 1
    assert done.json["for_a_person"]
    (told,) = done.json["troubles"]
    assert (told["scope"], told["where"]) == ("root", "loras")
    assert all(len(told[clause]) > 8 for clause in ("what", "does", "you"))
    events = {json.loads(line)["event"] for line in done.err.splitlines()}
    assert {"settings_warned", "root_paused"} <= events


def test_a_folder_needs_no_settings(home: Home) -> None:
    extra = home.folder / "extra"
    extra.mkdir()
    home.config.unlink()
    done = home.bare("--quiet", "run", "--once", "--json", extra)
    assert (done.code, done.json["files"]) == (0, 0)


def test_without_any_folder_there_is_nothing_to_run(home: Home) -> None:
    home.settle(roots=[])
    done = home.cli("run", "--once")
    assert done.code == 78
    assert "hashtagd run ~/ComfyUI" in done.err
    assert home.cli("run", "--once", home.folder / "missing").code == 78
    assert not home.state.exists()


def test_a_second_daemon_ends_with_78_and_names_the_first(home: Home) -> None:
    """F71."""
    with DaemonLock(home.state, owner="x", pid=4242):
        done = home.cli("run", "--once")
    assert done.code == 78
    assert "already running, pid 4242" in done.err


def test_a_state_folder_that_is_a_file_is_for_a_person(home: Home) -> None:
    home.state.write_bytes(b"")
    for words in (("run", "--once"), ("rescan",)):
        done = home.cli(*words)
        assert done.code == 78, words
        assert "Traceback" not in done.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_first_signal_stops_in_order_and_afterwards_all_is_as_before(number: signal.Signals) -> None:
    """F84; the terminal that is closed included."""
    before = signal.getsignal(number)
    pause = StopPause()
    with working.heeding_signals(pause):
        os.kill(os.getpid(), number)
        assert pause.wait(5.0)
    assert signal.getsignal(number) is before


def test_a_stop_that_comes_between_two_rounds_is_a_stop() -> None:
    """A manager sends it once, and kills half a minute later."""
    with working.heeding_signals(StopPause(), lambda: True) as heard:
        assert not heard.renew().stopping
        os.kill(os.getpid(), signal.SIGTERM)
        assert heard.stops == 1
        assert heard.renew().stopping


def test_the_key_is_in_nothing_that_is_written(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "0123456789abcdef0123456789abcdef"
    monkeypatch.setenv("CIVITAI_API_KEY", key)
    monkeypatch.setenv("PGPASSWORD", "correct horse battery")
    home.put("known.safetensors")
    home.site.fail_next(1, status=401)
    done = home.cli("--verbose", "run", "--once")
    assert key not in done.out + done.err
    written = [path for path in home.folder.rglob("*") if path.is_file()]
    assert written
    assert not [path for path in written if key.encode() in path.read_bytes()]


class Screen:
    """Standard error that says it is a terminal, and keeps what was drawn."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "100")


def test_on_a_terminal_a_run_that_ends_draws_its_progress_in_place_of_the_log(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.put("known.safetensors")
    Screen(monkeypatch)
    done = home.cli("run", "--once")
    assert done.code == 0
    assert "files" in done.err
    assert "1/1" in done.err
    assert "file_published" not in done.err
    assert done.out.startswith("1 files: 1 named")


def test_progress_is_drawn_only_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not wants_progress(once=True, volume=None)
    Screen(monkeypatch)
    assert wants_progress(once=True, volume=None)
    assert not wants_progress(once=True, volume="verbose")
    assert not wants_progress(once=True, volume="quiet")
    assert not wants_progress(once=False, volume=None)


def test_what_is_not_shown_takes_the_numbers_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(shown=False) as report:
        report(1, 2)
    assert capsys.readouterr() == ("", "")


def test_a_log_file_gets_the_same_lines(home: Home) -> None:
    home.settle(log={"file": str(home.folder / "log" / "hashtagd.log"), "format": "console"})
    Path(home.folder / "log").mkdir()
    home.cli("run", "--once")
    lines = (home.folder / "log" / "hashtagd.log").read_text().splitlines()
    assert "daemon_started" in {json.loads(line)["event"] for line in lines}


def test_the_summary_names_what_is_wrong_with_a_root_and_in_it(home: Home) -> None:
    home.loras.rmdir()
    vae = home.folder / "vae"
    vae.mkdir()
    Path(os.fsdecode(bytes(vae) + b"/caf\xe9.safetensors")).write_bytes(b"")
    home.settle(roots=[{"path": str(home.loras)}, {"path": str(vae)}])
    done = home.cli("--quiet", "run", "--once")
    assert done.code == 1
    assert "loras: the folder of root loras is not there (ENOENT)\n  hashtagd: " in done.out
    assert "vae: 1 name is not UTF-8\n  hashtagd: these files are skipped" in done.out
    assert "list --trouble" not in done.out
    status = home.cli("status")
    assert status.out.count("when hashtagd ran last") == 2
    home.loras.mkdir()
    healed = home.cli("--quiet", "run", "--once", "--json")
    assert [told["where"] for told in healed.json["troubles"]] == ["vae"]
