import io
import json
import logging
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashtagd.service.log_sinks import FileTarget, LineSink, StreamTarget
from hashtagd.service.logs import Form, Level, Logs, configure, events
from hashtagd.service.redact import Redactor

KEY = "0123456789abcdef0123456789abcdef"


class StoppedClock:
    def now(self) -> datetime:
        return datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)

    def monotonic_s(self) -> float:
        return 0.0


class Blind(Redactor):
    """Cleans nothing: shows that the other tests would see what they look for."""

    def text(self, text: str) -> str:
        return text

    def hides(self, name: str) -> bool:  # noqa: ARG002 - the name is not looked at on purpose
        return False


class Broken(Redactor):
    def text(self, text: str) -> str:
        raise ValueError(text)


@contextmanager
def logging_to(
    stream: io.TextIOBase,
    *,
    form: Form = "json",
    level: Level = "info",
    redactor: Redactor | None = None,
    file: Path | None = None,
) -> Iterator[Logs]:
    logs = configure(
        level=level,
        form=form,
        file=file,
        redactor=redactor or Redactor([KEY], Path("/home/bob")),
        stream=stream,  # type: ignore[arg-type]
        clock=StoppedClock(),
    )
    try:
        yield logs
    finally:
        logs.close(5.0)


def written(act: Callable[[], object], **options: Any) -> str:
    stream = io.StringIO()
    with logging_to(stream, **options):
        act()
    return stream.getvalue()


def records(act: Callable[[], object], **options: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written(act, **options).splitlines()]


def test_an_event_is_one_json_object_with_its_time_level_and_room() -> None:
    (record,) = records(lambda: events("lane").info("file_digested", took_s=1.5, path="a/b.safetensors"))
    assert record == {
        "time": "2024-05-06T07:08:09.000Z",
        "level": "info",
        "logger": "lane",
        "event": "file_digested",
        "took_s": 1.5,
        "path": "a/b.safetensors",
    }


def test_an_event_is_one_line_for_people_on_request() -> None:
    text = written(lambda: events("lane").warning("file_digested", took_s=1.5, name="a b"), form="console")
    assert text == '07:08:09 warning lane: file_digested took_s=1.5 name="a b"\n'


def test_auto_means_json_where_there_is_no_terminal() -> None:
    assert json.loads(written(lambda: events("x").info("y"), form="auto"))["event"] == "y"


def test_auto_means_words_and_colours_on_a_terminal() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with logging_to(stream, form="auto"):
        events("x").info("y_done")
    assert stream.getvalue() == "07:08:09 \x1b[32minfo   \x1b[0m x: y_done\n"


def test_what_is_below_the_level_is_not_written() -> None:
    def act() -> None:
        events("x").debug("no")
        events("x").info("yes")

    assert [record["event"] for record in records(act)] == ["yes"]
    assert [record["event"] for record in records(act, level="debug")] == ["no", "yes"]
    assert records(act, level="warning") == []


def test_libraries_pass_the_same_chain_and_their_gossip_is_left_out() -> None:
    def act() -> None:
        for name in ("httpx", "httpcore.http11", "watchdog.observers", "sqlalchemy.engine"):
            logging.getLogger(name).info("gossip")
            logging.getLogger(name).warning(
                "GET %s", httpx.URL("https://u:pass@h/x?sig=abcdef"), extra={"token": "abc"}
            )

    found = records(act, level="debug")
    assert len(found) == 4
    for record in found:
        assert record["event"] == "GET https://[…]@h/x?sig=[…]"
        assert record["token"] == "[redacted]"


HOSTILE_NAME = "a\r\nb\x1b[31mc\x07\x85\u2028\u202egnp.exe\x7f\ud800"


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_hostile_name_cannot_end_the_line_nor_speak_to_the_terminal(form: Form) -> None:
    """F97."""

    def act() -> None:
        events("x").info("file_seen", name=HOSTILE_NAME, **{f"k{HOSTILE_NAME}": 1})
        logging.getLogger(HOSTILE_NAME).warning(HOSTILE_NAME)

    text = written(act, form=form)
    lines = text.removesuffix("\n").split("\n")
    assert len(lines) == 2
    assert not any(
        ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 or char in "\u2028\u202e\ud800"
        for line in lines
        for char in line
    )
    if form == "json":
        assert json.loads(lines[0])["name"] == HOSTILE_NAME


