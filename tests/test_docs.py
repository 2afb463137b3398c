"""Every command that the documentation shows must exist, and the harmless ones must work."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from hashtagd.cli.main import cli

TOP = Path(__file__).resolve().parents[1]
PAGES = (
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "config.example.yaml", "tests/interop/README.md"),
    *(
        str(page.relative_to(TOP))
        for folder in ("docs", "systemd")
        for page in sorted((TOP / folder).iterdir())
    ),
)
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:hashtagd|make) [^`]+)`")


def shown(page: str) -> Iterator[str]:
    """Give the commands of a page: after a prompt in a block, or inline."""
    text = (TOP / page).read_text(encoding="utf-8")
    for block in BLOCK.findall(text):
        yield from (line[2:] for line in block.splitlines() if line.startswith("$ "))
    yield from INLINE.findall(text)


ALL = sorted({(page, command) for page in PAGES for command in shown(page)})
HASHTAGD = [pair for pair in ALL if pair[1].removeprefix(".venv/bin/").startswith("hashtagd ")]
MAKE = [pair for pair in ALL if pair[1].startswith("make ")]


@pytest.mark.parametrize("page,command", HASHTAGD)
def test_a_shown_command_exists_with_its_options(page: str, command: str) -> None:
    del page
    words = shlex.split(command.replace("…", ""))[1:]
    known = {option for parameter in cli.params for option in parameter.opts}
    while words and words[0].startswith("--"):
        assert words.pop(0) in known
    if not words or words[0] == "COMMAND":
        return
    found = cli.get_command(click.Context(cli), words[0])
    assert found is not None, f"there is no `hashtagd {words[0]}`"
    if isinstance(found, click.Group):
        words = words[1:]
        found = found.get_command(click.Context(found), words[0])
        assert found is not None, f"there is no such command: {command}"
    options = {option for parameter in found.params for option in parameter.opts} | {"--help"}
    assert {word for word in words[1:] if word.startswith("--")} <= options
    takes_words = any(isinstance(parameter, click.Argument) for parameter in found.params)
    plain = [word for word in words[1:2] if not word.startswith("--")]
    assert takes_words or not plain, f"`hashtagd {words[0]}` takes no words"


@pytest.mark.parametrize("page,command", MAKE)
def test_a_shown_make_target_exists(page: str, command: str) -> None:
    del page
    makefile = (TOP / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    assert next(word for word in shlex.split(command)[1:] if "=" not in word) in targets


def test_the_readme_shows_the_two_commands_that_ci_runs() -> None:
    commands = list(shown("README.md"))
    script = (TOP / ".ci" / "run").read_text(encoding="utf-8")
    for command in ("make run FOLDER=~/ComfyUI", "make test"):
        assert command in commands
        assert f"_command='{command}'" in script


def test_the_readme_names_every_command() -> None:
    text = (TOP / "README.md").read_text(encoding="utf-8")
    missing = [name for name in cli.list_commands(click.Context(cli)) if f"`hashtagd {name}" not in text]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_a_link_inside_the_project_leads_somewhere(page: str) -> None:
    text = (TOP / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert [link for link in links if not (TOP / page).parent.joinpath(link).exists()] == []


@pytest.mark.parametrize(
    "command", ["--version", "--help", "check-config", "status", "list --limit 20", "search ink"]
)
def test_a_harmless_command_runs_without_settings_and_without_a_catalog(command: str, tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONPATH": str(TOP / "daemon")}
    done = subprocess.run(
        [sys.executable, "-m", "hashtagd", *shlex.split(command)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
