"""Opening small files of others, whatever they are."""

import os
import sys
from pathlib import Path
from typing import BinaryIO

from hashtagd.system.flags import NO_TERMINAL, NON_BLOCKING


def open_at_once(path: Path) -> BinaryIO:
    """Open for reading without waiting for anybody: a pipe that nobody writes to is empty.

    One that somebody writes to (`--config <(...)`) is read to its end.

    Raises:
        OSError: it cannot be opened, or is a folder.
    """
    file = open(path, "rb", opener=_opener)  # noqa: SIM115 - pathlib takes no opener; the caller closes it
    if sys.platform != "win32":
        os.set_blocking(file.fileno(), True)
    return file


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | NON_BLOCKING | NO_TERMINAL)