def failing() -> None:
    """Raise an error with a cause, a note and a secret in every place."""
    local_secret = f"local {KEY}"
    try:
        {}[f"inner {KEY} {len(local_secret)}"]
    except KeyError as inner:
        outer = RuntimeError(f"outer\n12:00:00 info lane: forged {KEY}")
        outer.add_note(f"note {KEY} someone@mail.example.org")
        raise outer from inner


def crash() -> None:
    try:
        failing()
    except RuntimeError:
        events("lane").exception("bug_met")


def test_a_traceback_has_causes_and_notes_but_no_secret_and_no_local_value() -> None:
    (record,) = records(crash)
    assert "The above exception was the direct cause" in record["exception"]
    assert "note [redacted] [e-mail]" in record["exception"]
    assert "local 0" not in record["exception"]
    assert KEY not in json.dumps(record)


def test_a_traceback_for_people_stands_behind_a_bar_so_that_no_message_can_pass_for_a_record() -> None:
    """F97."""
    first, *others = written(crash, form="console").splitlines()
    assert first == "07:08:09 error   lane: bug_met"
    assert others
    assert all(line.startswith("    | ") for line in others)


def test_an_endless_traceback_is_cut_in_its_middle() -> None:
    def act() -> None:
        events("x").error("bug_met", exc_info=ValueError("x" * 100_000 + " the end"))

    (record,) = records(act)
    assert len(record["exception"]) < 17_000
    assert record["exception"].endswith(" the end")


class Unprintable:
    def __str__(self) -> str:
        raise OSError("no")

    __repr__ = __str__


