"""Configures logging once, for our own records and those of every library.

`events("lane").info("file_digested", took_s=1.2)` becomes plain values, cleaned by their keys; then a line,
cleaned as text, whoever made it; then waits in a bounded queue for the thread that writes it.
"""

import atexit
import logging
import sys
import threading
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from traceback import TracebackException
from types import TracebackType
from typing import Any, Literal, TextIO, cast

import structlog
from structlog.stdlib import BoundLogger, ExtraAdder, ProcessorFormatter

from hashtagd.core.ports import Clock
from hashtagd.service.log_forms import console_line, json_line
from hashtagd.service.log_sinks import FileTarget, LineSink, Target, target_of
from hashtagd.service.redact import Redactor

Level = Literal["debug", "info", "warning", "error"]
Form = Literal["auto", "console", "json"]
Render = Callable[[Mapping[str, Any]], str]

_OWN = "hashtagd"
#: they print whole addresses and headers below this level
_TALKATIVE = ("httpx", "httpcore")
_KEPT_HEAD_CHARACTERS, _KEPT_TAIL_CHARACTERS = 4000, 12_000
_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def events(room: str) -> BoundLogger:
    """Give the logger of one room: `events("lane").info("file_digested", took_s=1.2)`.

    Event names are past tense in snake case, values are keys with units.
    """
    logger = structlog.wrap_logger(
        logging.getLogger(f"{_OWN}.{room}"),
        processors=[structlog.stdlib.filter_by_level, ProcessorFormatter.wrap_for_formatter],
        wrapper_class=BoundLogger,
        context_class=dict,
        cache_logger_on_first_use=False,
    )
    return cast("BoundLogger", logger)


class Logs:
    """The logging of this process, until `close` puts everything back."""

    def __init__(
        self, handlers: list["_Handler"], undo: Callable[[], None], file_trouble: OSError | None = None
    ) -> None:
        self._handlers = handlers
        self._undo: Callable[[], None] | None = undo
        #: why the file could not be opened at first; None: it could, or there is none
        self.file_trouble = file_trouble

    @property
    def dropped(self) -> int:
        """How many lines could not be written."""
        return sum(handler.sink.dropped for handler in self._handlers)

    @property
    def failed(self) -> int:
        """How many records could not be rendered or cleaned, and were therefore not written at all."""
        return sum(handler.failed for handler in self._handlers)

    def close(self, timeout_s: float = 1.0) -> None:
        """Write what is waiting, as far as possible in the given time; a second call does nothing."""
        undo, self._undo = self._undo, None
        if undo is None:
            return
        atexit.unregister(self.close)
        undo()
        for handler in self._handlers:
            handler.sink.close(timeout_s)


def configure(
    *,
    level: Level,
    form: Form = "auto",
    file: Path | None = None,
    redactor: Redactor,
    stream: TextIO,
    clock: Clock,
) -> Logs:
    """Send every record of this process through one chain to `stream`, and as JSON to `file` if there is one.

    Also takes over warnings and the hooks for exceptions that nobody caught. Call `close` at the end.
    """
    terminal = stream.isatty()
    words = form == "console" or (form == "auto" and terminal)
    render: Render = (lambda event: console_line(event, colours=terminal)) if words else json_line
    wanted: list[tuple[Target, Render]] = [(target_of(stream), render)]
    trouble = None
    if file is not None:
        target = FileTarget(file)
        trouble = target.try_out()
        wanted.append((target, json_line))
    handlers = [_Handler(LineSink(target), _Formatter(redactor, clock, form)) for target, form in wanted]
    logs = Logs(handlers, _install(handlers, level), trouble)
    atexit.register(logs.close)
    return logs


class _Formatter(ProcessorFormatter):
    """Renders our records and foreign ones alike; the redactor sees the finished line last."""

    def __init__(self, redactor: Redactor, clock: Clock, render: Render) -> None:
        super().__init__(
            foreign_pre_chain=[ExtraAdder()],
            processors=[_Base(clock), _Exceptions(redactor), _Clean(redactor), _Line(render)],
        )
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor.text(super().format(record))


