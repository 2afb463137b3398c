"""A command in a pseudo-terminal, and what a terminal emulator shows of it at any moment."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyte

_LINES = 40
#: guards against hanging alone
_PATIENCE_S = 120.0
_READ_BYTES = 1 << 16


@dataclass
class Shown:
    """How a command ended, and every picture that the terminal showed on the way, the last one last."""

    code: int
    screens: list[str] = field(default_factory=list)

    @property
    def last(self) -> str:
        return self.screens[-1]


def run_in_terminal(words: Sequence[str], environ: Mapping[str, str], *, columns: int = 100) -> Shown:
    """Run a command to its end in a terminal of so many columns."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, columns, 0, 0))
    screen = pyte.Screen(columns, _LINES)
    stream = pyte.ByteStream(screen)
    with subprocess.Popen(
        words, env={**environ, "TERM": "xterm-256color"}, stdin=side, stdout=side, stderr=side
    ) as process:
        os.close(side)
        try:
            screens = _watched(main, screen, stream)
        finally:
            process.kill()  # where it ended by itself nothing happens
            os.close(main)
    return Shown(process.returncode, screens)


def _watched(main: int, screen: pyte.Screen, stream: pyte.ByteStream) -> list[str]:
    screens: list[str] = []
    ends_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < ends_s:
        if not select.select([main], [], [], 0.1)[0]:
            continue
        try:
            data = os.read(main, _READ_BYTES)
        except OSError:  # the other side was closed
            return screens
        if not data:
            return screens
        stream.feed(data)
        picture = "\n".join(line.rstrip() for line in screen.display).rstrip()
        if not screens or screens[-1] != picture:
            screens.append(picture)
    raise AssertionError("the command did not end")
