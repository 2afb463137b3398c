"""SIGHUP: the daemon goes on with the settings as they are now, or with those it has if these are wrong."""

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from hashtagd.cli.context import Context
from hashtagd.core.troubles import AskOperator, Scope, Trouble, TryLater
from hashtagd.service.checking import check_settings
from hashtagd.service.roots import RootPlan
from hashtagd.system.patience import PATIENCE_S

#: looks at roots that hang come back by themselves; what takes longer is a disk that holds the settings
_ANSWER_WITHIN_S: Final = 6 * PATIENCE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Settings that were checked, and the roots they lead to."""

    context: Context
    plan: RootPlan


def prepare(context: Context, folders: tuple[Path, ...]) -> Prepared:
    """Check the settings of a run before anything is done.

    Raises:
        SettingsMistakes: all of them at once.
        AskOperator: scope `daemon`: there is no folder to watch, or one of the command line is none.
    """
    check_settings(context.loaded, context.environ, with_roots=not folders)
    plan = context.roots(folders)
    if not plan.folders:
        raise _no_roots()
    return Prepared(context=context, plan=plan)


class Reloads:
    """Between the signal, which may come at any moment, and the main loop, which looks when it is rung for.

    To check settings means to look at roots, and a disk that hangs must not hold up the main loop: a thread
    of its own looks, and is left behind where no answer comes.

    Args:
        context: of the command line; the settings are read anew each time.
        folders: of the command line.
    """

    def __init__(self, context: Context, folders: tuple[Path, ...]) -> None:
        self._context = context
        self._folders = folders
        #: told why the new settings cannot be used
        self.refused: Callable[[Trouble], None] = lambda _trouble: None
        #: rung when it is known whether they can
        self.ring: Callable[[], None] = lambda: None
        self._asked = threading.Event()
        self._answer: SimpleQueue[Prepared | Trouble] | None = None
        self._until_s = 0.0
        self._next: Prepared | None = None

    def ask(self) -> bool:
        """Ask for it, from a signal handler; False where a terminal was closed, which ends the process."""
        if sys.stdin is not None and sys.stdin.isatty():
            return False
        self._asked.set()
        return True

    def is_due(self) -> bool:
        """Tell whether to hand over to a new round: it was asked for, and the settings are good."""
        if self._asked.is_set():
            self._asked.clear()
            self._begin()
        if self._answer is None:
            return False
        try:
            answer = self._answer.get_nowait()
        except Empty:
            if self._context.clock.monotonic_s() < self._until_s:
                return False
            answer = _no_answer()
        self._answer = None
        if isinstance(answer, Trouble):
            self.refused(answer)
            return False
        self._next = answer
        return True

    def _begin(self) -> None:
        answer: SimpleQueue[Prepared | Trouble] = SimpleQueue()

        def look() -> None:
            try:
                # a copy has read nothing yet
                answer.put(prepare(replace(self._context), self._folders))
            except Trouble as trouble:
                answer.put(trouble)
            self.ring()

        self._answer, self._until_s = answer, self._context.clock.monotonic_s() + _ANSWER_WITHIN_S
        threading.Thread(target=look, name="reload", daemon=True).start()

    def take(self) -> Prepared | None:
        """Give what the next round works with; None: there is none."""
        taken, self._next = self._next, None
        return taken


def _no_answer() -> TryLater:
    return TryLater(
        "a disk with the settings, or with a root they name, does not answer",
        does="hashtagd goes on with the settings it has",
        you="see whether a network share is away; then reload once more",
        scope=Scope.DAEMON,
        kind="settings_silent",
    )


def _no_roots() -> AskOperator:
    return AskOperator(
        "there is no folder to watch",
        does="hashtagd does not start",
        you="name one: `hashtagd run ~/ComfyUI`, or list roots in the settings (config.example.yaml)",
        scope=Scope.DAEMON,
        kind="no_roots",
    )