def test_a_record_that_cannot_be_rendered_is_dropped_and_counted(capfd: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    with logging_to(stream) as logs:
        logging.getLogger("x").warning("%s", Unprintable())
        logging.getLogger("x").warning("%d", "not a number")
        events("x").info("kept", odd=Unprintable())
    assert json.loads(stream.getvalue())["odd"] == "<Unprintable>"
    assert logs.failed == 2
    assert capfd.readouterr() == ("", "")


def test_a_redactor_that_fails_drops_the_record_and_counts_it(capfd: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    with logging_to(stream, redactor=Broken([])) as logs:
        events("x").info("something", name=KEY)
    assert (stream.getvalue(), logs.failed) == ("", 1)
    assert capfd.readouterr() == ("", "")


def test_a_pipe_that_nobody_reads_never_blocks_the_caller_and_lost_lines_are_counted() -> None:
    """F86."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        logs = configure(
            level="info", form="json", redactor=Redactor([]), stream=stream, clock=StoppedClock()
        )
        for number in range(4000):
            events("x").info("said", number=number, padding="x" * 100)
        dropped = logs.dropped
        assert dropped > 1000
        with os.fdopen(reading, "rb") as reader:
            drain = threading.Thread(target=lambda: collected.append(reader.read()))
            collected: list[bytes] = []
            drain.start()
            logs.close(5.0)
            stream.close()
            drain.join(5.0)
    # now and then a line between them tells how many were lost
    assert collected[0].count(b'"event":"said"') == 4000 - dropped


def test_after_a_blockage_the_number_of_lost_lines_is_told() -> None:
    """F86."""
    gate, started = threading.Event(), threading.Semaphore(0)

    class Slow(io.StringIO):
        def write(self, text: str) -> int:
            started.release()
            gate.wait(5.0)
            return super().write(text)

    stream = Slow()
    with logging_to(stream) as logs:
        events("x").info("first")
        assert started.acquire(timeout=5.0)
        for _ in range(2010):
            events("x").info("said")
        assert logs.dropped == 10
        gate.set()
        # the second line has left the queue: there is room again
        assert started.acquire(timeout=5.0)
        assert started.acquire(timeout=5.0)
        events("x").info("last")
    tail = [json.loads(line) for line in stream.getvalue().splitlines()[-2:]]
    assert [(record["event"], record.get("count")) for record in tail] == [
        ("log_lines_dropped", 10),
        ("last", None),
    ]


def test_a_reader_that_went_away_costs_lines_and_nothing_else() -> None:
    """F86."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream, logging_to(stream) as logs:
        for _ in range(10):
            events("x").info("said")
        logs.close(5.0)
        assert logs.dropped == 10


def test_a_stream_that_was_closed_costs_lines_and_nothing_else() -> None:
    """F86."""
    stream = io.StringIO()
    with logging_to(stream) as logs:
        stream.close()
        events("x").info("said")
    assert logs.dropped == 1


def test_names_that_are_not_utf8_do_not_stop_a_line(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with path.open("w", encoding="ascii") as stream, logging_to(stream, form="console"):
        events("x").info("file_seen", name="\udcff é")
    assert path.read_bytes().endswith(b'file_seen name="\\udcff \\xe9"\n')


def test_a_log_file_gets_json_lines_and_is_begun_anew_when_moved_away(tmp_path: Path) -> None:
    path = tmp_path / "log"
    target = FileTarget(path)
    target("one\n")
    path.rename(tmp_path / "log.1")
    target("two\n")
    path.unlink()
    target("three\n")
    target("four\n")
    target.close()
    assert (tmp_path / "log.1").read_text() == "one\n"
    assert path.read_text() == "three\nfour\n"
    assert path.stat().st_mode & 0o007 == 0


def test_a_log_file_that_grew_large_is_put_aside_and_some_older_ones_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "log"
    mine, others = FileTarget(path, most_bytes=8, kept=2), FileTarget(path, most_bytes=8, kept=2)
    for number in range(9):
        (mine if number % 2 else others)(f"{number:03}\n")
    mine.close()
    others.close()
    assert {it.name: it.read_text() for it in tmp_path.iterdir()} == {
        "log": "008\n",
        "log.1": "006\n007\n",
        "log.2": "004\n005\n",
    }


def test_a_line_that_a_full_disk_cut_off_does_not_spoil_the_next(tmp_path: Path) -> None:
    """The limit for files stands for the disk: a write is cut short, and the next one fails."""
    path = tmp_path / "log"
    target = FileTarget(path)
    target('{"a": 1}\n')
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (12, hard))
    try:
        for _ in range(2):
            with pytest.raises(OSError, match="too large"):
                target('{"b": 2}\n')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    target('{"c": 3}\n')
    target('{"d": 4}\n')
    target.close()
    assert path.read_text() == '{"a": 1}\n{"b\n{"c": 3}\n{"d": 4}\n'


def test_a_log_file_that_cannot_be_put_aside_grows_on(tmp_path: Path) -> None:
    path = tmp_path / "log"
    (tmp_path / "log.1").mkdir()
    (tmp_path / "log.1" / "in the way").touch()
    target = FileTarget(path, most_bytes=4, kept=1)
    for _ in range(3):
        target("line\n")
    target.close()
    assert path.read_text() == "line\n" * 3


def test_the_file_has_json_while_the_stream_has_words(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("earlier\n")
    text = written(lambda: events("x").info("done", api_key=KEY), form="console", file=path)
    assert text == "07:08:09 info    x: done api_key=[redacted]\n" or "[redacted]" in text
    earlier, line = path.read_text().splitlines()
    assert (earlier, json.loads(line)["api_key"]) == ("earlier", "[redacted]")


def test_a_log_file_that_cannot_be_opened_costs_lines_and_nothing_else(tmp_path: Path) -> None:
    stream = io.StringIO()
    with logging_to(stream, file=tmp_path / "none" / "log") as logs:
        events("x").info("done")
    assert json.loads(stream.getvalue())["event"] == "done"
    assert logs.dropped == 1


def test_a_sink_that_was_closed_twice_or_never_used_is_fine() -> None:
    sink = LineSink(StreamTarget(io.StringIO()))
    sink.close()
    stream = io.StringIO()
    with logging_to(stream) as logs:
        logs.close()
        logs.close()


def test_closing_puts_hooks_handlers_and_levels_back() -> None:
    def state() -> tuple[object, ...]:
        root = logging.getLogger()
        return (root.handlers[:], root.level, sys.excepthook, threading.excepthook, sys.unraisablehook)

    before = state()
    with logging_to(io.StringIO()):
        assert state() != before
    assert state() == before


CHILD = """
import sys, threading, warnings, gc
from pathlib import Path
from hashtagd.service.clock import SystemClock
from hashtagd.service.logs import configure, events
from hashtagd.service.redact import Redactor

KEY = sys.argv[1] + sys.argv[2]
logs = configure(level="info", form="json", redactor=Redactor([KEY]), stream=sys.stderr, clock=SystemClock())

class Finaliser:
    def __del__(self):
        raise ValueError("finalised " + KEY)

def fail():
    raise RuntimeError("thread " + KEY)

warnings.warn("warned " + KEY)
Finaliser(); gc.collect()
thread = threading.Thread(target=fail); thread.start(); thread.join()
raise RuntimeError("end " + KEY)
"""


def test_crash_text_warnings_and_dying_threads_all_pass_the_redactor(tmp_path: Path) -> None:
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    daemon = Path(configure.__code__.co_filename).parents[2]
    done = subprocess.run(
        [sys.executable, str(script), KEY[:16], KEY[16:]],
        env={**os.environ, "PYTHONPATH": str(daemon)},
        capture_output=True,
        timeout=9,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == b""
    assert KEY.encode() not in done.stderr
    found = [json.loads(line) for line in done.stderr.splitlines()]
    assert "warned [redacted]" in found[0]["event"]
    later = [record["event"] for record in found[1:]]
    assert later == ["error_ignored_by_python", "thread_crashed", "process_crashed"]


def plant(secret: str, position: str) -> None:
    """Put a secret somewhere into a record."""
    log, foreign = events("lane"), logging.getLogger("thirdparty.room")
    error = ValueError(f"text {secret}")
    error.add_note(f"note {secret}")
    cause = KeyError(secret)
    error.__cause__ = cause
    positions: dict[str, Callable[[], object]] = {
        "value": lambda: log.info("x_done", value=f"a {secret} b"),
        "nested": lambda: log.info("x_done", value={"a": [{"b": (secret, secret.encode())}]}),
        "name": lambda: log.info("x_done", **{secret: 1}),
        "event": lambda: log.info(secret),
        "header": lambda: log.info("x_done", headers={"Authorization": f"Bearer {secret}"}),
        "error value": lambda: log.info("x_done", error=error),
        "error": lambda: log.error("x_failed", exc_info=error),
        "group": lambda: log.error("x_failed", exc_info=ExceptionGroup(secret, [error])),
        "address": lambda: log.info("x_done", url=httpx.URL("https://h/p", params={"token": secret})),
        "argument": lambda: foreign.warning("got %s and %r", secret, {"k": secret}),
        "foreign error": lambda: foreign.warning("got", exc_info=error),
        "extra": lambda: foreign.warning("got", extra={"anything": [secret], "api_key": secret}),
        "stack": lambda: foreign.warning("got %s", secret, stack_info=True),
        "unprintable": lambda: log.info("x_done", value=Unprintable(), other=secret),
    }
    positions[position]()


POSITIONS = (
    *("value", "nested", "name", "event", "header", "error value", "error", "group", "address", "argument"),
    *("foreign error", "extra", "stack", "unprintable"),
)
_SECRETS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=10, max_size=40).filter(
    lambda text: len(set(text)) > 6 and text not in "[redacted]"
)


@pytest.mark.parametrize("form", ["json", "console"])
@given(secret=_SECRETS, position=st.sampled_from(POSITIONS))
@settings(max_examples=150, deadline=None)
def test_a_planted_secret_reaches_no_sink_and_the_line_stays_whole(
    secret: str, position: str, form: Form
) -> None:
    stream = io.StringIO()
    with logging_to(stream, form=form, redactor=Redactor([secret])) as logs:
        plant(secret, position)
    text = stream.getvalue()
    assert text
    assert logs.failed == 0
    assert secret not in text
    assert json.dumps(secret)[1:-1] not in text
    assert repr(secret)[1:-1] not in text
    if form == "json":
        (line,) = text.splitlines()
        assert secret not in str(json.loads(line))


@pytest.mark.parametrize("position", POSITIONS)
def test_the_same_secret_is_found_when_the_redactor_is_off(position: str) -> None:
    text = written(lambda: plant("S3cret-for-the-canary", position), redactor=Blind([]))
    assert "S3cret-for-the-canary" in text
