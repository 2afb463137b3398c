import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from hashtagd import __version__
from hashtagd.cli import main as entry
from hashtagd.core.ports import Stopping
from hashtagd.core.troubles import AskOperator, GiveUp, Scope, Trouble, TryLater
from support.commands import Home
from support.stage_fakes import as_nobody

WORDS: dict[str, Any] = {"does": "waits", "you": "act", "kind": "x"}


def test_help_and_version_need_nothing(home: Home) -> None:
    assert __version__ in home.bare("--version").out
    done = home.bare("--help")
    assert done.code == 0
    for name in entry._COMMANDS:
        assert f"  {name} " in done.out
    assert not home.state.exists()


@pytest.mark.parametrize("name", list(entry._COMMANDS))
def test_each_listed_command_is_there_and_has_help(home: Home, name: str) -> None:
    done = home.bare(name, "--help")
    assert done.code == 0
    assert "Usage: hashtagd" in done.out


@pytest.mark.parametrize(
    "words",
    [("nonsense",), ("list", "--nonsense"), ("list", "--limit", "0"), ("show",), ("run", "--json"), ()],
)
def test_wrong_usage_ends_with_2(home: Home, words: tuple[str, ...]) -> None:
    done = home.bare(*words)
    assert done.code == 2
    assert "Usage: hashtagd" in done.err + done.out
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "trouble, code",
    [
        (TryLater("w", **WORDS, scope=Scope.DAEMON), 75),
        (TryLater("w", **WORDS, scope=Scope.PROVIDER), 75),
        (AskOperator("w", **WORDS, scope=Scope.DAEMON), 78),
        (AskOperator("w", **WORDS, scope=Scope.ROOT), 1),
        (GiveUp("w", **WORDS, scope=Scope.FILE), 1),
    ],
)
def test_who_acts_next_decides_about_the_exit_code(trouble: Trouble, code: int) -> None:
    assert entry.exit_code_for(trouble) == code


@pytest.mark.parametrize(
    "error, code",
    [
        (Stopping(), 0),
        (click.exceptions.Abort(), 130),
        (click.exceptions.Exit(3), 3),
        (click.ClickException("no"), 1),
        (AskOperator("what\x1b[2J", **WORDS, scope=Scope.DAEMON), 78),
    ],
)
def test_however_a_command_breaks_off_the_end_is_in_order(
    home: Home, error: Exception, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command("status")
    def broken() -> None:
        raise error

    monkeypatch.setattr(entry.LazyGroup, "get_command", lambda *_: broken)
    done = home.bare("status")
    assert done.code == code
    assert "\x1b" not in done.err
    assert "Traceback" not in done.err


def test_a_command_without_a_result_is_fine(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry.LazyGroup, "get_command", lambda *_: click.Command("status"))
    assert home.bare("status").code == 0


def test_a_reader_that_has_seen_enough_is_no_error(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert home.cli("list", "--json").code == 0
        assert home.cli("status").code == 0


@pytest.mark.parametrize("words", [["status"], ["list", "--json"], ["check-config"], ["--help"]])
def test_output_that_cannot_be_written_is_one_line_and_a_failure(library: Home, words: list[str]) -> None:
    program = "from hashtagd.cli.main import main; main()"
    whole = [sys.executable, "-c", program, "--config", str(library.config), *words]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(whole, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "hashtagd: the output could not be written: No space left on device\n"
    closed = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *whole], stderr=subprocess.PIPE, text=True, check=False
    )
    assert closed.returncode == 1
    assert closed.stderr == "hashtagd: the output could not be written: it is closed\n"


def test_settings_that_may_not_be_read_are_a_matter_for_a_person_and_no_wrong_usage(
    home: Home, public_folder: Path
) -> None:
    config = public_folder / "config.yaml"
    config.write_text("")
    config.chmod(0)
    with as_nobody():
        done = home.bare("--config", config, "status")
    assert done.code == 78
    assert f"{config}: cannot be read: Permission denied" in done.err
    assert "what you can do" in done.err
    assert home.bare("--config", public_folder, "status").code == 78


def test_mistakes_of_the_settings_come_all_at_once_with_their_lines(home: Home) -> None:
    home.config.write_text("roots:\n  - name: loras\n    quiet_s: -3\nnonsense: 1\n")
    for command in ("status", "list", "run", "check-config"):
        done = home.cli(command)
        assert done.code == 78
        assert f"{home.config}:3" in done.err
        assert f"{home.config}:4" in done.err
        assert "what you can do" in done.err
    assert not home.state.exists()


def test_a_settings_file_that_is_missing_is_a_matter_for_a_person(home: Home) -> None:
    home.config.unlink()
    assert home.cli("status").code == 78


def test_without_a_home_there_is_no_place_for_a_memory(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("HASHTAGD_STATE_DIR")
    done = home.bare("status")
    assert done.code == 78
    assert "HASHTAGD_STATE_DIR" in done.err
