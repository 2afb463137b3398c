import json
import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagd.cli import output

NOW = datetime(2026, 11, 23, 7, 41, 41, 5, tzinfo=UTC)
HOSTILE = "a\x1b[31mred\r\nfake line\x9b2J\u202egnp.exe\u2028\ud800"


def is_harmless(text: str) -> bool:
    return all(unicodedata.category(char) not in {"Cc", "Cs", "Zl", "Zp"} for char in text) and not any(
        char in text for char in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    )


@given(st.text(st.characters()))
def test_whatever_a_stranger_wrote_is_one_harmless_line(text: str) -> None:
    """F97."""
    assert is_harmless(output.safe(text))


def test_ordinary_text_is_printed_as_it_is() -> None:
    for text in ("плакат 海報", "a b", "👩\u200d🎨", "no\u00a0break"):
        assert output.safe(text) == text
    assert output.safe(None) == ""
    assert output.safe(7) == "7"


@given(st.recursive(st.text(st.characters()) | st.integers() | st.none(), st.lists, max_leaves=5))
def test_json_reads_back_to_the_same_and_is_harmless_to_look_at(data: object) -> None:
    """F97."""
    for indent in (None, 2):
        text = output._dumps(data, indent)
        assert json.loads(text) == data
        assert is_harmless(text.replace("\n", ""))


def test_times_in_json_are_utc_with_a_z(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json({"at": NOW, "there": NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))})
    assert json.loads(capsys.readouterr().out) == {
        "at": "2026-11-23T07:41:41Z",
        "there": "2026-11-23T07:41:41Z",
    }


def test_what_is_no_json_value_is_a_bug_and_not_a_guess() -> None:
    with pytest.raises(TypeError, match="object"):
        output.print_json({"x": object()})


def test_lists_are_one_document_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json_lines([{"a": HOSTILE}, {"b": 2}])
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == [{"a": HOSTILE}, {"b": 2}]


def test_in_a_pipe_a_table_is_lines_with_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(["name", "size"], [[HOSTILE, 3], ["b\tc", None]])
    first, second = capsys.readouterr().out.splitlines()
    assert is_harmless(first.replace("\t", ""))
    assert second == "b\\tc\t"


class Terminal:
    """Standard output that says it is a terminal."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import sys  # noqa: PLC0415 - the stream of this test

        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "80")


def test_on_a_terminal_a_table_has_a_head_and_takes_no_orders(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """F97."""
    Terminal(monkeypatch)
    output.print_table(["name"], [["[red]x[/red] :smile:"], ["a\x1b]0;title\x07"]], title="Models")
    printed = capsys.readouterr().out
    assert "name" in printed
    assert "[red]x[/red] :smile:" in printed
    assert "\x1b]0" not in printed


def test_on_a_terminal_long_cells_are_cut_in_their_middle_and_in_a_pipe_never(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = ["loras/" + "x" * 100_000 + "/end.safetensors", "why " * 50]
    output.print_table(["file", "why"], [row])
    assert capsys.readouterr().out == "\t".join(row) + "\n"
    Terminal(monkeypatch)
    output.print_table(["file", "why"], [row], whole=["why"])
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) < 12
    assert "…" in printed
    assert printed.count("why") == 51


@given(st.text(), st.integers(min_value=12, max_value=60))
def test_a_cut_text_is_never_wider_than_the_cell_and_keeps_both_ends(text: str, width: int) -> None:
    short = output.cut(text, width)
    assert sum(output._cells(char) for char in short) <= width
    if short != text:
        head, _, tail = short.partition("…") if "…" not in text else (short[:1], "", short[-1:])
        assert text.startswith(head)
        assert text.endswith(tail)


def test_wide_letters_count_twice() -> None:
    assert output.cut("海" * 30) == "海" * 30
    assert output.cut("海" * 31) == "海" * 19 + "…" + "海" * 10


def test_facts_leave_out_what_is_not_known_and_align_lists(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_facts({"model": "x", "tags": (), "empty": "", "none": None, "urls": ["one", "two"]})
    assert capsys.readouterr().out == "model  x\nurls   one\n       two\n"
    output.print_facts({})
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "size, words",
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KB"),
        (57_427_724, "57.4 MB"),
        (6.4e9, "6.4 GB"),
        (4e12, "4.0 TB"),
    ],
)
def test_sizes_have_the_units_people_use_for_files(size: float, words: str) -> None:
    assert output.bytes_in_words(size) == words


@pytest.mark.parametrize(
    "seconds, words",
    [
        (0, "in 0 s"),
        (89, "in 89 s"),
        (-60, "60 s ago"),
        (600, "in 10 min"),
        (-7200, "2 h ago"),
        (30 * 86400, "in 30 days"),
    ],
)
def test_moments_are_told_from_now(seconds: float, words: str) -> None:
    assert output.moment_in_words(NOW + timedelta(seconds=seconds), NOW) == words


@pytest.mark.parametrize("seconds, words", [(-7200, "now"), (0, "now"), (600, "in 10 min")])
def test_what_is_overdue_is_done_now(seconds: float, words: str) -> None:
    assert output.due_in_words(NOW + timedelta(seconds=seconds), NOW) == words


def test_a_moment_that_is_none_is_a_dash() -> None:
    assert output.moment_in_words(None, NOW) == "-"


def test_bytes_that_are_no_text_are_recognised() -> None:
    assert [output.is_text(text) for text in ("x", "海", "", "a\udcff")] == [True, True, True, False]


def test_a_trouble_is_told_in_three_clauses_and_names_hashtagd_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    trouble = {"where": "loras/x", "what": "it is away", "does": "hashtagd waits", "you": "look"}
    output.print_trouble(trouble)
    assert capsys.readouterr().out == "loras/x: it is away\n  hashtagd: waits\n  you:      look\n"