class _Handler(logging.StreamHandler[LineSink]):
    """Counts what fails instead of printing it: the standard handler would print the raw message."""

    def __init__(self, sink: LineSink, formatter: logging.Formatter) -> None:
        super().__init__(sink)
        self.sink = sink
        self.failed = 0
        self._told = 0
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        untold = self.sink.dropped - self._told
        if untold and self.sink.has_room:
            self._told += untold
            super().emit(_notice(untold))
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - the name is logging's
        self.failed += 1


def _notice(count: int) -> logging.LogRecord:
    said = {"event": "log_lines_dropped", "count": count}
    record = logging.LogRecord(f"{_OWN}.logs", logging.WARNING, "", 0, cast("Any", said), None, None)
    record.__dict__.update(_logger=None, _name="warning")
    return record


class _Base:
    """Puts time, level and logger first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(
        self, _logger: object, _name: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        record: logging.LogRecord = event.pop("_record")
        event.pop("_from_structlog", None)
        base = {
            "time": self._clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name.removeprefix(f"{_OWN}."),
            "event": event.pop("event", ""),
        }
        return {**base, **{key: value for key, value in event.items() if key not in base}}


class _Exceptions:
    """Prints exceptions with causes and notes, never with the values of variables."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def __call__(
        self, _logger: object, _name: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        exc_info = _exc_info(event.pop("exc_info", None))
        stack = event.pop("stack_info", None)
        if exc_info is not None:
            printed = TracebackException(*exc_info, capture_locals=False, compact=True).format(chain=True)
            event["exception"] = _cut(self._redactor.text("".join(printed).rstrip()))
        if isinstance(stack, str):
            event["stack"] = _cut(self._redactor.text(stack))
        return event


class _Clean:
    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def __call__(
        self, _logger: object, _name: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        texts = {key: event.pop(key) for key in ("exception", "stack") if key in event}
        return {**self._redactor.event(event), **texts}


class _Line:
    def __init__(self, render: Render) -> None:
        self._render = render

    def __call__(self, _logger: object, _name: str, event: MutableMapping[str, Any]) -> str:
        return self._render(event)


def _exc_info(given: object) -> _ExcInfo | None:
    if isinstance(given, BaseException):
        return type(given), given, given.__traceback__
    if given is True:
        given = sys.exc_info()
    if isinstance(given, tuple) and isinstance(given[1], BaseException):
        return type(given[1]), given[1], given[2]
    return None


def _cut(text: str) -> str:
    if len(text) <= _KEPT_HEAD_CHARACTERS + _KEPT_TAIL_CHARACTERS:
        return text
    return f"{text[:_KEPT_HEAD_CHARACTERS]}\n…\n{text[-_KEPT_TAIL_CHARACTERS:]}"


def _install(handlers: list[_Handler], level: Level) -> Callable[[], None]:
    root, own = logging.getLogger(), logging.getLogger(_OWN)
    levels = {logger: logger.level for logger in (root, own, *map(logging.getLogger, _TALKATIVE))}
    former, hooks = root.handlers[:], (sys.excepthook, threading.excepthook, sys.unraisablehook)
    root.handlers[:] = handlers
    for logger in levels:
        logger.setLevel(logging.WARNING)
    own.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    sys.excepthook, threading.excepthook, sys.unraisablehook = _uncaught, _thread_died, _unraisable

    def undo() -> None:
        root.handlers[:] = former
        for logger, number in levels.items():
            logger.setLevel(number)
        logging.captureWarnings(capture=False)
        sys.excepthook, threading.excepthook, sys.unraisablehook = hooks

    return undo


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        events("crash").critical("process_crashed", exc_info=(kind, error, trace))


def _thread_died(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
        name = args.thread.name if args.thread else None
        exc_info = (args.exc_type, args.exc_value, args.exc_traceback)
        events("crash").critical("thread_crashed", thread=name, exc_info=exc_info)


def _unraisable(args: "sys.UnraisableHookArgs") -> None:
    if args.exc_value is not None:
        exc_info = (args.exc_type, args.exc_value, args.exc_traceback)
        events("crash").error("error_ignored_by_python", where=type(args.object).__name__, exc_info=exc_info)
