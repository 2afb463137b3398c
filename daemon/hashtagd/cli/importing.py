"""Imports without what libraries take along only because it happens to be installed.

httpx loads rich and pygments for a command line of its own, structlog loads rich to draw tracebacks with the
values of local variables in them: megabytes in a daemon that rests, and values that must not be drawn. Both
do without where the import fails, and that is what they are told.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: what none of our own modules imports at its top
UNWANTED: Final = ("rich", "pygments", "anyio")


@contextmanager
def imports_without(*names: str) -> Iterator[None]:
    """Let these packages look as if they were not installed; those that are loaded already stay loaded."""
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment] # the import system's own sign for "not there"
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
