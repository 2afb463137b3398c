"""What commands that do work of their own share: the log, and the wish to stop."""

import logging
import os
import signal
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from structlog.stdlib import BoundLogger

from hashtagd.cli.context import Context
from hashtagd.service.clock import StopPause
from hashtagd.service.events import EventLevel, level_of
from hashtagd.service.logs import Level, configure, events
from hashtagd.service.redact import MIN_SECRET_CHARACTERS, Redactor
from hashtagd.settings import find_api_key
from hashtagd.settings.values import home_folder
from hashtagd.system.process import HANG_UP

_LEVELS: Mapping[EventLevel, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}


_STOPS = (signal.SIGTERM, signal.SIGINT, *([] if HANG_UP is None else [HANG_UP]))


def tell(log: BoundLogger, event: str, /, **values: Any) -> None:  # noqa: ANN401 - log values are of any type
    """Log an event at the level that belongs to it."""
    log.log(_LEVELS[level_of(event)], event, **values)


@contextmanager
def logging_to_stderr(context: Context, *, terse: bool, least: Level = "warning") -> Iterator[BoundLogger]:
    """Send all logging through the redactor for the time of the run; terse: nothing below `least`."""
    settings = context.loaded.settings
    key = find_api_key(settings, context.environ, source=context.loaded.source, lines=context.loaded.lines)
    password = context.environ.get("PGPASSWORD", "")
    secrets = [
        *([key.get_secret_value()] if key else []),
        *([password] if len(password) >= MIN_SECRET_CHARACTERS else []),
    ]
    levels: dict[str | None, Level] = {"verbose": "debug", "quiet": "warning"}
    ordinary: Level = least if terse else settings.log.level
    logs = configure(
        level=levels.get(context.volume, ordinary),
        form=settings.log.format,
        file=settings.log.file,
        redactor=Redactor(secrets, home_folder(context.environ)),
        stream=sys.stderr,
        clock=context.clock,
    )
    log = events("daemon")
    if logs.file_trouble is not None:
        tell(
            log,
            "log_file_failed",
            kind="log_file",
            what=f"{settings.log.file} cannot be written ({logs.file_trouble.strerror})",
            you="correct `log.file`, or make its folder and let hashtagd write there",
        )
    try:
        yield log
    finally:
        logs.close()


@dataclass(slots=True)
class Heard:
    """What signals do; `pause` may be another one in the next round."""

    pause: StopPause
    stops: int = 0

    def renew(self) -> StopPause:
        """Give the pause of the next round; a stop that came between two rounds holds for it."""
        self.pause = StopPause()
        if self.stops:  # looked at last: one that comes from now on is told to the new one
            self.pause.stop()
        return self.pause


@contextmanager
def heeding_signals(pause: StopPause, hung_up: Callable[[], bool] | None = None) -> Iterator[Heard]:
    """Stop in order at the first signal, at once at the second.

    Args:
        pause: what is stopped.
        hung_up: told of SIGHUP; False, or nobody to tell: it is a signal like the others, sent because the
            terminal was closed.
    """
    heard = Heard(pause)

    def heed(number: int, _frame: types.FrameType | None) -> None:
        if number == HANG_UP and hung_up is not None and hung_up():
            heard.pause.ring()
            return
        if heard.stops:
            os._exit(0)
        heard.stops += 1
        heard.pause.stop()

    before = {number: signal.signal(number, heed) for number in _STOPS}
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
