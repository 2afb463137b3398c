import os
import sys
from typing import Any

import click
import pytest

from hashtagd import __version__
from hashtagd.cli import main as entry
from hashtagd.core.ports import Stopping
from hashtagd.core.troubles import AskOperator, GiveUp, Scope, Trouble, TryLater
from support.commands import Home

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
