"""SIGHUP: the daemon goes on with the settings as they are now, or with those it has if these are wrong."""

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from hashtagd.cli.context import Context
from hashtagd.core.troubles import AskOperator, Scope, Trouble
from hashtagd.service.checking import check_settings
from hashtagd.service.roots import RootPlan


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

    Args:
        context: of the command line; the settings are read anew each time.
        folders: of the command line.
    """

    def __init__(self, context: Context, folders: tuple[Path, ...]) -> None:
        self._context = context
        self._folders = folders
        #: told why the new settings cannot be used
        self.refused: Callable[[Trouble], None] = lambda _trouble: None
        self._asked = threading.Event()
        self._next: Prepared | None = None

    def ask(self) -> bool:
        """Ask for it, from a signal handler; False where a terminal was closed, which ends the process."""
        if sys.stdin is not None and sys.stdin.isatty():
            return False
        self._asked.set()
        return True

    def is_due(self) -> bool:
        """Tell whether to hand over to a new round: it was asked for, and the settings are good."""
        if not self._asked.is_set():
            return False
        self._asked.clear()
        try:
            # a copy has read nothing yet
            self._next = prepare(replace(self._context), self._folders)
        except Trouble as trouble:
            self.refused(trouble)
        return self._next is not None

    def take(self) -> Prepared | None:
        """Give what the next round works with; None: there is none."""
        taken, self._next = self._next, None
        return taken


def _no_roots() -> AskOperator:
    return AskOperator(
        "there is no folder to watch",
        does="hashtagd does not start",
        you="name one: `hashtagd run ~/ComfyUI`, or list roots in the settings (config.example.yaml)",
        scope=Scope.DAEMON,
        kind="no_roots",
    )
