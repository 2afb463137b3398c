"""Carries finished lines to where they belong without ever making the caller wait.

A pipe that nobody reads, a closed terminal or a full disk must not stop a lane: lines wait in a bounded
queue, and a thread of its own writes them. What does not fit is dropped and counted.
"""

import os
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from hashtagd.system.flags import PLAIN

_CAPACITY_LINES = 2000
#: a log file that has grown to this is put aside; so many older ones are kept, `.1` being the youngest
LOG_FILE_BYTES, LOG_FILES_KEPT = 16 * 1024 * 1024, 4


class DescriptorTarget:
    """Writes to the descriptor behind a stream, past its buffer: a blocked buffer would block the exit."""

    def __init__(self, descriptor: int, encoding: str) -> None:
        self._descriptor = os.dup(descriptor)
        self._encoding = encoding

    def __call__(self, text: str) -> None:
        """Write all of a text."""
        data = text.encode(self._encoding, "backslashreplace")
        while data:
            data = data[os.write(self._descriptor, data) :]

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)


class StreamTarget:
    """Writes to a stream that has no descriptor."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, text: str) -> None:
        """Write a text."""
        self._stream.write(text)

    def close(self) -> None:
        """Leave the stream to its owner."""


class FileTarget:
    """Appends to a file; when it was moved away or removed, a new one is begun without any signal.

    One that has grown large is put aside by ourselves: not every machine has logrotate. Several processes may
    write to one file.
    """

    def __init__(self, path: Path, *, most_bytes: int = LOG_FILE_BYTES, kept: int = LOG_FILES_KEPT) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._kept = kept
        self._descriptor = -1
        self._identity: tuple[int, int] | None = None
        #: the disk was full in the middle of a line
        self._torn = False

    def __call__(self, text: str) -> None:
        """Append a text."""
        if self._identity is None or self._identity != self._there():
            self._reopen()
        elif os.fstat(self._descriptor).st_size >= self._most_bytes:
            self._put_aside()
        # a line that was cut off must not take the next one with it
        data = rest = (b"\n" if self._torn else b"") + text.encode("utf-8", "backslashreplace")
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        finally:
            self._torn = bool(rest) if len(rest) < len(data) else self._torn

    def try_out(self) -> OSError | None:
        """Open the file; returns why that is refused. Lines that come later try again, each for itself."""
        try:
            self._reopen()
        except OSError as error:
            return error
        return None

    def _put_aside(self) -> None:
        """Give the file the next name, and begin a new one; where that is refused, it grows on."""
        names = [self._path, *(self._path.with_name(f"{self._path.name}.{n + 1}") for n in range(self._kept))]
        with suppress(OSError):
            for older, younger in zip(reversed(names[1:]), reversed(names[:-1]), strict=True):
                with suppress(FileNotFoundError):
                    younger.replace(older)
        if self._identity != self._there():
            self._reopen()

    def close(self) -> None:
        """Close the file."""
        if self._identity is not None:
            os.close(self._descriptor)
            self._identity = None
            self._torn = False

    def _there(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _reopen(self) -> None:
        self.close()
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | PLAIN, 0o640)
        found = os.fstat(self._descriptor)
        self._identity = found.st_dev, found.st_ino


Target = DescriptorTarget | StreamTarget | FileTarget


def target_of(stream: TextIO) -> Target:
    """Choose the way to write to a stream."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError, AttributeError):
        return StreamTarget(stream)
    stream.flush()
    return DescriptorTarget(descriptor, getattr(stream, "encoding", None) or "utf-8")


class LineSink:
    """Looks like a stream to a `logging.StreamHandler`; its `write` never waits and never raises."""

    def __init__(self, target: Target, *, capacity_lines: int = _CAPACITY_LINES) -> None:
        self._target: Target = target
        self._lines: queue.Queue[str | None] = queue.Queue(capacity_lines)
        self._count = threading.Lock()
        self._dropped = 0
        self._broken = False
        self._thread = threading.Thread(target=self._work, name="log-writer", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """How many lines were lost so far."""
        return self._dropped

    @property
    def has_room(self) -> bool:
        """Tell whether a line written now would have a chance."""
        return not self._broken and not self._lines.full()

    def write(self, text: str) -> None:
        """Queue a line, or drop it."""
        if self._broken:
            self._drop()
            return
        try:
            self._lines.put_nowait(text)
        except queue.Full:
            self._drop()

    def flush(self) -> None:
        """Do nothing: a handler calls this after every line, and would wait."""

    def close(self, timeout_s: float = 1.0) -> None:
        """Write what is queued, as far as that is possible in the given time."""
        try:
            self._lines.put(None, timeout=timeout_s)
        except queue.Full:
            return
        self._thread.join(timeout_s)
        if not self._thread.is_alive():
            self._target.close()

    def _work(self) -> None:
        put: Callable[[str], None] = self._target
        while (line := self._lines.get()) is not None:
            if self._broken:
                self._drop()
                continue
            try:
                put(line)
            except (BrokenPipeError, ValueError):
                # the reader is gone, or the stream was closed: it will not come back
                self._broken = True
                self._drop()
            except OSError:
                self._drop()

    def _drop(self) -> None:
        with self._count:
            self._dropped += 1
