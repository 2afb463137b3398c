"""Standard output that may be full or closed: its failures are told apart from all others."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast


class OutputLostError(Exception):
    """What a command had to say could not be written."""


class _Told:
    """A stream whose failures are `OutputLostError`; that its reader has gone stays what it is."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with _telling():
            return self._stream.write(text)

    def flush(self) -> None:
        with _telling():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the stream has
        return getattr(self._stream, name)


@contextmanager
def told_output() -> Iterator[None]:
    """Let standard output tell its failures for the time of a block.

    Streams that are closed (`>&-`) get a file first, before anything else is opened under their number.
    Writing to that of the output fails: whoever asked would take silence for an answer.

    Raises:
        OutputLostError: from within the block, at the first thing that could not be written.
    """
    _open_closed()
    before = sys.stdout
    sys.stdout = cast("TextIO", _Told(before))
    try:
        yield
    finally:
        sys.stdout = before


def drop_output() -> None:
    """Let what is still in the buffer go nowhere: it must not complain a second time at exit."""
    if sys.stdout.writable():
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _telling() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputLostError(error.strerror or "it is closed") from error


def _open_closed() -> None:
    # they stay open as long as the process
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
