"""A home for commands, empty or with a library that was worked through."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hashtagd.cli.context import load_settings
from hashtagd.standin import Standin
from support.commands import Home
from support.serving import served


@pytest.fixture
def home(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Home]:
    for name in list(os.environ):
        if name.startswith(("HASHTAGD", "XDG_", "CIVITAI", "STATE_", "CREDENTIALS", "NOTIFY", "WATCHDOG")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("HASHTAGD_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    with Standin() as site:
        made = Home(tmp_path, capsys, site)
        made.loras.mkdir()
        made.settle()
        yield made


@pytest.fixture
def library(home: Home) -> Home:
    """A home whose library was worked through by hand: one known model, one that nobody knows."""
    home.put(
        "styles/ink.safetensors", trained_words=("inkwash",), tags=("style",), model_id=11, version_id=22
    )
    home.put("private.safetensors", known=False)
    environ = dict(os.environ)
    with served(load_settings(home.config, environ), environ) as run:
        assert run.turn(3) == []
    assert run.ears.bugs == []
    return home
