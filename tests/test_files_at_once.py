"""Settings and other small files that are no ordinary files hold nobody up."""

import os
import threading
from pathlib import Path

import pytest

from hashtagd.comfyui.extra_paths import read_extra_paths
from hashtagd.settings.keys import read_key_file
from hashtagd.settings.places import read_config
from hashtagd.system.files import open_at_once

PATIENCE_S = 20.0


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """Nobody writes to it."""
    path = tmp_path / "pipe"
    os.mkfifo(path, mode=0o600)
    return path


def test_a_pipe_that_nobody_writes_to_is_empty(pipe: Path) -> None:
    assert read_config(pipe) == ""
    assert read_extra_paths(pipe, {}).paths == ()
    with pytest.raises(ValueError, match="holds no key"):
        read_key_file(pipe)


def test_a_pipe_that_somebody_writes_to_is_read_to_its_end_however_slow_he_is() -> None:
    """As in `hashtagd --config <(decrypt settings)`."""
    reads, writes = os.pipe()
    asked = threading.Event()

    def write() -> None:
        asked.wait(PATIENCE_S)
        os.write(writes, b"log: {level: debug}\n")
        os.close(writes)

    writer = threading.Thread(target=write)
    writer.start()
    with open_at_once(Path(f"/dev/fd/{reads}")) as file:
        asked.set()
        assert file.read() == b"log: {level: debug}\n"
    writer.join(PATIENCE_S)
    os.close(reads)


def test_a_folder_is_told_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        open_at_once(tmp_path)
