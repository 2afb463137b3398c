"""The list of events is complete: whatever the source tells stands in it, and nothing else does."""

import ast
import re
from pathlib import Path

import hashtagd
from hashtagd.service.events import EVENTS, level_of

SOURCE = Path(hashtagd.__file__).parent
#: names that are put together from parts, or told by no call
MADE = {"question_deferred", "question_parked", "log_lines_dropped"}


def told() -> set[str]:
    """Collect the first words of all calls of something called `tell`, and of `stories`' table."""
    found = set(MADE)
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            words = [arg.value for arg in node.args[:2] if isinstance(arg, ast.Constant)]
            if path.name == "installing.py":
                continue  # it tells another program
            tells = name in {"tell", "_tell", "error", "critical"}
            if tells and set(path.parts) & {"service", "providers", "cli"}:
                found.update(
                    word for word in words if isinstance(word, str) and re.fullmatch(r"[a-z_]+", word)
                )
    text = (SOURCE / "service" / "stories.py").read_text(encoding="utf-8")
    return found | set(re.findall(r'"(file_[a-z]+)"', text))


def test_every_event_that_is_told_is_listed_and_every_listed_one_is_told() -> None:
    assert told() == set(EVENTS)


def test_the_page_of_events_is_complete_and_true() -> None:
    page = (SOURCE.parents[1] / "docs" / "events.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| (.+) \|$", page, re.MULTILINE))
    assert rows == {name: f"{level} | {when}" for name, (level, when) in EVENTS.items()}


def test_what_a_person_should_see_is_a_warning() -> None:
    assert level_of("root_paused") == level_of("file_parked") == "warning"
    assert level_of("file_published") == "info"
    assert level_of("a_guest_s_event") == "info"
