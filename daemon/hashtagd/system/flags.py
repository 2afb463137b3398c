"""Flags of `os.open` by what they are for; 0 where a system has no such thing."""

import os
import sys
from typing import Final

if sys.platform == "win32":
    #: for every open: bytes as they are, and nothing is left open in child processes
    PLAIN: Final = os.O_BINARY | os.O_NOINHERIT
    NO_FOLLOW: Final = 0
    NON_BLOCKING: Final = 0
    NO_TERMINAL: Final = 0
    FOLDER: Final = 0
else:
    PLAIN = os.O_CLOEXEC
    #: a link at the last component is an error
    NO_FOLLOW = os.O_NOFOLLOW
    #: what is no regular file answers at once
    NON_BLOCKING = os.O_NONBLOCK
    #: a terminal under that name does not become ours
    NO_TERMINAL = os.O_NOCTTY
    #: anything but a folder is an error
    FOLDER = os.O_DIRECTORY

if sys.platform == "linux":
    #: to go through a folder, for which the right to list it is not needed
    THROUGH: Final = os.O_PATH
else:
    THROUGH = os.O_RDONLY
