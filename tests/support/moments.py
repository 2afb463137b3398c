"""Lets others act, or the power fail, just before any call by which a stage touches a disk.

Python tells of such calls before it makes them (`sys.addaudithook`), whoever makes them; of writes, flushes
and what else comes through `Calls` it does not tell, so those are wrapped.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from hashtagd.stages.calls import Calls
from support.publish_fakes import PowerCut

P = ParamSpec("P")
T = TypeVar("T")

_LOOKS = frozenset({"os.scandir", "os.getxattr"})
_CHANGES = frozenset(
    {
        *("os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir", "os.chmod"),
        *("os.setxattr", "os.removexattr", "os.truncate", "os.utime"),
    }
)
#: who listens now, and in which thread; a hook can never be taken away again
_listening: list[tuple[int, Callable[[str, tuple[Any, ...]], None]]] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    for thread, listener in tuple(_listening):
        if thread == threading.get_ident():
            listener(event, arguments)


@dataclass
class Moments:
    """The moments of one piece of work; `act` comes before the `at`-th of them, or after all of them.

    Args:
        below: where the work goes on; what is opened elsewhere (modules) is no moment.
    """

    below: Path
    #: events at which nobody acts: no call of the system could tell that somebody was faster
    spared: frozenset[str] = frozenset()
    at: int = -1
    act: Callable[[], None] | None = None
    #: so many moments have passed
    passed: int = 0
    #: what was changed, in order, and at which moments
    changes: list[str] = field(default_factory=list)
    seen: list[tuple[int, str]] = field(default_factory=list)
    dead: bool = False

    @contextmanager
    def listen(self, at: int = -1, act: Callable[[], None] | None = None) -> Iterator[None]:
        """Count from 0, and let `act` happen once: within, or at the end if it has not come yet."""
        self.at, self.act, self.passed, self.dead = at, act, 0, False
        self.changes.clear()
        self.seen.clear()
        if not _installed:
            _installed.append(True)
            sys.addaudithook(_hook)
        _listening.append((threading.get_ident(), self._heard))
        try:
            yield
            self._act()
        finally:
            _listening.pop()
            self.act, self.dead = None, False

    def die(self) -> None:
        """Be the act that ends the process: from now on no call of it changes anything."""
        self.dead = True
        raise PowerCut

    def tell(self, change: str = "") -> None:
        """Let a moment pass that no call tells of."""
        if self.dead:
            raise PowerCut
        if 0 <= self.at <= self.passed and change.partition(" ")[0] not in self.spared:
            self._act()
        if change:
            self.changes.append(change)
            self.seen.append((self.passed, change))
        self.passed += 1

    def before(self, change: str, call: Callable[P, T]) -> Callable[P, T]:
        """Wrap a call that changes something."""

        def told(*arguments: P.args, **named: P.kwargs) -> T:
            if _listening:
                self.tell(change)
            return call(*arguments, **named)

        return told

    def calls(self) -> Calls:
        """Give the calls of a stage, each of them a moment."""
        real = Calls()
        return Calls(**{it.name: self.before(it.name, getattr(real, it.name)) for it in fields(Calls)})

    def _act(self) -> None:
        act, self.act = self.act, None
        if act is not None:
            mine = _listening.pop()  # what others do is no moment of ours
            try:
                act()
            finally:
                _listening.append(mine)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            self._opened(*arguments)
        elif event in _CHANGES:
            self.tell(f"{event} {arguments[0]}")
        elif event in _LOOKS:
            self.tell()

    def _opened(self, path: object, _mode: object, flags: int) -> None:
        if not isinstance(path, str | os.PathLike):
            return
        name = Path(path)
        if not name.is_absolute() or name.is_relative_to(self.below):
            self.tell(f"open {name}" if flags & os.O_CREAT else "")


_installed: list[bool] = []
